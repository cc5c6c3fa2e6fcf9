// attacker KIND ... - what a user with the key can send
//
//   answer WHAT [PORT]              is in the place of a rexecd; WHAT is resumed, refused, rude (a
//                                   refusal that is none), working, welcome, or echo: the datagram
//                                   as it came
//   ask HOST USER DIRECTORY TICKET [IMAGE ID] [COUNT]
//                                   requests, each with an id of its own; says the answer to the
//                                   last, "silence" after $ATTACKER_WAIT_MS without one
//                                   (as the user $OUTER_USER outside of his user namespace)
//   change HOST USER DIRECTORY TICKET LOG OTHER
//                                   requests, and once more under the same id in the name of OTHER;
//                                   acknowledges
//   flood HOST KIND SECONDS         authenticated: cancel, hello, acknowledge, or request, for the
//                                   users $VICTIM in turn, and $DIRECTORY or none that is there;
//                                   from as many loopback addresses as $SOURCES says
//   stop PROCESS SECONDS            kills it, and stops whatever comes to be after that
//   watch SECONDS                   prints what looks like a ticket in the arguments of processes
#include "../hosts/conversation.h"

#include <arpa/inet.h>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <netinet/in.h>
#include <sstream>

using namespace rfork;
using remote::Message;
using remote::MessageKind;

namespace {

remote::Key key() {
    return test::must(remote::read_key(std::getenv("RFORK_KEY_FILE")), "attacker");
}

Message answer_to(const Message& request, const std::string& what) {
    Message answer;
    answer.request = request.request;
    answer.answers = request.nonce;
    if (what == "working") {
        answer.kind = MessageKind::working;
    } else if (what == "welcome") {
        answer.kind = MessageKind::welcome;
        answer.host = "elm";
    } else if (what == "refused") {
        answer.kind = MessageKind::refused;
        answer.error = EPERM;
        answer.sentence = "go away";
    } else if (what == "rude") {
        answer.kind = MessageKind::refused;
        answer.error = -7;
        answer.sentence = "\x1b]0;owned\a\nrfork: type your password:";
    } else {
        answer.kind = MessageKind::resumed;
        answer.pid = 4711;
        answer.running = request.ticket + ".run." + remote::id_text(remote::new_id()) + ".elm.4711";
    }
    return answer;
}

// A rexecd says welcome to a hello; only then is there a request to lie about.
std::string honest_where_needed(const Message& request, const std::string& what) {
    return request.kind == MessageKind::hello ? "welcome" : what;
}

int be_rexecd(const std::string& what, int port) {
    const remote::Key secret = key();
    const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_in here{};
    here.sin_family = AF_INET;
    here.sin_port = htons(std::uint16_t(port));
    if (::bind(fd, reinterpret_cast<sockaddr*>(&here), sizeof here) != 0)
        return std::perror("attacker: bind"), 2;
    std::puts("attacker: listening on the port");
    std::fflush(stdout);
    for (;;) {
        remote::Datagram buffer(65536);
        sockaddr_in from{};
        socklen_t size = sizeof from;
        const ssize_t got = ::recvfrom(fd, buffer.data(), buffer.size(), 0,
                                       reinterpret_cast<sockaddr*>(&from), &size);
        if (got < 0)
            continue;
        buffer.resize(std::size_t(got));
        const auto request = remote::open(buffer, secret);
        if (!request)
            continue;
        const remote::Datagram reply =
            what == "echo" && request->kind == MessageKind::request
                ? buffer
                : remote::seal(answer_to(*request, honest_where_needed(*request, what)), secret);
        ::sendto(fd, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
}

Message request_for(const std::string& user, const std::string& directory,
                    const std::string& ticket) {
    Message message;
    message.kind = MessageKind::request;
    message.request = remote::new_id();
    message.user = std::uint32_t(std::stoul(user));
    const char* outer = std::getenv("OUTER_USER");
    message.outer_user = outer ? std::uint32_t(std::stoul(outer)) : message.user;
    message.directory = directory;
    message.ticket = ticket;
    message.program = "program";
    return message;
}

int ask(const std::string& host, Message message, int count) {
    const remote::Key secret = key();
    test::Conversation rexecd(host, "attacker");
    for (int i = 0; i < count; ++i) {
        message.request = remote::new_id();
        test::prove(message);
        rexecd.send(remote::seal(message, secret));
        if (i % 16 == 15)
            ::usleep(20'000);
    }
    const char* wait_ms = std::getenv("ATTACKER_WAIT_MS");
    const std::uint64_t deadline =
        rfork::realtime_ns() + std::stoull(wait_ms ? wait_ms : "5000") * 1'000'000;
    for (std::uint64_t now; (now = rfork::realtime_ns()) < deadline;) {
        auto received = rexecd.receive(int((deadline - now) / 1'000'000) + 1);
        auto answer = received ? remote::open(*received, secret) : std::nullopt;
        if (!answer || !test::same_id(answer->request, message.request))
            continue;
        if (answer->kind == MessageKind::resumed)
            return std::printf("resumed %s\n", answer->running.c_str()), 0;
        if (answer->kind == MessageKind::refused)
            return std::printf("refused %s: %s\n", ::strerrorname_np(answer->error),
                               answer->sentence.c_str()),
                   0;
    }
    return std::puts("silence"), 0;
}

// rexecd compares the ids of requests only as long as one is at work: so the second has to be there
// before the first is done.
int change(const std::string& host, Message message, const std::string& other) {
    const remote::Key secret = key();
    test::Conversation rexecd(host, "attacker");
    test::prove(message);
    Message changed = message;
    changed.user = changed.outer_user = std::uint32_t(std::stoul(other));
    rexecd.send(remote::seal(message, secret));
    const std::uint64_t deadline = rfork::realtime_ns() + 10'000'000'000;
    while (rfork::realtime_ns() < deadline) {
        rexecd.send(remote::seal(changed, secret));
        auto received = rexecd.receive(1);
        auto answer = received ? remote::open(*received, secret) : std::nullopt;
        if (!answer || answer->kind == MessageKind::working)
            continue;
        if (answer->kind != MessageKind::resumed)
            return std::printf("refused: %s\n", answer->sentence.c_str()), 0;
        Message thanks;
        thanks.kind = MessageKind::acknowledge;
        thanks.request = message.request;
        rexecd.send(remote::seal(thanks, secret));
        return std::printf("resumed %s\n", answer->running.c_str()), 0;
    }
    return std::puts("silence"), 0;
}

int connected_socket(const sockaddr_in& to, int loopback) {
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + std::uint32_t(loopback));
    if ((loopback && ::bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0) ||
        ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
        std::perror("attacker"), std::exit(2);
    return fd;
}

std::string from_environment(const char* name, const char* otherwise) {
    const char* value = std::getenv(name);
    return value ? value : otherwise;
}

int flood(const std::string& host, const std::string& kind, int seconds) {
    const remote::Key secret = key();
    const sockaddr_in to = test::must(
        remote::resolve(test::must(remote::parse_address(host, remote::default_port), "attacker")),
        "attacker");
    std::vector<int> sockets;
    const int sources = std::stoi(from_environment("SOURCES", "0"));
    for (int i = 0; i < std::max(sources, 1); ++i)
        sockets.push_back(connected_socket(to, sources ? i + 1 : 0));
    std::vector<std::string> users;
    std::istringstream names(from_environment("VICTIM", "1201"));
    for (std::string user; names >> user;)
        users.push_back(user);
    const std::string directory = from_environment("DIRECTORY", "");

    const std::uint64_t end = rfork::realtime_ns() + std::uint64_t(seconds) * 1'000'000'000;
    std::size_t count = 0;
    for (; rfork::realtime_ns() < end; ++count) {
        Message message = request_for(users[count / sockets.size() % users.size()], directory,
                                      "rfork." + remote::id_text(remote::new_id()));
        if (directory.empty())
            message.directory = remote::user_directory_name(message.user, remote::new_id());
        if (kind != "request") {
            message = {};
            message.request = remote::new_id();
            message.kind = kind == "cancel"  ? MessageKind::cancel
                           : kind == "hello" ? MessageKind::hello
                                             : MessageKind::acknowledge;
        }
        const remote::Datagram datagram = remote::seal(message, secret);
        ::send(sockets[count % sockets.size()], datagram.data(), datagram.size(), MSG_NOSIGNAL);
    }
    return std::printf("%zu datagrams\n", count), 0;
}

pid_t last_process() {
    std::ifstream load("/proc/loadavg");
    std::string skipped;
    pid_t last = 0;
    load >> skipped >> skipped >> skipped >> skipped >> last;
    return last;
}

// Only one's own can be stopped: so this catches what becomes one's own.
int stop_what_comes(pid_t process, int seconds) {
    const pid_t from = last_process() + 1;
    ::kill(process, SIGKILL);
    const std::uint64_t end = rfork::realtime_ns() + std::uint64_t(seconds) * 1'000'000'000;
    int stopped = 0;
    while (rfork::realtime_ns() < end)
        for (pid_t next = from; next < from + 100; ++next)
            stopped += ::kill(next, SIGSTOP) == 0;
    return std::printf("%s\n", stopped ? "stopped something" : "stopped nothing"), 0;
}

int watch(int seconds) {
    const std::uint64_t end = rfork::realtime_ns() + std::uint64_t(seconds) * 1'000'000'000;
    while (rfork::realtime_ns() < end) {
        const pid_t last = last_process();
        for (pid_t process = last - 20; process < last + 10; ++process) {
            char buffer[4096];
            const int fd =
                ::open(("/proc/" + std::to_string(process) + "/cmdline").c_str(), O_RDONLY);
            const ssize_t got = fd < 0 ? 0 : ::read(fd, buffer, sizeof buffer);
            ::close(fd);
            const std::string text(buffer, std::size_t(got < 0 ? 0 : got));
            const std::size_t at = text.find("/rfork.");
            if (at != std::string::npos && text.size() - at >= 39)
                std::printf("seen %s\n", text.c_str());
        }
    }
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (words.size() >= 2 && words[0] == "answer")
        return be_rexecd(words[1], words.size() > 2 ? std::stoi(words[2]) : remote::default_port);
    if (words.size() >= 5 && words[0] == "ask") {
        Message message = request_for(words[2], words[3], words[4]);
        const std::string id =
            words.size() > 5 ? words[5] : words[4].substr(words[4].find('.') + 1);
        message.image = test::id_from(id);
        return ask(words[1], message, words.size() > 6 ? std::stoi(words[6]) : 1);
    }
    if (words.size() == 4 && words[0] == "flood")
        return flood(words[1], words[2], std::stoi(words[3]));
    if (words.size() == 7 && words[0] == "change") {
        Message message = request_for(words[2], words[3], words[4]);
        message.image = test::id_from(words[4].substr(words[4].find('.') + 1));
        message.log = words[5];
        return change(words[1], message, words[6]);
    }
    if (words.size() == 3 && words[0] == "stop")
        return stop_what_comes(std::stoi(words[1]), std::stoi(words[2]));
    if (words.size() == 2 && words[0] == "watch")
        return watch(std::stoi(words[1]));
    return std::fputs("usage: attacker answer|ask|change|flood|stop|watch ...\n", stderr), 2;
}
