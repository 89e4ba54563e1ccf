# Run by root in a qube: says what is at each path. MARKER, then paths. A line is MARKER PATH WHAT; WHAT is the SHA-256 of
# a plain file, `link:TARGET`, `none`, or `other`.
inspect_files() {
  marker=$1
  root=${QUSB_ROOT:-}
  shift
  for path; do
    file=$root$path
    if [ -L "$file" ]; then
      what=link:$(readlink "$file")
    elif [ -f "$file" ]; then
      what=$(sha256sum <"$file")
      what=${what%% *}
    elif [ -e "$file" ]; then
      what=other
    else
      what=none
    fi
    echo "$marker $path $what"
  done
  [ ! -e "$root/run/qubes-service/custom-persist" ] || echo "$marker custom-persist on"
  echo "$marker end end"
}
