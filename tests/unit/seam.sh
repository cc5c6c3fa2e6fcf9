#!/bin/sh
# seam.sh SOURCE_DIR - what collects a process sees it through its source alone: nothing there asks
# about the process that the code runs in. Where the source is the caller itself, file names say so.
cd "$1/librfork" || exit 1
# The caller's side and its tools, and where the source is declared.
own='process/(self|own_|private_copy|kept_from_forks|standstill|source\.h)'
asks='/proc/(self|thread-self)'
asks="$asks"'|\b(get(pid|ppid|tid|uid|euid|gid|egid|pgid|sid|cwd|auxval|rlimit|priority)|prctl)\('
asks="$asks"'|SYS_(get(pid|ppid|tid|uid|euid|cwd|rlimit)|prctl|clock_gettime|timer_gettime|mincore)\b'
asks="$asks"'|\bclock_gettime\(|\b(libc_)?clock_ns\(|\brealtime_ns\('
asks="$asks"'|(^|[^_.>[:alnum:]])(l?stat|stat(fs|vfs)|access|realpath|readlink|socket)\('
files=$(find process snapshot objects state -name '*.cc' -o -name '*.h' | grep -v '/restore\.cc$' |
    grep -vE "^$own")
count=$(echo "$files" | wc -l)
[ "$count" -ge 40 ] || { echo "only $count files to look at"; exit 1; }
# A path in the process's own directory in /proc is not ours to find.
found=$(grep -nE "$asks" $files | grep -vE ':[0-9]+: *(//|case )|directory_? \+ "/')
[ -z "$found" ] || { echo "$found"; echo "ask the source (process/source.h) instead"; exit 1; }
