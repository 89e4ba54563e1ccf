#!/bin/sh
# Runs a command in a guest with this process's own streams: exec.sh BUSYBOX PORT COMMAND, quoted for the
# agent, with the guest's token in the environment. stderr and the exit code come through a second connection.
busybox=$1 port=$2 command=$3
id=$("$busybox" head -c 12 /dev/urandom | "$busybox" hexdump -v -e '1/1 "%02x"')
folder=$("$busybox" mktemp -d) || exit 1
trap '"$busybox" rm -rf "$folder"' EXIT
"$busybox" mkfifo "$folder/control" "$folder/input"
# Both ways first: an open that waits for its partner is cut short by the end of any child.
exec 5<> "$folder/control" 6<> "$folder/input"
exec 3< "$folder/control" 7< "$folder/input" 4<&0

printf '%s control %s\n' "$QUSB_LAB_TOKEN" "$id" |
  "$busybox" nc 127.0.0.1 "$port" 3<&- 4<&- >&5 5>&- 6>&- 7<&- &
exec 5>&-
read -r ready pid <&3
if [ "$ready" != ready ]; then
  echo 'the guest does not answer' >&2
  exit 125
fi

{
  printf '%s command %s %s root %s\n' "$QUSB_LAB_TOKEN" "$id" "$pid" "$command"
  exec "$busybox" cat <&4
} 3<&- >&6 6>&- 7<&- &
feeder=$!
"$busybox" nc 127.0.0.1 "$port" 3<&- 4<&- <&7 6>&- 7<&- &
reader=$!
exec 4<&- 6>&- 7<&-

# The last line but one belongs to stderr without its newline, which the agent put before its own line.
held= code=125 some=
while IFS= read -r line <&3; do
  case "$line" in
    "$id "*)
      code=${line#"$id "}
      [ -z "$held" ] || printf '%s' "$held" >&2
      break
      ;;
  esac
  [ -z "$some" ] || printf '%s\n' "$held" >&2
  held=$line some=yes
done
wait "$reader"
kill "$feeder" 2>/dev/null
exit "$code"
