#!/bin/sh
# lab-read DISK SKIP COUNT: blocks of 512 bytes to stdout, read by this guest's kernel and not from its memory.
[ $# -eq 3 ] || { echo 'usage: lab-read DISK SKIP COUNT' >&2; exit 2; }
exec dd if="/dev/$1" bs=512 skip="$2" count="$3" iflag=direct 2>/dev/null
