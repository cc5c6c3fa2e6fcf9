// From a name in a datagram to a running program, distrusting the file all the way:
//
//   find       look the name up beneath the spool without opening it (O_PATH): who owns it?
//   become     take on that user's identity, for good
//   open       open it as that user, see that it still is the same file, and read its front: is it
//              an image, undamaged, and the one whose id the authenticated request names?
//   launch     fork, and execute the very descriptor that was checked
//   await      the stub tells through a pipe at which stage it failed, or that the program runs
//   settle     unlink the image, if a copy on this host has won the claim
//
// After `launch` there are three ways in which the claim can be decided: our stub wins it; another
// one has (the caller asked a predecessor of this daemon as well), so that the answer is "resumed"
// all the same; or somebody has given up. We give up ourselves when a stub neither speaks nor dies,
// and then by making the claim: a process that has not claimed may be killed, one that has may not.
#include "rexecd/runner.h"

#include "base/unique_fd.h"
#include "image/reader.h"
#include "image/status.h"
#include "remote/spool.h"
#include "rexecd/claims.h"
#include "rexecd/identity.h"
#include "rexecd/launch.h"
#include "rexecd/spool_access.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rexecd {

namespace {

using namespace rfork;

constexpr int patience_ms = 10 * 60 * 1000; // for an image to be read from a slow file system
constexpr int death_ms = 5000;              // from closing the pipe to being waited for

Outcome refused(const Error& why) {
    Outcome outcome{};
    outcome.error = why.code;
    why.sentence.copy(outcome.sentence, sizeof(outcome.sentence) - 1);
    return outcome;
}

// --- find
// -----------------------------------------------------------------------------------------

// The image, or, when it is gone or must not be run, its claim. Not held open: what somebody holds
// open, an NFS client does not unlink but rename.
struct Found {
    std::optional<struct stat> image;
    uid_t owner = 0;
};

Result<Found> find(const Job& job, int spool) {
    // An image written a moment ago by another host may take a moment to be seen here.
    constexpr long pauses_ms[] = {0, 2, 10, 50, 200, 500};
    const std::string claim = claim_name(job.image_name);
    Error missing;
    for (long pause : pauses_ms) {
        if (pause > 0) {
            timespec time{0, pause * 1'000'000};
            ::nanosleep(&time, nullptr);
            refresh_listing(spool);
        }
        if (!job.claims_only) {
            Result<Entry> image = open_entry(spool, job.image_name, O_PATH);
            if (image)
                return Found{image->status, image->status.st_uid};
            if (image.error().code != ENOENT)
                return image.error();
        }
        Result<Entry> claimed = open_entry(spool, claim, O_PATH);
        if (claimed)
            return Found{std::nullopt, claimed->status.st_uid};
        if (job.claims_only && claimed.error().code == ENOENT && pause > 0)
            return Error{ESTALE, "rexecd started after this request was sent (or the clocks of the "
                                 "hosts differ) and does not run it: try again"};
        if (claimed.error().code != ENOENT)
            return claimed.error();
    }
    return Error{ENOENT, "the image " + job.image_name + " is not in the spool " + job.spool +
                             ": does this host share the caller's spool?"};
}

// --- the claim
// ------------------------------------------------------------------------------------

// The answer when somebody has made the claim, whoever that was; nothing when nobody has.
std::optional<Outcome> answer_from_claim(const Job& job, int spool, uid_t owner) {
    Result<std::optional<Claim>> claim = read_claim(spool, job.image_name);
    if (!claim)
        return refused(claim.error());
    if (!*claim)
        return std::nullopt;
    if ((*claim)->owner != owner)
        return refused(
            {EPERM, "the claim of " + job.image_name + " was made by another user than its owner"});
    if ((*claim)->given_up)
        return refused({ECANCELED, "the request was given up on " + (*claim)->host});

    Outcome outcome{};
    outcome.resumed = true;
    outcome.owner = owner;
    outcome.pid = (*claim)->pid;
    if ((*claim)->host == host_name()) {
        // We, or a predecessor of this daemon, started it: what is left to clean up is ours.
        outcome.program = static_cast<pid_t>((*claim)->pid);
        outcome.has_log = outcome.program > 0;
        ::unlinkat(spool, job.image_name.c_str(), 0);
    }
    return outcome;
}

// --- open
// -----------------------------------------------------------------------------------------

bool same_file(const struct stat& a, const struct stat& b) {
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_uid == b.st_uid;
}

// The image's front as a sentence about this image, when there is something wrong with it.
Result<void> check_front(const Job& job, int image) {
    Result<image::Header> header = image::read_front(image);
    if (!header)
        return Error{header.error().code, job.image_name + ": " + header.error().sentence};
    if (std::memcmp(&header->id, &job.image, sizeof(job.image)) != 0)
        return Error{EPERM, job.image_name + " is another image than the one the request names"};
    if (!(header->flags & image::flag_travels))
        return Error{EPERM, job.image_name +
                                " is a checkpoint, which rexecd does not run: start it by hand"};
    return {};
}

// As the owner, and the same file still.
Result<UniqueFd> open_image(const Job& job, int spool, const struct stat& found) {
    Result<Entry> image = open_entry(spool, job.image_name, O_RDONLY);
    if (!image)
        return image.error();
    if (Result<void> trusted = check_entry(image->status, job.image_name); !trusted)
        return trusted.error();
    if (!same_file(image->status, found))
        return Error{EPERM, job.image_name + " was replaced while it was opened"};
    if (Result<void> right = check_front(job, image->fd.get()); !right)
        return right.error();
    return std::move(image->fd);
}

// --- the log
// --------------------------------------------------------------------------------------

struct Log {
    UniqueFd fd;
    bool is_new = false;
};

Result<Log> open_log(const Job& job, int spool) {
    const std::string name = remote::log_name(job.image_name);
    constexpr int flags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC;
    Log log;
    log.fd.reset(::openat(spool, name.c_str(), flags | O_CREAT | O_EXCL, 0600));
    log.is_new = bool(log.fd);
    if (!log.fd && errno != EEXIST)
        return system_error(errno, "cannot make " + name + " in the spool " + job.spool);
    if (log.is_new)
        return log;
    // A daemon that was killed over the same request has made it.
    Result<Entry> existing = open_entry(spool, name, O_WRONLY | O_APPEND);
    if (!existing)
        return existing.error();
    if (Result<void> trusted = check_entry(existing->status, name); !trusted)
        return trusted.error();
    if (existing->status.st_uid != ::geteuid())
        return Error{EPERM, name + " in the spool belongs to another user"};
    log.fd = std::move(existing->fd);
    return log;
}

// --- await
// ----------------------------------------------------------------------------------------

enum class Voice { spoke, silent, ended };

// The stub's one message. `silent`: nothing came in ten minutes; `ended`: it closed the pipe.
Voice hear(int status, image::StatusMessage& message) {
    pollfd ready{status, POLLIN, 0};
    int count;
    while ((count = ::poll(&ready, 1, patience_ms)) < 0 && errno == EINTR) {
    }
    if (count <= 0)
        return Voice::silent;
    ssize_t size = ::read(status, &message, sizeof(message));
    if (size != static_cast<ssize_t>(sizeof(message)) || message.magic != image::status_magic)
        return Voice::ended;
    message.sentence[sizeof(message.sentence) - 1] = '\0';
    return Voice::spoke;
}

// True once the process can be waited for without waiting.
bool has_died(pid_t process, int timeout_ms) {
    UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
    pollfd ready{handle.get(), POLLIN, 0};
    return handle && ::poll(&ready, 1, timeout_ms) > 0;
}

std::string death_of(pid_t process) {
    int status = 0;
    ::waitpid(process, &status, 0);
    if (WIFSIGNALED(status))
        return std::string("died of signal ") + std::to_string(WTERMSIG(status)) + " (" +
               ::sigdescr_np(WTERMSIG(status)) + ")";
    return "ended with status " + std::to_string(WEXITSTATUS(status));
}

// Not waited for when it hangs in a file system; the daemon, its next parent, will do that.
void end(pid_t process) {
    ::kill(process, SIGKILL);
    if (has_died(process, death_ms))
        ::waitpid(process, nullptr, 0);
}

// --- settle
// ---------------------------------------------------------------------------------------

class Attempt {
  public:
    Attempt(const Job& job, int spool, uid_t owner) : job_(job), spool_(spool), owner_(owner) {}

    Outcome run(const struct stat& found, const Identity& identity) {
        Result<UniqueFd> image = open_image(job_, spool_, found);
        if (!image)
            return refused(image.error());
        Result<Log> log = open_log(job_, spool_);
        if (!log)
            return refused(log.error());
        log_is_new_ = log->is_new;

        Result<Launched> launched =
            launch({image->get(), spool_, log->fd.get(), job_.image_name, identity});
        // What we no longer hold open, NFS can really unlink.
        image->reset();
        log->fd.reset();
        if (!launched)
            return failed(launched.error());
        return conclude(*launched);
    }

  private:
    Outcome conclude(const Launched& launched) {
        image::StatusMessage message{};
        Voice voice = hear(launched.status.get(), message);
        if (voice == Voice::spoke && message.stage == image::Stage::resumed)
            return succeeded(launched.program, message.pid);
        if (voice == Voice::spoke) {
            end(launched.program); // which it is about to do itself, if it is honest
            return stage_failed(message);
        }
        if (voice == Voice::ended && has_died(launched.program, death_ms))
            return failed(
                {EIO, "the image " + death_of(launched.program) + " before the program ran"});
        return lose_patience(launched.program);
    }

    Outcome succeeded(pid_t program, std::int64_t pid) {
        ::unlinkat(spool_, job_.image_name.c_str(), 0);
        Outcome outcome{};
        outcome.resumed = true;
        outcome.has_log = true;
        outcome.owner = owner_;
        outcome.program = program;
        outcome.pid = pid;
        return outcome;
    }

    Outcome stage_failed(const image::StatusMessage& message) {
        if (message.stage == image::Stage::claim && message.error == EEXIST)
            if (std::optional<Outcome> answer = answer_from_claim(job_, spool_, owner_)) {
                if (!answer->has_log)
                    remove_log(); // else it may be the log of the program that runs
                return *answer;
            }
        return failed({message.error ? message.error : EIO, message.sentence});
    }

    // It may be just about to run, so it may be killed only by who holds the claim; and the claim
    // goes again before the caller hears anything, since to him it would mean that a copy runs.
    Outcome lose_patience(pid_t program) {
        Result<bool> ours = take_claim(spool_, job_.image_name);
        if (ours && *ours) {
            ::kill(program, SIGKILL);
            ::waitpid(program, nullptr, 0);
            remove_claim(spool_, job_.image_name);
            return failed({ETIMEDOUT, "the image neither ran nor ended within ten minutes"});
        }
        if (ours)
            if (std::optional<Outcome> answer = answer_from_claim(job_, spool_, owner_)) {
                if (answer->program != program)
                    end(program);
                return *answer;
            }
        return refused({EIO, "the image neither runs nor ends, and the spool does not say whether "
                             "it may: see what is wrong with the spool"});
    }

    Outcome failed(const Error& why) {
        remove_log();
        return refused(why);
    }

    void remove_log() {
        if (log_is_new_)
            ::unlinkat(spool_, remote::log_name(job_.image_name).c_str(), 0);
    }

    const Job& job_;
    int spool_;
    uid_t owner_;
    bool log_is_new_ = false;
};

Outcome carry_out(const Job& job) {
    Result<UniqueFd> spool = open_spool(job.spool);
    if (!spool)
        return refused(spool.error());
    Result<Found> found = find(job, spool->get());
    if (!found)
        return refused(found.error());
    if (found->image)
        if (Result<void> trusted = check_entry(*found->image, job.image_name); !trusted)
            return refused(trusted.error());

    Result<Identity> identity = identity_of(found->owner, job.allow_root);
    if (!identity)
        return refused(identity.error());
    if (Result<void> became = become(*identity); !became)
        return refused(became.error());
    // Beyond this point we are the image's owner, and do what he could do himself.

    if (found->image)
        return Attempt(job, spool->get(), found->owner).run(*found->image, *identity);
    if (std::optional<Outcome> answer = answer_from_claim(job, spool->get(), found->owner))
        return *answer;
    return refused({ECANCELED, "the request was given up meanwhile"});
}

} // namespace

void run_job(const Job& job, int report) {
    Outcome outcome = carry_out(job);
    [[maybe_unused]] ssize_t written = ::write(report, &outcome, sizeof(outcome));
}

} // namespace rexecd
