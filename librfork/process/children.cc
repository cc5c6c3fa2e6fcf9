// The kernel lists the children of each thread (/proc/PID/task/TID/children), whatever signal they
// end with and whether they have ended. Where it does not, the process's own waitid(2) has
// told whether there are any.
#include "process/children.h"

#include "base/directory_names.h"
#include "base/proc.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace rfork::capture {
namespace {

constexpr std::size_t named_at_most = 4;

struct Children {
    std::vector<std::string> descriptions;
    bool ended = true; // all of them
    bool listed = true;
};

// `number` is what /proc calls it, which may be mounted in another pid namespace. We call it by the
// last of our own `levels`; a child in a pid namespace of its own has further ids there.
void add(const std::string& number, std::size_t levels, std::span<const pid_t> ours,
         Children& children) {
    const std::string status = text_of("/proc/" + number + "/status");
    pid_t pid = id_at_level(levels, status);
    if (!pid)
        pid = std::atoi(number.c_str());
    if (std::find(ours.begin(), ours.end(), pid) != ours.end())
        return;
    const bool ended = field(status, "State").substr(0, 1) == "Z";
    children.ended = children.ended && ended;
    children.descriptions.push_back(std::to_string(pid) + " (" + field(status, "Name") +
                                    (ended ? ", which has ended)" : ")"));
}

void add_of_thread(const std::string& directory, std::size_t levels, std::span<const pid_t> ours,
                   Children& children) {
    std::string list;
    const int error = read_text(AT_FDCWD, (directory + "/children").c_str(), list);
    if (error == ENOENT && access((directory + "/stat").c_str(), F_OK) == 0)
        children.listed = false; // no CONFIG_PROC_CHILDREN
    for (std::size_t at = 0, end; (end = list.find(' ', at)) != std::string::npos; at = end + 1)
        add(list.substr(at, end - at), levels, ours, children);
}

Result<Children> children_of(const Source& source, std::span<const pid_t> ours) {
    const std::string tasks = source.path() + "/task";
    UniqueFd fd(open(tasks.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd)
        return system_error(errno, "cannot list the threads of the process", "mount /proc");
    const std::size_t levels = ids_in(text_of(source.path() + "/status")).size();
    Children children;
    const int error = for_each_name(fd.get(), [&](std::string_view name) {
        if (name[0] != '.')
            add_of_thread(tasks + "/" + name.data(), levels, ours, children);
    });
    if (error)
        return system_error(error, "cannot list the threads of the process");
    return children;
}

} // namespace

Result<void> check_no_children(const Source& source, std::span<const pid_t> ours) {
    const Result<Children> children = children_of(source, ours);
    if (!children)
        return children.error();
    const std::size_t count = children->descriptions.size();
    if (count == 0 && (children->listed || !source.facts().has_children))
        return {};
    std::string names;
    for (std::size_t i = 0; i < count && i < named_at_most; ++i)
        names += (i ? ", " : " ") + children->descriptions[i];
    if (count > named_at_most)
        names += " and " + std::to_string(count - named_at_most) + " more";
    return Error{ENOTSUP,
                 (count == 1 ? "the process has a child," : "the process has children,") + names};
}

} // namespace rfork::capture
