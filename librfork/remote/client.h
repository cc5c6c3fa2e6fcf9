// The caller's side of the protocol: ask until there is an answer.
#pragma once

#include "base/result.h"
#include "remote/protocol.h"

#include <netinet/in.h>
#include <string>

namespace rfork::remote {

struct Errand {
    image::Id request{};
    image::Id image{};
    std::string image_name;
    std::string host; // as the user wrote it, for sentences
    sockaddr_in address{};
    Key key{};
    int timeout_ms = 0; // without a sign of life
};

struct Reply {
    enum Kind { resumed, refused, silence } kind = silence;
    std::int64_t pid = 0;
    Error error;                  // refused, silence
    std::uint64_t first_sent = 0; // CLOCK_REALTIME, nanoseconds
};

// Sends the request, again and again with growing pauses and always the same request id, until it
// is answered or the time is over. "working" answers keep it waiting. An error that keeps anything
// from being sent is a silence too: whether a copy runs is never for the network to say.
Reply ask(const Errand& errand);

// Tells the target that the caller has won the claim. One datagram; nothing depends on it.
void cancel(const Errand& errand);

} // namespace rfork::remote
