#!/bin/sh
# lab-temperature: degrees Celsius of the thermometer that this guest has, a Vernier Go!Temp on the kernel's
# hidraw. Reports have eight bytes; a measurement begins with how many readings follow (1 to 3), a reading has 16
# bits, low byte first, in 1/128 degrees. What is written has the report's number, 0, before it.
device=
for node in /sys/class/hidraw/hidraw*; do
  if grep -qi '^HID_ID=0003:000008F7:00000002' "$node/device/uevent" 2>/dev/null; then device=/dev/${node##*/}; fi
done
[ -n "$device" ] || { echo 'lab-temperature: no thermometer' >&2; exit 1; }
exec 3<> "$device"
printf '\0\032\0\0\0\0\0\0\0' >&3
printf '\0\030\0\0\0\0\0\0\0' >&3
tries=0
while [ $tries -lt 80 ]; do
  tries=$((tries + 1))
  set -- $(dd bs=8 count=1 <&3 2>/dev/null | hexdump -v -e '1/1 "%u "')
  [ $# -eq 8 ] || continue
  if [ "$1" -lt 1 ] || [ "$1" -gt 3 ]; then continue; fi
  reading=$(($3 | $4 << 8))
  [ $reading -lt 32768 ] || reading=$((reading - 65536))
  printf '\0\031\0\0\0\0\0\0\0' >&3
  exec awk -v reading=$reading 'BEGIN { print reading / 128 }'
done
echo 'lab-temperature: the thermometer sends no measurement' >&2
exit 1
