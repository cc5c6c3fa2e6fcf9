#include "rexecd/server.h"

#include "base/clock.h"
#include "base/printable.h"
#include "remote/address.h"
#include "remote/spool.h"
#include "rexecd/host_name.h"
#include "rexecd/identity.h"
#include "rexecd/log.h"

#include <arpa/inet.h>
#include <cerrno>
#include <sys/wait.h>

namespace rexecd {

using namespace rfork;
using remote::Message;
using remote::MessageKind;

namespace {

constexpr int datagrams_at_a_time = 64; // then the event loop's other work has its turn

Now now() {
    return {libc_clock_ns(CLOCK_REALTIME), libc_clock_ns(CLOCK_BOOTTIME)};
}

// Whoever is on this very host has all of 127.0.0.0/8 to send from, and the host's own address.
in_addr_t source_of(const Peer& from) {
    const in_addr_t address = from.address.sin_addr.s_addr;
    const bool is_ours = ntohl(address) >> 24 == IN_LOOPBACKNET || address == from.ours.s_addr;
    return is_ours ? htonl(INADDR_LOOPBACK) : address;
}

Answer refusal(Error why) {
    Answer answer;
    answer.kind = MessageKind::refused;
    answer.error = why.code;
    answer.sentence = std::move(why.sentence);
    return answer;
}

Answer saying(MessageKind kind) {
    Answer answer;
    answer.kind = kind;
    return answer;
}

} // namespace

Server::Server(boost::asio::io_context& io, const Settings& settings, const remote::Key& key,
               DatagramSocket socket)
    : settings_(settings), key_(key), socket_(std::move(socket)), readable_(io, socket_.fd()),
      requests_(now()), runners_(io, [this](const Runners::Ended& ended) { runner_ended(ended); }),
      housekeeping_(io, settings.spool, settings.stale_seconds, settings.allow_root) {}

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
            ignore_stranger(received->from);
    }
}

void Server::receive(std::span<const std::uint8_t> datagram, const Peer& from) {
    std::optional<Message> message = remote::open(datagram, key_);
    if (!message)
        return ignore_stranger(from);
    const image::Id& request = message->request;
    switch (requests_.receive(*message, now())) {
    case Verdict::ignore:
    case Verdict::cancelled:
        return;
    case Verdict::refuse_clock:
        return refuse_clock(*message, from);
    case Verdict::welcome:
        return send(request, message->nonce, saying(MessageKind::welcome), from);
    case Verdict::answer_again:
        return send(request, message->nonce, requests_.answer(request), from);
    case Verdict::answer_working:
        if (auto pending = pending_.find(request); pending != pending_.end()) {
            pending->second.nonce = message->nonce;
            pending->second.caller = from;
        }
        return send(request, message->nonce, saying(MessageKind::working), from);
    case Verdict::acknowledged:
        return housekeeping_.acknowledged(request);
    case Verdict::start:
        return start_runner(*message, from);
    }
}

// Strangers get silence; but who has set up two hosts with two keys is looking for this line.
void Server::ignore_stranger(const Peer& from) {
    if (const auto count = strangers_.count(now().steady))
        log(Level::warning, "ignored " + std::to_string(*count) +
                                " datagrams that were not made with our key, the last from " +
                                remote::address_text(from.address) +
                                ": do both hosts have the same key?");
}

void Server::refuse_clock(const Message& message, const Peer& from) {
    if (!skewed_.may_answer(now().steady))
        return;
    auto apart = static_cast<std::int64_t>(now().wall - message.time) / 1'000'000'000;
    if (const auto count = skewed_.count(now().steady))
        log(Level::warning, "refused " + std::to_string(*count) +
                                " datagrams of another time, the last from " +
                                remote::address_text(from.address) + ": are all clocks right?");
    send(message.request, message.nonce,
         refusal({EPERM, "the clocks of the two hosts differ by " +
                             std::to_string(apart < 0 ? -apart : apart) +
                             " seconds, or the request is an old one sent again: set the clocks"}),
         from);
}

void Server::send(const image::Id& request, std::uint64_t nonce, const Answer& answer,
                  const Peer& to) {
    Message message;
    message.kind = answer.kind;
    message.request = request;
    message.answers = nonce;
    message.pid = answer.pid;
    message.running = answer.running;
    message.log = answer.log;
    message.error = answer.error;
    message.sentence = answer.sentence;
    if (answer.kind == MessageKind::welcome)
        message.host = host_name();
    socket_.send(remote::seal(std::move(message), key_), to);
}

// --- requests ------------------------------------------------------------------------------------

void Server::start_runner(const Message& request, const Peer& from) {
    if (!remote::is_ticket_name(request.ticket) || !remote::user_of_directory(request.directory))
        return send(request.request, request.nonce,
                    refusal({EINVAL, "the request names no image: a ticket in the spool is called "
                                     "u<number>.<32 digits>/rfork.<32 digits>"}),
                    from);
    Job job;
    job.spool = settings_.spool;
    job.user = user_here(request.user, request.outer_user);
    job.request = request;
    job.allow_root = settings_.allow_root;
    Error why;
    switch (runners_.start(request.request, job, source_of(from), why)) {
    case Runners::Started::yes:
        requests_.started(request.request, now());
        pending_[request.request] = {job, request.nonce, from};
        return;
    case Runners::Started::refused:
        return send(request.request, request.nonce, refusal(why), from);
    case Runners::Started::not_now:
        if (const auto count = crowd_.count(now().steady))
            log(Level::warning, "let " + std::to_string(*count) + " requests wait, the last from " +
                                    remote::address_text(from.address) +
                                    ": too many whose users are not proved came at once");
        return;
    }
}

void Server::runner_ended(const Runners::Ended& ended) {
    if (!ended.outcome) {
        // Killed, by its user or by us, who wait for a spool not for ever. The ticket decides.
        if (!ended.proved)
            return drop(ended.request);
        return finish(ended.request, true,
                      refusal({EIO, "rexecd's own process for the request was killed: try again"}));
    }
    const Outcome& outcome = *ended.outcome;
    switch (outcome.kind) {
    case Outcome::resumed: {
        watch(ended.request, outcome);
        Answer answer = saying(MessageKind::resumed);
        answer.pid = outcome.pid;
        answer.running = outcome.running;
        answer.log = outcome.log;
        return finish(ended.request, true, answer, outcome.program > 0);
    }
    case Outcome::missing:
        if (!requests_.is_missing_for_good(ended.request, now()))
            return drop(ended.request);
        return finish(ended.request, false,
                      refusal({ENOENT, "the image is not in the spool " + settings_.spool +
                                           ": does this host share the caller's spool?"}));
    case Outcome::refused:
    case Outcome::proved:
        return finish(ended.request, ended.proved, refusal({outcome.error, outcome.sentence}));
    }
}

void Server::watch(const image::Id& request, const Outcome& outcome) {
    auto pending = pending_.find(request);
    // One that a predecessor of ours has started here is not our child, but its image is ours to
    // remove.
    const bool ran_here = remote::parse_entry(outcome.running).host == host_name();
    if (pending == pending_.end() || (outcome.program <= 0 && !ran_here))
        return;
    const Job& job = pending->second.job;
    Program program;
    program.request = request;
    program.process = outcome.program;
    program.user = job.user;
    program.directory = job.request.directory;
    program.ticket = job.request.ticket;
    program.acknowledged = remote::acknowledged_name(outcome.running).value_or("");
    program.log = {outcome.log, outcome.log_device, outcome.log_inode};
    program.log_is_new = outcome.log_is_new;
    program.monitor_address = outcome.monitor_address;
    program.monitor_port = outcome.monitor_port;
    program.monitor_name = outcome.monitor_name;
    housekeeping_.program_started(std::move(program));
}

void Server::finish(const image::Id& request, bool proved, const Answer& answer, bool is_news) {
    auto pending = pending_.extract(request);
    if (!pending)
        return;
    const auto& [job, nonce, caller] = pending.mapped();
    const bool wanted =
        proved ? requests_.finish(request, job.user, answer, now()) : requests_.forget(request);
    if (wanted)
        send(request, nonce, answer, caller);
    const std::string who = job.request.directory + "/" + job.request.ticket + " for " +
                            remote::address_text(caller.address);
    if (is_news)
        log(Level::info, who + ": runs as process " + std::to_string(answer.pid) +
                             (answer.log.empty() ? "" : ", output: " + quoted(answer.log)));
    else if (!may_log(proved)) // anybody can ask for it as often as he likes
        return;
    else if (answer.kind == MessageKind::resumed)
        log(Level::info, who + ": has been started already, as process " +
                             std::to_string(answer.pid) + ", says its ticket");
    else
        log(Level::notice, who + ": refused: " + answer.sentence);
}

bool Server::may_log(bool proved) {
    return proved ? proved_.may_answer(now().steady) : unproved_.may_answer(now().steady, 1);
}

// Without an answer: the caller will ask again, or not.
void Server::drop(const image::Id& request) {
    pending_.erase(request);
    requests_.forget(request);
}

// --- children ------------------------------------------------------------------------------------

void Server::reap() {
    pid_t child;
    int status;
    while ((child = ::waitpid(-1, &status, WNOHANG)) > 0)
        housekeeping_.child_ended(child, status);
}

} // namespace rexecd
