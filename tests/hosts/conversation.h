// What the hostile clients share: a socket, and datagrams that seal() would not make.
#pragma once

#include "base/clock.h"
#include "base/proc.h"
#include "image/reader.h"
#include "remote/address.h"
#include "remote/key.h"
#include "remote/protocol.h"
#include "remote/spool.h"

#include "../unit/sealed.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace rfork::test {

// Where the user, the directory's size and its text stand in a request.
constexpr std::size_t time_at = 24, body_size_at = 40, user_at = 48, directory_size_at = 72,
                      directory_at = 74;

template <class T>
T must(Result<T> result, const char* who) {
    if (result)
        return std::move(*result);
    std::fprintf(stderr, "%s: %s\n", who, result.error().sentence.c_str());
    std::exit(2);
}

inline image::Id id_from(const std::string& digits) {
    image::Id id{};
    for (std::size_t i = 0; i < sizeof id.bytes && 2 * i + 1 < digits.size(); ++i)
        id.bytes[i] =
            static_cast<std::uint8_t>(std::strtoul(digits.substr(2 * i, 2).c_str(), nullptr, 16));
    return id;
}

inline void put(remote::Datagram& datagram, std::size_t at, std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i)
        datagram.at(at + std::size_t(i)) = static_cast<std::uint8_t>(value >> (8 * i));
}

// What seal() makes, without its MAC, stamped as many seconds off.
inline remote::Datagram content_of(const remote::Message& message, const remote::Key& key,
                                   long offset_seconds = 0) {
    remote::Datagram content = without_mac(remote::seal(message, key));
    put(content, time_at, realtime_ns() + std::uint64_t(offset_seconds) * 1'000'000'000, 8);
    return content;
}

// In a user namespace he may have another number than outside, where directories are named.
inline uid_t number_here(uid_t outer) {
    for (const UserRange& range : known_users())
        if (outer >= range.outside && outer - range.outside < range.count)
            return range.inside + (outer - range.outside);
    return outer;
}

// "<directory>/<ticket>", of whoever owns that directory in the spool.
inline void name_ticket(remote::Message& message, const std::string& path) {
    const std::size_t slash = path.find('/');
    message.directory = path.substr(0, slash);
    message.ticket = slash == std::string::npos ? "" : path.substr(slash + 1);
    message.outer_user = remote::user_of_directory(message.directory).value_or(0);
    message.user = number_here(message.outer_user);
    const std::size_t prefix = std::string(image::ticket_prefix).size();
    if (message.ticket.size() > prefix)
        message.image = id_from(message.ticket.substr(prefix));
}

// As only somebody can who may read the image, here in the spool.
inline void prove(remote::Message& message) {
    image::Secret secret{};
    const char* spool = std::getenv("RFORK_SPOOL");
    const std::string path =
        std::string(spool ? spool : "") + "/" + message.directory + "/" + message.ticket;
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) {
        if (const auto header = image::read_front(fd))
            secret = header->secret;
        ::close(fd);
    }
    message.proof = remote::proof_of(message, secret);
}

class Conversation {
  public:
    Conversation(const std::string& host, const char* who)
        : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        auto address = must(remote::parse_address(host, remote::default_port), who);
        auto to = must(remote::resolve(address), who);
        if (::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
            std::perror(who);
            std::exit(2);
        }
    }
    ~Conversation() { ::close(socket_); }
    Conversation(const Conversation&) = delete;
    Conversation& operator=(const Conversation&) = delete;

    void send(const remote::Datagram& datagram) {
        if (::send(socket_, datagram.data(), datagram.size(), MSG_NOSIGNAL) < 0)
            ++failures;
    }

    // Nothing after that many milliseconds without a datagram.
    std::optional<remote::Datagram> receive(int ms) {
        pollfd ready{socket_, POLLIN, 0};
        remote::Datagram buffer(65536);
        if (::poll(&ready, 1, ms) <= 0)
            return std::nullopt;
        ssize_t size = ::recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (size < 0)
            return std::nullopt;
        buffer.resize(std::size_t(size));
        return buffer;
    }

    int failures = 0; // of send(2)

  private:
    int socket_;
};

inline bool same_id(const image::Id& a, const image::Id& b) {
    return std::memcmp(&a, &b, sizeof a) == 0;
}

} // namespace rfork::test
