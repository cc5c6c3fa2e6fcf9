// The UDP socket. An answer leaves from the very address that the request was sent to, which on a
// host with several is not what the kernel would choose, and which callers insist on.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <cstddef>
#include <cstdint>
#include <netinet/in.h>
#include <optional>
#include <span>

namespace rexecd {

struct Peer {
    sockaddr_in address{}; // where a datagram came from
    in_addr ours{};        // the address of ours it was sent to
};

class DatagramSocket {
  public:
    static rfork::Result<DatagramSocket> bound_to(const sockaddr_in& address);

    int fd() const { return fd_.get(); }
    sockaddr_in address() const;

    struct Received {
        std::size_t size = 0; // more than the buffer when the datagram was longer
        Peer from;
    };
    // Nothing when no datagram is waiting. Errors that a peer or the network caused are passed
    // over.
    std::optional<Received> receive(std::span<std::uint8_t> buffer);

    // Never waits; a datagram that cannot leave is lost, as datagrams are.
    void send(std::span<const std::uint8_t> datagram, const Peer& to);

  private:
    rfork::UniqueFd fd_;
};

} // namespace rexecd
