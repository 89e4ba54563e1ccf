# Run in a backend: waits while a frontend has the device at a port, a few seconds at most. PORT, then its key in QubesDB,
# then FRONTEND. What came of it is not told: a look follows.
await_release() {
  device=${QUSB_ROOT:-}/sys/bus/usb/devices/$1
  tries=0
  while [ -d "$device" ] && [ "$tries" -lt 30 ]; do
    status=
    [ ! -r "$device/usbip_status" ] || read -r status <"$device/usbip_status"
    # While it is exported nothing else need be asked, and each question is a process.
    if [ "$status" != 2 ]; then
      holder=$(qubesdb-read "/qubes-usb-devices/$2/connected-to" 2>/dev/null)
      [ "$holder" = "$3" ] || return 0
    fi
    sleep 0.1
    tries=$((tries + 1))
  done
}
