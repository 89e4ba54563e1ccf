#!/bin/sh
# The qrexec agent of one qube of the process engine: reads calls at its door and forks one service a call.
# Frozen by SIGSTOP, killed by a signal to its process group, which all its services share.
# A line is: CALL USER service|command SOURCE LINK SERVICE+ARGUMENT

answer() {
  [ -p "$call.x" ] && [ -p "$call.o" ] && [ -p "$call.i" ] || exit
  exec 3<>"$call.x" 4<>"$call.i" 5<>"$call.o"
  if [ -p "$call.e" ]; then
    exec 6<>"$call.e"
    exec <"$call.i" >"$call.o" 2>"$call.e"
  else
    # Between qubes a service's stderr ends in the journal of its own qube.
    exec 6</dev/null
    exec <"$call.i" >"$call.o" 2>>"$QUSB_ROOT/var/log/qrexec.log"
  fi
  echo connected >&3
  # This shell would tell the caller of a service that a signal ended.
  exec 4<&- 5<&- 6<&- 8>&2 2>/dev/null
  run
  echo $? >&3
}

run() {
  export QUSB_LINK="$link" QUSB_USER="$user" QREXEC_REMOTE_DOMAIN="$source"
  [ ! -r "$QUSB_ROOT/lab/profile" ] || cat "$QUSB_ROOT/lab/profile" 3<&- 8>&-
  if [ "$kind" = command ]; then
    read -r text <"$call.r"
    (exec sh -c "$text" 3<&- 2>&8 8>&-)
    return
  fi
  name=${what%%+*}
  argument=''
  case $what in *+*) argument=${what#*+} ;; esac
  for delay in "$QUSB_ROOT/lab/late" "$QUSB_ROOT/lab/late.$name"; do
    if [ -r "$delay" ]; then
      read -r seconds <"$delay"
      sleep "$seconds" 3<&- 8>&-
    fi
  done
  file=$QUSB_ROOT/etc/qubes-rpc/$what
  [ -e "$file" ] || file=$QUSB_ROOT/etc/qubes-rpc/$name
  [ -e "$file" ] || return 127
  [ -x "$file" ] || return 125
  export QREXEC_SERVICE_FULL_NAME="$what" QREXEC_SERVICE_ARGUMENT="$argument"
  # The redirection is the subshell's: else this shell would speak through it after all.
  (exec "$file" ${argument:+"$argument"} 3<&- 2>&8 8>&-)
}

exec 9<>"$1"
echo ready
exec >/dev/null
while read -r call user kind source link what <&9; do
  # Twice forked: the shell waits for the first at once, so no zombie is left behind.
  (answer 9<&- &)
done
