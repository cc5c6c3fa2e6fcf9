#include "stall.h"

#include "clock.h"
#include "failure.h"
#include "log_file.h"
#include "process.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <sstream>

namespace rfork::bench {
namespace {

constexpr int patience_ms = 180'000, look_ms = 1000;
constexpr const char *heap_bytes = "1073741824", *threads = "64";
constexpr unsigned warm_up = 1, rounds = 15;

void run_crowd(const Programs& programs, const Workplace& workplace, const LogFile& log,
               Progress& progress) {
    Process crowd({programs.crowd, heap_bytes, threads, std::to_string(warm_up + rounds),
                   workplace.path("crowd-image")},
                  {}, log.fd());
    UniqueFd watched = watch(crowd.pid());
    for (int waited_ms = 0; waited_ms < patience_ms; waited_ms += look_ms) {
        errno = 0;
        if (wait_until_ended(watched, look_ms))
            return;
        if (errno == EINTR)
            break;
        const std::string rounds_said = log.content();
        progress.at_step(
            "64 threads, 1 GiB heap, fork(2) and checkpoint",
            static_cast<std::uint64_t>(std::count(rounds_said.begin(), rounds_said.end(), '\n')),
            warm_up + rounds);
    }
    fail("interrupted, or the crowd does not come to its end: " + log.last_line());
}

} // namespace

StallSamples measure_stall(const Programs& programs, const Workplace& workplace,
                           Progress& progress) {
    LogFile log(workplace.path("crowd.log"));
    run_crowd(programs, workplace, log, progress);

    StallSamples samples;
    std::istringstream reports(log.content());
    unsigned count = 0;
    for (std::string line; std::getline(reports, line);) {
        std::int64_t fork, stall, seen;
        if (std::sscanf(line.c_str(), "round %" SCNd64 " %" SCNd64 " %" SCNd64, &fork, &stall,
                        &seen) != 3 ||
            ++count <= warm_up)
            continue;
        samples.fork.push_back(milliseconds(fork));
        samples.stall.push_back(milliseconds(stall));
        samples.seen.push_back(milliseconds(seen));
    }
    if (count != warm_up + rounds)
        fail("the crowd did not stand still: " + log.last_line());
    return samples;
}

} // namespace rfork::bench
