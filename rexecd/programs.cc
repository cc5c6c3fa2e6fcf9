#include "rexecd/programs.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <sys/wait.h>

namespace rexecd {

namespace {

constexpr std::size_t early_ends_limit = 1024;
constexpr std::uint64_t early = 10'000'000'000;
constexpr std::uint64_t longest_pause = 600'000'000'000;

bool is_alive(pid_t group) {
    return group > 1 && (::kill(-group, 0) == 0 || errno != ESRCH);
}

// An empty log says nothing, unless it is of a program that came to a bad end.
bool may_lose_its_log(const Program& program) {
    return program.process > 1 && program.log_is_new &&
           (!program.status || (WIFEXITED(*program.status) && WEXITSTATUS(*program.status) == 0));
}

} // namespace

std::optional<Program> Programs::started(Program program, std::uint64_t steady) {
    auto end = std::find_if(early_ends_.begin(), early_ends_.end(), [&](const End& each) {
        return each.process == program.process && steady - each.time < early;
    });
    std::optional<Program> known;
    if (end != early_ends_.end()) {
        program.status = end->status;
        early_ends_.erase(end);
        known = program;
    }
    const auto of_user = std::count_if(watched_.begin(), watched_.end(), [&](const Watched& each) {
        return each.program.user == program.user;
    });
    if (watched_.size() < limit && std::size_t(of_user) < share)
        watched_.push_back({std::move(program)});
    return known;
}

std::optional<Program> Programs::ended(pid_t process, int status, std::uint64_t steady) {
    for (Watched& each : watched_)
        if (process > 1 && each.program.process == process && !each.program.status) {
            each.program.status = status;
            return each.program;
        }
    early_ends_.push_back({process, status, steady});
    if (early_ends_.size() > early_ends_limit)
        early_ends_.pop_front();
    return std::nullopt;
}

void Programs::acknowledged(const rfork::image::Id& request) {
    for (Watched& each : watched_)
        if (std::memcmp(&each.program.request, &request, sizeof(request)) == 0)
            each.acknowledged = true;
}

Programs::Chores Programs::take_chores(std::uint64_t steady) {
    Chores chores;
    for (Watched& each : watched_) {
        if (!each.has_image || (!each.acknowledged && steady - each.looked < each.pause))
            continue;
        chores.images.push_back(each.program);
        each.has_image = !each.acknowledged && each.pause < longest_pause;
        each.looked = steady;
        each.pause *= 2;
    }
    auto ended = std::stable_partition(watched_.begin(), watched_.end(), [](const Watched& each) {
        return each.has_image || is_alive(each.program.process);
    });
    for (auto each = ended; each != watched_.end(); ++each)
        if (may_lose_its_log(each->program))
            chores.logs.push_back(std::move(each->program));
    watched_.erase(ended, watched_.end());
    return chores;
}

} // namespace rexecd
