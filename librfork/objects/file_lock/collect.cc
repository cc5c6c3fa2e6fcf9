// What is locked stands in the fdinfo of the open file through which it was:
//
//   lock:	1: POSIX  ADVISORY  WRITE 4711 08:01:1234 100 199
//   lock:	2: FLOCK  ADVISORY  READ 4711 08:01:1234 0 EOF
//
// The lock of a process is there if the process that is asked about holds it. (The number behind
// the mode is of whoever took it, which need not live any more: flock(1) locks for its parent.)
#include "format/kinds.h"
#include "format/records/file_lock.h"

#include "objects/descriptors.h"

#include <charconv>
#include <string_view>

namespace rfork::kinds {
namespace {

using capture::ProcessSnapshot;
using capture::Source;

using Words = std::vector<std::string_view>;
enum Word : std::size_t {
    type_word = 2,
    mode_word = 4,
    start_word = 7,
    end_word = 8,
    words_of_lock
};

Words words_of(std::string_view line) {
    constexpr std::string_view blanks = " \t";
    Words words;
    for (std::size_t at = 0; (at = line.find_first_not_of(blanks, at)) != line.npos;) {
        const std::size_t end = std::min(line.find_first_of(blanks, at), line.size());
        words.push_back(line.substr(at, end - at));
        at = end;
    }
    return words;
}

std::vector<Words> locks_in(std::string_view info) {
    std::vector<Words> locks;
    while (!info.empty()) {
        const std::string_view line = info.substr(0, info.find('\n'));
        if (line.starts_with("lock:"))
            locks.push_back(words_of(line));
        info.remove_prefix(std::min(line.size() + 1, info.size()));
    }
    return locks;
}

bool read_type(std::string_view word, FileLockType& type) {
    if (word == "FLOCK")
        type = FileLockType::whole;
    else if (word == "POSIX")
        type = FileLockType::of_process;
    else if (word == "OFDLCK")
        type = FileLockType::of_open_file;
    else
        return false;
    return true;
}

bool read_number(std::string_view word, std::uint64_t& number) {
    const char* end = word.data() + word.size();
    return std::from_chars(word.data(), end, number).ptr == end;
}

bool read_range(const Words& lock, FileLockRecord& record) {
    if (!read_number(lock[start_word], record.start))
        return false;
    std::uint64_t last = 0;
    if (lock[end_word] != "EOF" && !read_number(lock[end_word], last))
        return false;
    record.size = lock[end_word] == "EOF" ? 0 : last - record.start + 1;
    return true;
}

Result<FileLockRecord> read_lock(const OpenDescription& d, const Words& lock) {
    FileLockRecord record{};
    record.object = d.object;
    if (lock.size() > type_word && (lock[type_word] == "LEASE" || lock[type_word] == "DELEG"))
        return cannot_carry(d, "has a lease (F_SETLEASE), which an image cannot carry yet "
                               "(RFORK_IGNORE=lock goes on without)");
    if (lock.size() != words_of_lock || !read_type(lock[type_word], record.type) ||
        !read_range(lock, record))
        return cannot_carry(d, "holds a lock of a kind unknown to rfork (RFORK_IGNORE=lock goes on "
                               "without)");
    record.exclusive = lock[mode_word] != "READ";
    return record;
}

} // namespace

Result<void> check_locks(const OpenDescription& d) {
    for (const Words& lock : locks_in(d.info))
        if (const Result<FileLockRecord> record = read_lock(d, lock); !record)
            return record.error();
    return {};
}

Result<void> collect_file_lock(const Source&, ProcessSnapshot& process) {
    if (process.all.ignored.has(capture::Sort::lock))
        return {};
    for (const OpenDescription& d : process.open_descriptions) {
        if (d.dropped || d.refused || leaves_locks_behind(d))
            continue;
        for (const Words& lock : locks_in(d.info)) {
            Result<FileLockRecord> record = read_lock(d, lock);
            if (!record)
                return record.error();
            record->name = process.all.strings.add(d.path);
            process.records.add(image::Kind::file_lock, *record);
        }
    }
    return {};
}

} // namespace rfork::kinds
