#include "base/progress.h"

#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <sys/ioctl.h>
#include <unistd.h>

namespace rfork {

namespace {

constexpr std::string_view erase_line = "\r\x1b[K";

bool can_show() {
    const char* terminal = std::getenv("TERM");
    return ::isatty(STDERR_FILENO) && terminal && std::string_view(terminal) != "dumb";
}

// A line that wraps could not be erased.
std::size_t columns() {
    winsize window{};
    bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 1;
    return known ? window.ws_col - 1u : 79;
}

void write_out(std::string_view text) {
    [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

} // namespace

std::string bytes_text(std::uint64_t bytes) {
    static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    char text[32];
    auto value = static_cast<double>(bytes);
    unsigned unit = 0;
    for (; value >= 1024; ++unit)
        value /= 1024;
    std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return text;
}

Progress::Progress(std::string work) : work_(std::move(work)), wanted_(can_show()) {}

Progress::~Progress() {
    if (shown_)
        write_out(erase_line);
}

bool Progress::is_time() {
    if (!wanted_ || Clock::now() < next_)
        return false;
    next_ = Clock::now() + std::chrono::milliseconds(100);
    return true;
}

void Progress::show(const std::string& state) {
    shown_ = true;
    write_out(std::string(erase_line) + (work_ + ": " + state).substr(0, columns()));
}

void Progress::at_byte(std::uint64_t done, std::uint64_t all) {
    if (!is_time())
        return;
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    const double speed = static_cast<double>(done) / seconds;
    std::string state = bytes_text(done) + " of " + bytes_text(all) + ", " +
                        bytes_text(static_cast<std::uint64_t>(speed)) + "/s";
    if (done > 0 && done <= all)
        state += ", " + std::to_string(static_cast<long>(static_cast<double>(all - done) / speed)) +
                 " s left";
    show(state);
}

void Progress::at_step(const std::string& step, std::uint64_t done, std::uint64_t all) {
    if (is_time())
        show(step + " " + std::to_string(done) + " of " + std::to_string(all));
}

} // namespace rfork
