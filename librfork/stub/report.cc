// How the stub says what went wrong.
#include "stub/stub.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/poll.h>

namespace rfork::stub {
namespace {

// Only what the stub's own system calls can meet; a table of pointers would need relocation.
const char* words(int error) {
    switch (error) {
    case EPERM:
        return "operation not permitted";
    case ENOENT:
        return "no such file or directory";
    case EINTR:
        return "interrupted";
    case EIO:
        return "input/output error";
    case EBADF:
        return "bad file descriptor";
    case EAGAIN:
        return "resource temporarily unavailable";
    case ENOMEM:
        return "not enough memory";
    case EACCES:
        return "permission denied";
    case EEXIST:
        return "it exists already";
    case ENOTDIR:
        return "not a directory";
    case EISDIR:
        return "it is a directory";
    case ENFILE:
    case EMFILE:
        return "too many open files";
    case ETXTBSY:
        return "text file busy";
    case ENOSPC:
        return "no space left on device";
    case EROFS:
        return "read-only file system";
    case ENAMETOOLONG:
        return "file name too long";
    case ENOSYS:
        return "this kernel does not have that system call";
    case ELOOP:
        return "too many symbolic links";
    case EOVERFLOW:
        return "value too large";
    case ESTALE:
        return "stale file handle";
    case ETIMEDOUT:
        return "timed out";
    case EADDRINUSE:
        return "the address is in use";
    case EADDRNOTAVAIL:
        return "this host does not have that address";
    case EAFNOSUPPORT:
        return "this kernel does not have that address family";
    case EPROTONOSUPPORT:
        return "this kernel does not have that protocol";
    case ENOPROTOOPT:
        return "this kernel does not have that option";
    case ENOTTY:
        return "this kernel does not have that operation";
    case ENOBUFS:
        return "not enough buffers";
    case ENOLCK:
        return "no locks to be had here";
    case EBUSY:
        return "it is busy";
    case EDQUOT:
        return "disk quota exceeded";
    case ENODEV:
    case ENXIO:
        return "no such device";
    }
    return nullptr;
}

// Errors that no system call has returned: the sentence says all there is.
bool is_our_own(int error) {
    return error == EINVAL || error == EBADMSG || error == EOPNOTSUPP || error == ECANCELED;
}

} // namespace

void fail(const Stub& stub, int error, const char* what, const char* detail) {
    image::StatusMessage message{};
    message.magic = image::status_magic;
    message.stage = stub.stage;
    message.error = error;
    message.pid = stub.outer_pid;

    Text text(message.sentence, sizeof message.sentence);
    text << what;
    if (*detail)
        text << " '" << detail << "'";
    if (!is_our_own(error)) {
        if (const char* why = words(error))
            text << ": " << why;
        else
            text << ": error " << std::uint64_t(error);
    }

    refuse(stub, message);
}

void refuse(const Stub& stub, const image::StatusMessage& message) {
    const bool for_the_first = stub.process && !is_first(stub);
    const int listener = !for_the_first             ? stub.status_fd
                         : stub.built_pipe.out >= 0 ? stub.built_pipe.out
                                                    : stub.ready_pipe.out;
    if (listener >= 0) {
        arch::syscall(__NR_write, listener, &message, sizeof message);
    } else {
        char line[sizeof stub.called + sizeof message.sentence + 4];
        Text out(line, sizeof line);
        out << stub.called << ": " << message.sentence << "\n";
        end_progress(stub);
        const int to = stub.stream_fd[2] >= 0 ? stub.stream_fd[2] : 2;
        arch::syscall(__NR_write, to, line, out.size());
    }
    arch::syscall(__NR_exit_group, refusal_status);
    __builtin_unreachable();
}

bool takes_a_line(int fd) {
    pollfd ready{fd, POLLOUT, 0};
    return fd >= 0 && arch::syscall(__NR_poll, &ready, 1, 0) == 1 && ready.revents == POLLOUT;
}

void note(const Stub& stub, const char* what, const char* detail) {
    if (!takes_a_line(stub.stream_fd[2]))
        return;
    char line[sizeof stub.called + image::page_size]; // room for a path
    Text out(line, sizeof line);
    out << stub.called << ": note: " << what << " '" << detail << "'\n";
    arch::syscall(__NR_write, stub.stream_fd[2], line, out.size());
}

} // namespace rfork::stub
