// A listening socket is its address, the length of its queue, and its options. Which options the
// program has set, nobody tells; so each is compared with that of a new socket of the same type.
//
// Connections that wait to be accepted would be lost to the copy, and are a reason to refuse.
#include "format/kinds.h"
#include "format/records/listening_socket.h"

#include "objects/descriptors.h"
#include "process/source.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

namespace rfork::kinds {
namespace {

using capture::ProcessSnapshot;
using capture::Source;

int number_of(int fd, int level, int option) {
    int value = 0;
    socklen_t size = sizeof value;
    return getsockopt(fd, level, option, &value, &size) == 0 ? value : -1;
}

// --- Options ---

// In the order in which they are set: IP_TOS sets the priority, too. Newer ones by number.
constexpr struct {
    int level, option;
} options[] = {
    {IPPROTO_IP, IP_TOS},
    {IPPROTO_IP, IP_TTL},
    {IPPROTO_IP, IP_MTU_DISCOVER},
    {IPPROTO_IP, IP_RECVERR},
    {IPPROTO_IP, IP_RECVTOS},
    {IPPROTO_IP, IP_RECVTTL},
    {IPPROTO_IP, IP_PKTINFO},
    {IPPROTO_IP, IP_FREEBIND},
    {IPPROTO_IP, IP_TRANSPARENT},
    {IPPROTO_IP, IP_MINTTL},
    {IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT},
    {IPPROTO_IP, 51}, // IP_LOCAL_PORT_RANGE, Linux 6.3
    {IPPROTO_IPV6, IPV6_V6ONLY},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS},
    {IPPROTO_IPV6, IPV6_TCLASS},
    {IPPROTO_IPV6, IPV6_MTU_DISCOVER},
    {IPPROTO_IPV6, IPV6_RECVERR},
    {IPPROTO_IPV6, IPV6_RECVTCLASS},
    {IPPROTO_IPV6, IPV6_RECVPKTINFO},
    {IPPROTO_IPV6, IPV6_RECVHOPLIMIT},
    {IPPROTO_IPV6, IPV6_DONTFRAG},
    {IPPROTO_IPV6, IPV6_AUTOFLOWLABEL},
    {IPPROTO_IPV6, IPV6_ADDR_PREFERENCES},
    {IPPROTO_IPV6, IPV6_MINHOPCOUNT},
    {IPPROTO_IPV6, IPV6_TRANSPARENT},
    {IPPROTO_IPV6, IPV6_FREEBIND},
    {SOL_SOCKET, SO_REUSEADDR},
    {SOL_SOCKET, SO_REUSEPORT},
    {SOL_SOCKET, SO_BINDTODEVICE},
    {SOL_SOCKET, SO_KEEPALIVE},
    {SOL_SOCKET, SO_OOBINLINE},
    {SOL_SOCKET, SO_DONTROUTE},
    {SOL_SOCKET, SO_BROADCAST},
    {SOL_SOCKET, SO_LINGER},
    {SOL_SOCKET, SO_PRIORITY},
    {SOL_SOCKET, SO_MARK},
    {SOL_SOCKET, SO_RCVLOWAT},
    {SOL_SOCKET, SO_RCVTIMEO},
    {SOL_SOCKET, SO_SNDTIMEO},
    {SOL_SOCKET, SO_TIMESTAMP},
    {SOL_SOCKET, SO_TIMESTAMPNS},
    {SOL_SOCKET, SO_TIMESTAMPING},
    {SOL_SOCKET, SO_PASSCRED},
    {SOL_SOCKET, SO_PASSSEC},
    {SOL_SOCKET, 76}, // SO_PASSPIDFD, Linux 6.5
    {SOL_SOCKET, 83}, // SO_PASSRIGHTS, Linux 6.16
    {SOL_SOCKET, SO_PEEK_OFF},
    {SOL_SOCKET, SO_RXQ_OVFL},
    {SOL_SOCKET, SO_SELECT_ERR_QUEUE},
    {SOL_SOCKET, SO_BUSY_POLL},
    {SOL_SOCKET, SO_PREFER_BUSY_POLL},
    {SOL_SOCKET, SO_MAX_PACING_RATE},
    {SOL_SOCKET, SO_ZEROCOPY},
    {IPPROTO_TCP, TCP_NODELAY},
    {IPPROTO_TCP, TCP_CORK},
    {IPPROTO_TCP, TCP_MAXSEG},
    {IPPROTO_TCP, TCP_KEEPIDLE},
    {IPPROTO_TCP, TCP_KEEPINTVL},
    {IPPROTO_TCP, TCP_KEEPCNT},
    {IPPROTO_TCP, TCP_SYNCNT},
    {IPPROTO_TCP, TCP_LINGER2},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT},
    {IPPROTO_TCP, TCP_WINDOW_CLAMP},
    {IPPROTO_TCP, TCP_CONGESTION},
    {IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS},
    {IPPROTO_TCP, TCP_USER_TIMEOUT},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT},
    {IPPROTO_TCP, TCP_SAVE_SYN},
    {IPPROTO_TCP, TCP_FASTOPEN},
    {IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE},
    {IPPROTO_TCP, TCP_TX_DELAY},
};

bool applies(int domain, int level) {
    return level == SOL_SOCKET ||
           (domain == AF_UNIX ? false : level != IPPROTO_IPV6 || domain == AF_INET6);
}

bool get(int fd, SocketOption& option) {
    socklen_t size = sizeof option.value;
    if (getsockopt(fd, option.level, option.option, option.value, &size) != 0)
        return false;
    option.size = size;
    return true;
}

// The kernel tells twice of what it was asked for. A size that was set, even to the default, is no
// longer adjusted (SO_BUF_LOCK, Linux 5.14).
void add_buffer_sizes(int fd, int reference, std::vector<SocketOption>& set) {
    constexpr int buf_lock = 72;
    const int locks = std::max(number_of(fd, SOL_SOCKET, buf_lock), 0);
    constexpr struct { int option, lock; } sizes[] = {{SO_SNDBUF, 1}, {SO_RCVBUF, 2}};
    for (const auto& size : sizes) {
        int value = number_of(fd, SOL_SOCKET, size.option);
        if (value == number_of(reference, SOL_SOCKET, size.option) && !(locks & size.lock))
            continue;
        value /= 2;
        SocketOption option{SOL_SOCKET, size.option, sizeof value, {}};
        std::memcpy(option.value, &value, sizeof value);
        set.push_back(option);
    }
}

Result<std::vector<SocketOption>> options_of(const Source& source, const OpenDescription& d, int fd,
                                             const ListeningSocketRecord& record) {
    const Result<UniqueFd> reference = source.socket(record.domain, record.type, record.protocol);
    if (!reference)
        return Error{reference.error().code, label(d) + ": " + reference.error().sentence};
    std::vector<SocketOption> set;
    for (const auto& known : options) {
        SocketOption option{known.level, known.option, 0, {}}, usual = option;
        if (applies(record.domain, known.level) && get(fd, option) &&
            get(reference->get(), usual) && std::memcmp(&option, &usual, sizeof option) != 0)
            set.push_back(option);
    }
    add_buffer_sizes(fd, reference->get(), set);
    return set;
}

Result<void> check_filter(const OpenDescription& d, int fd) {
    socklen_t instructions = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, nullptr, &instructions) != 0 ? errno == EACCES
                                                                               : instructions > 0)
        return cannot_carry(d, "has a socket filter, which an image cannot carry yet");
    return {};
}

// --- The queue ---

Result<void> check_queue(const OpenDescription& d, int fd) {
    pollfd poll{fd, POLLIN, 0};
    if (::poll(&poll, 1, 0) != 0)
        return cannot_carry(d, "is a listening socket with connections that wait to be accepted, "
                               "which an image cannot carry (accept them first)");
    return {};
}

struct UnixQuestion {
    nlmsghdr header;
    unix_diag_req request;
};

// What only sock_diag(7) tells of a Unix socket.
struct UnixFacts {
    int backlog = SOMAXCONN; // given to listen(2); where nobody tells, the largest
    unix_diag_vfs file{};    // that bind(2) made; 0: not known
};

UnixFacts parse_answer(const char* answer, std::size_t size) {
    UnixFacts facts;
    for (std::size_t at = NLMSG_ALIGN(NLMSG_LENGTH(sizeof(unix_diag_msg)));
         at + sizeof(nlattr) <= size;) {
        const auto* attribute = reinterpret_cast<const nlattr*>(answer + at);
        const std::size_t length = attribute->nla_len;
        if (length < sizeof *attribute || at + length > size)
            break;
        if (attribute->nla_type == UNIX_DIAG_RQLEN &&
            length >= sizeof *attribute + sizeof(unix_diag_rqlen))
            facts.backlog =
                int(reinterpret_cast<const unix_diag_rqlen*>(attribute + 1)->udiag_wqueue);
        else if (attribute->nla_type == UNIX_DIAG_VFS &&
                 length >= sizeof *attribute + sizeof(unix_diag_vfs))
            facts.file = *reinterpret_cast<const unix_diag_vfs*>(attribute + 1);
        at += NLA_ALIGN(length);
    }
    return facts;
}

UnixFacts ask_unix(const Source& source, const OpenDescription& d) {
    const Result<UniqueFd> diag = source.socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
    UnixQuestion question{};
    question.header.nlmsg_len = sizeof question;
    question.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    question.header.nlmsg_flags = NLM_F_REQUEST;
    question.request.sdiag_family = AF_UNIX;
    question.request.udiag_states = ~0u;
    question.request.udiag_ino = std::uint32_t(d.st.st_ino);
    question.request.udiag_show = UDIAG_SHOW_RQLEN | UDIAG_SHOW_VFS;
    std::fill_n(question.request.udiag_cookie, 2, ~0u);
    alignas(8) char answer[1024];
    if (!diag || send(diag->get(), &question, sizeof question, 0) != sizeof question)
        return {};
    const ssize_t got = recv(diag->get(), answer, sizeof answer, 0);
    const auto* header = reinterpret_cast<const nlmsghdr*>(answer);
    if (got < ssize_t(sizeof *header + sizeof(unix_diag_msg)) ||
        header->nlmsg_type != SOCK_DIAG_BY_FAMILY || header->nlmsg_len > got)
        return {};
    return parse_answer(answer, header->nlmsg_len);
}

Result<int> tcp_backlog(const OpenDescription& d, int fd) {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return system_error(errno, "cannot ask for the queue of " + label(d));
    return int(info.tcpi_sacked); // that is what the field holds while a socket listens
}

// --- The address ---

std::string unix_address(const sockaddr_un& address, std::size_t size) {
    const std::size_t length = size - offsetof(sockaddr_un, sun_path);
    if (address.sun_path[0])
        return std::string(address.sun_path, strnlen(address.sun_path, length));
    return "@" + std::string(address.sun_path + 1, length - 1);
}

std::string ip_address(const ListeningSocketRecord& record) {
    char text[INET6_ADDRSTRLEN] = "?";
    if (record.domain == AF_INET) {
        const auto& address = reinterpret_cast<const sockaddr_in&>(record.address);
        inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
        return std::string(text) + ":" + std::to_string(ntohs(address.sin_port));
    }
    const auto& address = reinterpret_cast<const sockaddr_in6&>(record.address);
    inet_ntop(AF_INET6, &address.sin6_addr, text, sizeof text);
    return "[" + std::string(text) + "]:" + std::to_string(ntohs(address.sin6_port));
}

bool has_file(const ListeningSocketRecord& record) {
    return record.domain == AF_UNIX &&
           reinterpret_cast<const sockaddr_un&>(record.address).sun_path[0] != '\0';
}

enum class Same { no, yes, unknown };

// Whether a file is the one that bind(2) has made. The kernel tells half of the inode's number, and
// the device as it calls it itself, which some file systems (btrfs) do not.
Same compare(const unix_diag_vfs& bound, const struct stat& st) {
    constexpr unsigned minor_bits = 20;
    const auto device = std::uint32_t(major(st.st_dev) << minor_bits | minor(st.st_dev));
    if (bound.udiag_vfs_ino == 0 || bound.udiag_vfs_dev != device)
        return Same::unknown;
    return bound.udiag_vfs_ino == std::uint32_t(st.st_ino) ? Same::yes : Same::no;
}

// Another socket of the program that was bound to the same path: the later one's file has replaced
// the other's.
bool has_rival(const Source& source, const OpenDescriptions& all, const OpenDescription& d,
               const ListeningSocketRecord& record) {
    for (const OpenDescription& other : all) {
        if (&other == &d || other.kind != image::Kind::listening_socket || other.dropped)
            continue;
        const Result<UniqueFd> fd = source.descriptor(other.number());
        std::uint8_t address[sizeof record.address] = {};
        socklen_t size = sizeof address;
        if (fd && getsockname(fd->get(), reinterpret_cast<sockaddr*>(address), &size) == 0 &&
            std::memcmp(address, record.address, sizeof address) == 0)
            return true;
    }
    return false;
}

// A path is looked up as the program would, from its working directory.
Result<void> check_file(const Source& source, const ProcessSnapshot& process,
                        const OpenDescription& d, const unix_diag_vfs& bound,
                        ListeningSocketRecord& record) {
    record.mode = no_socket_file;
    if (!has_file(record))
        return {};
    struct stat st;
    const std::string path =
        unix_address(reinterpret_cast<const sockaddr_un&>(record.address), record.address_size);
    const bool there = source.examine(path, st, false) == 0 && S_ISSOCK(st.st_mode);
    const Same same = there ? compare(bound, st) : Same::no;
    if (same == Same::no ||
        (same == Same::unknown && has_rival(source, process.open_descriptions, d, record)))
        return cannot_carry(d, "listens at '" + path + "', where its socket is no longer");
    record.mode = st.st_mode & 07777;
    return {};
}

Result<ListeningSocketRecord> examine(const Source& source, const ProcessSnapshot& process,
                                      const OpenDescription& d, int fd) {
    ListeningSocketRecord record{};
    record.domain = number_of(fd, SOL_SOCKET, SO_DOMAIN);
    record.type = number_of(fd, SOL_SOCKET, SO_TYPE);
    record.protocol = number_of(fd, SOL_SOCKET, SO_PROTOCOL);
    socklen_t size = sizeof record.address;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(record.address), &size) != 0)
        return system_error(errno, "cannot ask for the address of " + label(d));
    record.address_size = size;
    const UnixFacts facts = record.domain == AF_UNIX ? ask_unix(source, d) : UnixFacts();
    const Result<int> backlog =
        record.domain == AF_UNIX ? Result<int>(facts.backlog) : tcp_backlog(d, fd);
    if (!backlog)
        return backlog.error();
    record.backlog = *backlog;
    if (Result<void> r = check_file(source, process, d, facts.file, record); !r)
        return r.error();
    return record;
}

Result<void> add(const Source& source, ProcessSnapshot& process, const OpenDescription& d) {
    const Result<UniqueFd> fd = source.descriptor(d.number());
    if (!fd)
        return fd.error();
    if (Result<void> r = check_queue(d, fd->get()); !r)
        return r;
    if (Result<void> r = check_filter(d, fd->get()); !r)
        return r;
    Result<ListeningSocketRecord> record = examine(source, process, d, fd->get());
    if (!record)
        return record.error();
    const Result<std::vector<SocketOption>> set = options_of(source, d, fd->get(), *record);
    if (!set)
        return set.error();
    const std::string at = record->domain == AF_UNIX
                               ? unix_address(reinterpret_cast<const sockaddr_un&>(record->address),
                                              record->address_size)
                               : ip_address(*record);
    record->object = add_object(process, d);
    record->object.name =
        process.all.strings.add("descriptor " + std::to_string(d.number()) + " at " + at);
    record->options = std::uint32_t(set->size());
    std::vector<std::uint8_t> extra;
    append(extra, *set);
    process.all.objects.add(image::Kind::listening_socket, *record, extra.data(), extra.size());
    return {};
}

} // namespace

bool is_listening_socket(const Source& source, const OpenDescriptions&, const OpenDescription& d) {
    if (!S_ISSOCK(d.st.st_mode) || (d.flags & O_PATH))
        return false;
    const Result<UniqueFd> fd = source.descriptor(d.number());
    if (!fd || number_of(fd->get(), SOL_SOCKET, SO_ACCEPTCONN) != 1)
        return false;
    const int domain = number_of(fd->get(), SOL_SOCKET, SO_DOMAIN);
    return domain == AF_UNIX || ((domain == AF_INET || domain == AF_INET6) &&
                                 number_of(fd->get(), SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP);
}

Result<void> collect_listening_socket(const Source& source, ProcessSnapshot& process) {
    return collect_each(source, process, image::Kind::listening_socket,
                        [&](const OpenDescription& d) { return add(source, process, d); });
}

} // namespace rfork::kinds
