// The new process, as the image's stub meets it:
//
//   descriptors   0 /dev/null, 1 and 2 the log, 3 the status pipe, and no others
//   environment   RFORK_TICKET for the stub, RFORK_OUTPUT, the path of the log, for what it tells
//                 the monitor, and RFORK_CPU, RFORK_PID, RFORK_FILES if rexecd has them: the
//                 administrator's word
//   session       a new one, of which it is the leader; so all that it starts, and that does not
//                 start a session of its own, can be found by its group when it has ended
//   directory     /, and the stub changes to the program's
//   signals       all default, none blocked (child.h)
#include "rexecd/launch.h"

#include "format/status.h"
#include "format/ticket.h"
#include "rexecd/child.h"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <vector>

namespace rexecd {

namespace {

using namespace rfork;

enum Number { status_number = 3, image_number = 4, first_free = 5 };

// For the stub alone: the program has its own environment in its memory.
std::vector<std::string> environment_of(const Start& start, const std::string& log) {
    std::vector<std::string> environment = {std::string(image::ticket_variable) + "=" +
                                                std::to_string(status_number) + "," +
                                                start.attempt + "," + start.ticket_path,
                                            "RFORK_OUTPUT=" + log};
    for (const char* name : {"RFORK_CPU", "RFORK_PID", "RFORK_FILES"}) // rfork-image(5)
        if (const char* value = ::getenv(name))
            environment.push_back(std::string(name) + "=" + value);
    return environment;
}

// Gives every descriptor its number. First to where they are not in each other's way.
bool place_descriptors(const Start& start, int log, int status) {
    int from[] = {::open("/dev/null", O_RDONLY | O_CLOEXEC), log, log, status, start.image};
    for (int& fd : from)
        if ((fd = ::fcntl(fd, F_DUPFD_CLOEXEC, first_free)) < 0)
            return false;
    for (int number = 0; number < first_free; ++number)
        if (::dup2(from[number], number) < 0)
            return false;
    ::fcntl(image_number, F_SETFD, FD_CLOEXEC);
    return ::close_range(first_free, ~0U, 0) == 0;
}

std::string exec_failure(int error, int image) {
    struct statvfs file_system;
    std::string sentence = "cannot execute the image: ";
    if (error == EACCES && ::fstatvfs(image, &file_system) == 0 && (file_system.f_flag & ST_NOEXEC))
        return sentence + "the spool is mounted noexec: mount it with exec";
    if (error == ETXTBSY)
        return sentence + "somebody still has it open for writing";
    if (error == ENOEXEC)
        return sentence + "this kernel does not run such files";
    return sentence + std::string(errno_text(error));
}

// Returns only if that fails.
void execute(const Start& start, const std::string& log) {
    std::vector<std::string> environment = environment_of(start, log);
    std::vector<char*> pointers;
    for (std::string& variable : environment)
        pointers.push_back(variable.data());
    pointers.push_back(nullptr);
    std::string name = start.log.program; // anybody can see it: not the ticket's name
    char* arguments[] = {name.data(), nullptr};
    ::execveat(image_number, "", arguments, pointers.data(), AT_EMPTY_PATH);
}

// What went wrong before the stub, in the words the stub would have used.
Error prepare_and_execute(const Start& start, Launched& launched, int& status) {
    if (::setsid() < 0 || ::chdir("/") != 0)
        return system_error(errno, "cannot prepare the process for the image");
    Result<ProgramLog> log = open_program_log(start.log, ::getpid());
    if (!log)
        return log.error();
    launched.log = log->file;
    launched.log_is_new = log->is_new;
    if (!place_descriptors(start, log->fd.release(), status))
        return system_error(errno == EINVAL ? EMFILE : errno, // a limit below the least number
                            "cannot prepare the process for the image",
                            "raise the limit on open files of rexecd (ulimit -n)");
    status = status_number;
    execute(start, launched.log.path);
    return {errno, exec_failure(errno, image_number)};
}

[[noreturn]] void be_the_program(const Start& start, Launched& launched, int status) {
    const Error failed = prepare_and_execute(start, launched, status);
    image::StatusMessage message{};
    message.magic = image::status_magic;
    message.stage = image::Stage::start;
    message.pid = ::getpid();
    message.error = failed.code;
    failed.sentence.copy(message.sentence, sizeof(message.sentence) - 1);
    [[maybe_unused]] ssize_t written = ::write(status, &message, sizeof(message));
    ::_exit(1);
}

// vfork: the child shares our memory until it executes, and what it allocates there on the way is
// lost; but this process ends soon, and a copy of its page tables would be made for nothing. A
// function of its own, since nothing in it may live in a register across the call.
[[gnu::noinline]] pid_t spawn(const Start& start, Launched& launched, int status) {
    const pid_t child = ::vfork();
    if (child == 0)
        be_the_program(start, launched, status);
    return child;
}

} // namespace

Result<Launched> launch(const Start& start) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        return system_error(errno, "cannot make a pipe for the image");
    Launched launched;
    launched.status.reset(ends[0]);
    UniqueFd write_end(ends[1]);
    launched.program = spawn(start, launched, write_end.get());
    if (launched.program < 0)
        return system_error(errno, "cannot fork a process for the image");
    return launched;
}

} // namespace rexecd
