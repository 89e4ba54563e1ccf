# Completion of qusb for fish: qusb itself tells what may come next.

function __qusb_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l answer (qusb __complete fish $words[2..-1] "$current" 2>/dev/null)
    switch "$answer[1]"
        case \tfiles
            __fish_complete_path "$current"
        case \tcommands
            __fish_complete_command
        case '*'
            printf '%s\n' $answer
    end
end

complete -c qusb -k -f -a '(__qusb_complete)'
