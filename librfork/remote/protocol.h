// The datagrams between rfork() and rexecd; docs/protocol.md has the byte table and the state
// machine.
//
//   offset  size  field
//        0     4  magic "RFK2"
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
// Bodies, where a text is its length in 2 bytes and then as many bytes:
//   request                      user 4, outer user 4, image id 16, directory text, ticket text,
//   program text,
//                                log text, proof 32
//   hello, cancel, acknowledge   empty
//   working                      nonce of the datagram it answers 8
//   welcome                      that nonce 8, host text
//   resumed                      that nonce 8, pid 8, running text, log text
//   refused                      that nonce 8, errno 4, sentence text
//
// Nothing is parsed, allocated or answered before the MAC holds. Strangers get silence.
#pragma once

#include "base/result.h"
#include "format/format.h"
#include "remote/key.h"

#include <array>
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
inline constexpr std::size_t request_at = 8; // the request's id, in the header
inline constexpr std::size_t mac_size = 32;
inline constexpr std::size_t max_body = 1024;
inline constexpr std::size_t max_datagram = header_size + max_body + mac_size;
inline constexpr std::size_t max_name = 64;                // of directory, ticket, program, host
inline constexpr std::size_t max_running_name = 199;       // as image::StatusMessage has it
inline constexpr std::size_t max_log_name = 512;           // and of a pattern for one
inline constexpr std::size_t max_sentence = max_body - 14; // after nonce, error and its own length

enum class MessageKind : std::uint8_t {
    request = 1,     // caller -> rexecd: run the image that has this ticket
    cancel = 2,      // caller -> rexecd: given up, an answer is of no interest any more
    working = 3,     // rexecd -> caller: received, not yet running
    resumed = 4,     // rexecd -> caller: the copy runs, its ticket is called so now
    refused = 5,     // rexecd -> caller: not here, and why
    hello = 6,       // caller -> rexecd: are you there, with my key and my clock?
    welcome = 7,     // rexecd -> caller: yes
    acknowledge = 8, // caller -> rexecd: the ticket says that I know; the image may go
};

// That a request comes from somebody who can read the image: a MAC under the image's secret over
// the request's id and all else that it says.
using Proof = std::array<std::uint8_t, mac_size>;

struct Message {
    MessageKind kind{};
    image::Id request{};
    std::uint64_t time = 0; // nanoseconds
    std::uint64_t nonce = 0;
    std::uint64_t answers = 0; // all answers: the nonce of the datagram that is answered

    // request: these select an identity, which the directory then proves. Where the caller lives in
    // a user namespace, the target may be in the same one, or outside.
    std::uint32_t user = 0;       // as the caller calls himself
    std::uint32_t outer_user = 0; // as the namespace around him does
    image::Id image{};            // request: the id inside the image's header
    std::string directory;        // request: the user's, in the spool
    std::string ticket;           // request: a name in it
    std::string program;          // request: the program's own name, for people
    std::string log;              // request: pattern of its name; resumed: path of what it became
    Proof proof{};                // request: proof_of() it

    std::string host;       // welcome
    std::int64_t pid = 0;   // resumed; 0 when it is not known any more
    std::string running;    // resumed
    std::int32_t error = 0; // refused: an errno value
    std::string sentence;   // refused; cut to fit
};

bool is_answer(MessageKind kind);
std::uint64_t new_nonce(); // never 0

Proof proof_of(const Message& request, const image::Secret& secret);
bool is_proof(const Message& request, const image::Secret& secret); // in constant time

using Datagram = std::vector<std::uint8_t>;

// Fills in the time, and the nonce if there is none, encodes and authenticates. Texts that are too
// long are cut.
Datagram seal(Message message, const Key& key);

// The message if the datagram is well formed and its MAC holds, else nothing. Never allocates for a
// datagram whose MAC does not hold.
std::optional<Message> open(std::span<const std::uint8_t> datagram, const Key& key);

} // namespace rfork::remote
