# What the tests of this folder share: a directory to work in, and words with which to look at what a
# program says. A test is one bash script; RFORK_BUILD is the build directory.
set -eu
: "${RFORK_BUILD:?is not set: it is the build directory}"

rexecd=$RFORK_BUILD/rexecd/rexecd
notifyd=$RFORK_BUILD/notifyd/notifyd
rfork=$RFORK_BUILD/rfork/rfork
bench=$RFORK_BUILD/bench/rfork-bench
directory=$(mktemp -d)
trap 'kill "${children[@]}" 2>/dev/null || :; rm -rf "$directory"' EXIT
children=()
chmod 755 "$directory"

fail() {
    echo "FAILED: $*"
    [ ! -e "$directory/said" ] || tail -n 20 "$directory/said" | sed 's/^/said: /'
    exit 1
}

# Runs COMMAND, which is to end with STATUS; what it says on either stream goes to the file `said`.
status() { # STATUS COMMAND...
    local wanted=$1 got=0
    shift
    timeout 20 "$@" >"$directory/said" 2>&1 </dev/null || got=$?
    [ "$got" = "$wanted" ] || fail "status $got, not $wanted: $*"
}

said() { # REGEX
    grep -qE -e "$1" "$directory/said" || fail "does not say: $1"
}

said_not() { # REGEX
    ! grep -qE -e "$1" "$directory/said" || fail "says: $1"
}

# Starts COMMAND, and waits until what it says has a line that matches.
until_it_says() { # REGEX COMMAND...
    local regex=$1
    shift
    : >"$directory/said"
    "$@" >"$directory/said" 2>&1 </dev/null &
    children+=($!)
    timeout 20 tail --pid=$! -n +1 -F "$directory/said" 2>/dev/null | grep -qE -e "$regex" ||
        fail "does not say: $regex"
}

# Makes what follows an ordinary user's, where we are root.
as_user=()
if [ "$(id -u)" = 0 ]; then
    as_user=(setpriv --reuid=65534 --clear-groups)
fi
