#!/bin/sh
# lab-udev ACTION DEVPATH SUBSYSTEM DEVTYPE: what udev makes of one event by the rules of this qube: keys that match and
# programs to RUN, no more (udev(7)). A program's words are the qube's own paths, which lie below QUSB_ROOT.
set -f
action=$1 devpath=$2 subsystem=$3 devtype=$4
root=${QUSB_ROOT:-}
tab=$(printf '\t')
newline='
'

# fits VALUE PATTERNS: whether one of the patterns, parted by |, fits.
fits() {
  patterns=$2
  while :; do
    pattern=${patterns%%|*}
    # shellcheck disable=SC2254
    case $1 in $pattern) return 0 ;; esac
    case $patterns in *'|'*) patterns=${patterns#*|} ;; *) return 1 ;; esac
  done
}

run() {
  set -- $1
  program=$1
  shift
  for word; do
    shift
    case $word in /*) word=$root$word ;; esac
    set -- "$@" "$word"
  done
  # Where it is not the qube's own it is this system's.
  if [ -x "$root$program" ]; then program=$root$program; else program=${program##*/}; fi
  ACTION=$action DEVPATH=$devpath SUBSYSTEM=$subsystem DEVTYPE=$devtype "$program" "$@" </dev/null
}

# apply RULE: a line of a file of rules.
apply() {
  left=$1 commands=''
  while :; do
    left=${left#"${left%%[!, $tab]*}"}
    [ -n "$left" ] || break
    case $left in *\"*\"*) ;; *) echo "lab-udev: cannot read: $1" >&2; return ;; esac
    key=${left%%[=!+:]*}
    left=${left#"$key"}
    operator=${left%%\"*}
    left=${left#*\"}
    value=${left%%\"*}
    left=${left#*\"}
    case $key in
      ACTION) have=$action ;;
      DEVPATH) have=$devpath ;;
      KERNEL) have=${devpath##*/} ;;
      SUBSYSTEM) have=$subsystem ;;
      'ENV{DEVTYPE}') have=$devtype ;;
      RUN | 'RUN{program}')
        commands=$commands$value$newline
        continue
        ;;
      *)
        echo "lab-udev: $key is not known in the lab" >&2
        return
        ;;
    esac
    case $operator in
      ==) fits "$have" "$value" || return ;;
      !=) ! fits "$have" "$value" || return ;;
      *) return ;;
    esac
  done
  while [ -n "$commands" ]; do
    run "${commands%%"$newline"*}"
    commands=${commands#*"$newline"}
  done
}

set +f
set -- "$root"/etc/udev/rules.d/*.rules "$root"/run/udev/rules.d/*.rules
set -f
for file; do
  [ -r "$file" ] || continue
  # A file in /etc takes the place of one with its name in /run.
  case $file in "$root"/run/*) [ ! -e "$root/etc/udev/rules.d/${file##*/}" ] || continue ;; esac
  while IFS= read -r line; do
    case $line in '' | '#'*) ;; *) apply "$line" ;; esac
  done <"$file"
done
exec "$root/usr/bin/systemctl" lab-look
