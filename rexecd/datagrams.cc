#include "rexecd/datagrams.h"

#include "remote/address.h"

#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>

namespace rexecd {

using rfork::Result;

namespace {

// One struct in_pktinfo beside the data, in a buffer that is aligned for it.
union Control {
    char bytes[CMSG_SPACE(sizeof(in_pktinfo))];
    cmsghdr aligned;
};

constexpr int failures_passed_over = 16; // at a time; an ICMP error is reported by one receive

// Of a daemon that was killed a child may live that has not come to close the socket yet.
int bind_patiently(int socket, const sockaddr_in& address) {
    constexpr int tries = 100, pause_ms = 20;
    for (int i = 1;; ++i) {
        if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0)
            return 0;
        if (errno != EADDRINUSE || i == tries)
            return -1;
        ::poll(nullptr, 0, pause_ms);
    }
}

} // namespace

Result<DatagramSocket> DatagramSocket::bound_to(const sockaddr_in& address) {
    DatagramSocket socket;
    socket.fd_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket.fd_)
        return rfork::system_error(errno, "cannot make a socket");
    int on = 1;
    if (::setsockopt(socket.fd(), IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) != 0 ||
        bind_patiently(socket.fd(), address) != 0)
        return rfork::remote::cannot_listen(address, errno);
    return socket;
}

sockaddr_in DatagramSocket::address() const {
    sockaddr_in address{};
    socklen_t size = sizeof(address);
    ::getsockname(fd(), reinterpret_cast<sockaddr*>(&address), &size);
    return address;
}

std::optional<DatagramSocket::Received> DatagramSocket::receive(std::span<std::uint8_t> buffer) {
    for (int failures = 0; failures < failures_passed_over; ++failures) {
        Received received;
        Control control{};
        iovec data{buffer.data(), buffer.size()};
        msghdr message{};
        message.msg_name = &received.from.address;
        message.msg_namelen = sizeof(received.from.address);
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        ssize_t size = ::recvmsg(fd(), &message, MSG_TRUNC);
        if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return std::nullopt;
        if (size < 0)
            continue;
        received.size = static_cast<std::size_t>(size);
        for (cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part))
            if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
                in_pktinfo info;
                std::memcpy(&info, CMSG_DATA(part), sizeof(info));
                received.from.ours = info.ipi_spec_dst;
            }
        return received;
    }
    return std::nullopt;
}

void DatagramSocket::send(std::span<const std::uint8_t> datagram, const Peer& to) {
    sockaddr_in address = to.address;
    Control control{};
    iovec data{const_cast<std::uint8_t*>(datagram.data()), datagram.size()};
    msghdr message{};
    message.msg_name = &address;
    message.msg_namelen = sizeof(address);
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = &control;
    message.msg_controllen = sizeof(control);
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = IPPROTO_IP;
    part->cmsg_type = IP_PKTINFO;
    part->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
    in_pktinfo info{};
    info.ipi_spec_dst = to.ours;
    std::memcpy(CMSG_DATA(part), &info, sizeof(info));
    ::sendmsg(fd(), &message, MSG_NOSIGNAL);
}

} // namespace rexecd
