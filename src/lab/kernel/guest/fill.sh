#!/bin/sh
# Takes all free ports of the virtual host with devices that the lab itself emulates: without an argument the
# loop, with HUB and PORT the near end of one connection.
vhci=/sys/devices/platform/vhci_hcd.0
if [ $# -eq 2 ]; then
  read -r devid _ || exit
  # vhci's numbers for 12 and for 5000 Mb/s.
  number=2
  if [ "$1" = ss ]; then number=5; fi
  port=$2
  while [ "${port#0}" != "$port" ] && [ ${#port} -gt 1 ]; do port=${port#0}; done
  printf %s "$port 0 $devid $number" > $vhci/attach
  exit
fi
while read -r hub port state _; do
  [ "$state" != 004 ] || /usr/bin/qrexec-client-vm dom0 "lab.Fill+$hub" /lab/fill "$hub" "$port" || exit
done < $vhci/status
# Not before every port has its device: a port that is let go while its hub still asks wedges the hub.
while grep -q -e '^.s  *[0-9]* 00[45] ' $vhci/status; do sleep 0.1; done
