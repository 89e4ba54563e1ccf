#!/bin/sh
# One call into this guest: fd 0 and 1 are the connection, which a service may hand to the kernel. What else
# there is to say (its stderr and exit code) goes through a second connection, the call's control.
# The lab's own door is this, too, called with the word `door`.
# ash reads a line byte by byte: what follows the first line is left for the service.
export PATH=/usr/bin:/bin
. /lab/config

# Ends the data connection here, and tells the control how the call ended. Descriptor 3 is the control.
finish() {
  exec < /dev/null > /dev/null
  printf '\n%s %s\n' "$id" "$1" >&3
  exit
}

# Runs a program as the call's user; everything it leaves open dies with it.
run_as_user() {
  if [ "$user" = root ]; then
    HOME=/root USER=root "$@" 2>&3 3>&-
  else
    # What su takes for a shell is started at once, with these arguments.
    program=$1
    shift
    HOME=/tmp USER=$user su -p -s "$program" -- "$user" "$@" 2>&3 3>&-
  fi
}

run_service() {
  service=${1%%+*}
  argument=
  case "$1" in *+*) argument=${1#*+} ;; esac
  file=/etc/qubes-rpc/$1
  [ -e "$file" ] || file=/etc/qubes-rpc/$service
  [ -e "$file" ] || finish 127
  [ -x "$file" ] || finish 125
  export QREXEC_REMOTE_DOMAIN="$2" QREXEC_SERVICE_FULL_NAME="$1" QREXEC_SERVICE_ARGUMENT="$argument"
  export QUSB_ROOT= QUSB_USER="$user" QUSB_DOMID="$DOMID"
  run_as_user "$file" ${argument:+"$argument"}
  finish $?
}

IFS=' ' read -r token what id control user rest || exit
[ "$token" = "$TOKEN" ] || exit
case "$what" in
  ping) echo "pong $id" ;;
  freeze) kill -STOP "$(cat /run/agent.pid)" && echo done ;;
  thaw) kill -CONT "$(cat /run/agent.pid)" && echo done ;;
  control)
    # A pipe, without a program, which is dear under emulation: a here-document is one, and by /proc both its ends open.
    exec 4<< end
end
    exec 4<> /proc/$$/fd/4
    echo "ready $$"
    while IFS= read -r line <&4; do
      printf '%s\n' "$line"
      case "$line" in "$id "*) exit ;; esac
    done
    ;;
  service | command)
    exec 3> "/proc/$control/fd/4"
    if [ "$user" = DEFAULT ]; then user=user; fi
    # All that /etc/passwd has: a shell reads it byte by byte, which is dear under emulation.
    case $user in root | user) ;; *) finish 125 ;; esac
    # What a service is started by is a login shell, and its profile may have something to say.
    [ "$1" = door ] || [ ! -e /lab/profile ] || cat /lab/profile
    if [ "$what" = service ]; then run_service "${rest% *}" "${rest#* }"; fi
    eval "command=$rest"
    run_as_user /bin/sh -c "$command"
    finish $?
    ;;
esac
