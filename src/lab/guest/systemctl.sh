#!/bin/sh
# systemctl of a lab's qube: start, stop, restart, is-active, enable, disable and daemon-reload for path units and the
# services that they start. It looks at the paths after each event of udev and each start, not at every change of a file.
set -f
root=${QUSB_ROOT:-}
active=$root/run/lab-units
wanted=$root/etc/systemd/system/multi-user.target.wants

# find_unit NAME: its file in $file.
find_unit() {
  for file in "$root/etc/systemd/system/$1" "$root/run/systemd/system/$1"; do
    [ ! -r "$file" ] || return 0
  done
  echo "Unit $1 not found." >&2
  return 1
}

# setting FILE NAME: all values of it, a line each.
setting() {
  while IFS= read -r line; do
    case $line in "$2="*) printf '%s\n' "${line#*=}" ;; esac
  done <"$1"
}

conditions_hold() {
  for path in $(setting "$1" ConditionPathExists); do
    [ -e "$root$path" ] || return 1
  done
}

# run LINE: one ExecStart. Paths are the qube's own.
run() {
  set -- $1
  may_fail=''
  case $1 in -*) may_fail=1 ;; esac
  program=${1#-}
  shift
  for word; do
    shift
    case $word in /*) word=$root$word ;; esac
    set -- "$@" "$word"
  done
  if [ -x "$root$program" ]; then program=$root$program; else program=${program##*/}; fi
  "$program" "$@" </dev/null >/dev/null 2>&1 || [ -n "$may_fail" ]
}

start_service() {
  find_unit "$1" && conditions_hold "$file" || return 1
  setting "$file" ExecStart | while IFS= read -r command; do
    run "$command" || exit 1
  done
}

# Starts the services whose paths are there, until they are gone. One looks at a time, and once more for all who came.
look() {
  : >"$active/.again"
  while [ -e "$active/.again" ] && mkdir "$active/.looking" 2>/dev/null; do
    rm -f "$active/.again"
    set +f
    set -- "$active"/*.path
    set -f
    for unit; do
      name=${unit##*/}
      [ -e "$unit" ] && find_unit "$name" || continue
      path=$(setting "$file" PathExists)
      while [ -e "$root$path" ] && [ -e "$unit" ]; do
        start_service "${name%.path}.service" || break
      done
    done
    rmdir "$active/.looking"
  done
}

while [ $# -gt 0 ]; do
  case $1 in -*) shift ;; *) break ;; esac
done
verb=$1
[ $# -eq 0 ] || shift
mkdir -p "$active"
case $verb in
  daemon-reload) ;;
  lab-look)
    set +f
    set -- "$active"/*.path
    [ ! -e "$1" ] || (look </dev/null >/dev/null 2>&1 &)
    ;;
  start | restart)
    for unit; do
      find_unit "$unit" || exit 5
      conditions_hold "$file" || continue
      case $unit in
        *.path) : >"$active/$unit" ;;
        *) start_service "$unit" || exit 1 ;;
      esac
    done
    (look </dev/null >/dev/null 2>&1 &)
    ;;
  stop)
    for unit; do rm -f "$active/$unit"; done
    ;;
  is-active)
    if [ -e "$active/$1" ]; then echo active; else
      echo inactive
      exit 3
    fi
    ;;
  enable)
    mkdir -p "$wanted"
    for unit; do find_unit "$unit" && ln -sf "../$unit" "$wanted/$unit"; done
    ;;
  disable)
    for unit; do rm -f "$wanted/$unit"; done
    ;;
  *)
    echo "systemctl: $verb is not known in the lab" >&2
    exit 1
    ;;
esac
