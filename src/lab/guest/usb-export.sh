#!/bin/sh
# qubes.USB+BUSID in a backend: binds the device to usbip-host, says `DEVID SPEED`, hands fd 0 to the kernel.
# A refused export sends an empty line, so that the frontend stays silent; its reason ends in this qube's log.
. "$QUSB_ROOT/usr/lib/qubes/lab-kernel.sh"
devices=$QUSB_ROOT/sys/bus/usb/devices
drivers=$QUSB_ROOT/sys/bus/usb/drivers

fail() {
  echo "$1" >&2
  echo
  exit 1
}

[ "${QUSB_USER:-root}" = root ] || fail 'not root'
port=$1
case $port in
  *:*) fail 'You cannot export a specific device interface!' ;;
  0x*.0x*)
    vendor=${port%%.*}
    product=${port#*.}
    found=''
    for device in "$devices"/*; do
      id_vendor='' id_product=''
      { read -r id_vendor <"$device/idVendor" && read -r id_product <"$device/idProduct"; } 2>/dev/null || continue
      [ "$id_vendor" = "${vendor#0x}" ] && [ "$id_product" = "${product#0x}" ] || continue
      [ -z "$found" ] || fail "Multiple or no devices matching $port, aborting!"
      found=${device##*/}
    done
    [ -n "$found" ] || fail "Multiple or no devices matching $port, aborting!"
    port=$found
    ;;
  */* | .* | '') fail "No such device: $port" ;;
esac
device=$devices/$port
{ read -r busnum <"$device/busnum" && read -r devnum <"$device/devnum" && read -r speed <"$device/speed"; } 2>/dev/null ||
  fail "No such device: $port"

if [ ! -e "$drivers/usbip-host/$port" ]; then
  [ ! -e "$device/driver" ] || store "$device/driver/unbind" "$port" || fail "Cannot unbind $port"
  store "$drivers/usbip-host/match_busid" "add $port" || fail "Cannot add $port"
  store "$drivers/usbip-host/bind" "$port" || fail "Cannot bind $port"
fi
status=''
read -r status <"$device/usbip_status"
[ "$status" = 1 ] || fail "Device $port is attached already"

echo "$(((busnum << 16) | devnum)) $speed"
hand_over "$device/usbip_sockfd" 0 || exit 1
exec </dev/null >/dev/null
# Only now, as the real one: the device is gone from here before QubesDB says to whom.
path=/qubes-usb-devices/$(echo "$port" | tr . _)
qubesdb_write "$path/connected-to" "${QREXEC_REMOTE_DOMAIN%-dm}"
qubesdb_write "$path/x-pid" "$$"
(
  await_export_end "$port"
  qubesdb_rm "$path/connected-to"
  qubesdb_rm "$path/x-pid"
) &
exit 0
