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

// Where it is bound here.
struct Address {
    alignas(8) std::uint8_t bytes[sizeof ListeningSocketRecord::address];
    std::uint32_t size;

    sockaddr_un& of_unix() { return *reinterpret_cast<sockaddr_un*>(bytes); }
    const char* path() { return of_unix().sun_path; }
};

bool has_file(const ListeningSocketRecord& record) {
    return record.domain == af_unix && record.mode != kinds::no_socket_file;
}

void move(const Stub& stub, Address& address) {
    const char* here = path_here(stub, address.path());
    if (here == address.path())
        return;
    if (!copy_text(address.of_unix().sun_path, sizeof address.of_unix().sun_path, here))
        fail(stub, EINVAL, "RFORK_MAP makes the path of a socket longer than 107 bytes,", here);
    address.size = offsetof(sockaddr_un, sun_path) + length(here) + 1;
}

Address address_of(const Stub& stub, const ListeningSocketRecord& record) {
    Address address;
    __builtin_memcpy(address.bytes, record.address, sizeof address.bytes);
    address.size = record.address_size;
    if (has_file(record))
        move(stub, address);
    return address;
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
bool is_left_over(Address& address) {
    if (!is_socket(address.path()))
        return false;
    const long fd = arch::syscall(__NR_socket, af_unix, sock_dgram | O_CLOEXEC, 0);
    const long r = arch::syscall(__NR_connect, fd, address.bytes, address.size);
    arch::syscall(__NR_close, fd);
    return r == -ECONNREFUSED;
}

void bind(const Stub& stub, const ListeningSocketRecord& record, int fd, const char* name) {
    Address address = address_of(stub, record);
    long r = arch::syscall(__NR_bind, fd, address.bytes, address.size);
    if (r == -EADDRINUSE && has_file(record) && is_left_over(address)) {
        arch::syscall(__NR_unlink, address.path());
        r = arch::syscall(__NR_bind, fd, address.bytes, address.size);
    }
    if (r < 0)
        fail(stub, int(-r), "cannot bind a listening socket of the program again,", name);
    if (!has_file(record))
        return;
    if (r = arch::syscall(__NR_chmod, address.path(), record.mode); r < 0)
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
