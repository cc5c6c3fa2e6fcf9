// What rexecd remembers of requests: enough to run each at most once and to answer it any number of
// times.
//
// A caller sends its request again and again, under one request id, each time with the time of
// sending and a nonce of its own, until it hears an answer. So a datagram whose nonce was seen is a
// duplicate that the network (or an enemy) made, and is ignored; a new nonce under a known id is a
// caller that has not heard us, and gets the answer again. A datagram older or newer than the
// window is not worth an entry here, and everything that is remembered is kept for two windows,
// which is longer than any datagram about it can still be accepted: one window for the way, one for
// a clock that is fast.
//
// All of this only saves work and answers questions. That no copy runs twice rests on the claims in
// the spool, which outlive this memory; so when it is full, or lost in a restart, silence or a
// refusal is always safe. Pure logic, without clocks or sockets of its own.
#pragma once

#include "remote/protocol.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <unordered_set>

namespace rexecd {

struct Answer {
    rfork::remote::MessageKind kind = rfork::remote::MessageKind::refused;
    std::int32_t error = 0;
    std::int64_t pid = 0;
    std::string sentence;
};

// Nanoseconds: `wall` to be compared with time stamps, `steady` to let entries expire.
struct Now {
    std::uint64_t wall = 0;
    std::uint64_t steady = 0;
};

struct IdOrder {
    bool operator()(const rfork::image::Id& a, const rfork::image::Id& b) const;
};

enum class Verdict {
    ignore,            // a duplicate, cancelled, no request at all, no room, or a runner that hangs
    refuse_clock,      // its time stamp is outside the window
    answer_again,      // finished: see answer()
    answer_working,    // a runner is at it
    start,             // new: start a runner, and tell finish() what came of it
    start_claims_only, // likewise, but it was sent before we started: a predecessor may have run it
};

class Requests {
  public:
    struct Limits {
        std::uint64_t window = 60'000'000'000;
        std::uint64_t patience = 660'000'000'000; // then "working" is said no more
        std::size_t requests = 128 * 1024;        // remembered at once: a thousand a second
        std::size_t nonces = 256 * 1024;          // remembered of each generation
    };

    explicit Requests(Now started) : Requests(started, Limits()) {}
    Requests(Now started, Limits limits);

    Verdict receive(const rfork::remote::Message& message, Now now);

    // The runner of `request` is done. False when the request was cancelled meanwhile.
    bool finish(const rfork::image::Id& request, Answer answer);

    // Of a request for which receive() said answer_again; valid until the next call.
    const Answer& answer(const rfork::image::Id& request) const;

    std::size_t remembered() const { return entries_.size(); }
    std::size_t remembered_nonces() const { return nonces_.size() + older_nonces_.size(); }

  private:
    enum class State { running, finished, cancelled };
    struct Entry {
        State state;
        std::uint64_t began, last_heard; // steady
        Answer answer;
    };
    struct Expiry {
        std::uint64_t time; // steady
        rfork::image::Id request;
    };

    void expire(std::uint64_t steady);
    bool is_new_nonce(std::uint64_t nonce);
    bool within_window(std::uint64_t time, std::uint64_t wall) const;
    Verdict receive_known(Entry& entry, Now now);
    Verdict receive_new(const rfork::remote::Message& message, bool timely, Now now);
    bool remember(const rfork::image::Id& request, State state, Now now);
    std::uint64_t retention() const { return 2 * limits_.window; }

    Limits limits_;
    std::uint64_t started_wall_;
    std::map<rfork::image::Id, Entry, IdOrder> entries_;
    std::deque<Expiry> expiries_; // in order; an entry heard of since is put back at the end

    // Nonces live in two generations, each collected over one retention time.
    std::unordered_set<std::uint64_t> nonces_, older_nonces_;
    std::uint64_t generation_began_;
};

} // namespace rexecd
