// rfork() and rfork_move(), told as a list of steps.
//
//   prepare    all that can be wrong without touching the process: settings, names, key, spool, and
//              whether the target answers at all
//   freeze     the image, under the name that is its ticket
//   ask        the target to run it, until it says so and the ticket bears it out, or a reason to
//              give up
//   decide     otherwise the ticket tells (remote/decide_outcome.h): the copy runs after all, or
//              never will
//
// No descriptor of ours is open while the process is frozen, since it would be frozen along.
#include "api/remote_fork.h"

#include "api/aside.h"
#include "api/destination.h"
#include "api/freeze.h"
#include "api/progress_reports.h"
#include "api/public.h"
#include "api/settings.h"
#include "base/clock.h"
#include "remote/address.h"
#include "remote/client.h"
#include "remote/decide_outcome.h"
#include "remote/random.h"
#include "remote/spool.h"
#include "remote/user_directory.h"

#include <cerrno>
#include <unistd.h>

namespace rfork::api {
namespace {

thread_local rfork_phase_times last_times;

struct Plan {
    ProgressReports reports;
    FreezeOrder order;
    remote::ResumeRequest request;
};

Result<sockaddr_in> resolve(const char* host) {
    if (!host)
        return Error{EINVAL, "the host is a null pointer: pass a name or an address"};
    const Result<remote::Address> parsed = remote::parse_address(host, remote::default_port);
    if (!parsed)
        return parsed.error();
    return remote::resolve(*parsed);
}

Result<remote::Key> read_key(const Session& session, const std::string& file) {
    Result<remote::Key> key =
        Error{EINTR, "the process that was to read the key was killed: try again"};
    if (Result<void> r = aside(session, [&] { key = remote::read_key(file); }); !r)
        return r.error();
    return key;
}

Result<Plan> prepare(const Session& session, const char* host, const Options& options) {
    const Result<Settings> settings = read_settings();
    if (!settings)
        return settings.error();
    const Result<capture::Ignored> ignored = read_ignored();
    if (!ignored)
        return ignored.error();
    const Result<sockaddr_in> address = resolve(host);
    if (!address)
        return address.error();
    Result<ProgressReports> reports = ProgressReports::to(settings->monitor);
    if (!reports)
        return reports.error();
    const Result<remote::Key> key = read_key(session, settings->key_file);
    if (!key)
        return key.error();

    Plan plan{*reports, {}, {}};
    remote::ResumeRequest& request = plan.request;
    request.id = remote::new_id();
    request.host = host;
    request.address = *address;
    request.key = *key;
    request.timeout_ms = settings->timeout_ms;
    remote::Greeting greeting(request);

    const Result<remote::UserDirectory> directory =
        remote::find_or_make_user_directory(settings->spool);
    if (!directory)
        return directory.error();
    request.image = remote::new_id();
    remote::fill_random(request.secret.bytes);
    request.user = directory->user;
    request.outer_user = directory->outer_user;
    request.directory_name = directory->name;
    request.ticket = remote::ticket_name(request.image);
    request.program = program_name();
    request.log = settings->log;

    FreezeOrder& order = plan.order;
    order.id = request.image;
    order.secret = request.secret;
    order.travels = true;
    order.trusts_files = settings->trusts_files;
    order.directory = directory->path;
    order.temporary = remote::temporary_name(order.id);
    order.name = request.ticket;
    order.ignored = *ignored;
    order.ends = options.ends;
    order.leaves_children = options.leaves_children || ignored->has(capture::Sort::children);
    order.patience_ms = settings->timeout_ms;
    if (const Result<remote::Welcome> welcome = greeting.answer(); !welcome)
        return welcome.error();
    return plan;
}

// What the target does not answer for, the ticket does.
remote::Outcome outcome_of(const remote::ResumeRequest& request, const remote::Reply& reply,
                           std::int64_t asked_ms) {
    if (reply.kind == remote::Reply::resumed)
        return remote::Outcome::runs;
    return remote::decide_outcome(
        {*request.directory, request.ticket, reply.said_resumed, asked_ms});
}

} // namespace

Result<int> remote_fork(const Session& session, const char* host, const Options& options) {
    const pid_t caller = getpid();
    Result<Plan> plan = prepare(session, host, options);
    if (!plan)
        return plan.error();
    remote::ResumeRequest& request = plan->request;
    ProgressReports& reports = plan->reports;

    plan->order.monitor = reports.dump_started(request.host);
    Halt halt;
    const Result<Frozen> frozen = freeze(session, plan->order, halt);
    if (!frozen) {
        reports.failed(frozen.error());
        return frozen.error();
    }
    reports.dump_finished(frozen->bytes);

    const std::uint64_t asked = monotonic_ns();
    const std::int64_t asked_ms = remote::boottime_ms();
    remote::OpenDirectory directory(plan->order.directory);
    request.directory = &directory;
    if (directory.get() < 0) {
        const Error error = system_error(errno, "cannot open " + plan->order.directory,
                                         "see what is wrong with the spool");
        unlink(
            (plan->order.directory + "/" + plan->order.name).c_str()); // nobody was asked to run it
        reap_copy(frozen->copy);
        reports.failed(error);
        return error;
    }
    const remote::Reply reply = remote::ask(request);
    if (getpid() != caller)
        return forked_meanwhile();
    reap_copy(frozen->copy);

    const remote::Outcome outcome = outcome_of(request, reply, asked_ms);
    if (getpid() != caller)
        return forked_meanwhile();
    if (outcome == remote::Outcome::given_up) {
        unlinkat(directory.get(), remote::given_up_name(request.ticket).c_str(), 0);
        remote::cancel(request);
        reports.failed(reply.error);
        return reply.error;
    }
    remote::acknowledge(request);
    tell_where(request, reply, options.ends);
    if (options.ends)
        end_original();
    remember_copy(request, reply);
    keep_phase_times({frozen->fork_ns, frozen->stall_ns, frozen->write_ns, monotonic_ns() - asked,
                      reply.first_sent});
    return RFORK_PARENT;
}

void keep_phase_times(const rfork_phase_times& times) {
    last_times = times;
}

extern "C" RFORK_API const rfork_phase_times* rfork_phase_times_last() {
    return &last_times;
}

} // namespace rfork::api
