# For scripts that build: the output of a command is shown only if it fails. On a terminal a line tells
# meanwhile how far it is, and goes when it is done.

quietly() { # LOG COMMAND...
    local log=$1
    shift
    if [ -t 2 ]; then
        (set -o pipefail && "$@" 2>&1 | tee "$log" | show_steps) && return
    else
        "$@" >"$log" 2>&1 && return
    fi
    cat "$log" >&2
    echo "$0: this failed, see above: $*" >&2
    exit 1
}

show_steps() { # "[12/240] Building ..." and the like
    local line width
    width=$(tput cols 2>/dev/null || echo 80)
    while IFS= read -r line; do
        [[ $line != \[* ]] || printf '\r\033[K%s' "${line:0:width-1}" >&2
    done
    printf '\r\033[K' >&2
}
