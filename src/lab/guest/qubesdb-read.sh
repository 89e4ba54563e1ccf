#!/bin/sh
# qubesdb-read PATH…: values from the files that the lab keeps.
for path in "$@"; do
  case $path in -*) continue ;; esac
  [ -f "$QUSB_ROOT/lab/qubesdb$path" ] || { echo "qubesdb-read: read error: $path" >&2; exit 2; }
  cat "$QUSB_ROOT/lab/qubesdb$path"
  echo
done
