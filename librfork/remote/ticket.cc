#include "remote/ticket.h"

#include "base/directory_names.h"
#include "remote/spool.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>

namespace rfork::remote {

namespace {

// Names of this length fit everywhere; without allocation, since a caller may have to try for days.
using Name = char[256];

void put(Name& name, std::string_view text) {
    name[text.copy(name, sizeof name - 1)] = '\0';
}

void give_up_name(Name& name, std::string_view ticket) {
    std::snprintf(name, sizeof name, "%.*s%s", int(ticket.size()), ticket.data(),
                  image::given_up_mark);
}

// The same attempt under the other mark.
void acknowledged_from(Name& name, const Entry& running) {
    std::snprintf(name, sizeof name, "%.*s%s%.*s", int(running.ticket.size()),
                  running.ticket.data(), image::acknowledged_mark, int(running.attempt.size()),
                  running.attempt.data());
}

enum class Renamed { yes, source_gone, unclear };

Renamed rename_once(int directory, const char* from, const char* to, int& error) {
    error = renameat(directory, from, directory, to) == 0 ? 0 : errno;
    return error == 0 ? Renamed::yes : error == ENOENT ? Renamed::source_gone : Renamed::unclear;
}

bool acknowledge(int directory, const Name& running, int& error) {
    Name name;
    acknowledged_from(name, parse_entry(running));
    return rename_once(directory, running, name, error) == Renamed::yes;
}

} // namespace

TicketNames look(int directory, std::string_view ticket) {
    TicketNames names;
    names.error = for_each_name(directory, [&](std::string_view name) {
        const Entry entry = parse_entry(name);
        if (entry.ticket != ticket)
            return;
        names.ticket |= entry.kind == EntryKind::ticket;
        names.given_up |= entry.kind == EntryKind::given_up;
        if (entry.kind == EntryKind::running)
            put(names.running, name);
        if (entry.kind == EntryKind::acknowledged)
            put(names.acknowledged, name);
    });
    if (names.error == ENOENT) // the directory itself has been removed, with all that was in it
        names.error = 0;
    return names;
}

Outcome try_acknowledge(int directory, std::string_view ticket, const char* running) {
    const Entry entry = parse_entry(running);
    if (entry.kind != EntryKind::running || entry.ticket != ticket)
        return Outcome::unclear;
    Name name, done;
    put(name, running);
    int error = 0;
    if (acknowledge(directory, name, error))
        return Outcome::runs;
    acknowledged_from(done, entry);
    struct stat status;
    return fstatat(directory, done, &status, AT_SYMLINK_NOFOLLOW) == 0 ? Outcome::runs
                                                                        : Outcome::unclear;
}

Outcome try_give_up(int directory, std::string_view ticket, bool caller, Met& met) {
    Name name, back;
    put(name, ticket);
    give_up_name(back, ticket);
    if (rename_once(directory, name, back, met.error) == Renamed::yes)
        return Outcome::given_up;
    const TicketNames names = look(directory, ticket);
    if (names.error) {
        met.error = names.error;
        return Outcome::unclear;
    }
    met.running = met.running || names.running[0] || names.acknowledged[0];
    if (names.acknowledged[0])
        return Outcome::runs;
    if (names.running[0])
        return !caller || acknowledge(directory, names.running, met.error) ? Outcome::runs
                                                                          : Outcome::unclear;
    if (names.given_up && !names.ticket)
        return Outcome::given_up;
    if (names.none() && met.error == ENOENT)
        met.error = 0;
    return Outcome::unclear;
}

Outcome try_revoke(int directory, std::string_view ticket, std::string_view attempt) {
    Met met;
    const Outcome outcome = try_give_up(directory, ticket, false, met);
    if (outcome != Outcome::runs)
        return outcome;
    const TicketNames names = look(directory, ticket);
    const Entry running = parse_entry(names.running);
    if (running.attempt.substr(0, image::id_digits) != attempt)
        return names.acknowledged[0] || names.running[0] ? Outcome::runs : Outcome::unclear;
    Name back;
    give_up_name(back, ticket);
    return rename_once(directory, names.running, back, met.error) == Renamed::yes
               ? Outcome::given_up
               : Outcome::unclear;
}

} // namespace rfork::remote
