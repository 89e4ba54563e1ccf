# Run by root in a USB qube: what its next start will do, done now.
run_loader() {
  "${QUSB_ROOT:-}/rw/config/rc.local.d/50-qusb.rc"
}
