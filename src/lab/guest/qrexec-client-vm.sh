#!/bin/sh
# qrexec-client-vm TARGET SERVICE[+ARGUMENT] [PROGRAM ARGUMENT…] of the process engine: a call to another qube.
# Policy is the lab's; a refusal is 126 and says nothing.
while [ $# -gt 0 ]; do
  case $1 in
    --) shift; break ;;
    -*) shift ;;
    *) break ;;
  esac
done
[ $# -ge 2 ] || { echo 'usage: qrexec-client-vm TARGET SERVICE [PROGRAM [ARGUMENT…]]' >&2; exit 2; }
target=$1
service=$2
shift 2
call=$QUSB_LAB/calls/vm.$$
mkfifo -m 600 "$call.i" "$call.o" "$call.x" 2>/dev/null || {
  rm -f "$call".?
  mkfifo -m 600 "$call.i" "$call.o" "$call.x" || exit 125
}
# The pumps carry it in their environment, so that the lab finds those of a client that was killed. A program of the
# caller's own outlives it.
[ $# -gt 0 ] || export QUSB_CALL="$call"
exec 3<&0 4<>"$call.x" 5<>"$call.i" 6<>"$call.o" 8<"$call.o"
echo "$call.x $QUSB_DOMID call $$ $target $service" 1<>"$QUSB_LAB/rpc"
read -r verdict link user source door what <&4
if [ "$verdict" != ok ]; then
  rm -f "$call".?
  exit 126
fi
export QUSB_LINK="$link"
echo "$call $user service $source $link $what" 1<>"$QUSB_LAB/$door"
read -r word <&4
in='' out=''
if [ $# -gt 0 ]; then
  "$@" <&8 >&5 3<&- 4<&- 5<&- 6<&- 8<&- &
  out=$!
  echo "- $QUSB_DOMID process $out" 1<>"$QUSB_LAB/rpc"
else
  cat <&3 >&5 3<&- 4<&- 5<&- 6<&- 8<&- &
  in=$!
  cat <&8 3<&- 4<&- 5<&- 6<&- 8<&- &
  out=$!
fi
exec 3<&- 5<&- 6<&- 8<&-
[ "$word" != connected ] || read -r word <&4
wait "$out"
code=$?
[ -z "$in" ] || kill "$in" 2>/dev/null
echo "- $QUSB_DOMID ended $link" 1<>"$QUSB_LAB/rpc"
[ $code -eq 0 ] || exit $code
exit "$word"
