#!/bin/sh
# The near end of a call to another qube, with the connection as fd 0 and 1: asks, and becomes the program.
. /lab/config
printf '%s call - %s %s\n' "$TOKEN" "$1" "$2"
read -r answer
# What a refused call ends with; the program is not even started.
[ "$answer" = go ] || exit 126
shift 2
exec "$@"
