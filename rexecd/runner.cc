// From a name in a datagram to a running program, distrusting all of it:
//
//   become     take on the identity that the request selects, for good; nothing of the spool has
//              been looked at before
//   prove      the directory that the request names must be this user's own, and closed to others
//   open       the ticket in it: an undamaged image, and the one whose id the request knows
//   launch     fork, and execute the very descriptor that was checked
//   await      the stub tells through a pipe at which stage it failed, or that the program runs
//
// Which copy runs is decided by the ticket alone (docs/protocol.md). A stub that has not won it may
// still be about to; so one that must end (it neither speaks nor dies) may be killed only by who
// has won the ticket first. And one that was killed from outside may have won it a moment before,
// or may win it yet, by a rename that is still on its way to the file server. When the pipe ends
// and no word has come, no instruction of the program has run, nor can any: then what the stub has
// won is taken back, and the caller goes on.
#include "rexecd/runner.h"

#include "format/status.h"
#include "remote/spool.h"
#include "remote/ticket.h"
#include "rexecd/checked_image.h"
#include "rexecd/host_name.h"
#include "rexecd/identity.h"
#include "rexecd/launch.h"
#include "rexecd/spool_access.h"
#include "rexecd/stub_process.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rexecd {

namespace {

using namespace rfork;
using remote::TicketNames;

template <std::size_t size>
void put(char (&to)[size], std::string_view text) {
    to[text.copy(to, size - 1)] = '\0';
}

Outcome refused(const Error& why) {
    Outcome outcome{};
    outcome.kind = Outcome::refused;
    outcome.error = why.code;
    put(outcome.sentence, why.sentence);
    return outcome;
}

Outcome missing() {
    Outcome outcome{};
    outcome.kind = Outcome::missing;
    return outcome;
}

// What somebody has made of the ticket: we ourselves, a predecessor of this daemon, another host,
// or the caller.
Outcome answer_from(const TicketNames& names) {
    const char* name = names.acknowledged[0] ? names.acknowledged : names.running;
    if (!name[0])
        return refused({ECANCELED, "the request was given up"});
    const remote::Entry entry = remote::parse_entry(name);
    Outcome outcome{};
    outcome.kind = Outcome::resumed;
    outcome.pid = entry.pid;
    put(outcome.running,
        std::string(entry.ticket) + image::running_mark + std::string(entry.attempt));
    return outcome;
}

bool is_decided(const TicketNames& names) {
    return names.given_up || names.running[0] || names.acknowledged[0];
}

// One image on its way to a program.
class Attempt {
  public:
    Attempt(const Job& job, int directory)
        : job_(job), directory_(directory), id_(remote::id_text(remote::new_id())) {}

    Outcome run(UniqueFd image) {
        const std::string path = job_.spool + "/" + job_.request.directory;
        Result<Launched> launched =
            launch({image.get(),
                    path + "/" + job_.request.ticket,
                    id_,
                    {job_.request.log, path, job_.request.program,
                     job_.request.ticket.substr(std::string_view(image::ticket_prefix).size())}});
        image.reset(); // what we no longer hold open, NFS can really unlink
        if (!launched)
            return refused(launched.error());
        launched_ = std::move(*launched);
        return conclude();
    }

  private:
    Outcome conclude() {
        image::StatusMessage message{};
        switch (hear(launched_.status.get(), message)) {
        case Voice::spoke:
            return message.stage == image::Stage::resumed ? succeeded(message)
                                                          : stage_failed(message);
        case Voice::ended:
            return died();
        case Voice::silent:
            break;
        }
        return lose_patience();
    }

    Outcome succeeded(const image::StatusMessage& message) {
        Outcome outcome{};
        outcome.kind = Outcome::resumed;
        outcome.program = launched_.program;
        outcome.pid = message.pid;
        outcome.monitor_address = message.monitor_address;
        outcome.monitor_port = message.monitor_port;
        outcome.log_is_new = launched_.log_is_new;
        put(outcome.monitor_name, message.program);
        put(outcome.running, message.running);
        put(outcome.log, launched_.log.path);
        outcome.log_device = launched_.log.device;
        outcome.log_inode = launched_.log.inode;
        return outcome;
    }

    Outcome stage_failed(const image::StatusMessage& message) {
        end(launched_.program); // which it is about to do itself, if it is honest
        remove_log();
        if (message.stage == image::Stage::claim && message.error == ECANCELED)
            return take_back(message.sentence);
        return refused({message.error ? message.error : EIO, message.sentence});
    }

    // Who held the pipe has ended without a word, or hangs in his end. Were it to hold on to the
    // ticket, nobody would run.
    Outcome died() {
        const std::string how =
            has_died(launched_.program) ? death_of(launched_.program) : "was killed";
        remove_log();
        return take_back("the image " + how + " before the program ran");
    }

    // Of a stub that has not announced itself, and cannot any more.
    Outcome take_back(const std::string& why) {
        switch (try_until_decided(
            [&] { return remote::try_revoke(directory_, job_.request.ticket, id_); })) {
        case remote::Outcome::given_up:
            return refused({ECANCELED, why});
        case remote::Outcome::runs: // another one, or ours as far as its caller is concerned
            return answer_from(remote::look(directory_, job_.request.ticket));
        case remote::Outcome::unclear:
            break;
        }
        return spool_is_silent();
    }

    Outcome lose_patience() {
        const remote::Outcome outcome = try_until_decided([&] {
            remote::Met met;
            return remote::try_give_up(directory_, job_.request.ticket, false, met);
        });
        if (outcome == remote::Outcome::unclear)
            return spool_is_silent();
        const TicketNames names = remote::look(directory_, job_.request.ticket);
        if (outcome == remote::Outcome::runs && is_ours(names))
            return answer_from(names); // it runs, and has not found the time to say so
        end(launched_.program);
        remove_log();
        if (outcome == remote::Outcome::runs)
            return answer_from(names);
        return refused({ETIMEDOUT, "the image neither ran nor ended within ten minutes"});
    }

    bool is_ours(const TicketNames& names) const {
        const char* name = names.acknowledged[0] ? names.acknowledged : names.running;
        return remote::parse_entry(name).attempt.starts_with(id_);
    }

    // Tries until it is decided. If none of the names is there any more, somebody has removed them
    // by hand: then nobody can win, and there is no more to wait for.
    template <class Try>
    remote::Outcome try_until_decided(Try attempt) {
        constexpr int tries = 300, tries_without_names = 8, longest_pause_ms = 200;
        remote::Outcome outcome = remote::Outcome::unclear;
        for (int i = 0, absent = 0, pause = 1; i < tries && absent < tries_without_names; ++i) {
            outcome = attempt();
            if (outcome != remote::Outcome::unclear)
                break;
            absent = remote::look(directory_, job_.request.ticket).none() ? absent + 1 : 0;
            ::poll(nullptr, 0, pause);
            pause = std::min(pause * 2, longest_pause_ms);
        }
        return outcome;
    }

    Outcome spool_is_silent() {
        if (remote::look(directory_, job_.request.ticket).none())
            return refused({ECANCELED, "the request was given up, or its ticket removed"});
        return refused({EIO, "the spool does not say whether the image may run: see what is wrong "
                             "with it"});
    }

    void remove_log() {
        struct stat status;
        const LogFile& log = launched_.log;
        if (launched_.log_is_new && ::lstat(log.path.c_str(), &status) == 0 &&
            status.st_dev == log.device && status.st_ino == log.inode)
            ::unlink(log.path.c_str());
    }

    const Job& job_;
    int directory_;
    const std::string id_;
    Launched launched_;
};

void tell(int report, const Outcome& outcome) {
    [[maybe_unused]] ssize_t written = ::write(report, &outcome, sizeof(outcome));
}

Outcome carry_out(const Job& job, int report) {
    Result<Identity> identity = identity_of(job.user, job.allow_root);
    if (!identity)
        return refused(identity.error());
    if (Result<void> became = become(*identity); !became)
        return refused(became.error());
    // Beyond this point we are the user, and do what he could do himself.

    Result<UniqueFd> spool = open_spool(job.spool);
    if (!spool)
        return refused(spool.error());
    Result<UniqueFd> directory = open_user_directory(spool->get(), job.request.directory);
    if (!directory)
        return directory.error().code == ENOENT ? missing() : refused(directory.error());

    Result<UniqueFd> image = open_image(job, directory->get());
    if (!image && image.error().code != ENOENT)
        return refused(image.error());
    if (!image) {
        // Listing asks an NFS server anew; a name that is only now seen is opened the next time.
        const TicketNames names = remote::look(directory->get(), job.request.ticket);
        return is_decided(names) ? answer_from(names) : missing();
    }
    Outcome proved{};
    proved.kind = Outcome::proved;
    tell(report, proved);
    return Attempt(job, directory->get()).run(std::move(*image));
}

} // namespace

void run_job(const Job& job, int report) {
    tell(report, carry_out(job, report));
}

} // namespace rexecd
