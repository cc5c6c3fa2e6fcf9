# What the tests of this folder share. A test is one bash script that checks one behaviour:
#
#   #!/bin/bash
#   # A copy runs on elm, and the caller on oak is told so.
#   . "${0%/*}/lib.sh"
#   hosts 2                  # from here on the script runs in a world of two hosts
#   start_rexecd elm
#   hop_from oak elm         # ../programs/hop.c on oak rforks to elm
#   said '^PARENT$'
#   none_lost_none_doubled
#   nothing_is_left
#
# RFORK_BUILD is the build directory. Exit status 77: skipped, with a sentence. A test writes to
# /mnt, which its world takes along when it goes, as it does every process. When a test fails,
# everything that its programs wrote is shown.

set -eu
: "${RFORK_BUILD:?is not set: it is the build directory}"

here=$(cd "${0%/*}" && pwd)
rexecd=$RFORK_BUILD/rexecd/rexecd
notifyd=$RFORK_BUILD/notifyd/notifyd
rfork=$RFORK_BUILD/rfork/rfork
hop=$RFORK_BUILD/tests/programs/hop
merry_go_round=$RFORK_BUILD/examples/merry-go-round/merry-go-round

skip() {
    echo "skipped: $*"
    exit 77
}

fail() {
    echo "FAILED: $*"
    exit 1
}

# --- the world ------------------------------------------------------------------------------------

# Makes the rest of the script run in a world of COUNT hosts with a key and an empty spool.
hosts() { # COUNT
    if [ -z "${RFORK_WORLD:-}" ]; then
        "$here/netns-hosts" 1 true ||
            skip "$(id -un) may not make namespaces on this machine, so there are no hosts"
        exec "$here/netns-hosts" "$1" "$0"
    fi
    trap show_why_it_failed EXIT
    export RFORK_SPOOL=/mnt/spool RFORK_KEY_FILE=/mnt/key RFORK_TIMEOUT_MS=5000
    unset RFORK_MONITOR
    "$rfork" keygen "$RFORK_KEY_FILE"
}

show_why_it_failed() {
    local status=$? file
    [ $status != 0 ] && [ $status != 77 ] || return 0
    for file in /mnt/*.log /mnt/notes /mnt/said /mnt/copies "$RFORK_SPOOL"/u*/*.{out,status}; do
        [ ! -s "$file" ] || [ ! -f "$file" ] || sed "s|^|${file##*/}: |" "$file"
    done
    ls -lAR "$RFORK_SPOOL"
}

on() { # HOST COMMAND...
    "$here/netns-hosts" on "$@"
}

switch() { # loss PERCENT | duplicate PERCENT | drop MATCH... | heal
    command -v nft >/dev/null || skip "without nft (package nftables) no datagram gets lost"
    "$here/netns-hosts" "$@"
}

declare -A kind_number=([request]=1 [cancel]=2 [working]=3 [resumed]=4 [refused]=5
    [hello]=6 [welcome]=7 [acknowledge]=8)

# From now on all datagrams of these kinds are lost, and those of others are not.
lose() { # KIND...
    local kind numbers=
    for kind; do
        numbers+="${numbers:+, }${kind_number[$kind]}"
    done
    switch drop ip protocol udp @th,96,8 "{ $numbers }" # behind UDP's header and the magic
}

address() { # HOST
    sed -n "s/ $1\$//p" /etc/hosts
}

only_as_root() {
    setpriv --reuid=65534 --clear-groups true 2>/dev/null || skip "only root can be several users"
}

# --- waiting --------------------------------------------------------------------------------------

# Until COMMAND succeeds, at most SECONDS. It runs in this shell, and sees and sets its variables.
eventually() { # SECONDS COMMAND...
    local deadline=$((${EPOCHREALTIME/./} + $1 * 1000000))
    shift
    until "$@"; do
        ((${EPOCHREALTIME/./} < deadline)) || return 1
        sleep 0.02
    done
}

# Until FILE, which exists, has a line that matches; at most SECONDS and while process PID lives.
# (tail notices at once what is written to a file, but only after seconds that there is one.)
await_line() { # FILE REGEX SECONDS [PID]
    timeout "$3" tail ${4:+--pid="$4"} -n +1 -F "$1" 2>/dev/null | grep -qE -e "$2"
}

milliseconds() {
    echo $((${EPOCHREALTIME/./} / 1000))
}

# --- daemons --------------------------------------------------------------------------------------

declare -A daemon=()      # "rexecd.elm": process id
declare -A descriptors=() # "rexecd.elm": how many it had when it was ready
starts=0

# Starts PROGRAM on HOST and waits until it listens.
start_daemon() { # HOST PROGRAM OPTIONS...
    local host=$1 program=$2 name=${2##*/}.$1 log
    shift 2
    log=/mnt/$name.$((++starts)).log
    : >"$log"
    "$here/netns-hosts" on "$host" "$program" --listen "$(address "$host")" "$@" \
        </dev/null >"$log" 2>&1 &
    daemon[$name]=$!
    await_line "$log" "^${program##*/}: listening on " 20 $! || fail "$name does not start"
    open_descriptors $!
    descriptors[$name]=$count
}

start_rexecd() { # HOST [OPTIONS...]
    start_daemon "$1" "$rexecd" --spool "$RFORK_SPOOL" --key /mnt/key --allow-root "${@:2}"
}

start_notifyd() { # HOST; what it prints goes to /mnt/notes
    : >/mnt/notes
    start_daemon "$1" "$notifyd" --log /mnt/notes
}

# SIGTERM ends a daemon, cleanly, and it has no more descriptors than when it was ready.
stop_daemon() { # NAME, like rexecd.elm
    local pid=${daemon[$1]} status=0
    eventually 5 has_at_most "$pid" "${descriptors[$1]}" ||
        fail "$1 had ${descriptors[$1]} descriptors when it was ready, and has $count now"
    kill "$pid"
    wait "$pid" || status=$?
    [ $status = 0 ] || fail "$1 ended with status $status"
    unset "daemon[$1]"
}

kill_daemon() { # NAME
    kill -KILL "${daemon[$1]}"
    wait "${daemon[$1]}" || :
    unset "daemon[$1]"
}

open_descriptors() { # PID; sets count
    local all=(/proc/"$1"/fd/*)
    count=${#all[@]}
}

has_at_most() { # PID COUNT
    open_descriptors "$1"
    [ "$count" -le "$2" ]
}

# --- callers and copies ---------------------------------------------------------------------------

# Runs hop: callers' lines go to /mnt/said, copies' to /mnt/copies. Sets took, in milliseconds.
# Whatever is frozen in a test gets standard streams that can be had on every host.
hop_from() { # HOST TARGET [COUNT]
    local begun status=0
    begun=$(milliseconds)
    rm -f /mnt/said /mnt/copies
    "$here/netns-hosts" on "$1" "$hop" "$2" /mnt/copies "${@:3}" \
        </dev/null >/mnt/said 2>/mnt/hop.log || status=$?
    took=$(($(milliseconds) - begun))
    [ $status -le 1 ] || fail "hop on $1 ended with status $status"
}

# Runs ends, whose copy on TARGET ends as it is told. Its streams are pipes, so that what the copy says
# goes to its log. Sets outcome, what the caller was told.
ends_on() { # TARGET HOW [WORDS]
    outcome=$(on oak "$RFORK_BUILD/tests/programs/ends" "$@" </dev/null 2>&1 | cat)
}

said() { # REGEX: what the caller of one rfork() was told
    grep -qE -e "$1" /mnt/said || fail "the caller was told $(cat /mnt/said), not $1"
}

# Exactly one copy for each call that returned PARENT, none for any other, and all of them well.
# Conclusive only when no copy can start any more.
none_lost_none_doubled() {
    eventually 10 every_parent_has_a_copy || fail "$trouble"
    touch /mnt/copies
    trouble=$(awk '
        FNR == NR { outcome[++calls] = $1; next }
        / but /   { print "a copy is damaged: " $0 }
                  { copies[$4]++ }
        END {
            for (call = 1; call <= calls; call++)
                if (copies[call] + 0 != (outcome[call] == "PARENT"))
                    print "call " call " returned " outcome[call] ", " copies[call] + 0 " copies run"
        }' /mnt/said /mnt/copies)
    [ -z "$trouble" ] || fail "$trouble"
}

every_parent_has_a_copy() {
    local parents copies
    parents=$(grep -c '^PARENT$' /mnt/said) || :
    copies=$(grep -c '^child ' /mnt/copies 2>/dev/null) || :
    trouble="$parents calls returned PARENT, ${copies:-0} copies run"
    [ "$parents" -le "${copies:-0}" ]
}

# --- the end --------------------------------------------------------------------------------------

# The daemons end cleanly, and then there is no file of rfork's in the spool (users' directories are
# theirs, and stay), no zombie, and no process that this script has not started.
nothing_is_left() {
    local name
    eventually 10 spool_is_clean || fail "left in the spool: $files"
    eventually 5 no_zombies || fail "zombies: $zombies"
    for name in "${!daemon[@]}"; do
        stop_daemon "$name"
    done
    eventually 5 no_strangers || fail "processes left: $strangers"
}

spool_is_clean() { # sets files
    files=$(find "$RFORK_SPOOL" -name '.rfork.*' -o -name 'rfork.*')
    [ -z "$files" ]
}

# What a daemon that was killed, or never heard of it, leaves of a copy whose caller knows of it: its
# image, until somebody sweeps. Nothing else may be there.
only_acknowledged_are_left() {
    files=$(find "$RFORK_SPOOL" \( -name '.rfork.*' -o -name 'rfork.*' \) ! -name '*.ack.*')
    [ -z "$files" ]
}

# The two look at all processes of the world, without making any.
no_zombies() {
    local stat line
    zombies=
    for stat in /proc/[0-9]*/stat; do
        { read -r line <"$stat"; } 2>/dev/null || continue
        [[ $line != *") Z "* ]] || zombies+=" ${line%)*})"
    done
    [ -z "$zombies" ]
}

no_strangers() {
    local stat line known
    known=" 1 $$ $(cat /run/hosts/* | tr '\n' ' ')"
    strangers=
    for stat in /proc/[0-9]*/stat; do
        { read -r line <"$stat"; } 2>/dev/null || continue
        [[ $known == *" ${line%% *} "* ]] || strangers+=" ${line%)*})"
    done
    [ -z "$strangers" ]
}
