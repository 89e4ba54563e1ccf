#!/bin/sh
# qubes.USBAttach in a frontend: ONE line `BACKEND BUSID` on stdin. Its failures are mostly silent.
[ "${QUSB_USER:-root}" = root ] || exit 1
read -r backend busid || exit 1
[ -n "$backend" ] && [ -n "$busid" ] || exit 1
exec "$QUSB_ROOT/usr/bin/qrexec-client-vm" "$backend" "qubes.USB+$busid" \
  "$QUSB_ROOT/usr/lib/qubes/usb-import" "$backend" "$busid"
