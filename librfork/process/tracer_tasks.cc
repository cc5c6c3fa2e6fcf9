// Which threads there are, as /proc lists them. The list is never of one moment: threads begin and
// end while it is read, so whoever stops them reads it again, and counts (tracer.cc).
#include "process/tracer.h"

#include "base/unique_fd.h"
#include "process/source.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace rfork::capture {

std::string Tracer::status_of(const std::string& name) const {
    UniqueFd file(open((directory_ + "/task/" + name + "/status").c_str(), O_RDONLY | O_CLOEXEC));
    std::string text; // a user in many groups has a long one
    char buffer[4096];
    ssize_t got;
    while (file && (got = ::read(file.get(), buffer, sizeof buffer)) > 0)
        text.append(buffer, std::size_t(got));
    return text;
}

// The names in /proc are of the pid namespace that it was mounted in, which need not be ours.
pid_t Tracer::tid_of(const std::string& name) const {
    const std::string numbers = field(status_of(name), "NSpid");
    const std::size_t last = numbers.find_last_of(" \t");
    return pid_t(std::atoi(numbers.c_str() + (last == std::string::npos ? 0 : last + 1)));
}

Result<std::vector<Tracer::Task>> Tracer::list() const {
    UniqueFd fd(open((directory_ + "/task").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd)
        return system_error(errno, "cannot list the threads of the process", "mount /proc");
    char self[32] = {};
    const bool foreign = readlink("/proc/self", self, sizeof self - 1) <= 0 ||
                         std::atoi(self) != int(arch::syscall(SYS_getpid));
    std::vector<Task> tasks;
    alignas(8) char buffer[8192];
    long got;
    while ((got = arch::syscall(SYS_getdents64, fd.get(), buffer, sizeof buffer)) > 0) {
        for (long at = 0; at < got;) {
            const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
            at += entry->d_reclen;
            if (entry->d_name[0] == '.')
                continue;
            Task task{entry->d_name, 0};
            task.tid = foreign ? tid_of(task.name) : std::atoi(task.name.c_str());
            if (task.tid)
                tasks.push_back(std::move(task));
        }
    }
    if (got < 0)
        return system_error(int(-got), "cannot list the threads of the process");
    return tasks;
}

// A thread that has ended is listed until it is waited for; the main thread, as long as there are
// others.
bool Tracer::has_ended(const Task& task) const {
    UniqueFd file(
        open((directory_ + "/task/" + task.name + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
    char text[256];
    const ssize_t got = file ? ::read(file.get(), text, sizeof text - 1) : 0;
    text[got > 0 ? got : 0] = '\0';
    const char* name_end = std::strrchr(text, ')');
    return !name_end || name_end[2] == 'Z' || name_end[2] == 'X';
}

// With those that have ended and have not been waited for.
std::size_t Tracer::count_threads() const {
    struct stat tasks {};
    stat((directory_ + "/task").c_str(), &tasks);
    return std::size_t(tasks.st_nlink) - 2; // ".", ".."
}

// A main thread that ends is not to be waited for as long as there are others.
bool Tracer::is_main_and_ended(pid_t tid) const {
    const std::string name = directory_.substr(directory_.rfind('/') + 1);
    return tid == main_ && has_ended({name, tid});
}

// A thread with filters of its own might be killed for what it is made to ask the kernel. What the
// calling thread has as well lets it pass. Looked at while the threads still run.
Result<void> Tracer::check_filters(const std::vector<Task>& tasks) const {
    auto filters = [this](const std::string& name) {
        const std::string status = status_of(name);
        return field(status, "Seccomp") + "/" + field(status, "Seccomp_filters");
    };
    std::string callers;
    for (const Task& task : tasks)
        if (task.tid == caller_)
            callers = filters(task.name);
    for (const Task& task : tasks) {
        if (is_known(task.tid) || task.tid == caller_)
            continue;
        const std::string own = filters(task.name);
        if (own != callers && own != "/")
            return Error{ENOTSUP,
                         "thread " + std::to_string(task.tid) +
                             " has other seccomp filters than the calling thread, which an "
                             "image cannot carry: call rfork() before it installs them"};
    }
    return {};
}

} // namespace rfork::capture
