// ask HOST TICKET [OPTION VALUE]... - asks the rexecd on HOST to run the image whose ticket in the
// spool is TICKET, "u<uid>.<digits>/rfork.<digits>", with a right MAC and whatever else wrong; says
// the answer in one line, "silence" when there is none.
//
//   id HEX         the image's id; otherwise the digits of its name
//   user NUMBER    otherwise that of the directory's name
//   log PATTERN    of the log's name
//   program NAME   the program's own
//   request HEX    the request's id; otherwise random
//   offset SECONDS the time stamp is off by that much
//   key FILE       otherwise RFORK_KEY_FILE
//   copies N       the very same datagram that many times
//   kind N         1 request, 2 cancel, 6 hello, 8 acknowledge ...
//   wait MS        for an answer; otherwise 5000
//   once YES       not again and again, as a caller would, each time with a nonce of its own
//
// ask of FILE - says the id of the image FILE, and where its metadata, its pages and its end are
#include "conversation.h"

#include "image/reader.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>

using namespace rfork;

namespace {

constexpr int again_ms = 300;

struct Options {
    remote::Message message;
    long offset = 0;
    int copies = 1, wait_ms = 5000;
    bool once = false;
    std::string key_file = "key";
};

int describe(const char* path) {
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    const image::Image image = test::must(image::read_image(fd), "ask");
    const image::Header& header = image.header();
    std::printf("%s %lu %lu %lu\n", remote::id_text(header.id).c_str(), header.metadata_offset,
                image.section(image::SectionKind::pages)->offset, header.file_size);
    return 0;
}

Options parse(int argc, char** argv) {
    Options options;
    remote::Message& message = options.message;
    message.kind = remote::MessageKind::request;
    message.request = remote::new_id();
    test::name_ticket(message, argv[2]);
    if (const char* file = std::getenv("RFORK_KEY_FILE"))
        options.key_file = file;
    for (int i = 3; i + 1 < argc; i += 2) {
        const std::string option = argv[i], value = argv[i + 1];
        if (option == "id")
            message.image = test::id_from(value);
        else if (option == "user")
            message.user = message.outer_user = static_cast<std::uint32_t>(std::stoul(value));
        else if (option == "log")
            message.log = value;
        else if (option == "program")
            message.program = value;
        else if (option == "request")
            message.request = test::id_from(value);
        else if (option == "offset")
            options.offset = std::stol(value);
        else if (option == "key")
            options.key_file = value;
        else if (option == "copies")
            options.copies = std::stoi(value);
        else if (option == "kind")
            message.kind = static_cast<remote::MessageKind>(std::stoi(value));
        else if (option == "wait")
            options.wait_ms = std::stoi(value);
        else if (option == "once")
            options.once = true;
        else
            std::exit((std::fprintf(stderr, "ask: no option %s\n", argv[i]), 2));
    }
    return options;
}

int tell(const std::optional<remote::Message>& answer) {
    if (!answer)
        return std::puts("silence"), 0;
    switch (answer->kind) {
    case remote::MessageKind::welcome:
        return std::printf("welcome to %s\n", answer->host.c_str()), 0;
    case remote::MessageKind::resumed:
        return std::printf("resumed %ld%s%s\n", answer->pid,
                           answer->log.empty() ? "" : ", output: ", answer->log.c_str()),
               0;
    case remote::MessageKind::refused: {
        const char* name = ::strerrorname_np(answer->error);
        return std::printf("refused %s: %s\n", name ? name : "0", answer->sentence.c_str()), 0;
    }
    default:
        return std::printf("kind %d\n", int(answer->kind)), 0;
    }
}

} // namespace

int main(int argc, char** argv) {
    if (argc == 3 && std::string(argv[1]) == "of")
        return describe(argv[2]);
    if (argc < 3 || argc % 2 == 0)
        return std::fputs("usage: ask HOST TICKET [OPTION VALUE]... | ask of FILE\n", stderr), 2;
    const Options options = parse(argc, argv);
    const remote::Key key = test::must(remote::read_key(options.key_file), "ask");
    test::Conversation rexecd(argv[1], "ask");

    const auto send = [&] {
        remote::Message message = options.message;
        test::prove(message);
        const remote::Datagram datagram =
            test::with_right_mac(test::content_of(message, key, options.offset), key);
        for (int i = 0; i < options.copies; ++i)
            rexecd.send(datagram);
    };
    send();
    const std::uint64_t deadline =
        rfork::realtime_ns() + std::uint64_t(options.wait_ms) * 1'000'000;
    for (std::uint64_t now; (now = rfork::realtime_ns()) < deadline;) {
        const int left_ms = int((deadline - now) / 1'000'000) + 1;
        auto received = rexecd.receive(options.once ? left_ms : std::min(left_ms, again_ms));
        auto answer = received ? remote::open(*received, key) : std::nullopt;
        if (answer && test::same_id(answer->request, options.message.request) &&
            answer->kind != remote::MessageKind::working)
            return tell(answer);
        if (!received && !options.once)
            send();
    }
    return tell(std::nullopt);
}
