#!/bin/sh
# qubesdb-multiread [-f] PREFIX…: lines `PATH = VALUE`, as the lab has them ready; without -f the prefix is left out.
full=''
for path in "$@"; do
  case $path in
    -f) full=$path ;;
    /name)
      # The file has no newline at its end.
      IFS= read -r value <"$QUSB_ROOT/lab/qubesdb/name"
      printf '%s = %s\n' "${full:+$path}" "$value"
      ;;
    /qubes-usb-devices/)
      [ -n "$full" ] || exec sed "s|^$path||" "$QUSB_ROOT/lab/qubes-usb-devices"
      exec cat "$QUSB_ROOT/lab/qubes-usb-devices"
      ;;
    *) echo "Failed to read $path" >&2; exit 1 ;;
  esac
done
