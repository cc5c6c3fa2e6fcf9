# Sixty-four threads on a journey between oak and elm, for the tests that send them; lib.sh is there
# already, and so are the daemons.

threads64=$RFORK_BUILD/tests/programs/threads64
export RFORK_TIMEOUT_MS=30000 # two sets of threads compute, perhaps on one CPU

# As the user that COMMAND in $as makes of us (nothing: ourselves). Whoever is left behind on the
# way, and who arrives, verify all threads.
threads_travel() { # HOPS SECONDS
    diary=/mnt/diary-of-threads
    : >$diary
    chmod a+w $diary
    on oak ${as:-} "$threads64" journey $diary "$1" elm oak </dev/null >/mnt/traveller.log 2>&1 ||
        fail "$(cat $diary)"
    await_line $diary '^home$|stranded|lost' "$2" || fail "they are lost: $(cat $diary)"
    eventually 30 all_left_well "$1" || fail "not all who were left behind are well: $(cat $diary)"
}

all_left_well() { # HOPS
    [ "$(sort -u $diary)" = "$( (echo home && seq -f 'left %g' "$1") | sort)" ]
}
