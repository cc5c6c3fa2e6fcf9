#include "remote/report.h"

#include "base/unique_fd.h"

#include <cerrno>
#include <sys/socket.h>

namespace rfork::remote {

Result<void> send_report(const sockaddr_in& monitor, std::string_view message) {
    UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket)
        return system_error(errno, "cannot open a socket to report to notifyd");
    if (sendto(socket.get(), message.data(), message.size(), MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&monitor), sizeof monitor) < 0 &&
        errno != EAGAIN) // a full queue loses a datagram as the network does
        return system_error(errno, "cannot send a report to notifyd");
    return {};
}

} // namespace rfork::remote
