#!/bin/sh
# lab-read DISK SKIP COUNT: blocks of 512 bytes to stdout, read by this qube's kernel. Errors as dd: exit 1.
. "$QUSB_ROOT/usr/lib/qubes/lab-kernel.sh"
[ $# -eq 3 ] || { echo 'usage: lab-read DISK SKIP COUNT' >&2; exit 2; }
skip=$2
left=$3
while [ "$left" -gt 0 ]; do
  count=$left
  [ "$count" -le 2048 ] || count=2048
  if ! ask read "$$" "$1" "$skip" "$count"; then
    echo "lab-read: error reading '/dev/$1': $answer" >&2
    rm -f "$reply"
    exit 1
  fi
  cat "$answer" || exit 1
  rm -f "$answer"
  skip=$((skip + count))
  left=$((left - count))
done
rm -f "$reply"
