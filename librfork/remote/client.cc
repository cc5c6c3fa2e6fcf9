#include "remote/client.h"

#include "base/clock.h"
#include "base/printable.h"
#include "base/unique_fd.h"
#include "base/watched_fd.h"
#include "remote/ticket.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <poll.h>
#include <sys/socket.h>
#include <utility>

namespace rfork::remote {
namespace {

// The round trip on a LAN takes a fraction of a millisecond, a resume a few; the first answer comes
// at once and says at least "working".
constexpr int first_pause_ms = 20, longest_pause_ms = 1000;

// Nobody listens there, says the other host's kernel. A daemon that is just being restarted gets
// this long to come back.
constexpr int refused_patience_ms = 1500;

// The target says "resumed", and the spool does not (yet).
constexpr int not_borne_out_patience_ms = 1000;

std::int64_t now_ns() {
    return std::int64_t(libc_clock_ns(CLOCK_MONOTONIC));
}

std::int64_t now_ms() {
    return now_ns() / 1'000'000;
}

// The longest for which an honest rexecd says "working", and a little: then it must be another who
// says so.
constexpr std::int64_t longest_work_ms = 720'000;

bool is_errno(int number) {
    return number > 0 && number < 4096;
}

Message make(MessageKind kind, const ResumeRequest& request) {
    Message m;
    m.kind = kind;
    m.request = request.id;
    if (kind != MessageKind::request)
        return m;
    m.user = request.user;
    m.outer_user = request.outer_user;
    m.image = request.image;
    m.directory = request.directory_name;
    m.ticket = request.ticket;
    m.program = request.program;
    m.log = request.log;
    m.proof = proof_of(m, request.secret);
    return m;
}

// The nonces of what was sent, the latest ones. An answer must name one of them, so neither an echo
// nor what was recorded at another time is one; and "working" counts once for each.
class SentNonces {
  public:
    void add(std::uint64_t nonce) { sent_[next_++ % limit] = {nonce, now_ns(), false}; }
    bool has(std::uint64_t nonce) { return find(nonce); }
    std::int64_t time_of(std::uint64_t nonce) { return find(nonce)->time; }
    bool is_first_sign_of_work(std::uint64_t nonce) {
        Sent* sent = find(nonce);
        return sent && !std::exchange(sent->worked, true);
    }

  private:
    static constexpr std::size_t limit = 64;
    struct Sent {
        std::uint64_t nonce;
        std::int64_t time;
        bool worked;
    };
    Sent* find(std::uint64_t nonce) {
        for (Sent& sent : sent_)
            if (nonce && sent.nonce == nonce)
                return &sent;
        return nullptr;
    }
    Sent sent_[limit] = {};
    std::size_t next_ = 0;
};

} // namespace

class Conversation {
  public:
    Conversation(const ResumeRequest& request, MessageKind question)
        : request_(request), question_(question) {
        begin();
    }

    Reply reply() {
        converse();
        return std::move(reply_);
    }

    Result<Welcome> welcome() {
        converse();
        if (welcome_)
            return std::move(*welcome_);
        return std::move(reply_.error);
    }

  private:
    void begin() {
        begun_ = connect();
        if (!begun_)
            return;
        send();
        reply_.first_sent = libc_clock_ns(CLOCK_REALTIME);
    }

    void converse() {
        if (!begun_)
            return;
        const std::int64_t start = now_ms();
        last_sign_of_life_ = start;
        int pause = first_pause_ms;
        for (std::int64_t next_send = start + pause;;) {
            if (getpid() != asker_)
                return; // a child that a signal handler has forked: not its own
            const std::int64_t now = now_ms();
            std::int64_t give_up =
                std::min(last_sign_of_life_ + request_.timeout_ms, start + longest_work_ms);
            if (not_borne_out_since_) // the ticket has to tell what has become of it
                give_up = std::min(give_up, not_borne_out_since_ + not_borne_out_patience_ms);
            if (refused_since_)
                give_up = std::min(give_up, refused_since_ + refused_patience_ms);
            if (now >= give_up) {
                explain_silence();
                return;
            }
            if (now >= next_send) {
                send();
                pause = std::min(pause * 2, longest_pause_ms);
                next_send = now + pause;
            }
            wait(std::min(next_send, give_up) - now);
            if (receive())
                return;
        }
    }

    bool connect() {
        socket_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        const auto* address = reinterpret_cast<const sockaddr*>(&request_.address);
        if (socket_.get() >= 0 && ::connect(socket_.get(), address, sizeof request_.address) == 0)
            return true;
        reply_.error = system_error(errno, "cannot reach " + request_.host);
        return false;
    }

    // A datagram that cannot be sent is a datagram lost; an ICMP answer to the one before shows up
    // here too.
    void send() {
        Message message = make(question_, request_);
        message.nonce = new_nonce();
        sent_.add(message.nonce);
        const Datagram datagram = seal(std::move(message), request_.key);
        if (!socket_.is_there())
            connect();
        if (::send(socket_.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL) < 0)
            note_error(errno);
    }

    void wait(std::int64_t ms) {
        pollfd p{socket_.get(), POLLIN, 0};
        ::poll(&p, 1, int(std::max<std::int64_t>(ms, 0)) + 1); // EINTR: look again, nothing is lost
    }

    // True when the conversation is over.
    bool receive() {
        std::uint8_t buffer[max_datagram + 1];
        for (;;) {
            if (!socket_.is_there())
                return false; // a new one is made when it is time to ask again
            const ssize_t got = ::recv(socket_.get(), buffer, sizeof buffer, 0);
            if (got < 0) {
                if (errno == EINTR)
                    continue;
                if (errno != EAGAIN)
                    note_error(errno);
                return false;
            }
            // Before anything is allocated for it: what does not know our request's id, which is
            // random, can be sent in any number by whoever has the key.
            if (std::size_t(got) < header_size ||
                std::memcmp(buffer + request_at, &request_.id, sizeof request_.id) != 0)
                continue;
            const auto message = remote::open({buffer, std::size_t(got)}, request_.key);
            if (message && is_answer(message->kind) && sent_.has(message->answers) &&
                receive(*message))
                return true;
        }
    }

    bool receive(const Message& message) {
        refused_since_ = 0;
        worked_ = worked_ || message.kind == MessageKind::working;
        if (message.kind != MessageKind::working || sent_.is_first_sign_of_work(message.answers))
            last_sign_of_life_ = now_ms();
        switch (message.kind) {
        case MessageKind::welcome:
            if (question_ != MessageKind::hello) // it says nothing about a request
                return false;
            welcome_ = make_welcome(message);
            return true;
        case MessageKind::resumed:
            return question_ == MessageKind::request && is_borne_out(message);
        case MessageKind::refused:
            reply_.kind = Reply::refused;
            reply_.error = {is_errno(message.error) ? message.error : EIO,
                            request_.host + ": " + one_line(message.sentence)};
            return true;
        default:
            return false;
        }
    }

    Welcome make_welcome(const Message& message) {
        const std::int64_t round_trip = now_ns() - sent_.time_of(message.answers);
        const auto now = std::int64_t(libc_clock_ns(CLOCK_REALTIME));
        return {message.host, round_trip, std::int64_t(message.time) - (now - round_trip / 2)};
    }

    bool is_borne_out(const Message& message) {
        reply_.said_resumed = true;
        if (try_acknowledge(request_.directory->get(), request_.ticket, message.running.c_str()) !=
            Outcome::runs) {
            if (!not_borne_out_since_)
                not_borne_out_since_ = now_ms();
            return false;
        }
        reply_.kind = Reply::resumed;
        reply_.pid = message.pid;
        reply_.log = message.log;
        return true;
    }

    void note_error(int error) {
        last_error_ = error;
        if (error == ECONNREFUSED && !refused_since_)
            refused_since_ = now_ms();
    }

    void explain_silence() {
        if (not_borne_out_since_) {
            reply_.error = {EIO, request_.host +
                                     " says that the copy runs, and the spool does not: do "
                                     "both hosts have the same one?"};
            return;
        }
        if (worked_ && !refused_since_ && now_ms() - last_sign_of_life_ < request_.timeout_ms) {
            reply_.error = {ETIMEDOUT, request_.host +
                                           " said for 12 minutes that it was at work: see "
                                           "what keeps rexecd or the spool there"};
            return;
        }
        if (refused_since_)
            reply_.error = {ECONNREFUSED, "no rexecd answers on " + request_.host +
                                              ": start one there, or see that the port is right"};
        else if (last_error_ && last_error_ != ECONNREFUSED)
            reply_.error = system_error(last_error_, "cannot reach " + request_.host,
                                        "see that the host is up and the network between in order");
        else
            reply_.error = {
                ETIMEDOUT,
                request_.host + " gave no answer within " +
                    std::to_string(std::min<std::int64_t>(request_.timeout_ms, longest_work_ms)) +
                    " ms: see that the host is up, that rexecd runs there with the "
                    "same key, and that no firewall stops its UDP port"};
    }

    const ResumeRequest& request_;
    const MessageKind question_;
    SentNonces sent_;
    const pid_t asker_ = getpid();
    WatchedFd socket_;
    Reply reply_;
    std::optional<Welcome> welcome_;
    std::int64_t last_sign_of_life_ = 0;
    bool begun_ = false;
    bool worked_ = false;
    std::int64_t refused_since_ = 0;
    std::int64_t not_borne_out_since_ = 0;
    int last_error_ = 0;
};

namespace {

void tell(const ResumeRequest& request, MessageKind what) {
    UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const Datagram datagram = seal(make(what, request), request.key);
    ::sendto(socket.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL,
             reinterpret_cast<const sockaddr*>(&request.address), sizeof request.address);
}

} // namespace

Greeting::Greeting(const ResumeRequest& request)
    : conversation_(std::make_unique<Conversation>(request, MessageKind::hello)) {}

Greeting::~Greeting() = default;

Result<Welcome> Greeting::answer() {
    return conversation_->welcome();
}

Reply ask(const ResumeRequest& request) {
    return Conversation(request, MessageKind::request).reply();
}

void cancel(const ResumeRequest& request) {
    tell(request, MessageKind::cancel);
}

void acknowledge(const ResumeRequest& request) {
    tell(request, MessageKind::acknowledge);
}

} // namespace rfork::remote
