# What the tests of `rfork checkpoint PID` over subject.c share. As an ordinary user, if root may
# become one.
#
#   start_subject [--socket]   sets subject to its pid, in the working directory's "out"
#   report                     it answers; sets eintr, signals and children to what it says
#   checkpoint [OPTION...]     of the subject, into "image"
#   end_subject                all is well with it
#   image_runs                 "image" does the same, when the subject has ended
#
# RFORK_BUILD is the build directory. SEED in the environment repeats a run's moments.
set -eu
: "${RFORK_BUILD:?is not set: it is the build directory}"
programs=$RFORK_BUILD/tests/outside
rfork=$RFORK_BUILD/rfork/rfork

if [ "$EUID" = 0 ] && [ -z "${as_root:-}" ] &&
    setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$programs/subject" 2>/dev/null; then
    exec setpriv --reuid=65534 --regid=65534 --clear-groups -- "$0" "$@"
fi
for fd in /proc/$$/fd/*; do
    fd=${fd##*/}
    ((fd > 2 && fd != 255)) && eval "exec $fd>&-"
done
exec </dev/null
directory=$(mktemp -d "${TMPDIR:-/tmp}/rfork-outside.XXXXXX")
chmod 755 "$directory"
cd "$directory"
seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$seed
started=() # of these processes we have to see the end
trap clean_up EXIT

clean_up() {
    local status=$? pid
    [ $status = 0 ] || [ $status = 77 ] || show_why_it_failed
    for pid in "${started[@]}"; do
        kill -KILL "$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || :
    done
    cd /
    rm -rf "$directory"
}

show_why_it_failed() {
    echo "SEED=$seed"
    [ ! -s out ] || tail -n 5 out | sed 's/^/out: /'
    [ ! -s said ] || sed 's/^/said: /' said
}

skip() {
    echo "skipped: $*"
    exit 77
}

fail() {
    echo "FAILED: $*"
    exit 1
}

# Until COMMAND succeeds, at most SECONDS.
eventually() { # SECONDS COMMAND...
    local deadline=$((${EPOCHREALTIME/./} + $1 * 1000000))
    shift
    until "$@"; do
        ((${EPOCHREALTIME/./} < deadline)) || return 1
        sleep 0.02
    done
}

lives() { # PID
    local state
    state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null)
    [ -n "$state" ] && [ "$state" != Z ]
}

start() { # COMMAND...; sets pid
    "$@" &
    pid=$!
    started+=("$pid")
}

forget() { # PID, whose end we have seen
    local other left=()
    for other in "${started[@]}"; do
        [ "$other" = "$1" ] || left+=("$other")
    done
    started=("${left[@]}")
}

start_subject() {
    : >out
    start "$programs/subject" "$@" >>out 2>&1
    subject=$pid
    reports=0
    eventually 20 grep -q ready out || fail "the subject does not start"
    local tasks=(/proc/"$subject"/task/*)
    threads=${#tasks[@]}
}

says() { # REGEX
    ! grep HARMED out || fail "the subject has come to harm"
    lives "$subject" || fail "the subject has ended"
    grep -qE "$1" out
}

report() {
    ((++reports))
    kill -USR1 "$subject" || fail "the subject has ended"
    eventually 20 says "^report $reports:" || fail "the subject does not answer"
    local line
    line=$(grep "^report $reports:" out)
    eintr=$(sed 's/.*eintr \([0-9]*\).*/\1/' <<<"$line")
    signals=$(sed 's/.*signals \([0-9]*\).*/\1/' <<<"$line")
    children=$(sed 's/.*children \([0-9]*\).*/\1/' <<<"$line")
}

# A host that has too much to do is no reason to fail.
checkpoint() {
    local tries
    for tries in 1 2 3 4 5 6 7 8; do
        ! timeout 60 "$rfork" checkpoint -q -o image "$@" "$subject" 2>said || return 0
        was_too_busy || return 1
        sleep 1
    done
    return 1
}

was_too_busy() {
    grep -q 'host has too much to do' said
}

end_subject() {
    local status=0 before
    before=$(grep -c unharmed out || :)
    kill -TERM "$subject"
    eventually 40 has_ended || fail "the subject does not end"
    wait "$subject" || status=$?
    forget "$subject"
    [ $status = 0 ] && [ "$(grep -c unharmed out)" = $((before + 1)) ] ||
        fail "the subject ended with status $status"
}

has_ended() {
    ! lives "$subject"
}

# The process in front of it passes on signals; it has all its threads when it is itself.
is_there() {
    local child tasks
    for child in $(cat "/proc/$subject/task/$subject/children" 2>/dev/null); do
        [ "$(cat "/proc/$child/comm" 2>/dev/null)" = subject ] || continue
        tasks=(/proc/"$child"/task/*)
        ((${#tasks[@]} < threads)) || return 0
    done
    return 1
}

image_runs() {
    start env -i ./image 2>>said
    subject=$pid
    eventually 20 is_there || fail "the image does not run"
    sleep 0.5 # it works for a while
    end_subject
}
