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

#include "image/status.h"
#include "remote/spool.h"
#include "rexecd/checked_image.h"
#include "rexecd/claims.h"
#include "rexecd/identity.h"
#include "rexecd/launch.h"
#include "rexecd/program_log.h"
#include "rexecd/spool_access.h"
#include "rexecd/stub_process.h"

#include <cerrno>
#include <csignal>
#include <optional>
#include <sys/wait.h>
#include <unistd.h>

namespace rexecd {

namespace {

using namespace rfork;

Outcome refused(const Error& why) {
    Outcome outcome{};
    outcome.error = why.code;
    why.sentence.copy(outcome.sentence, sizeof(outcome.sentence) - 1);
    return outcome;
}

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

// One image on its way to a program.
class Attempt {
  public:
    Attempt(const Job& job, int spool, uid_t owner) : job_(job), spool_(spool), owner_(owner) {}

    Outcome run(const struct stat& found, const Identity& identity) {
        Result<UniqueFd> image = open_image(job_, spool_, found);
        if (!image)
            return refused(image.error());
        Result<ProgramLog> log = open_program_log(spool_, job_.image_name);
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
        if (voice == Voice::ended && has_died(launched.program))
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
