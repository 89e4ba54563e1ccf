# Run by root in a qube: removes files, each only while it is what was installed. Pairs of PATH and SHA-256 or `link`.
remove_files() {
  root=${QUSB_ROOT:-}
  [ ! -e "$root/run/systemd/system/qusb-notify.path" ] && [ ! -e "$root/etc/systemd/system/qusb-notify.path" ] ||
    systemctl stop qusb-notify.path
  while [ $# -ge 2 ]; do
    file=$root$1
    if [ -L "$file" ]; then
      [ "$2" != link ] || rm -f -- "$file"
    elif [ -f "$file" ]; then
      sum=$(sha256sum <"$file")
      [ "${sum%% *}" != "$2" ] || rm -f -- "$file"
    fi
    shift 2
  done
  rmdir "$root/rw/config/qusb" 2>/dev/null
  rm -f -- "$root/run/qusb/dirty"
  systemctl daemon-reload
  udevadm control --reload
}
