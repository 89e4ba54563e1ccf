#!/bin/sh
# Calls a service of another qube: qrexec-client-vm TARGET SERVICE [LOCAL PROGRAM…]. The local program gets
# the connection itself as fd 0 and 1; a socket is what the kernel wants of it.
export PATH=/usr/bin:/bin
if [ "$1" = -- ]; then shift; fi
if [ $# -lt 2 ]; then
  echo 'usage: qrexec-client-vm TARGET SERVICE [PROGRAM ARGUMENTS]' >&2
  exit 2
fi
. /lab/config
if [ $# -gt 2 ]; then
  exec nc "${HUB%:*}" "${HUB#*:}" -e /usr/lib/qubes/qrexec-client-vm "$@"
fi
id=$(head -c 12 /dev/urandom | hexdump -v -e '1/1 "%02x"')
{
  printf '%s call %s %s %s\n' "$TOKEN" "$id" "$1" "$2"
  cat
} | nc "${HUB%:*}" "${HUB#*:}" | {
  read -r answer
  [ "$answer" = go ] && cat
}
code=$(printf '%s result %s\n' "$TOKEN" "$id" | nc "${HUB%:*}" "${HUB#*:}")
exit "${code:-125}"
