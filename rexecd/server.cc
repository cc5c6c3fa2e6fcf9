#include "rexecd/server.h"

#include "base/printable.h"
#include "remote/address.h"
#include "remote/spool.h"
#include "rexecd/log.h"

#include <cerrno>
#include <ctime>
#include <sys/wait.h>

namespace rexecd {

using namespace rfork;
using remote::Message;
using remote::MessageKind;

namespace {

constexpr int datagrams_at_a_time = 64; // then the event loop's other work has its turn
constexpr std::uint64_t minute = 60'000'000'000;

std::uint64_t read_clock(clockid_t clock) {
    timespec time;
    ::clock_gettime(clock, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(time.tv_nsec);
}

Now now() {
    return {read_clock(CLOCK_REALTIME), read_clock(CLOCK_BOOTTIME)};
}

Answer refusal(Error why) {
    return {MessageKind::refused, why.code, 0, std::move(why.sentence)};
}

Answer refuse_clock(const Message& message) {
    auto apart = static_cast<std::int64_t>(now().wall - message.time) / 1'000'000'000;
    return refusal(
        {EPERM, "the clocks of the two hosts differ by " +
                    std::to_string(apart < 0 ? -apart : apart) +
                    " seconds, or the request is an old one sent again: set the clocks"});
}

} // namespace

Server::Server(boost::asio::io_context& io, const Settings& settings, const remote::Key& key,
               DatagramSocket socket)
    : settings_(settings), key_(key), socket_(std::move(socket)), readable_(io, socket_.fd()),
      requests_(now()),
      runners_(io, [this](const image::Id& request,
                          std::optional<Outcome> outcome) { runner_done(request, outcome); }),
      housekeeping_(io, settings.spool, settings.stale_seconds) {}

Server::~Server() {
    readable_.release(); // socket_ closes it
}

void Server::start() {
    housekeeping_.start();
    await_datagrams();
}

// --- datagrams -----------------------------------------------------------------------------------

void Server::await_datagrams() {
    readable_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                         [this](boost::system::error_code error) {
                             if (error == boost::asio::error::operation_aborted)
                                 return;
                             await_datagrams(); // first: the other may throw, for want of memory
                             receive_waiting();
                         });
}

void Server::receive_waiting() {
    for (int count = 0; count < datagrams_at_a_time; ++count) {
        auto received = socket_.receive(buffer_);
        if (!received)
            return;
        if (received->size <= buffer_.size())
            receive(std::span(buffer_).first(received->size), received->from);
        else
            count_stranger(received->from);
    }
}

void Server::receive(std::span<const std::uint8_t> datagram, const Peer& from) {
    std::optional<Message> message = remote::open(datagram, key_);
    if (!message)
        return count_stranger(from);
    const image::Id& request = message->request;
    switch (requests_.receive(*message, now())) {
    case Verdict::ignore:
        return;
    case Verdict::refuse_clock:
        return send(request, refuse_clock(*message), from);
    case Verdict::answer_again:
        return send(request, requests_.answer(request), from);
    case Verdict::answer_working:
        if (auto pending = pending_.find(request); pending != pending_.end())
            pending->second.caller = from;
        return send(request, {MessageKind::working, 0, 0, {}}, from);
    case Verdict::start:
        return start_runner(*message, from, false);
    case Verdict::start_claims_only:
        return start_runner(*message, from, true);
    }
}

// Strangers get silence; but who has set up two hosts with two keys is looking for this line.
void Server::count_stranger(const Peer& from) {
    ++strangers_;
    std::uint64_t time = read_clock(CLOCK_BOOTTIME);
    if (strangers_told_ != 0 && time - strangers_told_ < minute)
        return;
    log(Level::warning, "ignored " + std::to_string(strangers_) +
                            " datagrams that were not made with our key, the last from " +
                            remote::address_text(from.address) +
                            ": do both hosts have the same key?");
    strangers_ = 0;
    strangers_told_ = time;
}

void Server::send(const image::Id& request, const Answer& answer, const Peer& to) {
    Message message;
    message.kind = answer.kind;
    message.request = request;
    message.pid = answer.pid;
    message.error = answer.error;
    message.sentence = answer.sentence;
    socket_.send(remote::seal(std::move(message), key_), to);
}

// --- requests ------------------------------------------------------------------------------------

void Server::start_runner(const Message& request, const Peer& from, bool claims_only) {
    if (!remote::is_image_name(request.image_name)) {
        pending_[request.request] = {from, "a request with a malformed image name"};
        return finish(
            request.request,
            refusal({EINVAL, "the request names no image: a name in the spool starts with "
                             "rfork. and has no slash"}));
    }
    pending_[request.request] = {from, request.image_name};
    Job job{settings_.spool, request.image, request.image_name, settings_.allow_root, claims_only};
    if (Result<void> started = runners_.start(request.request, job); !started)
        finish(request.request, refusal(started.error()));
}

void Server::runner_done(const image::Id& request, const std::optional<Outcome>& outcome) {
    if (!outcome)
        return finish(request, refusal({EIO, "rexecd's own process for the request was killed: try "
                                             "again"}));
    if (!outcome->resumed)
        return finish(request, refusal({outcome->error, outcome->sentence}));
    if (auto pending = pending_.find(request); outcome->has_log && pending != pending_.end())
        housekeeping_.program_started(outcome->program,
                                      {outcome->owner, pending->second.image_name});
    finish(request, {MessageKind::resumed, 0, outcome->pid, {}});
}

void Server::finish(const image::Id& request, const Answer& answer) {
    auto pending = pending_.extract(request);
    if (!pending)
        return;
    const Peer& caller = pending.mapped().caller;
    if (requests_.finish(request, answer))
        send(request, answer, caller);
    std::string who =
        quoted(pending.mapped().image_name) + " for " + remote::address_text(caller.address);
    if (answer.kind == MessageKind::resumed)
        log(Level::info, who + ": runs as process " + std::to_string(answer.pid));
    else
        log(Level::notice, who + ": refused: " + answer.sentence);
}

// --- children ------------------------------------------------------------------------------------

void Server::reap() {
    pid_t child;
    while ((child = ::waitpid(-1, nullptr, WNOHANG)) > 0)
        housekeeping_.child_ended(child);
}

} // namespace rexecd
