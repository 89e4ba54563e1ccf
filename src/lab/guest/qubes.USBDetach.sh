#!/bin/sh
# qubes.USBDetach: `BACKEND BUSID` in a frontend, `BUSID` alone in a backend.
. "$QUSB_ROOT/usr/lib/qubes/lab-kernel.sh"
[ "${QUSB_USER:-root}" = root ] || exit 1
read -r first second || exit 1

absent() {
  echo "Device $1 not found or not attached to any VM!" >&2
  exit 1
}

detach_frontend() {
  state_file=$QUSB_ROOT/var/run/qubes/usb-import-$1-$2.state
  vhci=$QUSB_ROOT/sys/devices/platform/vhci_hcd.0
  [ -r "$state_file" ] || absent "$2"
  read -r port <"$state_file"
  padded=$port
  while [ ${#padded} -lt 4 ]; do padded=0$padded; done
  # Whatever sits on that port by now goes: this is the flaw of a stale state file.
  local_busid=''
  while read -r _ number _ _ _ _ r_local; do
    [ "$number" != "$padded" ] || local_busid=$r_local
  done <"$vhci/status"
  store "$vhci/detach" "$port" || exit 1
  tries=0
  while [ -e "$QUSB_ROOT/sys/bus/usb/devices/$local_busid/busnum" ] && [ $tries -lt 50 ]; do
    pause 0.1
    tries=$((tries + 1))
  done
  rm -f "$state_file"
}

detach_backend() {
  device=$QUSB_ROOT/sys/bus/usb/devices/$1
  case $1 in */* | .*) absent "$1" ;; esac
  [ -e "$device/busnum" ] || absent "$1"
  qubesdb-read "/qubes-usb-devices/$(echo "$1" | tr . _)/connected-to" >/dev/null 2>&1 || absent "$1"
  store "$device/usbip_sockfd" -1 || exit 1
  [ ! -e "$QUSB_ROOT/etc/qubes/usb-leave-on-usbip-host" ] || exit 0
  store "$QUSB_ROOT/sys/bus/usb/drivers/usbip-host/unbind" "$1" || exit 1
  store "$QUSB_ROOT/sys/bus/usb/drivers/usb/bind" "$1" || exit 1
}

if [ -n "$second" ]; then
  detach_frontend "$first" "$second"
else
  detach_backend "$first"
fi
