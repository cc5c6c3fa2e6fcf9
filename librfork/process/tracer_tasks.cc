// Which threads there are, as /proc lists them. The list is never of one moment: threads begin and
// end while it is read, so whoever stops them reads it again, and counts (tracer.cc).
#include "process/tracer.h"

#include "base/directory_names.h"
#include "base/proc.h"
#include "base/unique_fd.h"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace rfork::capture {

std::string filters_in(const std::string& status) {
    return field(status, "Seccomp") + "/" + field(status, "Seccomp_filters");
}

std::string Tracer::status_of(const std::string& name) const {
    return text_of(directory_ + "/task/" + name + "/status");
}

// The names in /proc are of the pid namespace that it was mounted in, which need not be ours.
pid_t Tracer::tid_of(const std::string& name) const {
    return own_id_in(status_of(name));
}

Result<std::vector<Tracer::Task>> Tracer::list() const {
    UniqueFd fd(open((directory_ + "/task").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd)
        return system_error(errno, "cannot list the threads of the process", "mount /proc");
    const bool foreign = !proc_has_own_pids();
    std::vector<Task> tasks;
    const int error = for_each_name(fd.get(), [&](std::string_view name) {
        if (name[0] == '.')
            return;
        Task task{std::string(name), 0};
        task.tid = foreign ? tid_of(task.name) : std::atoi(task.name.c_str());
        if (task.tid)
            tasks.push_back(std::move(task));
    });
    if (error)
        return system_error(error, "cannot list the threads of the process");
    return tasks;
}

// A thread that has ended is listed until it is waited for; the main thread, as long as there are
// others.
bool Tracer::has_ended(const Task& task) const {
    const std::string fields = fields_in_stat(text_of(directory_ + "/task/" + task.name + "/stat"));
    return fields.empty() || fields[0] == 'Z' || fields[0] == 'X';
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

std::string Tracer::filters_of(pid_t tid, const std::vector<Task>& tasks) const {
    for (const Task& task : tasks)
        if (task.tid == tid)
            return filters_in(status_of(task.name));
    return {};
}

// A thread with filters of its own might be killed for what it is made to ask the kernel. Looked at
// while the threads still run.
Result<void> Tracer::check_filters(const std::vector<Task>& tasks) const {
    const std::string to_have = filters_to_have();
    for (const Task& task : tasks) {
        if (is_known(task.tid) || task.tid == caller_)
            continue;
        const std::string own = filters_in(status_of(task.name));
        if (own != to_have && own != "/")
            return Error{ENOTSUP, "thread " + std::to_string(task.tid) +
                                      " has seccomp filters of its own, which an image cannot "
                                      "carry" +
                                      remedy("before it installs them")};
    }
    return {};
}

} // namespace rfork::capture
