# Run by root in a USB qube: what is installed in /run counts from now on.
activate_notify() {
  root=${QUSB_ROOT:-}
  mkdir -p "$root/run/qusb" "$root/run/qubes-service"
  # The switch, which qubesd sets from the next start on.
  : >"$root/run/qubes-service/qusb"
  systemctl daemon-reload && udevadm control --reload || return 1
  touch "$root/run/qusb/dirty"
  systemctl start qusb-notify.path
}
