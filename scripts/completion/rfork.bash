# Completion of rfork(1) for bash. Commands, options and what they take are read from rfork's own --help,
# whose words for arguments (FILE, PID, HOST, keep|new) say what is offered.

_rfork_help() { # [COMMAND]
    "${COMP_WORDS[0]/#\~/$HOME}" "$@" --help 2>/dev/null
}

_rfork_commands() {
    sed -n '/^Subcommands:/,$s/^  \([a-z][a-z-]*\) .*/\1/p' < <(_rfork_help)
}

# "OPTION ARGUMENT" a line, the argument empty if it takes none, of one option by each of its names.
_rfork_options() { # [COMMAND]
    local line name
    while IFS= read -r line; do
        [[ $line =~ ^\ +(-[^ ]+)(\ ([^ ]+))? ]] || continue
        for name in ${BASH_REMATCH[1]//,/ }; do
            echo "${name%%\{*} ${BASH_REMATCH[3]%%:*}"
        done
    done < <(_rfork_help "$@")
}

# What an option takes; nothing if it takes nothing, or if there is no such option.
_rfork_argument_of() { # OPTION, and the options on standard input
    local name argument
    while read -r name argument; do
        [ "$name" != "$1" ] || echo "$argument"
    done
}

# What stands for the arguments of a command, in their order; with "..." behind what may be repeated.
_rfork_arguments() { # COMMAND
    local line inside=
    while IFS= read -r line; do
        case $line in
        Positionals:) inside=yes ;;
        '  '[A-Z]*) [ ! "$inside" ] || [[ ! $line =~ ^\ +([A-Z]+)([^ ]*\ [^ ]+\ \.\.\.)? ]] ||
            echo "${BASH_REMATCH[1]}${BASH_REMATCH[2]:+...}" ;;
        '') inside= ;;
        esac
    done < <(_rfork_help "$@")
}

# This user's processes, without threads of the kernel, which have no executable.
_rfork_pids() {
    local directory
    for directory in /proc/[0-9]*; do
        [ ! -O "$directory" ] || [ ! -e "$directory/exe" ] || echo "${directory#/proc/}"
    done
}

# The last of a list that is separated by commas.
_rfork_complete_list() { # WORD CHOICE...
    local before= word=$1
    [[ $word != *,* ]] || before=${word%,*},
    shift
    mapfile -t COMPREPLY < <(compgen -P "$before" -W "$*" -- "${word##*,}")
}

_rfork_complete() { # WORD ARGUMENT
    case $2 in
    FILE | IMAGE | OLD=NEW)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$1")
        ;;
    PID) mapfile -t COMPREPLY < <(compgen -W "$(_rfork_pids)" -- "$1") ;;
    HOST) mapfile -t COMPREPLY < <(compgen -A hostname -- "$1") ;;
    SIG*) _rfork_complete_list "$1" $(compgen -A signal SIG) ;;
    KIND*) _rfork_complete_list "$1" inherited socket pipe device deleted proc other lock async children ;;
    COMMAND) mapfile -t COMPREPLY < <(compgen -c -- "$1") ;;
    *'|'*) mapfile -t COMPREPLY < <(compgen -W "${2//|/ }" -- "$1") ;;
    esac
}

_rfork() {
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command= options arguments argument at given=0
    COMPREPLY=()
    if [ "$word" = = ]; then # bash makes three words of --option=value
        word=
    elif [ "$previous" = = ]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    for ((at = 1; at < COMP_CWORD; at++)); do
        [[ ${COMP_WORDS[at]} == -* ]] || { command=${COMP_WORDS[at]} && break; }
    done
    options=$(_rfork_options $command)
    argument=$(_rfork_argument_of "$previous" <<<"$options")
    if [ "$argument" ]; then
        _rfork_complete "$word" "$argument"
        return
    fi
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(sed 's/ .*//' <<<"$options")" -- "$word")
        return
    fi
    if [ ! "$command" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_rfork_commands)" -- "$word")
        return
    fi
    for ((++at; at < COMP_CWORD; at++)); do # the command's own arguments in front of this one
        if [ "$(_rfork_argument_of "${COMP_WORDS[at]}" <<<"$options")" ]; then
            [ "${COMP_WORDS[++at]}" != = ] || ((++at))
        elif [[ ${COMP_WORDS[at]} != -* ]]; then
            ((++given))
        fi
    done
    mapfile -t arguments < <(_rfork_arguments "$command")
    [ ${#arguments[@]} != 0 ] || return
    argument=${arguments[given]-}
    [ "$argument" ] || [[ ${arguments[-1]} != *... ]] || argument=${arguments[-1]}
    _rfork_complete "$word" "${argument%...}"
}

complete -F _rfork rfork
