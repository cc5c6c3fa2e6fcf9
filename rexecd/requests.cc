#include "rexecd/requests.h"

#include <cstring>

namespace rexecd {

using rfork::image::Id;
using rfork::remote::Message;
using rfork::remote::MessageKind;

bool IdOrder::operator()(const Id& a, const Id& b) const {
    return std::memcmp(a.bytes, b.bytes, sizeof(a.bytes)) < 0;
}

Requests::Requests(Now started, Limits limits)
    : limits_(limits), started_wall_(started.wall), generation_began_(started.steady) {}

Verdict Requests::receive(const Message& message, Now now) {
    expire(now.steady);
    if (message.kind != MessageKind::request && message.kind != MessageKind::cancel)
        return Verdict::ignore;
    bool timely = within_window(message.time, now.wall);
    if (timely && !is_new_nonce(message.nonce))
        return Verdict::ignore;

    auto known = entries_.find(message.request);
    if (message.kind == MessageKind::cancel) {
        if (known != entries_.end())
            known->second = {State::cancelled, now.steady, now.steady, {}};
        else if (timely)
            remember(message.request, State::cancelled, now);
        return Verdict::ignore;
    }
    if (known != entries_.end())
        return receive_known(known->second, now);
    return receive_new(message, timely, now);
}

Verdict Requests::receive_known(Entry& entry, Now now) {
    entry.last_heard = now.steady;
    switch (entry.state) {
    case State::running: // silence lets the caller give up, which is his to do
        return now.steady - entry.began > limits_.patience ? Verdict::ignore
                                                           : Verdict::answer_working;
    case State::finished:
        return Verdict::answer_again;
    case State::cancelled:
        break;
    }
    return Verdict::ignore;
}

Verdict Requests::receive_new(const Message& message, bool timely, Now now) {
    if (!timely)
        return Verdict::refuse_clock;
    if (!remember(message.request, State::running, now))
        return Verdict::ignore;
    return message.time < started_wall_ ? Verdict::start_claims_only : Verdict::start;
}

bool Requests::finish(const Id& request, Answer answer) {
    auto known = entries_.find(request);
    if (known == entries_.end() || known->second.state != State::running)
        return false;
    known->second.state = State::finished;
    known->second.answer = std::move(answer);
    return true;
}

const Answer& Requests::answer(const Id& request) const {
    return entries_.at(request).answer;
}

bool Requests::within_window(std::uint64_t time, std::uint64_t wall) const {
    return time > wall ? time - wall <= limits_.window : wall - time <= limits_.window;
}

bool Requests::remember(const Id& request, State state, Now now) {
    if (entries_.size() >= limits_.requests)
        return false;
    entries_.emplace(request, Entry{state, now.steady, now.steady, {}});
    expiries_.push_back({now.steady + retention(), request});
    return true;
}

bool Requests::is_new_nonce(std::uint64_t nonce) {
    if (older_nonces_.count(nonce) != 0 || nonces_.size() >= limits_.nonces)
        return false;
    return nonces_.insert(nonce).second;
}

void Requests::expire(std::uint64_t steady) {
    if (steady - generation_began_ >= retention()) {
        older_nonces_.swap(nonces_);
        nonces_.clear();
        generation_began_ = steady;
    }
    while (!expiries_.empty() && expiries_.front().time <= steady) {
        Id request = expiries_.front().request;
        expiries_.pop_front();
        auto entry = entries_.find(request);
        std::uint64_t due = entry->second.last_heard + retention();
        if (entry->second.state == State::running)
            due = steady + retention();
        if (due > steady)
            expiries_.push_back({due, request});
        else
            entries_.erase(entry);
    }
}

} // namespace rexecd
