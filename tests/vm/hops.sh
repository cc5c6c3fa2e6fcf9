# One process on its way from g2 to g3 while something happens to the spool, for the tests that see
# to that; lib.sh is there already. It belongs to the traveller. What the caller is told goes to
# /dev/shm/said on g2, with what librfork says on standard error, and its copy signs in
# /dev/shm/copies on g3.

hop=$RFORK_BUILD/tests/programs/hop

start_target() {
    local guest
    for guest in g2 g3; do
        on $guest 'chgrp rfork /etc/rfork.key && chmod 0640 /etc/rfork.key'
    done
    start_daemon g3 "$rexecd" --listen 0.0.0.0 --spool /spool --key /etc/rfork.key
}

starts_from_g2() { # RFORK_TIMEOUT_MS COMMAND LINE
    on g3 'rm -f /dev/shm/copies'
    on g2 "rm -f /dev/shm/said;
        export RFORK_SPOOL=/spool RFORK_KEY_FILE=/etc/rfork.key RFORK_TIMEOUT_MS=$1;
        { $as_traveller $2 2>&1; echo ended; } </dev/null | cat >/dev/shm/said &"
}

# Until the image lies in the spool, with rexecd on g3 standing still, so that everything may happen
# now.
hop_begins() { # RFORK_TIMEOUT_MS [COMMAND LINE]
    caller_is_caught_writing "$1" "${2:-$hop g3 /dev/shm/copies}"
    on g3 'kill -STOP $(cat /run/rexecd.pid)'
    caller_goes_on
    await g1 60 'ls /export/u1000.*/ | grep -qxE "rfork.[0-9a-f]{32}"' ||
        fail "the caller writes no image: $(on g2 'cat /dev/shm/said')"
}

# One that is faster than we are has hopped, and starts again.
caller_is_caught_writing() { # RFORK_TIMEOUT_MS COMMAND LINE
    local tries
    for tries in 1 2 3 4 5 6; do
        starts_from_g2 "$1" "$2"
        caller_stops "${2%% *}"
        ! caller_still_writes || return 0
        caller_goes_on || : # it may have ended
        hop_ends 60 '^PARENT$'
        copies_are 1
    done
    fail "the caller is always faster than we are"
}

# With its image half written.
caller_stops() { # PROGRAM
    on g2 "until $as_traveller ls -A /spool/u1000.* 2>/dev/null | grep -q '^.rfork.*tmp' ||
            grep -qsx ended /dev/shm/said; do :; done;
        for process in \$(grep -lx ${1##*/} /proc/[0-9]*/comm 2>/dev/null); do
        process=\${process%/comm}; kill -STOP \${process#/proc/}; echo \${process#/proc/}; done >/dev/shm/stopped"
}

caller_still_writes() { # so it has not asked yet
    on g2 "[ -s /dev/shm/stopped ] && $as_traveller ls -A /spool/u1000.* | grep -q '^.rfork.*tmp'"
}

caller_goes_on() {
    on g2 'kill -CONT $(cat /dev/shm/stopped)'
}

target_goes_on() {
    on g3 'kill -CONT $(cat /run/rexecd.pid)'
}

hop_ends() { # SECONDS REGEX: what the caller is told
    await g2 "$1" 'grep -qx ended /dev/shm/said' || fail "the caller is told nothing"
    on g2 'cat /dev/shm/said'
    on g2 "grep -qE '$2' /dev/shm/said" || fail "the caller was not told $2"
}

caller_knows_nothing() {
    on g2 '! grep -qE "^(PARENT|-1 )" /dev/shm/said' ||
        fail "the caller has guessed: $(on g2 'cat /dev/shm/said')"
}

# When nothing of the traveller's runs on the target any more, nor can come to run.
copies_are() { # COUNT
    await g3 10 "[ \$(cat /dev/shm/copies 2>/dev/null | wc -l) -ge $1 ]" || fail "no copy runs"
    sleep 1 # rexecd has seen what was sent to it, and has begun
    await g3 20 '! grep -qs "^Uid:.1000" /proc/[0-9]*/status' || fail "something runs still: $(on g3 ps)"
    [ "$(on g3 'cat /dev/shm/copies 2>/dev/null | wc -l')" = "$1" ] ||
        fail "not $1 copies: $(on g3 'cat /dev/shm/copies')"
}

# --- the server on g1 -----------------------------------------------------------------------------

server_down() {
    on g1 'echo 0 >/proc/fs/nfsd/threads'
}

# Clients have ten seconds to reclaim what they had, in which nobody can open or rename anything.
server_up() {
    on g1 "echo 10 >/proc/fs/nfsd/nfsv4leasetime; echo 10 >/proc/fs/nfsd/nfsv4gracetime;
        echo '-2 -3 +4 +4.1 +4.2' >/proc/fs/nfsd/versions;
        echo 'tcp 2049' >/proc/fs/nfsd/portlist; echo 8 >/proc/fs/nfsd/threads"
}

# Frames from GUEST to the server go nowhere; to others they arrive. The server is started anew, and
# at once, because TCP under NFS waits three minutes for a connection that is only silent.
cut() { # GUEST
    server_down
    on "$1" 'arp -s 10.77.0.1 52:54:00:77:00:99'
    server_up
    on g1 'echo Y >/proc/fs/nfsd/v4_end_grace'
}

mend() { # GUEST
    on "$1" 'arp -d 10.77.0.1; arp -n >/dev/null; true'
}
