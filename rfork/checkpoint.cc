#include "checkpoint.h"

#include "base/progress.h"
#include "image/image_file.h"
#include "remote/spool.h"
#include "traced/admission.h"
#include "traced/freeze_process.h"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

namespace rfork::tool {
namespace {

// While this exists, what would end rfork makes it leave the process alone, and no half file.
class Interruptible {
  public:
    Interruptible() {
        sigset_t child;
        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);
        sigprocmask(SIG_BLOCK, &child, nullptr);
        struct sigaction action {};
        action.sa_handler = [](int) { capture::TwinPages::interrupted = true; };
        for (int signal : {SIGINT, SIGTERM, SIGHUP})
            sigaction(signal, &action, nullptr);
        action.sa_handler = SIG_IGN;
        sigaction(SIGPIPE, &action, nullptr);
    }
};

// "fd:N"; "-" is standard output.
std::optional<int> descriptor_in(const std::string& output) {
    if (output == "-")
        return STDOUT_FILENO;
    int number = -1;
    const char* end = output.data() + output.size();
    if (output.starts_with("fd:")) {
        const auto [at, error] = std::from_chars(output.data() + 3, end, number);
        if (error == std::errc() && at == end)
            return number;
    }
    return {};
}

Result<std::uint64_t> write(const CheckpointOptions& options, const capture::Snapshot& snapshot,
                            const std::string& path) {
    image::Progress progress{};
    if (const std::optional<int> fd = descriptor_in(path)) {
        image::DescriptorSink sink(*fd);
        const Result<image::Written> written = image::write_image(snapshot, sink, progress);
        if (!written)
            return written.error();
        return written->bytes;
    }
    const Result<image::Place> place = image::place_at(path, snapshot.id);
    if (!place)
        return place.error();
    const Result<UniqueFd> directory = image::open_directory(*place);
    if (!directory)
        return directory.error();
    (void)options;
    return image::write_file(*place, snapshot, directory->get(), progress);
}

} // namespace

Result<void> checkpoint(const CheckpointOptions& options) {
    const Interruptible interruptible;
    capture::Snapshot snapshot;
    snapshot.id = remote::new_id();
    Result<capture::Ignored> ignored = capture::parse_ignored(options.ignored);
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
    const Result<std::uint64_t> bytes = write(options, snapshot, path);
    if (!bytes)
        return bytes.error();
    switch (options.afterwards) {
    case Afterwards::leave_running:
        return (*frozen)->finish();
    case Afterwards::stop:
        return (*frozen)->finish_with(SIGSTOP);
    case Afterwards::kill:
        return (*frozen)->finish_with(SIGKILL);
    }
    return {};
}

} // namespace rfork::tool
