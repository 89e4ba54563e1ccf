#!/bin/sh
# Called by busybox's uevent for each event of the kernel, which is in the environment.
export PATH=/usr/bin:/bin
case "$SUBSYSTEM $DEVTYPE $ACTION" in
  'usb usb_device add' | 'usb usb_device remove') ;;
  *) exit 0 ;;
esac
exec /usr/lib/systemd/lab-udev "$ACTION" "$DEVPATH" "$SUBSYSTEM" "$DEVTYPE"
