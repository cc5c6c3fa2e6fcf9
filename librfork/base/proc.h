// What the kernel tells in text: whole files of /proc, and what stands in the most common ones.
//
// By system calls, so that a program's errno stays its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <string>
#include <sys/types.h>
#include <vector>

namespace rfork {

inline constexpr std::size_t no_limit = ~std::size_t(0);

// Appends the file at `path`, from `directory`, to `text`: all of it, or no less than `limit` bytes
// if there are more. 0, or an errno value; then `text` has what could be read.
int read_text(int directory, const char* path, std::string& text, std::size_t limit = no_limit);

// Whatever can be read of it; "" if there is no such file.
std::string text_of(const std::string& path, int directory = AT_FDCWD);

// The value behind "name:" in the text of /proc/PID/status and its like; "" if it is not there.
std::string field(const std::string& text, const char* name);

// A path by which the file behind one of our own descriptors can be opened once more.
std::string path_of_descriptor(int fd);

// Whether /proc calls processes as this one does: it may have been mounted in another pid
// namespace.
bool proc_has_own_pids();

// What a process or thread is called in each pid namespace, from that of /proc inwards: NSpid in
// the text of its status. None from a kernel without pid namespaces.
std::vector<pid_t> ids_in(const std::string& status);
// What it calls itself; 0 if the text does not tell.
pid_t own_id_in(const std::string& status);
// What a process calls it that has `levels` ids itself; 0 if it does not see it. Children may live
// in a pid namespace of their own.
pid_t id_at_level(std::size_t levels, const std::string& status);

// The text of /proc/PID/stat from field 3 on, in the numbering of proc(5); "" if it is none. The
// name before it may itself contain blanks and parentheses.
std::string fields_in_stat(const std::string& text);

// Which users a user namespace knows, and what they are called in the one around it.
struct UserRange {
    std::uint32_t inside, outside, count;
};
std::vector<UserRange> known_users(); // of this process's; empty if the kernel does not tell

} // namespace rfork
