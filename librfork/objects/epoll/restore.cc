// epoll_ctl(2) gives back what an instance watches, but not how far it has come. Three sorts of
// entries differ in that:
//
//   EPOLLONESHOT that has fired   Only firing disables it. It is added first, with every event there
//                                 is, so that it fires at once; to an end of a pipe for which
//                                 nothing is ready, something is made ready for that moment.
//   EPOLLET                       What is ready when it is added counts as news. If the instance had
//                                 none, they are taken out.
//   all others                    as they were
#include "format/kinds.h"
#include "format/records/epoll.h"

#include "stub/stub.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>

namespace rfork::stub {
namespace {

using kinds::EpollEntry;
using kinds::EpollRecord;

struct Epoll {
    int fd;
    const char* name;
};

bool is_disabled(const EpollEntry& entry) {
    return !(entry.events & ~(EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE));
}

bool has_old_news(const EpollRecord& record, const EpollEntry& entry) {
    return !record.ready && (entry.flags & kinds::epoll_quiet) && (entry.events & EPOLLET) &&
           !(entry.events & EPOLLONESHOT);
}

// One event, if there is any.
bool take(Epoll epoll) {
    epoll_event event;
    return arch::syscall(__NR_epoll_wait, epoll.fd, &event, 1, 0) == 1;
}

// False: the copy does not have the stream that the program watched.
bool control(const Stub& stub, Epoll epoll, int operation, const EpollEntry& entry,
             std::uint32_t events) {
    const epoll_event event{events, entry.data};
    const long r = arch::syscall(__NR_epoll_ctl, epoll.fd, operation, entry.number, &event);
    if (r == -EBADF && (entry.flags & kinds::epoll_stream))
        return false;
    if (r == -EPERM && (entry.flags & kinds::epoll_stream))
        fail(stub, EOPNOTSUPP,
             "the program watches a standard stream, and the one that the image was started with "
             "cannot be watched: start it with a pipe, a socket or a terminal;",
             epoll.name);
    if (r < 0)
        fail(stub, int(-r), "cannot watch again what an epoll instance of the program did,",
             epoll.name);
    return true;
}

// By the number with which it was added, if it still has that.
int descriptor_of(const Stub& stub, Epoll epoll, std::uint32_t object, int number) {
    const Descriptors descriptors = descriptors_of(stub, object);
    for (const image::Descriptor& d : descriptors)
        if (d.fd == number)
            return number;
    if (descriptors.empty())
        fail(stub, EBADMSG, "the image does not hold what an epoll instance watches,", epoll.name);
    return descriptors.front().fd;
}

// An entry is known by its file and the number with which it was added. If that number is another
// file's now, it is lent for the moment.
class Lent {
  public:
    Lent(const Stub& stub, Epoll epoll, const EpollEntry& entry)
        : number_(entry.number), file_(descriptor_of(stub, epoll, entry.file, entry.number)) {
        if (is_absent_stream(entry))
            number_ = file_;
        if (number_ == file_)
            return;
        saved_ = arch::syscall(__NR_fcntl, number_, F_DUPFD_CLOEXEC, 0);
        if (saved_ >= 0)
            close_on_exec_ = arch::syscall(__NR_fcntl, number_, F_GETFD) & FD_CLOEXEC;
        const long r = arch::syscall(__NR_dup3, file_, number_, O_CLOEXEC);
        if ((saved_ < 0 && saved_ != -EBADF) || r < 0)
            fail(stub, int(r < 0 ? -r : -saved_),
                 "cannot open again a descriptor that the program has closed since an epoll "
                 "instance watches it,",
                 epoll.name);
    }
    ~Lent() {
        if (number_ == file_)
            return;
        if (saved_ < 0) {
            arch::syscall(__NR_close, number_);
            return;
        }
        arch::syscall(__NR_dup3, saved_, number_, close_on_exec_ ? O_CLOEXEC : 0);
        arch::syscall(__NR_close, saved_);
    }
    Lent(const Lent&) = delete;
    Lent& operator=(const Lent&) = delete;

    int file() const { return file_; }
    // Where the descriptor is now that else has that number.
    int meanwhile(int number) const {
        return number == number_ && saved_ >= 0 ? int(saved_) : number;
    }

  private:
    // That the image was started without; control() finds that it is not there.
    bool is_absent_stream(const EpollEntry& entry) const {
        return (entry.flags & kinds::epoll_stream) &&
               arch::syscall(__NR_fcntl, file_, F_GETFD) == -EBADF;
    }

    int number_, file_;
    long saved_ = -1;
    bool close_on_exec_ = false;
};

void add(const Stub& stub, Epoll epoll, const EpollEntry& entry) {
    const Lent lent(stub, epoll, entry);
    control(stub, epoll, EPOLL_CTL_ADD, entry, entry.events);
}

// The empty pipe behind a read end gets a byte, the full one behind a write end gets longer, while
// the event is taken.
bool take_by_force(const Stub& stub, Epoll epoll, const EpollEntry& entry, const Lent& lent) {
    const Descriptors others = descriptors_of(stub, entry.other_end);
    char byte = 0;
    if (others.empty())
        return false;
    const int end = lent.file(), other = lent.meanwhile(others.front().fd);
    if ((arch::syscall(__NR_fcntl, end, F_GETFL) & O_ACCMODE) == O_RDONLY) {
        if (arch::syscall(__NR_write, other, &byte, 1) != 1)
            return false;
        const bool taken = take(epoll);
        arch::syscall(__NR_read, end, &byte, 1);
        return taken;
    }
    const long capacity = arch::syscall(__NR_fcntl, end, F_GETPIPE_SZ);
    if (arch::syscall(__NR_fcntl, end, F_SETPIPE_SZ, 2 * capacity) < 0)
        return false;
    const bool taken = take(epoll);
    arch::syscall(__NR_fcntl, end, F_SETPIPE_SZ, capacity);
    return taken;
}

void add_disabled(const Stub& stub, Epoll epoll, const EpollEntry& entry) {
    constexpr std::uint32_t any = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDNORM | EPOLLWRNORM |
                                  EPOLLRDBAND | EPOLLWRBAND | EPOLLRDHUP;
    const Lent lent(stub, epoll, entry);
    if (!control(stub, epoll, EPOLL_CTL_ADD, entry, entry.events | any))
        return;
    if (!take(epoll) && !take_by_force(stub, epoll, entry, lent))
        control(stub, epoll, EPOLL_CTL_MOD, entry, entry.events); // only errors and hang-ups fire
}

void watch(const Stub& stub, const EpollRecord& record, Epoll epoll) {
    const EpollEntry* entries = record.entry();
    for (std::uint32_t i = 0; i < record.entries; ++i)
        if (is_disabled(entries[i]))
            add_disabled(stub, epoll, entries[i]);
    for (std::uint32_t i = 0; i < record.entries; ++i)
        if (!is_disabled(entries[i]) && has_old_news(record, entries[i]))
            add(stub, epoll, entries[i]);
    while (take(epoll)) {
    }
    for (std::uint32_t i = 0; i < record.entries; ++i)
        if (!is_disabled(entries[i]) && !has_old_news(record, entries[i]))
            add(stub, epoll, entries[i]);
}

// Moves the instance to a number that it does not get, and at which it watches nothing.
int keep_clear(const Stub& stub, const EpollRecord& record, int fd, const char* name) {
    fd = set_aside(stub, fd, descriptors_of(stub, record.object.id), name);
    for (std::uint32_t i = 0; i < record.entries; ++i) {
        if (record.entry()[i].number != fd)
            continue;
        const long moved = arch::syscall(__NR_fcntl, fd, F_DUPFD_CLOEXEC, fd + 1);
        if (moved < 0)
            fail(stub, int(-moved), "cannot duplicate an epoll instance of the program,", name);
        arch::syscall(__NR_close, fd);
        return keep_clear(stub, record, int(moved), name);
    }
    return fd;
}

// The kernel binds such an entry to the process that adds it.
void check_no_signal_fd(const Stub& stub, const EpollRecord& record, const char* name) {
    Records objects = Records::of_objects(stub);
    while (const image::RecordHeader* header = objects.next())
        for (std::uint32_t i = 0; header->kind == image::Kind::signal_fd && i < record.entries; ++i)
            if (record.entry()[i].file == as<image::ObjectHeader>(*header).id)
                fail(stub, EOPNOTSUPP,
                     "of the several processes of the image one watches a signalfd by epoll, which "
                     "its stub cannot bring back,",
                     name);
}

} // namespace

void restore_epoll(Stub& stub, const image::RecordHeader& header) {
    const auto& record = as<EpollRecord>(header);
    const char* name = string_at(stub, record.object.name);
    if (are_several(stub))
        check_no_signal_fd(stub, record, name);
    const long made = arch::syscall(__NR_epoll_create1, O_CLOEXEC);
    if (made < 0)
        fail(stub, int(-made), "cannot make again an epoll instance of the program,", name);
    const int own = keep_clear(stub, record, int(made), name);
    const long shared = arch::syscall(__NR_fcntl, own, F_DUPFD_CLOEXEC, 0);
    if (shared < 0)
        fail(stub, int(-shared), "cannot duplicate an epoll instance of the program,", name);
    set_status_flags(stub, own, record.object.flags, name);
    const Descriptors descriptors = descriptors_of(stub, record.object.id);
    place(stub, set_aside(stub, int(shared), descriptors, name), descriptors, name);
    watch(stub, record, {own, name});
    arch::syscall(__NR_close, own);
}

} // namespace rfork::stub
