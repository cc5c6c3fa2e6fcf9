# What the tests of this folder share: programs that know nothing of rfork (programs/), each frozen by
# its pid at a random moment, by an ordinary user where that can be had, and continued elsewhere.
#
#   undisturbed NAME    once, which tells what its output is to be, and how long it takes
#   trial NAME          sets outcome: passed, refused (as is known), or what went wrong
#
# In a world of hosts (on_two_hosts) programs begin on one, and their images go on on the other.
# RFORK_BUILD is the build directory. SEED in the environment repeats a run's moments.
set -eu
: "${RFORK_BUILD:?is not set: it is the build directory}"

here=$(cd "${0%/*}" && pwd)
rfork=$RFORK_BUILD/rfork/rfork
program=$here/program
names=(python3 perl lua5.4 gawk bc sqlite3 xz gzip openssl cc1 fortran openmp dash)

at_first=() # what brings a command to the host where programs begin ...
later=()    # ... and where their images go on
if [ -n "${RFORK_WORLD:-}" ]; then
    at_first=("$here/../hosts/netns-hosts" on oak)
    later=("$here/../hosts/netns-hosts" on elm)
    TMPDIR=/mnt
fi

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

# The rest of the script runs in such a world, if that can be had.
on_two_hosts() {
    [ -z "${RFORK_WORLD:-}" ] || return 0
    "$here/../hosts/netns-hosts" 1 true || skip "$(id -un) may not make namespaces on this machine"
    finish
    SEED=$seed exec "$here/../hosts/netns-hosts" 2 "$0"
}

# Of the user for whom programs run.
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

# Sets status, once child PID has ended, or kills it after SECONDS and fails. (Here and elsewhere: by
# which signals children end, bash need not say.)
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
    local executable
    executable=$(ask "$1" "$2" executable)
    "${at_first[@]}" "${as_user[@]}" env -C "$2" "$program" "$1" work \
        </dev/null >"$directory/said" 2>&1 &
    pid=$!
    running+=("$pid")
    eventually 20 is_executing "$pid" "$executable"
}

# In DIRECTORY.
ask() { # NAME DIRECTORY VERB
    "${as_user[@]}" env -C "$2" "$program" "$1" "$3"
}

is_installed() { # NAME
    ask "$1" "$directory" executable >/dev/null
}

# The program by itself, in the directory NAME, where the work is prepared. Sets took, in
# microseconds. Its moments, which come now, do not depend on what else is tried.
undisturbed() { # NAME
    local begun
    make_directory "$directory/$1"
    ask "$1" "$directory/$1" prepare
    cp -a "$directory/$1" "$directory/$1.prepared"
    start "$1" "$directory/$1"
    begun=$(microseconds)
    await_end "$pid" 120 && [ $status = 0 ] || {
        echo "$1 by itself ends with $status: $(tail -n 3 "$directory/$1/err")"
        return 1
    }
    took=$(($(microseconds) - begun))
    ask "$1" "$directory/$1" result >"$directory/$1.expected"
    RANDOM=$((seed + $(cksum <<<"$1" | cut -d' ' -f1)))
}

# Again at another moment if the program was faster than by itself, and over.
trial() { # NAME
    local place=$directory/$1.trial tries=5
    outcome=over
    while [ "$outcome" = over ] && ((tries-- > 0)); do
        make_directory "$place"
        make_directory "$place/elsewhere"
        cp -a "$directory/$1.prepared" "$place/work"
        frozen_and_continued "$1" "$place"
        rm -rf "$place"
    done
}

# Sets outcome, moment (where in its run, from 0 to 1000, the program was frozen) and sentence, in
# which a refusal says why.
frozen_and_continued() { # NAME PLACE
    local refused failed=0 image=$2/image
    refused=$(ask "$1" "$2" refused)
    ((moment = (RANDOM * 32768 + RANDOM) % 950))
    start "$1" "$2/work"
    sleep "$((took * moment / 1000))e-6"
    if has_ended "$pid"; then
        await_end "$pid" 1
        outcome=over
        return
    fi
    {
        "${at_first[@]}" "${as_user[@]}" timeout 60 "$rfork" checkpoint "$pid" -o "$image" --kill \
            </dev/null >"$2/said" 2>&1 || failed=$?
    } 2>/dev/null
    if [ $failed != 0 ]; then
        sentence=$(tail -n 1 "$2/said")
        outcome="not frozen, status $failed: $sentence"
        [[ -z $refused || ! $sentence =~ $refused ]] || outcome=refused
        [[ ! $sentence =~ "has ended"|"there is no process"|"came to its end" ]] || outcome=over
        # It knows nothing of this.
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
    "${as_user[@]}" cp "$image" "$2/elsewhere/copy"
    rm "$image"
    "${later[@]}" "${as_user[@]}" env -C "$2/elsewhere" ./copy </dev/null >"$2/said" 2>&1 &
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

# Each of the programs NAME once.
try_each() { # NAME...
    local name failures=0
    for name; do
        if ! is_installed "$name"; then
            echo "$name: not installed"
            continue
        fi
        undisturbed "$name" || exit 1
        trial "$name"
        echo "$name, at $moment of 1000 of $((took / 1000)) ms: $outcome"
        [[ $outcome == passed || $outcome == refused ]] || failures=1
    done
    return $failures
}
