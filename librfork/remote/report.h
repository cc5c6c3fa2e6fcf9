// A line for notifyd: one datagram, sent and forgotten.
#pragma once

#include "base/result.h"

#include <netinet/in.h>
#include <string_view>

namespace rfork::remote {

inline constexpr std::size_t max_report = 1024; // bytes

Result<void> send_report(const sockaddr_in& monitor, std::string_view message);

} // namespace rfork::remote
