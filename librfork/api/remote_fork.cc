// rfork() and rfork_move(), told as a list of steps: prepare, freeze, travel (journey/plan.h).
//
// No descriptor of ours is open while the process is frozen, since it would be frozen along.
#include "api/remote_fork.h"

#include "api/aside.h"
#include "api/destination.h"
#include "api/freeze.h"
#include "api/public.h"
#include "base/clock.h"
#include "journey/plan.h"
#include "remote/key.h"

#include <cerrno>
#include <sys/prctl.h>
#include <unistd.h>

namespace rfork::api {
namespace {

thread_local rfork_phase_times last_times;

// As the calling thread calls it: comm in proc(5).
std::string program_name() {
    char name[17] = {};
    prctl(PR_GET_NAME, name);
    return name;
}

Result<remote::Key> read_key(const Session& session, const std::string& file) {
    Result<remote::Key> key =
        Error{EINTR, "the process that was to read the key was killed: try again"};
    if (Result<void> r = aside(session, [&] { key = remote::read_key(file); }); !r)
        return r.error();
    return key;
}

Result<journey::Plan> prepare(const Session& session, const char* host, const Options& options,
                              FreezeOrder& order) {
    const Result<journey::Settings> settings = journey::read_settings();
    if (!settings)
        return settings.error();
    const Result<capture::Ignored> ignored = journey::read_ignored(options.ignored);
    if (!ignored)
        return ignored.error();
    const Result<remote::Key> key = read_key(session, settings->key_file);
    if (!key)
        return key.error();
    Result<journey::Plan> plan = journey::prepare(*settings, host, *key, program_name(), getpid());
    if (!plan)
        return plan.error();
    static_cast<image::Place&>(order) = plan->place;
    order.id = plan->request.image;
    order.secret = plan->request.secret;
    order.trusts_files = plan->trusts_files;
    order.ignored = *ignored;
    order.ends = options.ends;
    order.leaves_children = options.leaves_children || ignored->has(capture::Sort::children);
    return plan;
}

} // namespace

Result<int> remote_fork(const Session& session, const char* host, const Options& options) {
    const pid_t caller = getpid();
    FreezeOrder order;
    Result<journey::Plan> plan = prepare(session, host, options, order);
    if (!plan)
        return plan.error();

    order.monitor = plan->reports.dump_started(plan->request.host);
    Halt halt;
    const Result<Frozen> frozen = freeze(session, order, halt);
    if (!frozen) {
        plan->reports.failed(frozen.error());
        return frozen.error();
    }
    plan->reports.dump_finished(frozen->bytes);

    const std::uint64_t asked = monotonic_ns();
    const Result<remote::Reply> reply = journey::travel(*plan);
    if (getpid() == caller)
        reap_copy(frozen->copy);
    if (!reply)
        return reply.error();
    tell_where(plan->request, *reply, options.ends);
    if (options.ends)
        end_original();
    remember_copy(plan->request, *reply);
    keep_phase_times({frozen->fork_ns, frozen->stall_ns, frozen->write_ns, monotonic_ns() - asked,
                      reply->first_sent});
    return RFORK_PARENT;
}

void keep_phase_times(const rfork_phase_times& times) {
    last_times = times;
}

extern "C" RFORK_API const rfork_phase_times* rfork_phase_times_last() {
    return &last_times;
}

} // namespace rfork::api
