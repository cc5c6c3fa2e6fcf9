#include "rexecd/requests.h"

#include <cstring>

namespace rexecd {

using rfork::image::Id;
using rfork::remote::Message;
using rfork::remote::MessageKind;

bool IdOrder::operator()(const Id& a, const Id& b) const {
    return std::memcmp(a.bytes, b.bytes, sizeof(a.bytes)) < 0;
}

Verdict Requests::receive(const Message& message, Now now) {
    expire(now.steady);
    if (rfork::remote::is_answer(message.kind))
        return Verdict::ignore;
    const bool timely = within_window(message.time, now.wall);
    if (timely && !is_new_nonce(message.nonce, now.steady))
        return Verdict::ignore;
    auto known = entries_.find(message.request);
    switch (message.kind) {
    case MessageKind::hello:
        return timely ? Verdict::welcome : Verdict::refuse_clock;
    case MessageKind::cancel:
        if (known != entries_.end())
            known->second.cancelled = true;
        return Verdict::cancelled;
    case MessageKind::acknowledge:
        return timely ? Verdict::acknowledged : Verdict::ignore;
    default:
        break;
    }
    if (!timely && known == entries_.end())
        return Verdict::refuse_clock;
    return receive_request(message, now);
}

Verdict Requests::receive_request(const Message& message, Now now) {
    auto known = entries_.find(message.request);
    if (known == entries_.end())
        return Verdict::start;
    Entry& entry = known->second;
    entry.last_heard = now.steady;
    if (entry.state == Entry::finished)
        return Verdict::answer_again;
    // Silence lets the caller give up, which is his to do.
    return now.steady - entry.began > limits_.patience ? Verdict::ignore : Verdict::answer_working;
}

void Requests::started(const Id& request, Now now) {
    Entry entry;
    entry.began = entry.last_heard = now.steady;
    entries_.insert_or_assign(request, std::move(entry));
}

bool Requests::finish(const Id& request, uid_t user, Answer answer, Now now) {
    auto known = entries_.find(request);
    if (known == entries_.end() || known->second.state != Entry::running)
        return false;
    if (known->second.cancelled) {
        entries_.erase(known);
        return false;
    }
    make_room(user);
    known->second.state = Entry::finished;
    known->second.user = user;
    known->second.answer = std::move(answer);
    known->second.last_heard = now.steady;
    finished_[user].push_back({now.steady + retention(), request});
    ++finished_count_;
    return true;
}

bool Requests::forget(const Id& request) {
    auto known = entries_.find(request);
    if (known == entries_.end() || known->second.state != Entry::running)
        return false;
    const bool wanted = !known->second.cancelled;
    entries_.erase(known);
    return wanted;
}

bool Requests::is_missing_for_good(const Id& request, Now now) {
    if (missed_.size() >= limits_.missed && missed_.count(request) == 0)
        missed_.clear();
    const std::uint64_t since = missed_.emplace(request, now.steady).first->second;
    if (now.steady - since < limits_.missing)
        return false;
    missed_.erase(request);
    return true;
}

const Answer& Requests::answer(const Id& request) const {
    return entries_.at(request).answer;
}

bool Requests::within_window(std::uint64_t time, std::uint64_t wall) const {
    return time > wall ? time - wall <= limits_.window : wall - time <= limits_.window;
}

// The oldest answer goes: of this user's, if he has had his share, else of him who has most.
void Requests::make_room(uid_t user) {
    auto own = finished_.find(user);
    if (own != finished_.end() && own->second.size() >= limits_.answers_of_a_user)
        return drop(entries_.find(own->second.front().request));
    if (finished_count_ < limits_.answers)
        return;
    auto most = finished_.begin();
    for (auto each = finished_.begin(); each != finished_.end(); ++each)
        if (each->second.size() > most->second.size())
            most = each;
    drop(entries_.find(most->second.front().request));
}

// One that is the first of its user's.
void Requests::drop(Entries::iterator entry) {
    auto own = finished_.find(entry->second.user);
    own->second.pop_front();
    --finished_count_;
    if (own->second.empty())
        finished_.erase(own);
    entries_.erase(entry);
}

// A generation that is full goes early, rather than that nobody is heard any more.
bool Requests::is_new_nonce(std::uint64_t nonce, std::uint64_t steady) {
    if (nonces_.size() >= limits_.nonces)
        turn_generation(steady);
    return older_nonces_.count(nonce) == 0 && nonces_.insert(nonce).second;
}

void Requests::turn_generation(std::uint64_t steady) {
    older_nonces_.swap(nonces_);
    nonces_.clear();
    generation_began_ = steady;
}

void Requests::expire(std::uint64_t steady) {
    if (steady - generation_began_ >= retention())
        turn_generation(steady);
    for (auto own = finished_.begin(); own != finished_.end();) {
        auto& queue = (own++)->second;
        while (!queue.empty() && queue.front().due <= steady) {
            const Id request = queue.front().request;
            auto entry = entries_.find(request);
            const std::uint64_t due = entry->second.last_heard + retention();
            const bool is_last = queue.size() == 1;
            if (due > steady) {
                queue.pop_front();
                queue.push_back({due, request});
                continue;
            }
            drop(entry);
            if (is_last)
                break; // the queue is gone with it
        }
    }
}

} // namespace rexecd
