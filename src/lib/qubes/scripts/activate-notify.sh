# Run by root in a USB qube: what is installed in /run counts from now on.
activate_notify() {
  root=${QUSB_ROOT:-}
  mkdir -p "$root/run/qusb"
  systemctl daemon-reload && udevadm control --reload || return 1
  touch "$root/run/qusb/dirty"
  systemctl start qusb-notify.path
}
