// rfork(), rfork_checkpoint(), their kin and rfork_report(), told as lists of steps.
#include "api/public.h"

#include "api/arena.h"
#include "api/aside.h"
#include "api/clock.h"
#include "api/freeze.h"
#include "api/last_error.h"
#include "api/options.h"
#include "api/sections.h"
#include "api/settings.h"
#include "api/timing.h"
#include "api/turn.h"
#include "remote/address.h"
#include "remote/client.h"
#include "remote/report.h"
#include "remote/settle.h"
#include "remote/spool.h"
#include "remote/user_directory.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rfork::api {
namespace {

thread_local rfork_phase_times last_times;

// Much of what libc does on the way is a cancellation point (pthreads(7)), which this call is not.
class CallInProgress {
  public:
    explicit CallInProgress(Session& session) : session_(session) {
        call_in_progress = true;
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &session.cancel_state);
    }
    ~CallInProgress() {
        pthread_setcancelstate(session_.cancel_state, nullptr);
        call_in_progress = false;
    }

  private:
    Session& session_;
};

std::string program_name() {
    char name[17] = {};
    prctl(PR_GET_NAME, name);
    return name;
}

// The three lines that a monitor sees of every rfork: two from here, one from the copy's stub.
class Narrator {
  public:
    static Result<Narrator> open(const std::string& monitor) {
        Narrator narrator;
        if (monitor.empty())
            return narrator;
        const Result<remote::Address> address =
            remote::parse_address(monitor, remote::monitor_port);
        if (!address)
            return Error{address.error().code, "RFORK_MONITOR: " + address.error().sentence};
        const Result<sockaddr_in> resolved = remote::resolve(*address);
        if (!resolved)
            return narrator; // no reason not to go: whoever watches sees nothing
        narrator.to_ = *resolved;
        narrator.listening_ = true;
        return narrator;
    }

    capture::Monitor dump_started(const std::string& host) {
        started_ = realtime_ns();
        if (!listening_)
            return {};
        say("dump started, for " + host);
        return {to_.sin_addr.s_addr, to_.sin_port, started_};
    }

    void dump_finished(std::uint64_t bytes) {
        char text[96];
        std::snprintf(text, sizeof text, "dump finished, %llu bytes, %.1f ms",
                      static_cast<unsigned long long>(bytes),
                      double(realtime_ns() - started_) / 1e6);
        say(text);
    }

    void failed(const Error& error) { say("rfork failed: " + error.sentence); }

  private:
    // A report that cannot be sent must not stop what it is about.
    void say(const std::string& what) {
        if (!listening_)
            return;
        std::string line = program_name() + "[" + std::to_string(getpid()) + "]: " + what;
        (void)bool(remote::send_report(to_, std::string_view(line).substr(0, remote::max_report)));
    }

    sockaddr_in to_{};
    bool listening_ = false;
    std::uint64_t started_ = 0;
};

Result<remote::Key> read_key(const Session& session, const std::string& file) {
    Result<remote::Key> key = Error{};
    if (Result<void> r = aside(session, [&] { key = remote::read_key(file); }); !r)
        return r.error();
    return key;
}

// A descriptor would be frozen along with the program, so it is only there while none is written.
Result<UniqueFd> open_user_directory(const std::string& path) {
    UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd)
        return system_error(errno, "cannot open " + path, "see what is wrong with the spool");
    return fd;
}

// A travelling image that nobody has been asked to run.
void discard(const FreezeOrder& order) {
    unlink((order.directory + "/" + order.name).c_str());
}

Result<int> remote_fork(const Session& session, const char* host, const Options& options) {
    const pid_t caller = getpid();
    // Everything that can be wrong without touching the process comes first.
    if (!host)
        return Error{EINVAL, "the host is a null pointer: pass a name or an address"};
    const Result<Settings> settings = read_settings();
    if (!settings)
        return settings.error();
    const Result<capture::Ignored> ignored = read_ignored();
    if (!ignored)
        return ignored.error();
    const Result<remote::Address> parsed = remote::parse_address(host, remote::default_port);
    if (!parsed)
        return parsed.error();
    const Result<sockaddr_in> address = remote::resolve(*parsed);
    if (!address)
        return address.error();
    Result<Narrator> narrator = Narrator::open(settings->monitor);
    if (!narrator)
        return narrator.error();
    const Result<remote::Key> key = read_key(session, settings->key_file);
    if (!key)
        return key.error();
    Result<remote::UserDirectory> directory =
        remote::find_or_make_user_directory(settings->spool);
    if (!directory)
        return directory.error();
    directory->fd.reset();

    remote::Errand errand;
    errand.request = remote::new_id();
    errand.host = host;
    errand.address = *address;
    errand.key = *key;
    errand.timeout_ms = settings->timeout_ms;
    errand.image = remote::new_id();
    errand.user = directory->user;
    errand.outer_user = directory->outer_user;
    errand.directory_name = directory->name;
    errand.ticket = remote::ticket_name(errand.image);
    errand.program = program_name();
    errand.log = settings->log;
    if (Result<remote::Welcome> r = remote::greet(errand); !r)
        return r.error();

    // Freeze.
    FreezeOrder order;
    order.id = errand.image;
    order.travels = true;
    order.directory = directory->path;
    order.temporary = remote::temporary_name(order.id);
    order.name = errand.ticket;
    order.ignored = *ignored;
    order.ends = options.ends;
    order.leaves_children = options.leaves_children || ignored->has(capture::Sort::children);
    order.patience_ms = settings->timeout_ms;
    order.monitor = narrator->dump_started(host);
    Halt halt;
    const Result<Frozen> frozen = freeze(session, order, halt);
    if (!frozen) {
        narrator->failed(frozen.error());
        return frozen.error();
    }
    narrator->dump_finished(frozen->bytes);

    // Ask the target to run it.
    const Result<UniqueFd> opened = open_user_directory(directory->path);
    if (!opened) {
        reap_copy(frozen->copy);
        discard(order);
        return opened.error();
    }
    errand.directory = opened->get();
    const std::uint64_t asked = monotonic_ns();
    const remote::Reply reply = remote::ask(errand);
    if (getpid() != caller)
        return forked_meanwhile();
    reap_copy(frozen->copy);

    // Only an acknowledged ticket is final; after anything else it decides.
    if (reply.kind != remote::Reply::resumed) {
        const remote::Outcome outcome =
            remote::settle({errand.directory, errand.ticket, reply.said_resumed});
        if (getpid() != caller)
            return forked_meanwhile();
        if (outcome == remote::Outcome::given_up) {
            unlinkat(errand.directory, remote::given_up_name(errand.ticket).c_str(), 0);
            remote::cancel(errand);
            narrator->failed(reply.error);
            return reply.error;
        }
    }
    remote::acknowledge(errand);
    if (options.ends)
        end_original();
    last_times = {frozen->fork_ns, frozen->stall_ns, frozen->write_ns, monotonic_ns() - asked,
                  reply.first_sent};
    return RFORK_PARENT;
}

Result<int> checkpoint(const Session& session, const char* path, const Options& options) {
    if (!path || !*path)
        return Error{EINVAL, "the path of the checkpoint is empty: pass a file name"};
    const std::string whole = path;
    const std::size_t slash = whole.rfind('/');
    FreezeOrder order;
    order.id = remote::new_id();
    order.directory = slash == std::string::npos ? "." : whole.substr(0, slash + 1);
    order.name = slash == std::string::npos ? whole : whole.substr(slash + 1);
    if (order.name.empty())
        return Error{EISDIR, "'" + whole + "' names a directory: a checkpoint is a file"};
    struct stat there;
    if (lstat(path, &there) == 0 && !S_ISREG(there.st_mode))
        return Error{EEXIST, "'" + whole +
                                 "' exists and is not a regular file, so it is not "
                                 "replaced: choose another name"};
    order.temporary = remote::temporary_name(order.id);
    const Result<int> patience = read_timeout();
    if (!patience)
        return patience.error();
    order.patience_ms = *patience;
    const Result<capture::Ignored> ignored = read_ignored();
    if (!ignored)
        return ignored.error();
    order.ignored = *ignored;
    order.ends = options.ends;
    order.leaves_children = options.leaves_children || ignored->has(capture::Sort::children);
    Halt halt;
    const Result<Frozen> frozen = freeze(session, order, halt);
    if (!frozen)
        return frozen.error();
    reap_copy(frozen->copy);
    if (options.ends)
        end_original();
    last_times = {frozen->fork_ns, frozen->stall_ns, frozen->write_ns, 0, 0};
    return RFORK_PARENT;
}

Result<void> report_line(const char* monitor, const char* message) {
    if (!monitor || !message)
        return Error{EINVAL, "the monitor or the message is a null pointer"};
    if (std::strlen(message) > remote::max_report)
        return Error{EMSGSIZE, "the message is longer than the 1024 bytes of one report"};
    const Result<remote::Address> parsed = remote::parse_address(monitor, remote::monitor_port);
    if (!parsed)
        return parsed.error();
    const Result<sockaddr_in> address = remote::resolve(*parsed);
    if (!address)
        return address.error();
    // Its socket lives for a moment only, and is nothing that an image could carry.
    rfork_block();
    Result<void> sent = remote::send_report(*address, message);
    rfork_unblock();
    return sent;
}

} // namespace

// On the session's stack; entry.S returns what this returns.
extern "C" int rfork_session_run(Session* session, const char* argument, const rfork_options* given,
                                 Operation operation) {
    session->caller_errno = errno;
    if (call_in_progress)
        return fail({EBUSY, "a signal handler called rfork() while it was running: leave it to the "
                            "program's main flow"});
    ActiveSession active(session);
    if (Result<void> r = check_own_sections(); !r)
        return fail(r.error());
    CallInProgress in_progress(*session);
    OwnTurn turn;
    const Result<Options> options = read_options(given, operation);
    if (!options)
        return fail(options.error());
    const Result<int> outcome = operation == Operation::checkpoint
                                    ? checkpoint(*session, argument, *options)
                                    : remote_fork(*session, argument, *options);
    if (!outcome)
        return fail(outcome.error());
    errno = session->caller_errno;
    return *outcome;
}

extern "C" RFORK_API int rfork_report(const char* monitor, const char* message) {
    const int before = errno;
    if (Result<void> r = report_line(monitor, message); !r)
        return fail(r.error());
    errno = before;
    return 0;
}

extern "C" RFORK_API const rfork_phase_times* rfork_phase_times_last() {
    return &last_times;
}

} // namespace rfork::api
