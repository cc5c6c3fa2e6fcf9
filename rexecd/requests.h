// What rexecd remembers of requests: enough to start a runner for each but once in a while, and to
// answer it any number of times.
//
// A caller sends its request again and again, under one request id, each time with the time of
// sending and a nonce of its own, until it hears an answer. So a datagram whose nonce was seen is a
// duplicate that the network (or an enemy) made, and is ignored; a new nonce under a known id is a
// caller that has not heard us, and gets the answer again.
//
// All of this only saves work. That no copy runs twice rests on the tickets in the spool, which
// outlive this memory; so it may be forgotten at any time, and is, when there is too much of it: a
// runner that is started once more finds the ticket renamed, and answers from its name. For the
// same reason nothing is remembered of a request before its user is proved: whoever has the key
// could fill the memory of others otherwise. Pure logic, without clocks or sockets of its own.
#pragma once

#include "remote/protocol.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <sys/types.h>
#include <unordered_set>

namespace rexecd {

struct Answer {
    rfork::remote::MessageKind kind = rfork::remote::MessageKind::refused;
    std::int32_t error = 0;
    std::int64_t pid = 0;
    std::string running;
    std::string log;
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
    ignore,         // a duplicate, too old to be answered, or a runner that hangs
    refuse_clock,   // its time stamp is outside the window
    welcome,        // a hello
    answer_again,   // finished: see answer()
    answer_working, // a runner is at it
    start,          // unknown: start a runner
    cancelled,      // by its caller: nobody waits for the answer any more
    acknowledged,   // by its caller: the image may go
};

class Requests {
  public:
    struct Limits {
        std::uint64_t window = 60'000'000'000;
        std::uint64_t patience = 660'000'000'000; // then "working" is said no more
        std::uint64_t missing = 800'000'000;      // for a ticket that cannot be seen to appear
        std::size_t answers = 64 * 1024;          // remembered at once ...
        std::size_t answers_of_a_user = 4 * 1024; // ... and by each user
        std::size_t missed = 1024;
        std::size_t nonces = 256 * 1024; // remembered of each generation
    };

    explicit Requests(Now started) : Requests(started, Limits()) {}
    Requests(Now started, Limits limits) : limits_(limits), generation_began_(started.steady) {}

    Verdict receive(const rfork::remote::Message& message, Now now);

    // A runner is at work on it, for as long as the pools of runners allow.
    void started(const rfork::image::Id& request, Now now);

    // It has ended: with an answer, whose user is proved, or with nothing to remember. False if the
    // caller has cancelled it meanwhile.
    bool finish(const rfork::image::Id& request, uid_t user, Answer answer, Now now);
    bool forget(const rfork::image::Id& request);

    // A runner has not seen its ticket. True if that is so for too long by now; until then silence
    // lets the caller ask again.
    bool is_missing_for_good(const rfork::image::Id& request, Now now);

    // Of a request for which receive() said answer_again; valid until the next call.
    const Answer& answer(const rfork::image::Id& request) const;

    std::size_t remembered() const { return entries_.size(); }
    std::size_t remembered_nonces() const { return nonces_.size() + older_nonces_.size(); }

  private:
    struct Entry {
        enum State { running, finished } state = running;
        bool cancelled = false;
        uid_t user = 0;
        std::uint64_t began = 0, last_heard = 0; // steady
        Answer answer;
    };
    using Entries = std::map<rfork::image::Id, Entry, IdOrder>;

    struct Finished {
        std::uint64_t due; // steady; an entry heard of since is put back at the end
        rfork::image::Id request;
    };

    void expire(std::uint64_t steady);
    bool is_new_nonce(std::uint64_t nonce, std::uint64_t steady);
    bool within_window(std::uint64_t time, std::uint64_t wall) const;
    Verdict receive_request(const rfork::remote::Message& message, Now now);
    void make_room(uid_t user);
    void drop(Entries::iterator entry);
    void turn_generation(std::uint64_t steady);
    std::uint64_t retention() const { return 2 * limits_.window; }

    Limits limits_;
    Entries entries_;
    std::map<uid_t, std::deque<Finished>> finished_; // of each user, in order
    std::size_t finished_count_ = 0;
    std::map<rfork::image::Id, std::uint64_t, IdOrder> missed_; // since when

    // Nonces live in two generations, each collected over one retention time, or until it is full.
    std::unordered_set<std::uint64_t> nonces_, older_nonces_;
    std::uint64_t generation_began_;
};

} // namespace rexecd
