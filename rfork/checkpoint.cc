#include "checkpoint.h"

#include "base/clock.h"
#include "base/json.h"
#include "freezing.h"
#include "journey/settings.h"
#include "remote/spool.h"

#include <csignal>
#include <cstdio>

namespace rfork::tool {
namespace {

Result<void> finish(capture::FrozenProcess& frozen, Afterwards afterwards) {
    switch (afterwards) {
    case Afterwards::stop:
        return frozen.finish_with(SIGSTOP);
    case Afterwards::kill:
        return frozen.finish_with(SIGKILL);
    case Afterwards::leave_running:
        break;
    }
    return frozen.finish();
}

void tell(const CheckpointOptions& options, const std::string& path, std::uint64_t bytes,
          std::uint64_t stood_still, std::uint64_t took) {
    if (!options.json)
        return;
    constexpr double ms = 1e6;
    Json json;
    json.object([&] {
        json.key("pid").number(options.pid);
        json.key("image").text(path);
        json.key("bytes").number(bytes);
        json.key("stood_still_ms").number(double(stood_still) / ms, 3);
        json.key("ms").number(double(took) / ms, 3);
    });
    std::printf("%s\n", json.str().c_str());
}

} // namespace

Result<void> checkpoint(const CheckpointOptions& options) {
    const Interruptible interruptible;
    const std::uint64_t began = monotonic_ns();
    capture::Snapshot snapshot;
    snapshot.id = remote::new_id();
    Result<capture::Ignored> ignored = journey::read_ignored(options.ignored);
    if (!ignored)
        return ignored.error();
    snapshot.ignored = *ignored;
    const bool ends = options.afterwards != Afterwards::leave_running;
    const capture::FreezeOrder order{!ends && !options.stands_still,
                                     ignored->has(capture::Sort::children)};
    const Result<std::unique_ptr<capture::FrozenProcess>> frozen =
        capture::FrozenProcess::freeze(options.pid, order, snapshot);
    if (!frozen)
        return frozen.error();
    const std::string path = options.output.empty()
                                 ? "rfork." + snapshot.processes.front().identity.name + "." +
                                       std::to_string(options.pid)
                                 : options.output;
    const Result<std::uint64_t> bytes = write_image_to(path, snapshot, options.quiet);
    if (!bytes)
        return bytes.error();
    Result<void> r = finish(**frozen, options.afterwards);
    if (r)
        tell(options, path, *bytes, (*frozen)->stood_still(), monotonic_ns() - began);
    return r;
}

} // namespace rfork::tool
