# The merry-go-round over the given hosts, for the tests that send it; lib.sh is there already.

# Sends it, as the user that COMMAND in $as makes of us (nothing: ourselves), and sees it come home.
journey() { # HOST...
    local host diary=$RFORK_SPOOL/merry-go-round.diary stops=$#
    for host in "$@"; do
        start_rexecd "$host"
    done
    start_notifyd "$1"
    export RFORK_MONITOR=$1

    : >/mnt/traveller.log
    chmod a+w /mnt/traveller.log # whoever travels opens it again everywhere
    on "$1" ${as:-} "$merry_go_round" "$1" "$@" </dev/null >/mnt/traveller.log 2>&1
    await_line "$diary" '^(home$|stranded)' 60 || fail "the traveller is lost"
    tail -n 1 "$diary" | grep -qx home || fail "$(tail -n 1 "$diary")"
    [ "$(sed '$d' "$diary" | cut -d' ' -f2 | xargs)" = "$*" ] || fail "it took another way"

    await_line /mnt/notes "I'm back" 5 || fail "notifyd has not heard that it is back"
    heard "I am at" $stops
    heard "dump started" $stops
    heard "dump finished" $stops
    heard "resumed on" $stops
    rm "$diary"
}

heard() { # WORDS TIMES
    local times
    times=$(grep -c "$1" /mnt/notes) || :
    [ "$times" = "$2" ] || fail "notifyd heard '$1' $times times instead of $2"
}
