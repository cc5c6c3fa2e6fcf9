#include "doctor/looks.h"

#include "base/printable.h"
#include "describe/text.h"
#include "doctor/own_directory.h"
#include "remote/address.h"
#include "remote/client.h"
#include "remote/key.h"
#include "remote/random.h"
#include "remote/spool.h"

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

namespace rfork::tool {
namespace {

constexpr int timeout_ms = 3000;

std::string setting(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

Result<sockaddr_in> resolve(const std::string& host) {
    const Result<remote::Address> address = remote::parse_address(host, remote::default_port);
    if (!address)
        return address.error();
    return remote::resolve(*address);
}

Finding judge_clock(std::int64_t ahead_ns) {
    constexpr double worrying = 10; // of the 60 seconds that are allowed
    const double seconds = double(ahead_ns) / 1e9;
    const std::string found =
        format("%.3f s %s ours", std::fabs(seconds), seconds < 0 ? "behind" : "ahead of");
    return std::fabs(seconds) < worrying
               ? ok(found)
               : warning(found + "; from 60 s on it takes no request", "set the clocks by NTP");
}

// A ticket that has been given up, for an image that never was: whoever sees it there has the same
// spool, and nothing can come of it.
class GivenUpTicket {
  public:
    GivenUpTicket(const remote::UserDirectory& directory, const image::Id& id)
        : directory_(directory.fd.get()), ticket_(remote::ticket_name(id)),
          file_(::openat(directory_, remote::given_up_name(ticket_).c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) {}
    ~GivenUpTicket() {
        if (file_)
            ::unlinkat(directory_, remote::given_up_name(ticket_).c_str(), 0);
    }
    bool is_there() const { return bool(file_); }
    const std::string& name() const { return ticket_; }

  private:
    int directory_;
    std::string ticket_;
    UniqueFd file_;
};

Finding ask_for_ticket(remote::ResumeRequest request, const remote::UserDirectory& directory) {
    remote::OpenDirectory opened(directory.path);
    request.id = remote::new_id();
    request.image = remote::new_id();
    remote::fill_random(request.secret.bytes);
    const GivenUpTicket ticket(directory, request.image);
    if (!ticket.is_there())
        return problem(system_error(errno, "cannot write in your directory of the spool",
                                    "see its mode, your quota, and the room that is left"));
    request.user = directory.user;
    request.outer_user = directory.outer_user;
    request.directory = &opened;
    request.directory_name = directory.name;
    request.ticket = ticket.name();
    request.program = "rfork doctor";
    const remote::Reply reply = remote::ask(request);
    if (reply.error.code == ECANCELED)
        return ok("the same as here, and it takes your images");
    if (reply.error.code == ENOENT)
        return problem("another than here: what is written here is not found there",
                       "give rexecd there (--spool), and RFORK_SPOOL here, the directory that "
                       "both share");
    return problem(reply.error);
}

Finding look_at_its_spool(const remote::ResumeRequest& request) {
    const std::string spool = setting("RFORK_SPOOL");
    if (spool.empty())
        return problem("cannot be compared with ours", "set RFORK_SPOOL");
    const Result<OwnDirectory> directory = OwnDirectory::in(spool);
    if (!directory)
        return problem(directory.error());
    return ask_for_ticket(request, **directory);
}

} // namespace

void look_at_host(const std::string& host, const Tell& tell) {
    const Result<sockaddr_in> address = resolve(host);
    if (!address) {
        tell("host", problem(address.error()));
        return;
    }
    tell("host", ok(printable(host) + " is " + remote::address_text(*address)));
    const Result<remote::Key> key = remote::read_key(setting("RFORK_KEY_FILE"));
    if (!key) {
        tell("rexecd", problem("cannot be asked without the key", "see above"));
        return;
    }
    remote::ResumeRequest request;
    request.id = remote::new_id();
    request.host = host;
    request.address = *address;
    request.key = *key;
    request.timeout_ms = timeout_ms;
    const Result<remote::Welcome> welcome = remote::Greeting(request).answer();
    if (!welcome) {
        tell("rexecd", problem(welcome.error()));
        return;
    }
    tell("rexecd", ok("answers as " + printable(welcome->host) + ", with the same key"));
    tell("round-trip", ok(format("%.2f ms", double(welcome->round_trip_ns) / 1e6)));
    tell("host-clock", judge_clock(welcome->clock_ahead_ns));
    tell("host-spool", look_at_its_spool(request));
}

} // namespace rfork::tool
