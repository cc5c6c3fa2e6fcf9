# For the tests of faults: a world of two hosts in which fault-trials runs, with a small file system
# of its own for every lane.

. "${BASH_SOURCE%/*}/../hosts/lib.sh"
here=$(cd "${BASH_SOURCE%/*}/../hosts" && pwd)
trials=$RFORK_BUILD/tests/faults/fault-trials

fault_trials() { # LANES OPTION...
    local lane lanes=$1
    shift
    mkdir /mnt/lanes
    for ((lane = 0; lane < lanes; lane++)); do
        mkdir "$RFORK_SPOOL/$lane" "/mnt/lanes/$lane"
        mount -t tmpfs -o mode=1777,size=32m "lane$lane" "$RFORK_SPOOL/$lane"
    done
    "$trials" --world "$RFORK_SPOOL" /mnt/lanes /mnt/key --programs "$hop" "$rexecd" \
        --target elm 7500 --on-caller "$(bring oak)" --on-target "$(bring elm)" --lanes "$lanes" "$@"
}

bring() { # HOST
    echo "nsenter --target $(cat "/run/hosts/$1") --net --uts --mount --"
}
