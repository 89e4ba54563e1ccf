#!/bin/sh
# The first process of a lab's guest: loads the modules for its ROLE, which the kernel was told, brings up the
# network, listens for calls.
export PATH=/usr/bin:/bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs none /run
mount -t tmpfs none /tmp
chmod 1777 /tmp
mkdir -p /run/qubes /run/published /var
# Where nobody writes: whoever reads there, with a limit, sleeps without a program.
mkfifo /run/silence
# Whoever looks first keeps there what all of QubesDB's readers find.
chmod 0777 /run/published
ln -s /run /var/run
while read -r module; do
  case "$ROLE $module" in
    'frontend xhci_'* | 'frontend usbip_host' | 'backend vhci_hcd') continue ;;
  esac
  insmod "/lib/modules/$module.ko" || echo "cannot load $module"
done < /lib/modules/order

ip link set lo up
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
ip route add default via 10.0.2.2

nc -ll -p 9000 -e /lab/agent &
echo $! > /run/agent.pid
# The lab's own door to a guest: it stays open when a fault freezes the agent.
nc -ll -p 9001 -e /lab/agent door &

# Nothing may end the first process, and it buries what nobody else waits for.
while :; do
  wait
  sleep 1
done
