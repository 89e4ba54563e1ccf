#!/bin/sh
# lab-temperature: degrees Celsius of the thermometer that this qube has.
. "$QUSB_ROOT/usr/lib/qubes/lab-kernel.sh"
if ! ask temperature "$$"; then
  echo "lab-temperature: $answer" >&2
  exit 1
fi
echo "$answer"
rm -f "$reply"
