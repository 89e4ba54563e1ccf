#!/bin/sh
# qubesdb-multiread PATH: lines `PATH = VALUE`, as the lab has them ready in one file.
for path in "$@"; do
  case $path in
    -*) ;;
    /qubes-usb-devices/ | /qubes-usb-devices) exec cat "$QUSB_ROOT/lab/qubes-usb-devices" ;;
    *) echo "qubesdb-multiread: read error: $path" >&2; exit 2 ;;
  esac
done
