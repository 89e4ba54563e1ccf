# What a service does to the kernel and to QubesDB, for the kernel engine: it writes to sysfs and to files.
# The process engine has a file of the same name and functions that asks the lab's process.

# store ATTRIBUTE VALUE: writes a sysfs attribute; match_busid takes a newline for a part of the name.
store() {
  printf %s "$2" > "$1"
}

# hand_over ATTRIBUTE VALUE: store with a value that names fd 0, which the kernel takes over.
hand_over() {
  printf %s "$2" > "$1"
}

# A device that comes back to its port is another one: its number tells, and qubesdb-read looks. The services
# have variables of their own, so what is needed here is `local`, which ash knows.
qubesdb_write() {
  local below="${1#/qubes-usb-devices/}"
  mkdir -p "/run/qubesdb${1%/*}"
  printf '%s\n' "$2" > "/run/qubesdb$1"
  [ "$below" = "$1" ] ||
    cat "/sys/bus/usb/devices/$(echo "${below%%/*}" | tr _ .)/devnum" > "/run/qubesdb${1%/*}/.devnum"
}

qubesdb_rm() {
  rm -f "/run/qubesdb$1"
}

# pause SECONDS: waits for a word that nobody says, since a program that sleeps would be a fork.
pause() {
  local word
  read -r -t "$1" word 0<> /run/silence
}

# Returns when the export of a port is over: the real one looks once a second, too, and so does this one unless the lab's
# file says how often.
await_export_end() {
  local status=2 every=1
  [ ! -r /lab/export-look-seconds ] || read -r every < /lab/export-look-seconds
  while [ "$status" = 2 ]; do
    pause "$every"
    status=
    { read -r status < "/sys/bus/usb/devices/$1/usbip_status"; } 2>/dev/null
  done
}
