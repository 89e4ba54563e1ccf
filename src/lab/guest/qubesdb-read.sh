#!/bin/sh
# qubesdb-read PATH…: values from the files that the lab keeps. A value of one line, such as the name that every look
# asks for, takes no program.
for path in "$@"; do
  case $path in -*) continue ;; esac
  file=$QUSB_ROOT/lab/qubesdb$path
  [ -f "$file" ] || { echo "qubesdb-read: read error: $path" >&2; exit 2; }
  # The file has no newline at its end.
  if IFS= read -r value <"$file"; then
    cat "$file"
    echo
  else
    printf '%s\n' "$value"
  fi
done
