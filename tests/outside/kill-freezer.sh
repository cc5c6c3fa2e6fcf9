# A freezer is killed again and again, and the process lives.
#
#   kill_at WHAT        us=N or call=N (killer.c); counts kills, and what was complete before
#   all_is_well         the process answers, can be frozen, and nothing is left in it then
. "${0%/*}/subject.sh"
kills=0 completed=0

# How long a freeze is, and how many system calls it makes, twice each.
measure() {
    local all=() i
    for i in 1 2 3 4 5; do
        eventually 30 ends_well us=60000000
        all+=("$(cut -d' ' -f3 <<<"$ended")")
    done
    duration=$(printf '%s\n' "${all[@]}" | sort -n | sed -n 3p)
    eventually 30 ends_well call=1000000
    stops=$(cut -d' ' -f5 <<<"$ended")
}

ends_well() { # us=N|call=N, which nothing reaches; sets ended
    ended=$("$programs/killer" "$1" "$rfork" checkpoint -q -o image "$subject" 2>said)
    [[ $ended == "ended 0 "* ]] || was_too_busy ||
        fail "a freeze that nobody kills $ended: $(<said)"
    [[ $ended == "ended 0 "* ]]
}

kill_at() { # us=N|call=N
    local ended
    ended=$(timeout 120 "$programs/killer" "$1" "$rfork" checkpoint -q -o image "$subject" 2>said)
    case $ended in
    killed) ((++kills)) ;;
    "ended 0 "*) ((++completed)) ;;
    *) was_too_busy || fail "the freezer to be killed at $1 $ended: $(<said)" ;;
    esac
    lives "$subject" || fail "the process has not survived the freezer's death at $1"
}

state() {
    cut -d' ' -f1,2 "/proc/$subject/maps"
    grep -E '^Sig(Blk|Cgt|Ign)' "/proc/$subject/task"/*/status
    cat "/proc/$subject/task"/*/children
}

# Signals may be blocked for a moment: by a handler.
is_as_before() {
    state >state.now
    diff state.before state.now >differences
}

all_is_well() {
    report
    ((eintr <= interrupted + 26 * (kills - killed_before) )) || fail "$(tail -n 1 out)"
    checkpoint || fail "after $kills kills it cannot be frozen: $(<said)"
    report
    [ "$children" = 0 ] || fail "after $kills kills it has a child, which the next freeze has left"
    eventually 10 is_as_before ||
        fail "after $kills kills and a freeze something is left over: $(<differences)"
    "$rfork" inspect --verify image >/dev/null || fail "the image is not whole"
    interrupted=$eintr killed_before=$kills
}

start_subject
interrupted=0 killed_before=0
measure
report
[ "$eintr" = 0 ] || fail "$(tail -n 1 out)"
state >state.before

# Any of them; and in the first ten milliseconds, where most is done.
random_time() {
    local most=$duration
    ((RANDOM % 2)) && ((most > 10000)) && most=10000
    kill_at us=$(((RANDOM * 32768 + RANDOM) % most))
}

random_call() {
    kill_at call=$(((RANDOM * 32768 + RANDOM) % stops + 1))
}

finish() {
    all_is_well
    echo "$kills killed, $completed completed; $eintr calls were interrupted, of $signals signals none lost"
    end_subject
    image_runs
}
