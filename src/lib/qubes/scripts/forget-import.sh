# Run by root in a frontend: removes the state file of an import that is over. Its port is not touched.
forget_import() {
  rm -f -- "${QUSB_ROOT:-}/var/run/qubes/usb-import-$1-$2.state"
}
