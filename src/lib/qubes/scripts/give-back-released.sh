# Run by root in a backend: waits while a frontend has the device at a port, a few seconds at most, and gives it back when
# nobody has it; of another that has it, nothing is taken. PORT, then its key in QubesDB, then FRONTEND. Needs give_back.
give_back_released() {
  device=${QUSB_ROOT:-}/sys/bus/usb/devices/$1
  waits=0
  while [ -d "$device" ] && [ "$waits" -lt 30 ]; do
    status=
    [ ! -r "$device/usbip_status" ] || read -r status <"$device/usbip_status"
    # While it is exported nothing else need be asked, and each question is a process.
    if [ "$status" != 2 ]; then
      holder=$(qubesdb-read "/qubes-usb-devices/$2/connected-to" 2>/dev/null)
      if [ "$holder" != "$3" ]; then
        [ -n "$holder" ] || give_back "$1"
        return
      fi
    fi
    sleep 0.1
    waits=$((waits + 1))
  done
}
