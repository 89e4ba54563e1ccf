# What a service does to the kernel and to QubesDB, for the process engine: asks the lab's process.
# The kernel engine has a file of the same name and functions that writes to sysfs.

# ask VERB WORD…: one line to the lab, one line back in $answer; false when the lab answers an error.
ask() {
  reply=$QUSB_LAB/calls/rpc.$$
  [ -p "$reply" ] || mkfifo -m 600 "$reply" || return 1
  exec 7<>"$reply"
  echo "$reply $QUSB_DOMID $*" 1<>"$QUSB_LAB/rpc"
  read -r verdict answer <&7
  exec 7<&-
  [ "$verdict" = ok ]
}

# store ATTRIBUTE VALUE: writes a sysfs attribute, given by its path below the qube's root.
store() {
  ask store "$$" "${QUSB_LINK:--}" "${1#"$QUSB_ROOT"}" "$2" && return
  # The words of dash, whatever the error was.
  echo "$0: 1: echo: echo: I/O error" >&2
  return 1
}

# hand_over ATTRIBUTE VALUE: store with a value that hands fd 0, the call's socket, to the kernel.
hand_over() {
  store "$1" "$2"
}

qubesdb_write() {
  ask qubesdb-write "$1" "$2"
}

qubesdb_rm() {
  ask qubesdb-rm "$1"
}

# pause SECONDS
pause() {
  sleep "$1"
}

# Returns when the export of a port is over and was looked at: the lab's process looks as often as the real proxy does.
await_export_end() {
  ask export-end "$1"
}
