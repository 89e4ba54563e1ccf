# Surveys the qube that it runs in: prints facts of its USB devices for a parser, and changes nothing.
# For dash, bash and busybox ash, whichever reads it. Everything is a function, called on a line after this text,
# because the shell runs a script as it reads it. Format: see transcript.ts.
unalias -a 2>/dev/null

# first FILE: its first line into v, without a process.
qusb_first() {
  v=
  [ -r "$1" ] && IFS= read -r v <"$1"
}

# say TEXT: for later, so that a few writes carry what would be a write a line. Each is a message of qrexec, and a read
# of dom0's.
qusb_say() {
  o=$o$1$nl
  [ ${#o} -lt 4096 ] || qusb_flush
}

# What runs in the background meanwhile says its part first.
qusb_flush() {
  [ -z "$job" ] || wait "$job"
  job=
  printf %s "$o"
  o=
}

# word FILE: its first line into v, `-` for none or for what is no word.
qusb_word() {
  v=
  [ -r "$1" ] && IFS= read -r v <"$1"
  case $v in '' | *[!0-9A-Za-z.:_-]*) v=- ;; esac
}

# name LINK: the last part of where it leads into v, `-` for nowhere. Moves there.
qusb_name() {
  v=-
  cd -P "$1" 2>/dev/null && v=${PWD##*/}
}

# devices MARKER [frontend]: where each device and its driver are. The files to read are collected: one process reads
# them all, since a shell needs many system calls for each, while the shell goes on. What makes a device valid is read
# last, so that one cut off is none.
qusb_devices() {
  devices=0 interfaces=0 files=
  for link in "$root"/sys/bus/usb/devices/[0-9]*-*; do
    name=${link##*/}
    case $name in *[!0-9.-]*) continue ;; esac
    cd -P "$link" 2>/dev/null || continue
    devices=$((devices + 1))
    if [ "$devices" -gt 512 ] || [ "$interfaces" -gt 2048 ]; then
      qusb_say T
      break
    fi
    at=$PWD
    qusb_name "$at/driver"
    qusb_say "D $name $v ${at#"$base"}"
    count=0
    for interface in "$at/$name":*; do
      [ -d "$interface" ] || break
      count=$((count + 1))
      # The parser takes 64, and must see that there are more.
      [ "$count" -le 65 ] || break
      qusb_name "$interface/driver"
      qusb_say "i ${interface##*:} $v"
      i=$name/${interface##*/}
      files="$files $i/bInterfaceClass $i/bInterfaceSubClass $i/bInterfaceProtocol"
    done
    interfaces=$((interfaces + count))
    # Without interfaces (not authorized, or given to usbip-host) only the descriptors tell what it is.
    if [ "$count" = 0 ] && [ -r "$at/descriptors" ]; then
      qusb_flush
      od -An -v -tx1 -N 4096 "$at/descriptors"
    fi
    files="$files $name/serial $name/manufacturer $name/product $name/speed $name/usbip_status"
    files="$files $name/bDeviceClass $name/bConfigurationValue"
    files="$files $name/idVendor $name/idProduct $name/busnum $name/devnum"
  done
  qusb_say "$1 attributes"
  qusb_flush
  cd "$root/sys/bus/usb/devices" || return
  # The tables of virtual host controllers come with them, at the end: what is cut off is theirs then.
  tables=0
  if [ -n "$2" ]; then
    for file in ../../../devices/platform/vhci_hcd.*/status*; do
      [ -r "$file" ] && tables=$((tables + 1)) && files="$files $file"
    done
  fi
  # Each line comes with the name of its file, so that no text of a device can pass for another's.
  set -f
  # Few devices stay below the limit on bytes by the kernel's own limit on their texts: no need for another process.
  if [ "$devices" -gt 100 ] || [ "$interfaces" -gt 400 ] || [ "$tables" -gt 8 ]; then
    grep -aHs '' $files | head -c 160000 &
    job=$!
  elif [ -n "$files" ]; then
    grep -aHs '' $files &
    job=$!
  fi
  set +f
}

# What uses the block devices and event devices below /usb…
qusb_usage() {
  lines=0
  for link in "$root"/sys/class/block/* "$root"/sys/class/input/event*; do
    cd -P "$link" 2>/dev/null || continue
    case $PWD in */usb[0-9]*) ;; *) continue ;; esac
    lines=$((lines + 1))
    [ "$lines" -le 1024 ] || { qusb_say T; break; }
    case ${link##*/} in
      event*) qusb_say "E ${link##*/} ${PWD#"$base"}" ;;
      *)
        v=
        IFS= read -r v <dev
        qusb_say "B ${link##*/} $v ${PWD#"$base"}"
        for holder in holders/*; do
          [ -e "$holder" ] && qusb_say "h ${holder##*/}"
        done
        ;;
    esac
  done
  for file in "$root"/sys/class/block/loop*/loop/backing_file; do
    qusb_first "$file" || continue
    case $v in /dev/*) link=${file%/loop/backing_file} && qusb_say "L ${link##*/} $v" ;; esac
  done
  lines=0
  for file in mounts swaps; do
    [ -r "$root/proc/$file" ] || continue
    while IFS=' 	' read -r device where rest; do
      case $device in /dev/*) ;; *) continue ;; esac
      lines=$((lines + 1))
      [ "$lines" -le 512 ] || { qusb_say T; break; }
      case $file in
        mounts) qusb_say "M $device $where" ;;
        swaps) qusb_say "W $device" ;;
      esac
    done <"$root/proc/$file"
  done
  for file in "$root"/sys/bus/xen-backend/devices/vbd-*/physical_device; do
    qusb_word "$file"
    link=${file%/physical_device}
    [ "$v" = - ] || qusb_say "V ${link##*/} $v"
  done
  # A unit has its control group while it runs; in a slice of its own or not, version 1 or 2.
  for group in "$root"/sys/fs/cgroup/system.slice "$root"/sys/fs/cgroup/systemd/system.slice; do
    for file in "$group"/qubes-input-sender-* "$group"/*/qubes-input-sender-*; do
      [ -d "$file" ] && qusb_say "I ${file##*/}"
    done
  done
}

qusb_imports() {
  for file in "$root"/var/run/qubes/usb-import-*.state; do
    qusb_word "$file"
    [ -r "$file" ] && qusb_say "S $v ${file##*/}"
  done
  cd "$root/proc" || return
  lines=0
  for file in $(grep -als -e 'usb[-]import' -e 'qubes[.]USB+' [0-9]*/cmdline); do
    lines=$((lines + 1))
    [ "$lines" -le 256 ] || { qusb_say T; break; }
    o="${o}P ${file%/cmdline} "
    qusb_flush
    head -c 1024 "$file" | tr '\000\n' '\t_'
    echo
  done
}

qusb_services() {
  file=$root/sys/bus/usb/drivers/usbip-host/match_busid
  [ -f "$file" ] && qusb_first "$file" && qusb_say "K $v"
  for directory in "$root/etc/qubes-rpc" "$root/usr/local/etc/qubes-rpc"; do
    for name in qubes.USBAttach qubes.USBDetach qubes.USB; do
      [ -e "$directory/$name" ] && qusb_say "X $name"
    done
    for file in "$directory"/ctap.* "$directory"/u2f.*; do
      [ -e "$file" ] && qusb_say "X ctap" && break
    done
  done
}

# probe MARKER [frontend]: everything, between a line that begins with the marker and one that ends it; what the qube has
# of others only where it is asked for as a frontend.
qusb_probe() {
  set +e +u +f
  LC_ALL=C
  unset CDPATH
  rest=
  IFS=' 	
'
  nl='
'
  root=${QUSB_ROOT:-}
  # Where a link leads is told with symbolic links resolved, so the root must be, too.
  base=
  [ -z "$root" ] || { cd -P "$root" && root=$PWD base=$PWD; }
  o=
  printf '\n%s begin 1\n' "$1"
  qubesdb-multiread -f /name /qubes-usb-devices/ &
  job=$!
  qusb_say "$nl$1 devices"
  qusb_devices "$@"
  qusb_say "$nl$1 facts"
  qusb_usage
  [ -z "$2" ] || qusb_imports
  qusb_services
  qusb_say "$1 end"
  qusb_flush
} 2>/dev/null
