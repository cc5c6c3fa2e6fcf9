# For the tests of attacks: hosts with two ordinary users, root's rexecd, one spool. The neighbour has
# the key, as every user has; he means harm. The victim must not notice, or be told why not.
#
# What is tried here has succeeded where a test says so: the notes are of 0.3.

. "${BASH_SOURCE%/*}/../hosts/lib.sh"
here=$(cd "${BASH_SOURCE%/*}/../hosts" && pwd)
attacker=$RFORK_BUILD/tests/attacks/attacker
lingering=$RFORK_BUILD/tests/attacks/lingering
victim=1201
neighbour=1202

hosts_with_two_users() { # [HOW MANY HOSTS]
    hosts "${1:-2}"
    only_as_root
    local database
    for database in passwd group; do
        cp /etc/$database /run/$database
        mount --bind /run/$database /etc/$database
    done
    add_user victim $victim
    add_user neighbour $neighbour
}

add_user() { # NAME NUMBER
    echo "$1:x:$2:$2::/mnt/$1:/bin/sh" >>/etc/passwd
    echo "$1:x:$2:" >>/etc/group
    install -d -o "$2" -g "$2" -m 755 "/mnt/$1"
    install -o "$2" -g "$2" -m 600 /mnt/key "/mnt/key-of-$2"
}

start_rexecd_of_root() { # HOST [OPTION...]
    start_daemon "$1" "$rexecd" --spool "$RFORK_SPOOL" --key /mnt/key "${@:2}"
}

as() { # USER COMMAND...
    setpriv --reuid="$1" --regid="$1" --init-groups env RFORK_KEY_FILE="/mnt/key-of-$1" "${@:2}"
}

prepare_streams() { # files that root makes and everybody may open again
    rm -f /mnt/said /mnt/copies /mnt/hop.log
    for stream in said copies hop.log; do
        : >/mnt/$stream
        chmod a+rw /mnt/$stream
    done
}

# What hop_from does, as the victim from oak to elm.
victim_hops() { # [COUNT]
    local begun status=0
    begun=$(milliseconds)
    prepare_streams
    on oak setpriv --reuid=$victim --regid=$victim --init-groups \
        env RFORK_KEY_FILE=/mnt/key-of-$victim "$hop" elm /mnt/copies "$@" \
        </dev/null >>/mnt/said 2>>/mnt/hop.log || status=$?
    took=$(($(milliseconds) - begun))
    [ $status -le 1 ] || fail "the victim's program ended with status $status"
}

victim_hops_well() { # [COUNT]
    victim_hops "$@"
    said '^PARENT$'
    ! grep -v '^PARENT$' /mnt/said || fail "not all calls of the victim's succeed"
    none_lost_none_doubled
}

# The victim's program is not lost, doubled or damaged, and has been told what has happened.
victim_is_unharmed() {
    grep -qE '^(PARENT$|-1 E)' /mnt/said || fail "the victim was told $(cat /mnt/said)"
    none_lost_none_doubled
}

# The answer to a request of the neighbour's, who has the key.
asked_by_him() { # USER DIRECTORY TICKET
    on oak setpriv --reuid=$neighbour --regid=$neighbour --clear-groups \
        env RFORK_KEY_FILE=/mnt/key-of-$neighbour ATTACKER_WAIT_MS="${ATTACKER_WAIT_MS:-5000}" \
        "$attacker" ask elm "$@"
}

# COMMAND in the background on HOST as USER; sets background, its process id.
start_as() { # USER HOST OUTPUT COMMAND...
    : >"$3"
    "$here/netns-hosts" on "$2" setpriv --reuid="$1" --regid="$1" --init-groups \
        env RFORK_KEY_FILE="/mnt/key-of-$1" "${@:4}" </dev/null >>"$3" 2>&1 &
    background=$!
}

end_background() {
    kill "$background"
    { wait "$background" || :; } 2>/dev/null
}

# From here on a process of the neighbour's answers on elm, where no rexecd is.
answer_falsely() { # WHAT
    start_as $neighbour elm /mnt/attacker.log "$attacker" answer "$1"
    await_line /mnt/attacker.log '^attacker: listening' 10 $background || fail "$(cat /mnt/attacker.log)"
}

# An image of USER's that travels, of hop or another PROGRAM, whose caller is killed while it waits;
# no rexecd runs yet. Sets image, its path.
abandoned_image_of() { # USER [PROGRAM]
    local caller
    answer_falsely welcome
    prepare_streams
    RFORK_TIMEOUT_MS=20000 "$here/netns-hosts" on oak setpriv --reuid="$1" --regid="$1" --init-groups \
        env RFORK_KEY_FILE="/mnt/key-of-$1" "${2:-$hop}" elm /mnt/copies </dev/null >>/mnt/said 2>>/mnt/hop.log &
    caller=$!
    eventually 10 image_of "$1" || fail "the caller on oak writes no image"
    kill -KILL $caller
    { wait $caller || :; } 2>/dev/null
    end_background
    image_of "$1" || fail "the image went with its caller"
}

image_of() { # USER
    local file
    for file in "$RFORK_SPOOL"/u"$1".*/rfork.*; do
        if [[ ${file##*/} =~ ^rfork\.[0-9a-f]{32}$ ]]; then
            image=$file
            return
        fi
    done
    return 1
}

# Nothing that this user has not started himself runs with his number.
nothing_runs_as() { # USER
    local status
    for status in /proc/[0-9]*/status; do
        ! grep -qs "^Uid:.*\b$1\b" "$status" ||
            fail "a process runs as $1: $(tr '\0' ' ' <"${status%status}cmdline")"
    done
}

the_service_goes_on() {
    kill -0 "${daemon[rexecd.elm]}" || fail "rexecd has died"
    victim_hops_well
}
