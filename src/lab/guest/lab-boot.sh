#!/bin/sh
# What a qube does at its start with what is installed in it: tmpfiles, units, /rw/config/rc.local.d.
root=${QUSB_ROOT:-}
for file in "$root"/etc/tmpfiles.d/*.conf; do
  [ -r "$file" ] || continue
  while read -r type path mode _; do
    [ "$type" != d ] || mkdir -p -m "$mode" "$root$path"
  done <"$file"
done
for unit in "$root"/etc/systemd/system/multi-user.target.wants/*; do
  [ ! -e "$unit" ] || "$root/usr/bin/systemctl" start "${unit##*/}"
done
[ ! -e "$root/run/qubes-service/custom-persist" ] || exit 0
for file in "$root"/rw/config/rc.local.d/*.rc; do
  [ ! -x "$file" ] || "$file"
done
exit 0
