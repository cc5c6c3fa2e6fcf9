// Where a daemon is: "name", "name:port", "192.0.2.1", "192.0.2.1:port".
#pragma once

#include "base/result.h"

#include <cstdint>
#include <netinet/in.h>
#include <string>
#include <string_view>

namespace rfork::remote {

inline constexpr std::uint16_t monitor_port = 7412; // notifyd; rexecd's is in protocol.h

struct Address {
    std::string host;
    std::uint16_t port = 0;
};

// Port 0 means "any free one", which makes sense only where one listens.
enum class PortZero { refused, allowed };

// EINVAL and a sentence for what is none of the four forms. Looks nothing up.
Result<Address> parse_address(std::string_view text, std::uint16_t default_port,
                              PortZero port_zero = PortZero::refused);

// EHOSTUNREACH and a sentence when the name is not known. May take as long as getaddrinfo(3) does.
Result<sockaddr_in> resolve(const Address& address);

// Why bind(2) has failed there, and what to do.
Error cannot_listen(const sockaddr_in& address, int code);

std::string address_text(const sockaddr_in& address); // "192.0.2.1:7411"

} // namespace rfork::remote
