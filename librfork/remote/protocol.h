// The datagrams between rfork() and rexecd; docs/protocol.md has the byte table and the state
// machine.
//
//   offset  size  field
//        0     4  magic "RFK1"
//        4     1  kind
//        5     3  zero
//        8    16  request id: the same in every retransmission and answer of one rfork()
//       24     8  time sent, CLOCK_REALTIME nanoseconds, little-endian like everything here
//       32     8  nonce, random, new in every datagram
//       40     2  body length
//       42     6  zero
//       48     n  body, at most max_body bytes
//     48+n    32  MAC: HMAC-SHA512-256 over all that precedes, under the shared key
//
// Bodies:
//   request, cancel   image id 16, zero 4, name length 2, image name
//   working           empty
//   resumed           pid 8
//   refused           errno 4, sentence length 2, sentence
//
// Nothing is parsed, allocated or answered before the MAC holds. Strangers get silence.
#pragma once

#include "base/result.h"
#include "image/format.h"
#include "remote/key.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rfork::remote {

inline constexpr std::uint16_t default_port = 7411;
inline constexpr std::size_t header_size = 48;
inline constexpr std::size_t mac_size = 32;
inline constexpr std::size_t max_body = 1024;
inline constexpr std::size_t max_datagram = header_size + max_body + mac_size;
inline constexpr std::size_t max_name = 255;              // of an image
inline constexpr std::size_t max_sentence = max_body - 6; // after the error and its own length

enum class MessageKind : std::uint8_t {
    request = 1, // caller -> rexecd: run this image
    cancel = 2,  // caller -> rexecd: I have won the claim, forget the request
    working = 3, // rexecd -> caller: received, not yet running
    resumed = 4, // rexecd -> caller: the copy runs
    refused = 5, // rexecd -> caller: not here, and why; certain once the caller has the claim too
};

struct Message {
    MessageKind kind{};
    image::Id request{};
    std::uint64_t time = 0; // nanoseconds
    std::uint64_t nonce = 0;
    image::Id image{};      // request, cancel: the id inside the image's header
    std::string image_name; // request, cancel: its name in the spool
    std::int64_t pid = 0;   // resumed; 0 when it is not known any more
    std::int32_t error = 0; // refused: an errno value
    std::string sentence;   // refused; cut to fit
};

using Datagram = std::vector<std::uint8_t>;

// Fills in time and nonce, encodes and authenticates. Empty when the image name is longer than
// max_name.
Datagram seal(Message message, const Key& key);

// The message if the datagram is well formed and its MAC holds, else nothing. Never allocates for a
// datagram whose MAC does not hold.
std::optional<Message> open(std::span<const std::uint8_t> datagram, const Key& key);

} // namespace rfork::remote
