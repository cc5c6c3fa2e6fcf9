#include "host.h"

#include "clock.h"
#include "failure.h"

#include <string_view>
#include <unistd.h>

namespace rfork::bench {
namespace {

std::vector<std::string> command(const std::string& rexecd, const Workplace& workplace) {
    std::vector<std::string> words{
        rexecd, "--listen", "127.0.0.1:0", "--spool", workplace.spool(), "--key", workplace.key()};
    if (::geteuid() == 0)
        words.push_back("--allow-root"); // the images will be root's own
    return words;
}

// Port 0 lets the kernel choose; the daemon's log tells what it chose.
std::string listening_address(const std::string& log) {
    static constexpr std::string_view announcement = "listening on ";
    auto at = log.find(announcement);
    if (at == std::string::npos)
        return "";
    at += announcement.size();
    auto end = log.find_first_not_of("0123456789.:", at);
    return end == std::string::npos ? "" : log.substr(at, end - at);
}

} // namespace

Host::Host(const std::string& rexecd, const Workplace& workplace, const char* name)
    : log_(workplace.path(name)),
      process_(command(rexecd, workplace), {"PATH=/usr/bin:/bin"}, log_.fd()) {
    for (int i = 0; i < 1000 && address_.empty(); ++i) {
        if (process_.ended())
            fail("rexecd does not start: " + log_.last_line());
        sleep_milliseconds(5);
        address_ = listening_address(log_.content());
    }
    if (address_.empty())
        fail("rexecd does not say where it listens");
}

} // namespace rfork::bench
