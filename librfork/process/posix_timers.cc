#include "process/posix_timers.h"

#include "format/records/pending_signal.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace rfork::capture {
namespace {

// A cursor over text that the kernel wrote; once something is not as expected, it stays `lost`.
class Cursor {
  public:
    explicit Cursor(const std::string& text) : at_(text.c_str()) {}
    bool at_end() const { return *at_ == '\0'; }
    bool lost() const { return lost_; }
    bool take(const char* words) {
        const std::size_t size = std::strlen(words);
        if (std::strncmp(at_, words, size) != 0)
            return false;
        at_ += size;
        return true;
    }
    void expect(const char* words) { lost_ = !take(words) || lost_; }
    std::int32_t number() { return std::int32_t(parse<long>(std::strtol, 10)); }
    std::uint64_t hexadecimal() { return parse<unsigned long>(std::strtoul, 16); }

  private:
    template <class T>
    T parse(T (*convert)(const char*, char**, int), int base) {
        char* end = nullptr;
        const T value = convert(at_, &end, base);
        lost_ = lost_ || end == at_;
        at_ = end;
        return value;
    }
    const char* at_;
    bool lost_ = false;
};

std::int32_t parse_notify(Cursor& text) {
    std::int32_t notify = 0;
    if (text.take("signal"))
        notify = SIGEV_SIGNAL;
    else if (text.take("none"))
        notify = SIGEV_NONE;
    else
        text.expect("thread"), notify = SIGEV_THREAD;
    if (text.take("/tid."))
        return notify | SIGEV_THREAD_ID;
    text.expect("/pid.");
    return notify;
}

PosixTimer parse_timer(Cursor& text) {
    PosixTimer timer;
    text.expect("ID: ");
    timer.id = text.number();
    text.expect("\nsignal: ");
    timer.signal = text.number();
    text.expect("/");
    timer.value = text.hexadecimal();
    text.expect("\nnotify: ");
    timer.notify = parse_notify(text);
    timer.target = text.number();
    text.expect("\nClockID: ");
    timer.clock = text.number();
    text.expect("\n");
    return timer;
}

} // namespace

Result<std::vector<PosixTimer>> parse_posix_timers(const std::string& text) {
    std::vector<PosixTimer> timers;
    Cursor cursor(text);
    while (!cursor.at_end()) {
        timers.push_back(parse_timer(cursor));
        if (cursor.lost())
            return Error{
                ENOTSUP,
                "the kernel lists the process's POSIX timers in a form that rfork does not "
                "know (/proc/PID/timers): delete them before the call"};
    }
    std::sort(timers.begin(), timers.end(),
              [](const PosixTimer& a, const PosixTimer& b) { return a.id < b.id; });
    return timers;
}

bool is_from(const PosixTimer& timer, const PendingSignal& signal) {
    kinds::SignalInfo info;
    std::memcpy(&info, signal.info.data(), sizeof info);
    return info.code == kinds::code_timer && info.timer == timer.id &&
           info.number == timer.signal && info.value == timer.value;
}

bool waits_for(const PosixTimer& timer, const PendingSignal& signal) {
    return is_from(timer, signal) && timer.remaining <= timer.interval;
}

} // namespace rfork::capture
