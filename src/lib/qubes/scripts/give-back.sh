# Run by root in a backend: gives a device that is bound to usbip-host, and not exported, back to its normal driver.
# `unbind`, then the driver core's `bind`: writing usbip-host's `rebind` and then `unbind` is a BUG in the kernel.
give_back() {
  port=$1
  usb=${QUSB_ROOT:-}/sys/bus/usb
  [ -d "$usb/devices/$port" ] || return 0
  driver=$(readlink "$usb/devices/$port/driver") || driver=
  if [ "${driver##*/}" = usbip-host ]; then
    status=
    read -r status <"$usb/devices/$port/usbip_status"
    [ "$status" != 2 ] || return 1
    echo "$port" >"$usb/drivers/usbip-host/unbind"
  elif [ -n "$driver" ]; then
    return 0
  fi
  # The kernel unbinds before the write returns; where that takes a moment, wait for it.
  tries=0
  while [ -e "$usb/devices/$port/driver" ] && [ "$tries" -lt 20 ]; do
    sleep 0.05
    tries=$((tries + 1))
  done
  echo "$port" >"$usb/drivers/usb/bind"
  # And the other way round, so that a look that follows finds it there.
  tries=0
  while [ -d "$usb/devices/$port" ] && [ ! -e "$usb/devices/$port/driver" ] && [ "$tries" -lt 20 ]; do
    sleep 0.05
    tries=$((tries + 1))
  done
}
