#include "moving.h"

#include "base/directory_names.h"
#include "base/proc.h"
#include "journey/settings.h"
#include "remote/decide_outcome.h"
#include "remote/spool.h"
#include "remote/user_directory.h"
#include "traced/admission.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sstream>
#include <sys/file.h>
#include <unistd.h>
#include <vector>

namespace rfork::tool {
namespace {

// When a process began: pids are used again. Field 22 of proc(5)'s stat.
std::string start_of(pid_t pid) {
    std::istringstream fields(fields_in_stat(text_of("/proc/" + std::to_string(pid) + "/stat")));
    std::string value;
    for (int i = 3; i <= 22; ++i)
        fields >> value;
    return value;
}

// Those of this machine, as it runs now.
std::string prefix() {
    constexpr std::size_t enough = 8;
    return "moving." + text_of("/proc/sys/kernel/random/boot_id").substr(0, enough) + ".";
}

std::string name_for(pid_t pid) {
    return prefix() + std::to_string(pid) + "." + start_of(pid);
}

// Nothing if the rfork that wrote it lives.
Result<void> settle_record(const std::string& directory, const std::string& name, pid_t pid) {
    const std::string path = directory + "/" + name;
    const UniqueFd file(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!file || flock(file.get(), LOCK_EX | LOCK_NB) != 0)
        return {};
    const std::string text = text_of(path);
    const std::string ticket = text.substr(0, text.find('\n'));
    if (ticket.size() == text.size() ||
        name != name_for(pid)) { // half written; or the process ended
        unlink(path.c_str());
        return {};
    }
    remote::OpenDirectory open_directory(directory);
    const remote::Outcome outcome =
        remote::decide_outcome({open_directory, ticket, false, remote::boottime_ms()});
    const bool runs = outcome == remote::Outcome::runs;
    const std::string label = capture::label_of(pid);
    if (kill(pid, runs ? SIGKILL : SIGCONT) != 0)
        return system_error(errno, "cannot signal " + label);
    unlink(path.c_str());
    if (!runs)
        unlink((directory + "/" + remote::given_up_name(ticket)).c_str());
    std::fprintf(stderr, "rfork: note: an rfork that was moving %s was killed: %s\n", label.c_str(),
                 runs ? "it runs on the other host, so it has been ended here"
                      : "no copy runs, so it goes on here");
    return {};
}

} // namespace

Result<Moving> Moving::begin(pid_t pid, const std::string& directory, const std::string& ticket) {
    std::string path = directory + "/" + name_for(pid);
    UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    const std::string text = ticket + "\n";
    if (!fd || flock(fd.get(), LOCK_EX | LOCK_NB) != 0 || ftruncate(fd.get(), 0) != 0 ||
        write(fd.get(), text.data(), text.size()) != ssize_t(text.size()))
        return system_error(errno, "cannot write down in '" + path + "' where " +
                                       capture::label_of(pid) + " goes");
    return Moving(std::move(path), std::move(fd));
}

Moving::~Moving() {
    if (fd_)
        unlink(path_.c_str());
}

Result<void> settle(const std::string& directory, pid_t pid) {
    return settle_record(directory, name_for(pid), pid);
}

Result<void> settle_all() {
    const Result<journey::Settings> settings = journey::read_settings();
    if (!settings)
        return settings.error();
    const Result<remote::UserDirectory> directory =
        remote::find_or_make_user_directory(settings->spool);
    if (!directory)
        return directory.error();
    const std::string ours = prefix();
    std::vector<std::string> names;
    for_each_name(directory->fd.get(), [&](std::string_view name) {
        if (name.starts_with(ours))
            names.emplace_back(name);
    });
    for (const std::string& name : names)
        if (Result<void> r =
                settle_record(directory->path, name, pid_t(std::atoi(name.c_str() + ours.size())));
            !r)
            return r;
    return {};
}

} // namespace rfork::tool
