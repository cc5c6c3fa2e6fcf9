# For the tests that ask rexecd what no rfork() would: images that lie about, and answers to them.

ask=$RFORK_BUILD/tests/hosts/ask
hostile=$RFORK_BUILD/tests/hosts/hostile

# Names of images are as in requests: a user's directory in the spool, and the ticket in it.
image_in_spool() { # sets image, the name of one that waits there
    local file
    for file in "$RFORK_SPOOL"/u*/rfork.*; do
        image=${file#"$RFORK_SPOOL"/}
        [[ $image =~ ^u[0-9]+\.[0-9a-f]{32}/rfork\.[0-9a-f]{32}$ ]] && return 0
    done
    return 1
}

# A caller on oak whose image waits in the spool because its requests do not get through to elm. Sets
# caller, image. COMMAND... makes it somebody else's.
caller_waits() { # [COMMAND...]
    lose request
    rm -f /mnt/copies
    for stream in /mnt/said /mnt/hop.log; do
        : >"$stream"
        chmod a+rw "$stream" # the copy opens them again, as whom it belongs to
    done
    RFORK_TIMEOUT_MS=20000 on oak "$@" "$hop" elm /mnt/copies </dev/null >>/mnt/said 2>>/mnt/hop.log &
    caller=$!
    eventually 10 image_in_spool || fail "the caller on oak writes no image"
}

caller_goes_on() { # its status is of no interest
    switch heal
    wait "$caller" || :
}

# An image that rfork() has written, as /mnt/good, mode and all. Sets image, its name.
keep_an_image() {
    start_rexecd elm
    caller_waits
    cp -p "$RFORK_SPOOL/$image" /mnt/good
    caller_goes_on
    said '^PARENT$'
    none_lost_none_doubled
    eventually 5 no_logs || fail "left in the spool: $files"
    eventually 10 spool_is_clean || fail "left in the spool: $files"
    rm /mnt/copies
}

good_image() { # NAME: lies in the spool once more, and nobody has decided yet
    no_image "$1"
    cp -p /mnt/good "$RFORK_SPOOL/$1"
}

no_image() { # NAME
    rm -rf "$RFORK_SPOOL/$1" "$RFORK_SPOOL/$1".*
}

# Sets names: what NAME's ticket, and what else begins like it, is called.
names_of() { # NAME
    names=$(cd "$RFORK_SPOOL/${1%/*}" && ls -d "${1#*/}"* 2>/dev/null) || :
}

undecided() { # NAME
    names_of "$1"
    [ "$names" = "${1#*/}" ]
}

runs_in_spool() { # NAME: the ticket has been won by a stub, and by one only; sets names
    names_of "$1"
    [[ $names =~ ^${1#*/}\.(run|ack)\.[0-9a-f]{32}\.[a-z]+\.[0-9]+$ ]]
}

given_up() { # NAME
    names_of "$1"
    [ "$names" = "${1#*/}.back" ]
}

# A directory of a user's own in the spool, made as he would. Sets directory, its name.
make_user_directory() { # UID
    directory=u$1.$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    mkdir -m 700 "$RFORK_SPOOL/$directory"
    chown "$1:$1" "$RFORK_SPOOL/$directory"
}

asked() { # REGEX NAME [OPTION VALUE]...: the answer on elm to a request for NAME
    local answer
    answer=$(on oak "$ask" elm "${@:2}")
    [[ $answer =~ $1 ]] || fail "the answer about $(printf %q "$2") ${*:3} is '$answer', not '$1'"
}

copies_run() { # COUNT
    local count
    count=$(grep -c '^child ' /mnt/copies 2>/dev/null) || :
    [ "${count:-0}" = "$1" ]
}

none_ran() {
    copies_run 0 || fail "a copy ran: $(cat /mnt/copies)"
}

no_logs() {
    files=$(find "$RFORK_SPOOL" -name '*.out')
    [ -z "$files" ]
}

# What every hostile test ends with: a good request is served as ever.
serves_as_before() {
    kill -0 "${daemon[rexecd.elm]}" || fail "rexecd has died"
    eventually 5 has_at_most "${daemon[rexecd.elm]}" "${descriptors[rexecd.elm]}" ||
        fail "rexecd had ${descriptors[rexecd.elm]} descriptors, and has $count now"
    eventually 5 no_zombies || fail "zombies: $zombies"
    hop_from oak elm
    said '^PARENT$'
    none_lost_none_doubled
    nothing_is_left
}

# Ash sends elm what it can for that long: rexecd stays small, and serves oak meanwhile and after.
serves_under_flood() { # SECONDS
    local pid before flooder calls=0
    start_rexecd elm
    pid=${daemon[rexecd.elm]}
    kilobytes() { sed -n "s/^$1:[^0-9]*\([0-9]*\).*/\1/p" "/proc/$pid/status"; }
    before=$(kilobytes VmRSS)
    on ash "$hostile" elm rfork.flood flood "${SEED:-1989}" "$1" >/mnt/flood &
    flooder=$!
    while kill -0 $flooder 2>/dev/null; do
        RFORK_TIMEOUT_MS=30000 hop_from oak elm
        said '^PARENT$'
        none_lost_none_doubled
        calls=$((calls + 1))
    done
    wait $flooder
    cat /mnt/flood
    kill -0 "$pid" || fail "rexecd has died"
    echo "$calls calls meanwhile; resident: $before kB before, $(kilobytes VmHWM) kB at most"
    [ "$(kilobytes VmHWM)" -lt 200000 ] || fail "rexecd grew to $(kilobytes VmHWM) kB"
    quiet() { [ -z "$(cat "/proc/$pid/task/$pid/children")" ]; }
    eventually 30 quiet || fail "runners are left"
    serves_as_before
}
