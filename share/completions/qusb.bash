# Completion of qusb for bash: qusb itself tells what may come next.

_qusb() {
  local answer
  mapfile -t answer < <(qusb __complete bash "$COMP_TYPE" "$COMP_WORDBREAKS" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
  case ${answer[0]-} in
    $'\tfiles') compopt -o default ;;
    $'\tcommands') mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}") ;;
    *) COMPREPLY=("${answer[@]}") ;;
  esac
}

complete -o nosort -F _qusb qusb
