#include "traced/leftovers.h"

#include "agent/agent.h"
#include "base/clock.h"
#include "base/directory_names.h"
#include "base/proc.h"
#include "base/unique_fd.h"
#include "traced/foothold.h"
#include "traced/room.h"

#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <sstream>

namespace rfork::capture {
namespace {

std::string directory_of(pid_t pid) {
    return "/proc/" + std::to_string(pid);
}

// Field 38 of stat, which is 0 for a twin, and hardly for any other child.
bool has_exit_signal(pid_t child) {
    std::istringstream fields(fields_in_stat(text_of(directory_of(child) + "/stat")));
    std::string value;
    for (int i = 3; i <= 38; ++i)
        fields >> value;
    return value != "0";
}

// By the names of our /proc.
std::vector<pid_t> silent_children(pid_t pid) {
    std::vector<pid_t> all;
    const std::string tasks = directory_of(pid) + "/task";
    const UniqueFd fd(open(tasks.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd)
        return all;
    for_each_name(fd.get(), [&](std::string_view name) {
        if (name[0] == '.')
            return;
        std::istringstream children(text_of(tasks + "/" + std::string(name) + "/children"));
        for (pid_t child; children >> child;)
            if (!has_exit_signal(child))
                all.push_back(child);
    });
    return all;
}

bool has_ended(const std::string& status) {
    return status.empty() || field(status, "State")[0] == 'Z';
}

// Let go by its tracer's death, it ends by itself: soon, but not at once.
void await_end(pid_t child, std::uint64_t deadline) {
    const timespec a_moment{0, 1'000'000};
    while (!has_ended(text_of(directory_of(child) + "/status")) && monotonic_ns() < deadline)
        nanosleep(&a_moment, nullptr);
}

std::vector<pid_t> find_twins(pid_t pid) {
    constexpr std::uint64_t patience = 200'000'000;
    const std::uint64_t deadline = monotonic_ns() + patience;
    const std::size_t level = ids_in(text_of(directory_of(pid) + "/status")).size();
    std::vector<pid_t> twins;
    for (const pid_t child : silent_children(pid)) {
        await_end(child, deadline);
        const std::string status = text_of(directory_of(child) + "/status");
        const std::vector<pid_t> ids = ids_in(status);
        if (!status.empty() && has_ended(status) && field(status, "Name") == agent::twin_name)
            twins.push_back(level && ids.size() >= level ? ids[level - 1] : child);
    }
    return twins;
}

} // namespace

Leftovers find_leftovers(pid_t pid, const std::vector<MemoryMapEntry>& map) {
    Leftovers left;
    left.twins = find_twins(pid);
    for (const MemoryMapEntry& e : map) {
        if (const Range room = Room::left_in(pid, e); room.end) {
            left.rooms.push_back(room);
            left.code.push_back({room.start, room.end, false, true});
        }
        if (const Range code = Foothold::left_in(pid, e); code.end)
            left.code.push_back({code.start, code.end, false, true});
    }
    return left;
}

} // namespace rfork::capture
