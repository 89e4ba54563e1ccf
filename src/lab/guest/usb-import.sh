#!/bin/sh
# usb-import BACKEND BUSID in a frontend: reads `DEVID SPEED` from fd 0 and hands fd 0 to vhci_hcd.
. "$QUSB_ROOT/usr/lib/qubes/lab-kernel.sh"
backend=$1
busid=$2
vhci=$QUSB_ROOT/sys/devices/platform/vhci_hcd.0
devid='' speed=''
if ! read -r devid speed; then
  echo 'No device info received, connection failed, check backend side for details' >&2
  exit 1
fi
case $devid in '' | *[!0-9]*) exit 1 ;; esac
case $speed in
  1.5) number=1 hub=hs ;;
  12) number=2 hub=hs ;;
  480) number=3 hub=hs ;;
  53.3-480) number=4 hub=hs ;;
  5000) number=5 hub=ss ;;
  10000 | 20000) number=5 hub=ss ;;
  *) exit 1 ;;
esac

# row HUB PORT: the row of status, or the first that is free for `*`; in $r_port, $r_state and $r_local.
# By grep: a shell reads byte by byte, which is dear under emulation.
row() {
  case $2 in
    '*') fits="^$1  *[0-9]*  *004 " ;;
    *) fits="^$1  *$2 " ;;
  esac
  set -- $(grep -m 1 "$fits" "$vhci/status")
  r_port=${2:-} r_state=${3:-} r_local=${7:-}
  [ -n "$r_port" ]
}

[ -r "$vhci/status" ] || exit 1
if ! row "$hub" '*'; then
  echo 'No unused port found!' >&2
  exit 1
fi
padded=$r_port
# Leading zeroes would make it octal.
port=$padded
while [ "${port#0}" != "$port" ] && [ ${#port} -gt 1 ]; do port=${port#0}; done
hand_over "$vhci/attach" "$port 0 $devid $number" || exit 1
exec </dev/null >/dev/null

state_file=$QUSB_ROOT/var/run/qubes/usb-import-$backend-$busid.state
# The real one has 25 tries; importSeconds of the lab's file is for machines that many qubes share.
most=25
if [ -r "$QUSB_ROOT/lab/import-seconds" ]; then
  read -r seconds <"$QUSB_ROOT/lab/import-seconds"
  most=$((seconds * 5))
fi
tries=0
while [ $tries -lt $most ]; do
  if row "$hub" "$padded" && [ "$r_state" = 006 ] && [ -e "$QUSB_ROOT/sys/bus/usb/devices/$r_local/busnum" ]; then
    echo "$port" >"$state_file"
    exit 0
  fi
  pause 0.2
  tries=$((tries + 1))
done
store "$vhci/detach" "$port"
echo 'Attach timeout, check kernel log for details.' >&2
exit 1
