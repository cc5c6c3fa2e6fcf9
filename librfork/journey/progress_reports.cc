#include "journey/progress_reports.h"

#include "base/clock.h"
#include "remote/address.h"
#include "remote/report.h"

#include <cstdio>

namespace rfork::journey {

Result<ProgressReports> ProgressReports::to(const std::string& monitor, const std::string& program,
                                            pid_t pid) {
    ProgressReports reports;
    reports.who_ = program + "[" + std::to_string(pid) + "]: ";
    if (monitor.empty())
        return reports;
    const Result<remote::Address> address = remote::parse_address(monitor, remote::monitor_port);
    if (!address)
        return Error{address.error().code, "RFORK_MONITOR: " + address.error().sentence};
    const Result<sockaddr_in> resolved = remote::resolve(*address);
    if (resolved) {
        reports.to_ = *resolved;
        reports.listening_ = true;
    }
    return reports;
}

capture::Monitor ProgressReports::dump_started(const std::string& host) {
    started_ = realtime_ns();
    if (!listening_)
        return {};
    say("dump started, for " + host);
    return {to_.sin_addr.s_addr, to_.sin_port, started_};
}

void ProgressReports::dump_finished(std::uint64_t bytes) {
    char text[96];
    std::snprintf(text, sizeof text, "dump finished, %llu bytes, %.1f ms",
                  static_cast<unsigned long long>(bytes), double(realtime_ns() - started_) / 1e6);
    say(text);
}

void ProgressReports::failed(const Error& error) {
    say("rfork failed: " + error.sentence);
}

// A report that cannot be sent must not stop what it is about.
void ProgressReports::say(const std::string& what) {
    if (!listening_)
        return;
    const std::string line = who_ + what;
    (void)bool(remote::send_report(to_, std::string_view(line).substr(0, remote::max_report)));
}

} // namespace rfork::journey
