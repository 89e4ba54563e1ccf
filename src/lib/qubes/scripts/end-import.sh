# Run by root in a frontend: ends exactly the import of this port of this backend, and nothing else. The proxy's
# usb-import is known by its state file, or by both names; its qrexec-client-vm by the service with the port and the
# backend. Each process is looked at just before it is killed.
end_import() {
  backend=$1
  port=$2
  for process in "${QUSB_ROOT:-}"/proc/[0-9]*; do
    pid=${process##*/}
    words=$(tr '\0' '\n' <"$process/cmdline" 2>/dev/null) || continue
    program='' has_backend='' has_port=''
    while IFS= read -r word; do
      case $word in
        usb-import | */usb-import | qrexec-client-vm | */qrexec-client-vm) program=1 ;;
        "$backend") has_backend=1 ;;
        "$port" | "qubes.USB+$port") has_port=1 ;;
        */"usb-import-$backend-$port.state") has_backend=1 has_port=1 ;;
      esac
    done <<WORDS
$words
WORDS
    if [ -n "$program" ] && [ -n "$has_backend" ] && [ -n "$has_port" ]; then
      kill -KILL "$pid"
    fi
  done
}
