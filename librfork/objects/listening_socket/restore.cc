#include "format/records/listening_socket.h"

#include "stub/stub.h"

#include <asm/socket.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/stat.h>
#include <linux/un.h>

namespace rfork::stub {
namespace {

using kinds::ListeningSocketRecord;
using kinds::SocketOption;

constexpr int af_unix = 1, sock_dgram = 2;
constexpr std::uint32_t type_mask = 0170000, socket_type = 0140000;

const char* path_of(const ListeningSocketRecord& record) {
    return reinterpret_cast<const sockaddr_un*>(record.address)->sun_path;
}

// Buffers larger than an ordinary user may have are left to those who may.
long set(int fd, const SocketOption& option) {
    const int force = option.level != SOL_SOCKET   ? 0
                      : option.option == SO_SNDBUF ? SO_SNDBUFFORCE
                      : option.option == SO_RCVBUF ? SO_RCVBUFFORCE
                                                   : 0;
    if (force &&
        arch::syscall(__NR_setsockopt, fd, option.level, force, option.value, option.size) >= 0)
        return 0;
    return arch::syscall(__NR_setsockopt, fd, option.level, option.option, option.value,
                         option.size);
}

void set_options(const Stub& stub, const ListeningSocketRecord& record, int fd, const char* name) {
    for (std::uint32_t i = 0; i < record.options; ++i) {
        const SocketOption& option = record.option()[i];
        const long r = set(fd, option);
        if (r >= 0)
            continue;
        char what[120];
        Text(what, sizeof what) << "cannot set option " << std::uint64_t(option.option)
                                << " of level " << std::uint64_t(option.level)
                                << " of a listening socket of the program,";
        fail(stub, int(-r), what, name);
    }
}

bool is_socket(const char* path) {
    struct statx st;
    return arch::syscall(__NR_statx, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &st) == 0 &&
           (st.stx_mode & type_mask) == socket_type;
}

// A socket's file outlives the socket. To ask, a socket of another type is connected: a living one
// refuses that without noticing.
bool is_left_over(const ListeningSocketRecord& record) {
    if (record.domain != af_unix || record.mode == kinds::no_socket_file ||
        !is_socket(path_of(record)))
        return false;
    const long fd = arch::syscall(__NR_socket, af_unix, sock_dgram | O_CLOEXEC, 0);
    const long r = arch::syscall(__NR_connect, fd, record.address, record.address_size);
    arch::syscall(__NR_close, fd);
    return r == -ECONNREFUSED;
}

void bind(const Stub& stub, const ListeningSocketRecord& record, int fd, const char* name) {
    long r = arch::syscall(__NR_bind, fd, record.address, record.address_size);
    if (r == -EADDRINUSE && is_left_over(record)) {
        arch::syscall(__NR_unlink, path_of(record));
        r = arch::syscall(__NR_bind, fd, record.address, record.address_size);
    }
    if (r < 0)
        fail(stub, int(-r), "cannot bind a listening socket of the program again,", name);
    if (record.mode == kinds::no_socket_file)
        return;
    if (r = arch::syscall(__NR_chmod, path_of(record), record.mode); r < 0)
        fail(stub, int(-r), "cannot set the mode of a socket of the program,", name);
}

} // namespace

void restore_listening_socket(Stub& stub, const image::RecordHeader& header) {
    const auto& record = as<ListeningSocketRecord>(header);
    const char* name = string_at(stub, record.object.name);
    const long made =
        arch::syscall(__NR_socket, record.domain, record.type | O_CLOEXEC, record.protocol);
    if (made < 0)
        fail(stub, int(-made), "cannot make again a listening socket of the program,", name);
    const int fd = int(made);
    set_options(stub, record, fd, name);
    bind(stub, record, fd, name);
    if (long r = arch::syscall(__NR_listen, fd, record.backlog); r < 0)
        fail(stub, int(-r), "cannot listen again on a socket of the program,", name);
    set_status_flags(stub, fd, record.object.flags, name);
    place(stub, fd, record.object);
}

} // namespace rfork::stub
