# What the tests of this folder share: programs that know nothing of rfork (programs/), each frozen by
# its pid at a random moment, by an ordinary user where that can be had, and continued elsewhere.
#
#   undisturbed NAME    once, which tells what its output is to be, and how long it takes
#   trial NAME          sets outcome: passed, refused (as is known), or what went wrong
#
# RFORK_BUILD is the build directory. SEED in the environment repeats a run's moments.
set -eu
: "${RFORK_BUILD:?is not set: it is the build directory}"

here=$(cd "${0%/*}" && pwd)
rfork=$RFORK_BUILD/rfork/rfork
program=$here/program
names=(python3 perl lua5.4 gawk bc sqlite3 xz gzip openssl cc1 fortran openmp dash)

at_first=() # what brings a command to the host where programs begin ...
later=()    # ... and where their images go on

for fd in /proc/$$/fd/*; do
    fd=${fd##*/}
    ((fd > 2 && fd != 255)) && eval "exec $fd>&-"
done
as_user=()
if setpriv --reuid=65534 --regid=65534 --clear-groups true 2>/dev/null; then
    as_user=(setpriv --reuid=65534 --regid=65534 --clear-groups --)
fi
directory=$(mktemp -d "${TMPDIR:-/tmp}/rfork-outside.XXXXXX")
running=() # what we have started and not seen the end of
trap finish EXIT
chmod 755 "$directory"
seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
echo "SEED=$seed"
RANDOM=$seed

finish() {
    local pid
    for pid in "${running[@]}"; do
        kill -KILL "$pid" 2>/dev/null || :
    done
    rm -rf "$directory"
}

skip() {
    echo "skipped: $*"
    exit 77
}

# Of nobody but the user for whom programs run.
make_directory() { # PATH
    mkdir "$1"
    [ ${#as_user[@]} = 0 ] || chown 65534:65534 "$1"
}

microseconds() {
    echo "${EPOCHREALTIME/./}"
}

# Until COMMAND succeeds, at most SECONDS.
eventually() { # SECONDS COMMAND...
    local deadline=$(($(microseconds) + $1 * 1000000))
    shift
    until "$@"; do
        (($(microseconds) < deadline)) || return 1
        sleep 0.02
    done
}

has_ended() { # PID, of a child
    ! kill -0 "$1" 2>/dev/null
}

is_executing() { # PID PATH
    [ "$(readlink "/proc/$1/exe")" = "$2" ] || has_ended "$1"
}

forget() { # PID
    local pid kept=()
    for pid in "${running[@]}"; do
        [ "$pid" = "$1" ] || kept+=("$pid")
    done
    running=("${kept[@]}")
}

# Sets status, once child PID has ended, or kills it after SECONDS and fails. (What bash says of the
# signals by which children end is nobody's concern.)
await_end() { # PID SECONDS
    local in_time=0
    {
        eventually "$2" has_ended "$1" || in_time=1
        [ $in_time = 0 ] || kill -KILL "$1"
        status=0
        wait "$1" || status=$?
    } 2>/dev/null
    forget "$1"
    return $in_time
}

# Starts the program in DIRECTORY. Sets pid.
start() { # NAME DIRECTORY
    (
        cd "$2"
        exec "${at_first[@]}" "${as_user[@]}" "$program" "$1" work
    ) </dev/null >"$directory/said" 2>&1 &
    pid=$!
    running+=("$pid")
    eventually 20 is_executing "$pid" "$executable"
}

# In DIRECTORY.
ask() { # NAME DIRECTORY VERB
    (cd "$2" && "${as_user[@]}" "$program" "$1" "$3")
}

# Sets executable, and fails if NAME is not installed.
find_executable() { # NAME
    executable=$(ask "$1" "$directory" executable)
}

# The program by itself, in the directory NAME, where the work is prepared. Sets took, in
# microseconds.
undisturbed() { # NAME
    local begun
    make_directory "$directory/$1"
    ask "$1" "$directory/$1" prepare
    cp -a "$directory/$1" "$directory/$1.prepared"
    executable=$(ask "$1" "$directory/$1" executable)
    start "$1" "$directory/$1"
    begun=$(microseconds)
    await_end "$pid" 120 && [ $status = 0 ] || {
        echo "$1 by itself ends with $status: $(tail -n 3 "$directory/$1/err")"
        return 1
    }
    took=$(($(microseconds) - begun))
    ask "$1" "$directory/$1" result >"$directory/$1.expected"
}

# All of it, but what undisturbed() has found of it, gives way to the next.
trial() { # NAME
    local place=$directory/trial
    make_directory "$place"
    mkdir "$place/elsewhere"
    cp -a "$directory/$1.prepared" "$place/work"
    chmod 755 "$place/work"
    frozen_and_continued "$1" "$place"
    rm -rf "$place"
}

# Sets outcome, and moment: where in its run, from 0 to 1000, the program was frozen.
frozen_and_continued() { # NAME PLACE
    local refused failed=0 image=$2/image
    refused=$(ask "$1" "$2" refused)
    ((moment = (RANDOM * 32768 + RANDOM) % 950))
    executable=$(ask "$1" "$2/work" executable)
    start "$1" "$2/work"
    sleep "$((took * moment / 1000))e-6"
    {
        (
            cd "$2"
            exec "${at_first[@]}" "${as_user[@]}" timeout 60 \
                "$rfork" checkpoint "$pid" -o "$image" --kill
        ) </dev/null >"$2/said" 2>&1 || failed=$?
    } 2>/dev/null
    if [ $failed != 0 ]; then
        outcome="not frozen: status $failed, $(tail -n 1 "$2/said")"
        [ -n "$refused" ] && grep -qE -e "$refused" "$2/said" && outcome=refused
        # Refused or not, it knows nothing of this.
        await_end "$pid" 120 && [ $status = 0 ] || outcome+="; and the program ended with $status"
        is_as_expected "$1" "$2/work" || outcome+="; and its output is another"
        return
    fi
    await_end "$pid" 10 || {
        outcome="it lives on"
        return
    }
    [ $status = 137 ] || {
        outcome="it ended with $status, and was not killed"
        return
    }
    cp "$image" "$2/elsewhere/copy"
    rm "$image"
    [ ${#as_user[@]} = 0 ] || chown -R 65534:65534 "$2/elsewhere"
    (cd "$2/elsewhere" && exec "${later[@]}" "${as_user[@]}" ./copy) </dev/null >"$2/said" 2>&1 &
    pid=$!
    running+=("$pid")
    if ! await_end "$pid" 120; then
        outcome="its image does not end"
    elif [ $status != 0 ]; then
        outcome="its image ended with $status: $(tail -n 1 "$2/said")"
    elif ! is_as_expected "$1" "$2/work"; then
        outcome="its output is another"
    elif [ -s "$2/said" ]; then
        outcome="its image said: $(tail -n 1 "$2/said")"
    else
        outcome=passed
    fi
}

is_as_expected() { # NAME DIRECTORY
    ask "$1" "$2" result | cmp -s - "$directory/$1.expected"
}
