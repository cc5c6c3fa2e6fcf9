// hostile HOST TICKET strangers SEED COUNT - datagrams that deserve silence, mutations of a request
//   for the image with that TICKET, "u<uid>.<digits>/rfork.<digits>", which must be there; says how
//   many were sent and answered, exit status 1 when any was answered. Behind every few it asks
//   something that is answered, and waits for that: so none is lost for want of room in the socket,
//   and a daemon that hangs or dies is noticed.
// hostile HOST TICKET flood SEED SECONDS   - as many as the network takes, half of them
// authenticated
#include "conversation.h"

#include <algorithm>
#include <random>

using namespace rfork;
using remote::Datagram;
using remote::Message;
using remote::MessageKind;

namespace {

constexpr int between_probes = 24;
constexpr int probe_patience_ms = 1000, probe_attempts = 30;

Message request_for(const std::string& name) {
    Message message;
    message.kind = MessageKind::request;
    message.request = remote::new_id();
    test::name_ticket(message, name);
    test::prove(message);
    return message;
}

class Stranger {
  public:
    Stranger(const std::string& host, const std::string& name, unsigned seed)
        : key_(test::must(remote::read_key(std::getenv("RFORK_KEY_FILE")), "hostile")),
          rexecd_(host, "hostile"), random_(seed), request_(request_for(name)),
          probe_(request_for("nothing/of/that/name")) {}

    void wrong_keys(int count) {
        for (int i = 0; i < count; ++i) {
            remote::Key wrong = key_;
            wrong[random_() % wrong.size()] ^= std::uint8_t(1 << random_() % 8);
            send(remote::seal(request_, wrong));
        }
    }

    void truncations() {
        const Datagram good = remote::seal(request_, key_);
        for (std::size_t size = 0; size < good.size(); ++size)
            send(Datagram(good.begin(), good.begin() + long(size)));
        for (std::size_t more : {1, 7, 8, 100, 1000, 60000}) {
            Datagram longer = good;
            longer.resize(good.size() + more);
            send(longer);
        }
    }

    void bit_flips() {
        const Datagram good = remote::seal(request_, key_);
        for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
            Datagram flipped = good;
            flipped[bit / 8] ^= std::uint8_t(1 << bit % 8);
            send(flipped);
        }
    }

    void random_bytes(int count) {
        std::size_t size = 0;
        for (int i = 0; i < count; ++i) {
            size = i < 1200 ? std::size_t(i) : random_() % 65508;
            if (i == count - 1)
                size = 65507;
            send(noise(size));
        }
    }

    // The MAC is right, and what it covers is not.
    void wrong_contents(int count) {
        for (int kind = 0; kind < 256; ++kind)
            if (kind != 1 && kind != 6) { // answers go the other way, and some questions need none
                Message message = request_;
                message.kind = MessageKind(kind);
                send(remote::seal(message, key_));
                Datagram content = request();
                content[4] = std::uint8_t(kind);
                send_right(content);
            }
        for (std::size_t at : {0, 1, 2, 3, 5, 6, 7, 42, 43, 44, 45, 46, 47}) {
            Datagram content = request();
            content[at] ^= std::uint8_t(1 + random_() % 255);
            send_right(content);
        }
        for (int i = 0; i < count; ++i) {
            Datagram content = request();
            const std::size_t at = random_() % 2 ? test::body_size_at : test::directory_size_at;
            const unsigned was = content[at] + 256u * content[at + 1];
            unsigned is = i < 400 ? unsigned(i) : unsigned(random_() % 65536);
            if (is != was) {
                test::put(content, at, is, 2);
                send_right(content);
            }
            content = request();
            content.resize(random_() % content.size());
            send_right(content);
            send_right(noise(random_() % (remote::max_datagram - remote::mac_size)));
        }
    }

    int sent = 0, answered = 0;

    bool probe() {
        for (int attempt = 0; attempt < probe_attempts; ++attempt) {
            rexecd_.send(test::with_right_mac(test::content_of(probe_, key_), key_));
            while (auto received = rexecd_.receive(probe_patience_ms)) {
                auto answer = remote::open(*received, key_);
                if (answer && test::same_id(answer->request, probe_.request))
                    return true;
                ++answered;
            }
        }
        std::puts("the daemon does not answer any more");
        std::exit(1);
    }

    void flood(int seconds) {
        const std::uint64_t end = rfork::realtime_ns() + std::uint64_t(seconds) * 1'000'000'000;
        long authenticated = 0;
        while (rfork::realtime_ns() < end)
            for (int i = 0; i < 100; ++i, ++sent)
                if (random_() % 2) {
                    rexecd_.send(noise(random_() % 1500));
                } else {
                    ++authenticated;
                    Message message = request_for(random_name());
                    if (random_() % 4 == 0)
                        message.kind = MessageKind::cancel;
                    rexecd_.send(remote::seal(message, key_));
                }
        std::printf("%d datagrams, %ld of them authenticated, %d refused by our own host\n", sent,
                    authenticated, rexecd_.failures);
    }

  private:
    Datagram request() { return test::content_of(request_, key_); }
    Datagram noise(std::size_t size) {
        Datagram bytes(size);
        std::generate(bytes.begin(), bytes.end(), [this] { return std::uint8_t(random_()); });
        return bytes;
    }
    // Of users that nobody has proved to be.
    std::string random_name() {
        if (random_() % 8 == 0) {
            Datagram bytes = noise(random_() % remote::max_name);
            return "u1.x/" + std::string(bytes.begin(), bytes.end());
        }
        return remote::user_directory_name(uid_t(random_() % 70000), remote::new_id()) + "/" +
               remote::ticket_name(remote::new_id());
    }
    void send_right(const Datagram& content) { send(test::with_right_mac(content, key_)); }
    void send(const Datagram& datagram) {
        rexecd_.send(datagram);
        if (++sent % between_probes == 0)
            probe();
    }

    remote::Key key_;
    test::Conversation rexecd_;
    std::mt19937 random_;
    Message request_, probe_;
};

} // namespace

int main(int argc, char** argv) {
    if (argc != 6)
        return std::fputs("usage: hostile HOST TICKET strangers|flood SEED COUNT\n", stderr), 2;
    Stranger stranger(argv[1], argv[2], unsigned(std::atoi(argv[4])));
    const int count = std::atoi(argv[5]);
    if (std::string(argv[3]) == "flood") {
        stranger.flood(count);
        return 0;
    }
    stranger.probe();
    stranger.wrong_keys(count);
    stranger.truncations();
    stranger.bit_flips();
    stranger.random_bytes(2 * count);
    stranger.wrong_contents(count);
    stranger.probe();
    std::printf("%d sent, %d answered\n", stranger.sent, stranger.answered);
    return stranger.answered ? 1 : 0;
}
