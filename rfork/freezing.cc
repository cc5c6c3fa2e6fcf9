#include "freezing.h"

#include "base/printable.h"
#include "base/progress.h"

#include <atomic>
#include <charconv>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>
#include <unistd.h>

namespace rfork::tool {
namespace {

// Looks on while the image is written.
class Onlooker {
  public:
    Onlooker(const capture::Snapshot& snapshot, bool quiet) {
        if (!quiet && isatty(STDERR_FILENO))
            thread_ = std::thread(
                [this, name = printable(snapshot.processes.front().identity.name)] { look(name); });
    }
    ~Onlooker() {
        if (!thread_.joinable())
            return;
        {
            const std::lock_guard lock(mutex_);
            done_ = true;
        }
        ended_.notify_one();
        thread_.join();
    }
    image::Progress progress{};

  private:
    void look(const std::string& name) {
        constexpr std::chrono::milliseconds interval(100);
        Progress line("freezing " + name);
        std::unique_lock lock(mutex_);
        while (!ended_.wait_for(lock, interval, [this] { return done_; }))
            line.at_byte(__atomic_load_n(&progress.done, __ATOMIC_RELAXED),
                         __atomic_load_n(&progress.all, __ATOMIC_RELAXED));
    }

    std::mutex mutex_;
    std::condition_variable ended_;
    bool done_ = false;
    std::thread thread_;
};

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

Result<std::uint64_t> stream(int fd, const capture::Snapshot& snapshot, bool quiet) {
    if (isatty(fd))
        return Error{EINVAL, "an image is not written to a terminal: name a file (-o FILE), or "
                             "redirect the output"};
    Onlooker onlooker(snapshot, quiet);
    image::DescriptorSink sink(fd);
    const Result<image::Written> written = image::write_image(snapshot, sink, onlooker.progress);
    if (!written)
        return written.error();
    return written->bytes;
}

} // namespace

Interruptible::Interruptible() {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, nullptr);
    struct sigaction action {};
    action.sa_handler =
        SIG_DFL; // whoever started this may have it ignored, and then it never comes
    sigaction(SIGCHLD, &action, nullptr);
    action.sa_handler = [](int) { capture::TwinPages::interrupted = true; };
    for (int signal : {SIGINT, SIGTERM, SIGHUP})
        sigaction(signal, &action, nullptr);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, nullptr);
}

Result<std::uint64_t> write_image_to(const std::string& output, const capture::Snapshot& snapshot,
                                     bool quiet) {
    if (const std::optional<int> fd = descriptor_in(output))
        return stream(*fd, snapshot, quiet);
    const Result<image::Place> place = image::place_at(output, snapshot.id);
    if (!place)
        return place.error();
    return write_image_at(*place, snapshot, quiet);
}

Result<std::uint64_t> write_image_at(const image::Place& place, const capture::Snapshot& snapshot,
                                     bool quiet) {
    const Result<UniqueFd> directory = image::open_directory(place);
    if (!directory)
        return directory.error();
    Onlooker onlooker(snapshot, quiet);
    return image::write_file(place, snapshot, directory->get(), onlooker.progress);
}

} // namespace rfork::tool
