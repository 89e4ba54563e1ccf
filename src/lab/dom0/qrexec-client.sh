#!/bin/sh
# The lab's qrexec-client: flags, exit codes and silences of the real one, in few forks.
# A call is four FIFOs (stdin, stdout, stderr, exit code) and one line written to the door of the domain.
# Every FIFO is first opened for reading and writing, so that no open ever blocks, whoever dies when.
lab=${0%/dom0/bin/*}

usage() {
  echo "usage: qrexec-client -d DOMAIN [-l LOCAL_PROGRAM | -e | -c REQUEST,NAME,DOMID] [-w SECONDS] [-tTEk] [-p PREFIX] COMMAND"
  exit 0
}

quit() {
  [ -z "$2" ] || echo "$2" >&2
  exit "$1"
}

domain='' local='' nowait='' clean_out='' clean_err='' wait=10 hide='' kill='' prefix=''
while getopts ':hd:l:ec:tTw:Ekp:' flag; do
  case $flag in
    d) domain=$OPTARG ;;
    l) local=$OPTARG ;;
    e) nowait=1 ;;
    c) quit 125 "no call is waiting for an answer" ;;
    t) clean_out=1 ;;
    T) clean_err=1 ;;
    w) wait=$OPTARG ;;
    E) hide=1 ;;
    k) kill=1 ;;
    p) prefix=$OPTARG ;;
    *) usage ;;
  esac
done
shift $((OPTIND - 1))
[ -n "$domain" ] || usage
[ -z "$local" ] || [ -z "$nowait" ] || usage
case $wait in '' | *[!0-9]*) usage ;; esac

door=$lab/dom0/run/qubes/qrexec.$domain
refused() { quit 125 "connect /var/run/qubes/qrexec.$domain: $1"; }

# Says in $domid and $pid who answers at the door now.
look() {
  [ -e "$door" ] || refused 'No such file or directory'
  [ -w "$door" ] || refused 'Permission denied'
  domid='' pid=''
  read -r domid pid 2>/dev/null <"$lab/doors/$domain" || :
  [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null || refused 'Connection refused'
}

if [ -n "$kill" ]; then
  look
  echo "- $domid kill" 1<>"$lab/rpc"
  exit 0
fi
[ $# -eq 1 ] || usage
newline='
'
case $1 in *"$newline"*) quit 125 ;; *:*) ;; *) quit 125 ;; esac
user=${1%%:*}
text=${1#*:}
case $user in
  root | user | DEFAULT) ;;
  *) quit 125 "No such user: $user" ;;
esac
case $text in
  'QUBESRPC '*)
    set -f
    # shellcheck disable=SC2086
    set -- ${text#QUBESRPC }
    [ $# -ge 1 ] || quit 125
    kind=service what=$1 source=${2:-dom0}
    [ ${#what} -le 512 ] || quit 125
    ;;
  *) kind=command what=- source=dom0 ;;
esac

look
tenths=0
while [ -e "$lab/doors/$domid.frozen" ]; do
  [ "$wait" -eq 0 ] || [ "$tenths" -lt $((wait * 10)) ] || quit 125 'qrexec connection timeout'
  sleep 0.1
  tenths=$((tenths + 1))
  look
done

call=$lab/calls/$domid.$$
mkfifo -m 600 "$call.i" "$call.o" "$call.e" "$call.x" 2>/dev/null || {
  rm -f "$call".?
  mkfifo -m 600 "$call.i" "$call.o" "$call.e" "$call.x" || quit 125
}
# The pumps carry it in their environment, so that the lab finds those of a client that was killed.
export QUSB_CALL="$call"
exec 3<&0 4<>"$call.x" 5<>"$call.i" 6<>"$call.o" 7<>"$call.e" 8<"$call.o" 9<"$call.e"
[ "$kind" = service ] || printf '%s\n' "$text" >"$call.r"
if [ -n "$nowait" ]; then
  exec 3</dev/null
fi
[ -z "$prefix" ] || printf '%s' "$prefix" >&5
in='' out='' err=''
if [ -n "$local" ]; then
  sh -c "$local" <&8 >&5 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&- &
  out=$!
else
  cat <&3 >&5 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&- &
  in=$!
  if [ -n "$clean_out" ]; then
    LC_ALL=C tr '\000-\006\013\014\016-\037\177-\377' '_' <&8 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&- &
  else
    cat <&8 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&- &
  fi
  out=$!
fi
if [ -n "$clean_err" ]; then
  LC_ALL=C tr '\000-\006\013\014\016-\037\177-\377' '_' <&9 >&2 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&- &
  err=$!
elif [ -n "$nowait" ]; then
  cat <&9 >&2 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&- &
fi
exec 3<&- 8<&-

echo "$call $user $kind $source - $what" 1<>"$door"
# Whoever answered may be gone since; from here on the lab writes the exit code in its place.
look
read -r word <&4
exec 5<&- 6<&- 7<&-
if [ "$word" = connected ]; then
  [ -z "$nowait" ] || exit 0
  # Most services say nothing there: a program carries it once one does.
  if [ -z "$err" ]; then
    if IFS= read -r line <&9; then
      printf '%s\n' "$line" >&2
      cat <&9 >&2
    else
      printf %s "$line" >&2
    fi
  fi
  read -r word <&4
fi
wait $out $err
[ -z "$in" ] || kill "$in" 2>/dev/null
# Nothing of this call is left: the lab need not look for it.
: >"$call.d"
[ -z "$hide" ] || exit 0
exit "$word"
