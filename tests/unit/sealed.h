// Making datagrams for tests, good and bad.
#pragma once

#include "remote/protocol.h"

#include <sodium/crypto_auth_hmacsha512256.h>

namespace rfork::test {

inline remote::Key some_key() {
    remote::Key key;
    for (std::size_t i = 0; i < key.size(); ++i)
        key[i] = static_cast<std::uint8_t>(7 * i + 1);
    return key;
}

inline image::Id id_of(std::uint8_t byte) {
    image::Id id;
    for (std::uint8_t& part : id.bytes)
        part = byte;
    return id;
}

inline image::Secret some_secret() {
    image::Secret secret;
    for (std::size_t i = 0; i < sizeof secret.bytes; ++i)
        secret.bytes[i] = static_cast<std::uint8_t>(3 * i + 2);
    return secret;
}

inline remote::Message a_request() {
    remote::Message message;
    message.kind = remote::MessageKind::request;
    message.request = id_of(1);
    message.image = id_of(2);
    message.user = 0;
    message.outer_user = 1000;
    message.directory = "u1000.ffeeddccbbaa99887766554433221100";
    message.ticket = "rfork.00112233445566778899aabbccddeeff";
    message.program = "sim";
    message.log = "%n.out";
    message.proof = remote::proof_of(message, some_secret());
    return message;
}

// Puts the MAC right after the bytes before it were changed, or added to.
inline remote::Datagram with_right_mac(remote::Datagram content, const remote::Key& key) {
    std::size_t size = content.size();
    content.resize(size + remote::mac_size);
    crypto_auth_hmacsha512256(content.data() + size, content.data(), size, key.data());
    return content;
}

inline remote::Datagram without_mac(remote::Datagram datagram) {
    datagram.resize(datagram.size() - remote::mac_size);
    return datagram;
}

} // namespace rfork::test
