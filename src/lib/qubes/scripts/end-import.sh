# Run by root in a frontend: ends exactly the import of this port of this backend, and nothing else: the processes
# usb-import and qrexec-client-vm with both words among their arguments, looked at again just before each kill.
end_import() {
  backend=$1
  port=$2
  for process in "${QUSB_ROOT:-}"/proc/[0-9]*; do
    pid=${process##*/}
    line=$(tr '\0' '\n' <"$process/cmdline" 2>/dev/null) || continue
    program= has_backend= has_port=
    while IFS= read -r word; do
      case $word in
        usb-import | */usb-import | qrexec-client-vm | */qrexec-client-vm) program=1 ;;
        "$backend") has_backend=1 ;;
        "$port" | "qubes.USB+$port") has_port=1 ;;
      esac
    done <<WORDS
$line
WORDS
    if [ -n "$program" ] && [ -n "$has_backend" ] && [ -n "$has_port" ] && [ "$pid" != "$$" ]; then
      kill -KILL "$pid"
    fi
  done
}
