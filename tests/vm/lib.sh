# What the tests of this folder share. A test is one bash script that checks one behaviour between
# virtual machines with a real NFS spool (see vm-hosts). RFORK_BUILD is the build directory; its
# programs are in the guests under the same paths. Exit status 77: skipped, with a sentence.

set -eu
: "${RFORK_BUILD:?is not set: it is the build directory}"
PATH=$PATH:/usr/sbin:/sbin

here=$(cd "${0%/*}" && pwd)
rexecd=$RFORK_BUILD/rexecd/rexecd
notifyd=$RFORK_BUILD/notifyd/notifyd
rfork=$RFORK_BUILD/rfork/rfork
merry_go_round=$RFORK_BUILD/examples/merry-go-round/merry-go-round
# With its path: the guests' shell prefers busybox's own setpriv, which knows less.
as_traveller="/sbin/setpriv --reuid=1000 --regid=1000 --init-groups"

skip() {
    echo "skipped: $*"
    exit 77
}

fail() {
    echo "FAILED: $*"
    exit 1
}

# Makes the rest of the script run beside COUNT guests in which PROGRAMs can run, with a key that
# root and the traveller can read. A function prepare_guests of the script puts more into their root
# directory, which is its argument.
guests() { # COUNT PROGRAM...
    local program
    if [ -n "${RFORK_GUESTS:-}" ]; then
        trap show_why_it_failed EXIT
        return
    fi
    for program in qemu-system-x86_64 cpio mke2fs depmod; do
        command -v $program >/dev/null ||
            skip "$program is missing, so there are no guests; scripts/setup --tests gets it"
    done
    export RFORK_VM_CACHE=${RFORK_VM_CACHE:-$RFORK_BUILD/vm}
    "$here/vm-hosts" fetch || skip "there is no kernel for the guests"

    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT # global: local variables are gone by then
    install_programs "$root" "${@:2}"
    if declare -F prepare_guests >/dev/null; then
        prepare_guests "$root"
    fi
    mkdir -p "$root/etc"
    "$rfork" keygen "$root/etc/rfork.key"
    "$here/vm-hosts" "$1" "$root" "$0"
    exit
}

# Copies the programs and all libraries they need to the same paths under ROOT.
install_programs() { # ROOT PROGRAM...
    local root=$1 program file
    shift
    for program in "$@"; do
        echo "$program"
        ldd "$program" 2>/dev/null | grep -o '/[^ ]*'
    done | sort -u | while read -r file; do
        mkdir -p "$root${file%/*}"
        cp -L "$file" "$root$file"
        strip --strip-debug "$root$file"
    done
    chmod -R a+rX "$root"
}

show_why_it_failed() {
    local status=$? guest
    [ $status != 0 ] && [ $status != 77 ] || return 0
    for guest in "$RFORK_GUESTS"/g*.pid; do
        guest=${guest##*/}
        on "${guest%.pid}" 'hostname; tail -n 100 /run/*.log; ls -lA /spool; cat /spool/u*/*.out'
    done
}

on() { # GUEST COMMAND LINE
    "$here/vm-hosts" on "$@"
}

# Until CONDITION, a command line, holds on the guest, at most SECONDS.
await() { # GUEST SECONDS CONDITION
    on "$1" "deadline=\$((\$(date +%s) + $2)); until $3; do
        [ \$(date +%s) -lt \$deadline ] || exit 1; usleep 50000; done" >/dev/null
}

start_daemon() { # GUEST PROGRAM OPTIONS...
    local guest=$1 name=${2##*/}
    shift
    on "$guest" "$* </dev/null >/run/$name.log 2>&1 & echo \$! >/run/$name.pid"
    await "$guest" 30 "grep -q '^$name: listening on ' /run/$name.log" ||
        fail "$name does not start on $guest"
}

stop_daemon() { # GUEST NAME
    on "$1" "kill \$(cat /run/$2.pid)"
    await "$1" 10 "! kill -0 \$(cat /run/$2.pid) 2>/dev/null" || fail "$2 on $1 does not end"
}

no_zombies() { # GUEST
    await "$1" 10 "! grep -q '^State:.Z' /proc/[0-9]*/status 2>/dev/null" ||
        fail "zombies on $1: $(on "$1" "ps | grep ' Z '")"
}

# Nothing of rfork's, nor of NFS's (.nfs...: a file that somebody unlinked while it was open).
spool_is_clean() {
    local command='find /spool -name "rfork.*" -o -name ".rfork.*" -o -name ".nfs*"'
    await g1 10 "[ -z \"\$($command)\" ]" || fail "left in the spool: $(on g1 "$command")"
}
