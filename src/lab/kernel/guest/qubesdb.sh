#!/bin/sh
# qubesdb-read and qubesdb-multiread of a guest: what the qube publishes of its USB devices is made from sysfs
# at the first look at each, the rest lies in files. Forks are dear under emulation, so there are none, and a shell reads
# byte by byte, so what was made is kept as a script that it reads at once.
. /lab/config

# attribute DEVICE NAME: in $value, empty when there is none.
attribute() {
  value=
  { IFS= read -r value < "$1/$2"; } 2>/dev/null || [ -n "$value" ]
}

# word TEXT: as udev publishes it, in $published.
word() {
  published=${1// /\\x20}
}

# print PATH VALUE: the value, or a line of multiread's, whose path begins behind what was asked for unless -f is given.
print() {
  case $style in
    values) printf '%s\n' "$2" ;;
    lines) printf '%s = %s\n' "${1#"$wanted"}" "$2" ;;
    full) printf '%s = %s\n' "$1" "$2" ;;
  esac
}

line() {
  case "/qubes-usb-devices/$name/$1" in
    "$wanted"*) found=yes ;;
    *) return ;;
  esac
  print "/qubes-usb-devices/$name/$1" "$2"
}

# keep NAME TEXT: an assignment for the script of this device.
keep() {
  printf "%s='%s'\n" "$1" "${2//\'/\'\\\'\'}"
}

# describe: what is published of $device, in $desc, $interfaces and $version.
describe() {
  attribute "$device" bDeviceClass
  [ "$value" != 09 ] || return 1
  attribute "$device" idVendor || return 1
  vendor=$value
  attribute "$device" idProduct
  ids=$vendor:$value
  attribute "$device" manufacturer || value=$vendor
  word "$value"
  manufacturer=$published
  attribute "$device" product || value=${ids#*:}
  word "$value"
  product=$published
  attribute "$device" serial
  word "$value"
  serial=$published
  interfaces=
  for interface in "$device"/"$name":*; do
    attribute "$interface" bInterfaceClass || continue
    code=$value
    attribute "$interface" bInterfaceSubClass
    code=$code$value
    attribute "$interface" bInterfaceProtocol
    case "$interfaces:" in
      *":$code$value:"*) ;;
      *) interfaces=$interfaces:$code$value ;;
    esac
  done
  attribute "$device" speed
  version=2
  if [ "${value%%.*}" -ge 5000 ]; then version=3; fi
  if [ "$PUBLISHES" = two-words ]; then
    desc="$ids ${manufacturer}_$product" interfaces=
  else
    desc="$ids $manufacturer $product $serial"
  fi
}

publish() {
  device=$1
  name=${device##*/}
  [ ! -e "/run/hidden/$name" ] || return
  attribute "$device" devnum || return
  number=$value
  kept_number=
  [ ! -e "/run/published/$name" ] || . "/run/published/$name"
  if [ "$kept_number" != "$number" ]; then
    # Imports and hubs are not for others.
    if [ -e /sys/devices/platform/vhci_hcd.0 ]; then
      case "$(readlink -f "$device")" in */vhci_hcd*) return ;; esac
    fi
    describe || return
    # Without interfaces it is not ready yet, or usbip-host has it.
    if [ -n "$interfaces" ]; then
      {
        keep kept_number "$number"
        keep desc "$desc"
        keep interfaces "$interfaces"
        keep version "$version"
      } > "/run/published/.$$" && mv -f "/run/published/.$$" "/run/published/$name"
    fi
  fi
  name=${name//./_}
  folder=/run/qubesdb/qubes-usb-devices/$name
  if attribute "$folder" .devnum && [ "$value" = "$number" ]; then
    for key in connected-to x-pid; do
      if attribute "$folder" $key; then line $key "$value"; fi
    done
  fi
  line desc "$desc"
  [ -z "$interfaces" ] || line interfaces "$interfaces:"
  line usb-ver "$version"
}

style=lines
if [ "${0##*/}" = qubesdb-read ]; then style=values; fi
failed=0
for wanted in "$@"; do
  found=
  case "$wanted" in
    -f)
      style=full
      continue
      ;;
    -*) continue ;;
    /name)
      found=yes
      print /name "$NAME"
      ;;
    /qubes-usb-devices*)
      for device in /sys/bus/usb/devices/[0-9]*-[0-9]*; do
        case "$device" in *:* | *'['*) continue ;; esac
        publish "$device"
      done
      ;;
    *)
      if attribute /run/qubesdb "$wanted"; then
        found=yes
        print "$wanted" "$value"
      fi
      ;;
  esac
  if [ -z "$found" ] && [ "$style" = values ]; then
    echo "qubesdb-read: read error: $wanted" >&2
    failed=2
  fi
done
exit $failed
