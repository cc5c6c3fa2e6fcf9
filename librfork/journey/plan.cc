#include "journey/plan.h"

#include "remote/address.h"
#include "remote/decide_outcome.h"
#include "remote/random.h"
#include "remote/spool.h"
#include "remote/user_directory.h"

#include <cerrno>
#include <unistd.h>

namespace rfork::journey {
namespace {

Result<sockaddr_in> resolve(const char* host) {
    if (!host)
        return Error{EINVAL, "the host is a null pointer: pass a name or an address"};
    const Result<remote::Address> parsed = remote::parse_address(host, remote::default_port);
    if (!parsed)
        return parsed.error();
    return remote::resolve(*parsed);
}

// What the target does not answer for, the ticket does.
remote::Outcome outcome_of(const remote::ResumeRequest& request, const remote::Reply& reply,
                           std::int64_t asked_ms) {
    if (reply.kind == remote::Reply::resumed)
        return remote::Outcome::runs;
    return remote::decide_outcome(
        {*request.directory, request.ticket, reply.said_resumed, asked_ms});
}

Error spool_is_gone(Plan& plan) {
    const Error error = system_error(errno, "cannot open " + plan.place.directory,
                                     "see what is wrong with the spool");
    unlink((plan.place.directory + "/" + plan.place.name).c_str()); // nobody was asked to run it
    plan.reports.failed(error);
    return error;
}

} // namespace

void Plan::describe(capture::Snapshot& snapshot) const {
    snapshot.id = request.image;
    snapshot.travels = true;
    snapshot.trusts_files = trusts_files;
    snapshot.ticket = {place.directory, place.name, request.secret};
}

Result<Plan> prepare(const Settings& settings, const char* host, const remote::Key& key,
                     const std::string& program, pid_t pid) {
    const Result<sockaddr_in> address = resolve(host);
    if (!address)
        return address.error();
    Result<ProgressReports> reports = ProgressReports::to(settings.monitor, program, pid);
    if (!reports)
        return reports.error();

    Plan plan{*reports, {}, {}, settings.trusts_files};
    remote::ResumeRequest& request = plan.request;
    request.id = remote::new_id();
    request.host = host;
    request.address = *address;
    request.key = key;
    request.timeout_ms = settings.timeout_ms;
    remote::Greeting greeting(request);

    const Result<remote::UserDirectory> directory =
        remote::find_or_make_user_directory(settings.spool);
    if (!directory)
        return directory.error();
    request.image = remote::new_id();
    remote::fill_random(request.secret.bytes);
    request.user = directory->user;
    request.outer_user = directory->outer_user;
    request.directory_name = directory->name;
    request.ticket = remote::ticket_name(request.image);
    request.program = program;
    request.log = settings.log;

    plan.place.directory = directory->path;
    plan.place.temporary = remote::temporary_name(request.image);
    plan.place.name = request.ticket;
    plan.place.travels = true;
    plan.place.patience_ms = settings.timeout_ms;
    if (const Result<remote::Welcome> welcome = greeting.answer(); !welcome)
        return welcome.error();
    return plan;
}

Result<remote::Reply> travel(Plan& plan) {
    const pid_t asker = getpid();
    remote::ResumeRequest& request = plan.request;
    const std::int64_t asked_ms = remote::boottime_ms();
    remote::OpenDirectory directory(plan.place.directory);
    request.directory = &directory;
    if (directory.get() < 0)
        return spool_is_gone(plan);
    const remote::Reply reply = remote::ask(request);
    if (getpid() != asker)
        return forked_meanwhile();
    const remote::Outcome outcome = outcome_of(request, reply, asked_ms);
    if (getpid() != asker)
        return forked_meanwhile();
    request.directory = nullptr;
    if (outcome == remote::Outcome::given_up) {
        unlinkat(directory.get(), remote::given_up_name(request.ticket).c_str(), 0);
        remote::cancel(request);
        plan.reports.failed(reply.error);
        return reply.error;
    }
    remote::acknowledge(request);
    return reply;
}

Error forked_meanwhile() {
    return {ECANCELED, "a signal handler has forked this process while rfork() ran in its parent, "
                       "where the call goes on"};
}

} // namespace rfork::journey
