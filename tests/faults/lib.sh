# For the tests of faults: a world of two hosts in which fault-trials runs, with a small file system
# of its own for every lane.

. "${BASH_SOURCE%/*}/../hosts/lib.sh"
here=$(cd "${BASH_SOURCE%/*}/../hosts" && pwd)
moving=$RFORK_BUILD/tests/faults/moving
trials=$RFORK_BUILD/tests/faults/fault-trials

# As COMMAND in $as makes of us (nothing: ourselves) under a rexecd of root's.
fault_trials() { # LANES OPTION...
    local lane lanes=$1
    shift
    mkdir /mnt/lanes
    for ((lane = 0; lane < lanes; lane++)); do
        mkdir -m 777 "$RFORK_SPOOL/$lane" "/mnt/lanes/$lane"
        mount -t tmpfs -o mode=1777,size=32m "lane$lane" "$RFORK_SPOOL/$lane"
    done
    "$trials" --world "$RFORK_SPOOL" /mnt/lanes --keys "$RFORK_KEY_FILE" /mnt/key --programs "$hop" "$moving" "$rexecd" \
        --target elm 7500 --on-caller "$(bring oak) ${as:-}" --on-target "$(bring elm)" \
        --lanes "$lanes" "$@"
}

# From here on callers are of an ordinary user, where that can be had.
as_ordinary_user() {
    setpriv --reuid=65534 --clear-groups true 2>/dev/null || return 0
    as="setpriv --reuid=65534 --regid=65534 --clear-groups"
    RFORK_KEY_FILE=/mnt/key-of-user
    install -o 65534 -m 600 /mnt/key $RFORK_KEY_FILE
}

bring() { # HOST
    echo "nsenter --target $(cat "/run/hosts/$1") --net --uts --mount --"
}
