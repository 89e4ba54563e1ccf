# Surveys the qube that it runs in: prints facts of its USB devices for a parser, and changes nothing.
# For dash, bash and busybox ash, whichever reads it. Everything is a function, called on a line after this text,
# because the shell runs a script as it reads it. Format: see transcript.ts.
unalias -a 2>/dev/null

# first FILE: its first line into v, without a process. more: 1 when there is a second one.
qusb_first() {
  v= more=0
  [ -r "$1" ] || return 1
  {
    IFS= read -r v
    IFS= read -r rest && more=1
    [ -z "$rest" ] || more=1
  } <"$1"
  return 0
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

# text TAG FILE: adds a line with the file's text to o; the tag gets a `!` when the text has more lines than one.
qusb_text() {
  qusb_first "$2" || return 0
  [ "$more" = 0 ] || set -- "$1!"
  o="$o$1 $v$nl"
}

qusb_device() {
  qusb_at=$PWD
  path=${PWD#"$base"}
  o="D ${PWD##*/} $path$nl"a
  for attribute in busnum devnum idVendor idProduct bDeviceClass speed bConfigurationValue usbip_status; do
    qusb_word "$qusb_at/$attribute"
    o="$o $v"
  done
  qusb_name "$qusb_at/driver"
  o="$o $v$nl"
  qusb_text s "$qusb_at/serial"
  qusb_text m "$qusb_at/manufacturer"
  qusb_text p "$qusb_at/product"
  count=0
  for interface in "$qusb_at"/*:*.*; do
    [ -d "$interface" ] || continue
    count=$((count + 1))
    [ "$count" -le 64 ] || break
    o="${o}i ${interface##*:}"
    for attribute in bInterfaceClass bInterfaceSubClass bInterfaceProtocol; do
      qusb_word "$interface/$attribute"
      o="$o $v"
    done
    qusb_name "$interface/driver"
    o="$o $v$nl"
  done
  printf %s "$o"
  size=$((size + ${#o}))
  # Without interfaces (not authorized, or given to usbip-host) only the descriptors tell what it is.
  if [ "$count" = 0 ] && [ -r "$qusb_at/descriptors" ]; then
    od -An -v -tx1 -N 4096 "$qusb_at/descriptors"
    size=$((size + 2048))
  fi
}

qusb_devices() {
  devices=0
  for link in "$root"/sys/bus/usb/devices/[0-9]*-*; do
    case ${link##*/} in *:*) continue ;; esac
    cd -P "$link" 2>/dev/null || continue
    devices=$((devices + 1))
    if [ "$devices" -gt 512 ] || [ "$size" -gt 150000 ]; then
      echo T
      return
    fi
    qusb_device
  done
}

# What uses the block devices and event devices below /usb…
qusb_usage() {
  lines=0
  for link in "$root"/sys/class/block/* "$root"/sys/class/input/event*; do
    cd -P "$link" 2>/dev/null || continue
    case $PWD in */usb[0-9]*) ;; *) continue ;; esac
    lines=$((lines + 1))
    [ "$lines" -le 1024 ] || { echo T; break; }
    case ${link##*/} in
      event*) o="E ${link##*/} ${PWD#"$base"}$nl" ;;
      *)
        qusb_word dev
        o="B ${link##*/} $v ${PWD#"$base"}$nl"
        for holder in holders/*; do
          [ -e "$holder" ] && o="${o}h ${holder##*/}$nl"
        done
        ;;
    esac
    printf %s "$o"
  done
  for file in "$root"/sys/class/block/loop*/loop/backing_file; do
    qusb_first "$file" || continue
    case $v in /dev/*) link=${file%/loop/backing_file} && printf 'L %s %s\n' "${link##*/}" "$v" ;; esac
  done
  lines=0
  for file in mounts swaps; do
    [ -r "$root/proc/$file" ] || continue
    while IFS=' 	' read -r device where rest; do
      case $device in /dev/*) ;; *) continue ;; esac
      lines=$((lines + 1))
      [ "$lines" -le 512 ] || { echo T; break; }
      case $file in
        mounts) printf 'M %s %s\n' "$device" "$where" ;;
        swaps) printf 'W %s\n' "$device" ;;
      esac
    done <"$root/proc/$file"
  done
  for file in "$root"/sys/bus/xen-backend/devices/vbd-*/physical_device; do
    qusb_word "$file"
    link=${file%/physical_device}
    [ "$v" = - ] || printf 'V %s %s\n' "${link##*/}" "$v"
  done
  # A unit has its control group while it runs; in a slice of its own or not, version 1 or 2.
  for group in "$root"/sys/fs/cgroup/system.slice "$root"/sys/fs/cgroup/systemd/system.slice; do
    for file in "$group"/qubes-input-sender-* "$group"/*/qubes-input-sender-*; do
      [ -d "$file" ] && printf 'I %s\n' "${file##*/}"
    done
  done
}

qusb_imports() {
  for file in "$root"/sys/devices/platform/vhci_hcd.*/status*; do
    [ -r "$file" ] || continue
    # The parser tells a controller without rows from none.
    echo R
    while read -r hub port status speed remote socket local rest; do
      case $hub in hs | ss) printf 'R %s %s %s %s %s\n' "$hub" "$port" "$status" "$remote" "$local" ;; esac
    done <"$file"
  done
  for file in "$root"/var/run/qubes/usb-import-*.state; do
    qusb_word "$file"
    [ -r "$file" ] && printf 'S %s %s\n' "$v" "${file##*/}"
  done
  for file in "$root"/proc/[0-9]*/cmdline; do
    v=
    # The shells leave out the NULs between the words; good enough to choose whom to look at again.
    IFS= read -r v <"$file"
    case $v in *usb-import* | *qubes.USB+*) ;; *) continue ;; esac
    [ ${#v} -le 1024 ] || continue
    link=${file%/cmdline}
    printf 'P %s ' "${link##*/}"
    tr '\000\n' '\t_' <"$file"
    echo
  done
}

qusb_services() {
  for directory in "$root/etc/qubes-rpc" "$root/usr/local/etc/qubes-rpc"; do
    for name in qubes.USBAttach qubes.USBDetach qubes.USB; do
      [ -e "$directory/$name" ] && echo "X $name"
    done
    for file in "$directory"/ctap.* "$directory"/u2f.*; do
      [ -e "$file" ] && echo "X ctap" && break
    done
  done
}

# probe MARKER: everything, between a line that begins with the marker and one that ends it.
qusb_probe() {
  set +e +u +f
  LC_ALL=C
  unset CDPATH
  rest=
  IFS=' 	
'
  nl='
'
  size=0
  root=${QUSB_ROOT:-}
  # Where a link leads is told with symbolic links resolved, so the root must be, too.
  base=
  [ -z "$root" ] || { cd -P "$root" && root=$PWD base=$PWD; }
  printf '\n%s begin 1\n' "$1"
  printf 'N %s\n' "$(qubesdb-read /name)"
  printf '%s qubesdb\n' "$1"
  qubesdb-multiread /qubes-usb-devices/
  printf '\n%s facts\n' "$1"
  qusb_devices
  qusb_usage
  qusb_imports
  qusb_services
  printf '%s end\n' "$1"
} 2>/dev/null
