#!/bin/sh
# Hands the kernel's events on to the rules of udev, from the first reload of rules on: each costs some forks, which are
# dear under emulation.
[ ! -e /run/listens-for-uevents ] || exit 0
: > /run/listens-for-uevents
uevent /lab/on-uevent < /dev/null > /dev/null 2>&1 &
