#include "travel.h"

#include "base/clock.h"
#include "base/printable.h"
#include "format/kinds.h"
#include "format/records/ticket.h"
#include "freezing.h"
#include "image/frozen_snapshot.h"
#include "journey/plan.h"
#include "moving.h"
#include "remote/key.h"
#include "traced/admission.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <unistd.h>

namespace rfork::tool {
namespace {

Result<journey::Plan> prepare(const std::string& host, const std::string& program, pid_t pid) {
    const Result<journey::Settings> settings = journey::read_settings();
    if (!settings)
        return settings.error();
    const Result<remote::Key> key = remote::read_key(settings->key_file);
    if (!key)
        return key.error();
    return journey::prepare(*settings, host.c_str(), *key, program, pid);
}

void tell(const journey::Plan& plan, const remote::Reply& reply, const char* what, bool quiet) {
    if (quiet)
        return;
    std::printf("%s: %s on %s as process %lld%s%s\n", printable(plan.request.program).c_str(), what,
                printable(plan.request.host).c_str(), static_cast<long long>(reply.pid),
                reply.log.empty() ? "" : "; output: ", printable(reply.log).c_str());
}

// What has been written for a journey that does not take place.
void forget(const journey::Plan& plan) {
    unlink((plan.place.directory + "/" + plan.place.name).c_str());
}

Result<remote::Reply> travel_with(journey::Plan& plan, capture::FrozenProcess& frozen, bool ends) {
    if (!ends)
        return journey::travel(plan);
    const Result<Moving> moving =
        Moving::begin(frozen.pid(), plan.place.directory, plan.place.name);
    if (!moving) {
        forget(plan);
        return moving.error();
    }
    if (Result<void> r = frozen.halt(); !r) {
        forget(plan);
        return r.error();
    }
    const Result<remote::Reply> reply = journey::travel(plan);
    if (reply)
        (void)bool(frozen.finish_with(SIGKILL));
    return reply;
}

Result<void> send(const TravelOptions& options, bool ends) {
    const Interruptible interruptible;
    const Result<capture::Ignored> ignored = journey::read_ignored(options.ignored);
    if (!ignored)
        return ignored.error();
    const Result<capture::Admitted> admitted = capture::admit(options.pid);
    if (!admitted)
        return admitted.error();
    Result<journey::Plan> plan = prepare(options.host, admitted->name, admitted->pid);
    if (!plan)
        return plan.error();
    if (Result<void> r = settle(plan->place.directory, admitted->pid); !r)
        return r;

    capture::Snapshot snapshot;
    plan->describe(snapshot);
    snapshot.ignored = *ignored;
    snapshot.monitor = plan->reports.dump_started(options.host);
    const capture::FreezeOrder order{!ends, ignored->has(capture::Sort::children)};
    const Result<std::unique_ptr<capture::FrozenProcess>> frozen =
        capture::FrozenProcess::freeze(options.pid, order, snapshot);
    if (!frozen) {
        plan->reports.failed(frozen.error());
        return frozen.error();
    }
    const Result<std::uint64_t> bytes = write_image_at(plan->place, snapshot, options.quiet);
    if (!bytes) {
        plan->reports.failed(bytes.error());
        return bytes.error();
    }
    plan->reports.dump_finished(*bytes);
    const Result<remote::Reply> reply = travel_with(*plan, **frozen, ends);
    Result<void> r = (*frozen)->finish();
    if (!reply)
        return reply.error();
    tell(*plan, *reply, ends ? "goes on" : "a copy runs", options.quiet);
    return r;
}

} // namespace

Result<void> migrate(const TravelOptions& options) {
    return send(options, true);
}

Result<void> clone(const TravelOptions& options) {
    return send(options, false);
}

Result<void> exec(const ExecOptions& options) {
    const Interruptible interruptible;
    const UniqueFd file(open(options.image.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file)
        return system_error(errno, "cannot open '" + options.image + "'");
    capture::Snapshot snapshot;
    const Result<image::FrozenSnapshot> frozen =
        image::FrozenSnapshot::read(file.get(), options.image, snapshot);
    if (!frozen)
        return frozen.error();
    const capture::ProcessSnapshot& first = snapshot.processes.front();
    Result<journey::Plan> plan = prepare(options.host, first.identity.name, first.identity.pid);
    if (!plan)
        return plan.error();
    plan->describe(snapshot);
    for (capture::ProcessSnapshot& process : snapshot.processes) {
        kinds::TicketRecord record{};
        record.directory = snapshot.strings.add(snapshot.ticket.directory);
        record.name = snapshot.strings.add(snapshot.ticket.name);
        process.records.add(image::Kind::ticket, record);
    }
    const Result<std::uint64_t> bytes = write_image_at(plan->place, snapshot, options.quiet);
    if (!bytes)
        return bytes.error();
    const Result<remote::Reply> reply = journey::travel(*plan);
    if (!reply)
        return reply.error();
    tell(*plan, *reply, "runs", options.quiet);
    return {};
}

} // namespace rfork::tool
