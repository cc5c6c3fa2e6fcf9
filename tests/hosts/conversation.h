// What the hostile clients share: a socket, and datagrams that seal() would not make.
#pragma once

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
#include <optional>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace rfork::test {

constexpr std::size_t time_at = 24, body_size_at = 40, name_size_at = 68;

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

inline std::uint64_t realtime_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return std::uint64_t(now.tv_sec) * 1'000'000'000 + std::uint64_t(now.tv_nsec);
}

// What seal() makes, without its MAC, stamped as many seconds off, and with whatever name.
inline remote::Datagram content_of(remote::Message message, const remote::Key& key,
                                   long offset_seconds = 0) {
    const std::string name = message.image_name;
    message.image_name.clear();
    remote::Datagram content = without_mac(remote::seal(message, key));
    put(content, time_at, realtime_ns() + std::uint64_t(offset_seconds) * 1'000'000'000, 8);
    if (name.empty())
        return content;
    content.insert(content.end(), name.begin(), name.end());
    put(content, name_size_at, name.size(), 2);
    put(content, body_size_at, content.size() - remote::header_size, 2);
    return content;
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
