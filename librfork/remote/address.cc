#include "remote/address.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <netdb.h>

namespace rfork::remote {

namespace {

constexpr std::size_t longest_name = 253; // RFC 1035

Error malformed(std::string_view text, std::string_view why) {
    std::string sentence = "\"";
    sentence += text;
    sentence += "\" is no host address: ";
    sentence += why;
    sentence += ": write name, name:port, 192.0.2.1 or 192.0.2.1:port";
    return {EINVAL, std::move(sentence)};
}

bool is_digit(char letter) {
    return letter >= '0' && letter <= '9';
}

bool is_name_letter(char letter) {
    return is_digit(letter) || (letter >= 'a' && letter <= 'z') ||
           (letter >= 'A' && letter <= 'Z') || letter == '-' || letter == '.' || letter == '_';
}

bool is_dotted_quad(const std::string& host) {
    in_addr ignored;
    return ::inet_pton(AF_INET, host.c_str(), &ignored) == 1;
}

} // namespace

Result<Address> parse_address(std::string_view text, std::uint16_t default_port,
                              PortZero port_zero) {
    if (std::count(text.begin(), text.end(), ':') > 1 || text.starts_with('['))
        return malformed(text, "IPv6 is not supported yet");
    Address address{{}, default_port};
    std::string_view host = text;
    if (std::size_t colon = text.find(':'); colon != std::string_view::npos) {
        host = text.substr(0, colon);
        std::string_view port = text.substr(colon + 1);
        auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
        if (port.empty() || error != std::errc() || end != port.data() + port.size())
            return malformed(text, "its port is not a number up to 65535");
        if (address.port == 0 && port_zero == PortZero::refused)
            return malformed(text, "nobody listens on port 0");
    }
    if (host.empty())
        return malformed(text, "the host is missing");
    if (host.size() > longest_name)
        return malformed(text.substr(0, longest_name), "the name is too long");
    if (!std::all_of(host.begin(), host.end(), is_name_letter))
        return malformed(text, "a name has letters, digits, dots and hyphens only");
    address.host = host;
    // getaddrinfo() would read "1.2.3" and "16909060" as addresses, as inet_aton(3) does.
    auto is_numeric_letter = [](char letter) { return is_digit(letter) || letter == '.'; };
    if (std::all_of(host.begin(), host.end(), is_numeric_letter) && !is_dotted_quad(address.host))
        return malformed(text, "a numeric address has four numbers up to 255");
    return address;
}

Result<sockaddr_in> resolve(const Address& address) {
    addrinfo hints{};
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_DGRAM;
    addrinfo* found = nullptr;
    int status = ::getaddrinfo(address.host.c_str(), nullptr, &hints, &found);
    if (status != 0)
        return Error{EHOSTUNREACH, "cannot find the host " + address.host + ": " +
                                       (status == EAI_SYSTEM ? std::string(errno_text(errno))
                                                             : ::gai_strerror(status)) +
                                       ": check the name, /etc/hosts and the name server"};
    sockaddr_in result;
    std::memcpy(&result, found->ai_addr, sizeof(result));
    ::freeaddrinfo(found);
    result.sin_port = htons(address.port);
    return result;
}

Error cannot_listen(const sockaddr_in& address, int code) {
    constexpr std::uint16_t first_unprivileged = 1024;
    const std::string what = "cannot listen on " + address_text(address);
    if (code == EACCES && ntohs(address.sin_port) < first_unprivileged)
        return system_error(code, what, "ports below 1024 are root's: choose a higher one");
    if (code == EADDRINUSE)
        return system_error(code, what,
                            "end who listens there (ss -lup tells), or choose another port");
    if (code == EADDRNOTAVAIL)
        return system_error(code, what,
                            "it is no address of this host (ip address tells which are)");
    return system_error(code, what);
}

std::string address_text(const sockaddr_in& address) {
    char text[INET_ADDRSTRLEN] = "";
    ::inet_ntop(AF_INET, &address.sin_addr, text, sizeof(text));
    return std::string(text) + ":" + std::to_string(ntohs(address.sin_port));
}

} // namespace rfork::remote
