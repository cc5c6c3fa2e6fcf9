#include "rexecd/logs.h"

#include <algorithm>
#include <cerrno>
#include <csignal>

namespace rexecd {

namespace {

bool is_alive(pid_t group) {
    return ::kill(-group, 0) == 0 || errno != ESRCH;
}

} // namespace

void Logs::watch(pid_t group, EndedLog log) {
    if (group > 1 && watched_.size() < limit)
        watched_.push_back({group, std::move(log)});
}

std::vector<EndedLog> Logs::take_ended() {
    auto ended = std::stable_partition(watched_.begin(), watched_.end(),
                                       [](const Watched& entry) { return is_alive(entry.group); });
    std::vector<EndedLog> logs;
    for (auto entry = ended; entry != watched_.end(); ++entry)
        logs.push_back(std::move(entry->log));
    watched_.erase(ended, watched_.end());
    return logs;
}

} // namespace rexecd
