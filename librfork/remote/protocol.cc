// Two halves that mirror each other: a Writer that appends fixed-size fields, and a Reader that
// takes them off the front of a span, checking by subtraction, and that remembers whether anything
// was missing or not as it must be. A message counts only if the Reader ends content and empty.
#include "remote/protocol.h"

#include "base/clock.h"
#include "remote/random.h"

#include <algorithm>
#include <cstring>
#include <sodium/crypto_auth_hmacsha512256.h>

namespace rfork::remote {

namespace {

static_assert(mac_size == crypto_auth_hmacsha512256_BYTES);
static_assert(sizeof(Key) == crypto_auth_hmacsha512256_KEYBYTES);

constexpr std::array<std::uint8_t, 4> datagram_magic = {'R', 'F', 'K', '2'};

// As much of a text as fits, not ending within a UTF-8 sequence.
std::string_view cut(std::string_view text, std::size_t limit) {
    if (text.size() <= limit)
        return text;
    while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0) == 0x80)
        --limit;
    return text.substr(0, limit);
}

class Writer {
  public:
    explicit Writer(Datagram& out) : out_(out) {}

    template <class Integer>
    void number(Integer value) {
        auto bits = static_cast<std::uint64_t>(value);
        for (std::size_t i = 0; i < sizeof(Integer); ++i)
            out_.push_back(static_cast<std::uint8_t>(bits >> (8 * i)));
    }
    void zeroes(std::size_t count) { out_.insert(out_.end(), count, 0); }
    void bytes(std::span<const std::uint8_t> bytes) {
        out_.insert(out_.end(), bytes.begin(), bytes.end());
    }
    void text(std::string_view text, std::size_t limit) {
        text = cut(text, limit);
        number(static_cast<std::uint16_t>(text.size()));
        out_.insert(out_.end(), text.begin(), text.end());
    }

  private:
    Datagram& out_;
};

class Reader {
  public:
    explicit Reader(std::span<const std::uint8_t> bytes) : rest_(bytes) {}

    template <class Integer>
    Integer number() {
        std::uint64_t bits = 0;
        std::span<const std::uint8_t> field = take(sizeof(Integer));
        for (std::size_t i = 0; i < field.size(); ++i)
            bits |= static_cast<std::uint64_t>(field[i]) << (8 * i);
        return static_cast<Integer>(bits);
    }
    void zeroes(std::size_t count) {
        for (std::uint8_t byte : take(count))
            good_ = good_ && byte == 0;
    }
    image::Id id() {
        image::Id id{};
        std::span<const std::uint8_t> field = take(sizeof(id.bytes));
        std::copy(field.begin(), field.end(), id.bytes);
        return id;
    }
    Proof proof() {
        Proof proof{};
        std::span<const std::uint8_t> field = take(proof.size());
        std::copy(field.begin(), field.end(), proof.begin());
        return proof;
    }
    std::string text(std::size_t limit) {
        const auto size = number<std::uint16_t>();
        require(size <= limit);
        std::span<const std::uint8_t> field = take(size);
        return {reinterpret_cast<const char*>(field.data()), field.size()};
    }
    void require(bool condition) { good_ = good_ && condition; }
    std::size_t left() const { return rest_.size(); }
    bool finished() const { return good_ && rest_.empty(); }

  private:
    std::span<const std::uint8_t> take(std::size_t count) {
        if (!good_ || count > rest_.size()) {
            good_ = false;
            return {};
        }
        std::span<const std::uint8_t> field = rest_.first(count);
        rest_ = rest_.subspan(count);
        return field;
    }

    std::span<const std::uint8_t> rest_;
    bool good_ = true;
};

void write_what_is_asked(Writer& body, const Message& request) {
    body.number(request.user);
    body.number(request.outer_user);
    body.bytes(request.image.bytes);
    body.text(request.directory, max_name);
    body.text(request.ticket, max_name);
    body.text(request.program, max_name);
    body.text(request.log, max_log_name);
}

void write_body(Writer& body, const Message& message) {
    if (is_answer(message.kind))
        body.number(message.answers);
    switch (message.kind) {
    case MessageKind::request:
        write_what_is_asked(body, message);
        body.bytes(message.proof);
        break;
    case MessageKind::hello:
    case MessageKind::cancel:
    case MessageKind::acknowledge:
    case MessageKind::working:
        break;
    case MessageKind::welcome:
        body.text(message.host, max_name);
        break;
    case MessageKind::resumed:
        body.number(message.pid);
        body.text(message.running, max_running_name);
        body.text(message.log, max_log_name);
        break;
    case MessageKind::refused:
        body.number(message.error);
        body.text(message.sentence, max_sentence);
        break;
    }
}

void read_body(Reader& body, Message& message) {
    if (is_answer(message.kind))
        message.answers = body.number<std::uint64_t>();
    switch (message.kind) {
    case MessageKind::request:
        message.user = body.number<std::uint32_t>();
        message.outer_user = body.number<std::uint32_t>();
        message.image = body.id();
        message.directory = body.text(max_name);
        message.ticket = body.text(max_name);
        message.program = body.text(max_name);
        message.log = body.text(max_log_name);
        message.proof = body.proof();
        return;
    case MessageKind::hello:
    case MessageKind::cancel:
    case MessageKind::acknowledge:
    case MessageKind::working:
        return;
    case MessageKind::welcome:
        message.host = body.text(max_name);
        return;
    case MessageKind::resumed:
        message.pid = body.number<std::int64_t>();
        body.require(message.pid >= 0);
        message.running = body.text(max_running_name);
        message.log = body.text(max_log_name);
        return;
    case MessageKind::refused:
        message.error = body.number<std::int32_t>();
        message.sentence = body.text(max_sentence);
        return;
    }
    body.require(false); // a kind that this version does not know
}

} // namespace

bool is_answer(MessageKind kind) {
    return kind == MessageKind::working || kind == MessageKind::welcome ||
           kind == MessageKind::resumed || kind == MessageKind::refused;
}

Proof proof_of(const Message& request, const image::Secret& secret) {
    Datagram asked;
    Writer writer(asked);
    writer.bytes(request.request.bytes);
    write_what_is_asked(writer, request);
    Proof proof;
    crypto_auth_hmacsha512256(proof.data(), asked.data(), asked.size(), secret.bytes);
    return proof;
}

bool is_proof(const Message& request, const image::Secret& secret) {
    Datagram asked;
    Writer writer(asked);
    writer.bytes(request.request.bytes);
    write_what_is_asked(writer, request);
    return crypto_auth_hmacsha512256_verify(request.proof.data(), asked.data(), asked.size(),
                                            secret.bytes) == 0;
}

Datagram seal(Message message, const Key& key) {
    Datagram body_bytes;
    Writer body(body_bytes);
    write_body(body, message);

    message.time = libc_clock_ns(CLOCK_REALTIME);
    if (message.nonce == 0)
        message.nonce = new_nonce();

    Datagram datagram;
    datagram.reserve(header_size + body_bytes.size() + mac_size);
    Writer header(datagram);
    header.bytes(datagram_magic);
    header.number(static_cast<std::uint8_t>(message.kind));
    header.zeroes(3);
    header.bytes(message.request.bytes);
    header.number(message.time);
    header.number(message.nonce);
    header.number(static_cast<std::uint16_t>(body_bytes.size()));
    header.zeroes(6);
    header.bytes(body_bytes);
    std::size_t signed_size = datagram.size();
    header.zeroes(mac_size);
    crypto_auth_hmacsha512256(datagram.data() + signed_size, datagram.data(), signed_size,
                              key.data());
    return datagram;
}

std::uint64_t new_nonce() {
    std::uint64_t nonce = 0;
    while (nonce == 0)
        fill_random({reinterpret_cast<std::uint8_t*>(&nonce), sizeof nonce});
    return nonce;
}

std::optional<Message> open(std::span<const std::uint8_t> datagram, const Key& key) {
    if (datagram.size() < header_size + mac_size || datagram.size() > max_datagram)
        return std::nullopt;
    std::span<const std::uint8_t> content = datagram.first(datagram.size() - mac_size);
    std::span<const std::uint8_t> mac = datagram.last(mac_size);
    if (crypto_auth_hmacsha512256_verify(mac.data(), content.data(), content.size(), key.data()) !=
        0)
        return std::nullopt;

    Message message;
    Reader reader(content);
    for (std::uint8_t letter : datagram_magic)
        reader.require(reader.number<std::uint8_t>() == letter);
    message.kind = static_cast<MessageKind>(reader.number<std::uint8_t>());
    reader.zeroes(3);
    message.request = reader.id();
    message.time = reader.number<std::uint64_t>();
    message.nonce = reader.number<std::uint64_t>();
    auto body_size = reader.number<std::uint16_t>();
    reader.zeroes(6);
    reader.require(body_size == reader.left());
    read_body(reader, message);
    if (!reader.finished())
        return std::nullopt;
    return message;
}

} // namespace rfork::remote
