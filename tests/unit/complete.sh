#!/bin/sh
# complete.sh NM SIZE OBJECT... - what a tracer is to run in another process's name calls nothing
# outside of itself and has no data of its own.
nm=$1
size=$2
shift 2
[ $# -gt 0 ] || { echo "no object to look at"; exit 1; }
for object in "$@"; do
    ! "$nm" --undefined-only "$object" | grep . || { echo "$object needs the above"; exit 1; }
    ! "$size" -A "$object" | grep -E '^\.(data|bss|rodata)[^ ]* +[1-9]' ||
        { echo "$object has data"; exit 1; }
done
