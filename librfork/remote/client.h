// The caller's side of the protocol: greet, then ask until there is an answer.
#pragma once

#include "base/result.h"
#include "remote/protocol.h"
#include "remote/user_directory.h"

#include <memory>
#include <netinet/in.h>
#include <string>

namespace rfork::remote {

struct ResumeRequest {
    image::Id id{};
    std::string host; // as the user wrote it, for sentences
    sockaddr_in address{};
    Key key{};
    int timeout_ms = 0; // without a sign of life

    // Of a request only.
    image::Id image{};
    image::Secret secret{};
    uid_t user = 0, outer_user = 0;
    OpenDirectory* directory = nullptr; // the user's in the spool
    std::string directory_name;
    std::string ticket;
    std::string program;
    std::string log; // pattern
};

struct Reply {
    enum Kind { resumed, refused, silence } kind = silence;
    std::int64_t pid = 0;         // resumed
    std::string log;              // resumed: path on the target
    Error error;                  // refused, silence
    std::uint64_t first_sent = 0; // CLOCK_REALTIME, nanoseconds
    bool said_resumed = false;    // though the ticket does not bear it out (yet)
};

struct Welcome {
    std::string host;            // as it calls itself
    std::int64_t round_trip_ns;  // of the datagram that was answered
    std::int64_t clock_ahead_ns; // of ours, as well as the round trip lets it be known
};

// Whether a rexecd with this key and this time answers at all, before anything is frozen for it.
// The question goes out with the constructor, so that the caller can do other things until the
// answer is there.
class Conversation;
class Greeting {
  public:
    explicit Greeting(const ResumeRequest& request);
    Greeting(const Greeting&) = delete;
    Greeting& operator=(const Greeting&) = delete;
    ~Greeting();
    Result<Welcome> answer(); // waits for it

  private:
    std::unique_ptr<Conversation> conversation_;
};

// Sends the request, again and again with growing pauses and always the same request id, until it
// is answered or the time is over. "working" keeps it waiting, for as long as an honest target may
// say so. An error that keeps anything from being sent is a silence too.
//
// Nothing is believed because a datagram says so. "resumed" is returned only once the ticket has
// been acknowledged in the spool (remote/ticket.h); what else is returned is a reason to give up,
// for which the ticket has to be won.
Reply ask(const ResumeRequest& request);

// Tell the target how it ended. One datagram; nothing depends on it.
void cancel(const ResumeRequest& request);
void acknowledge(const ResumeRequest& request);

} // namespace rfork::remote
