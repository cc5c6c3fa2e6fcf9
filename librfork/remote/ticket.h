// What becomes of a ticket, as everybody but the stub sees and decides it (format/ticket.h has the
// names, stub/claim.cc the stub's side).
//
//   caller gives up      rfork.<id>       -> .back      returns -1
//   caller is content    .run.<attempt>   -> .ack.<attempt>     returns PARENT
//   runner, sweep        rfork.<id>       -> .back      no copy will run
//   runner, stub dead    .run.<attempt>   -> .back      it died before its first instruction
//
// Each is one rename(2) of which only one can succeed. Its answer alone is not believed: a client
// that asks twice may hear ENOENT of its own success, and one that gives up may hear EIO of a
// rename that is done seconds later. So after an error the names are looked at, and as long as none
// of them says what has happened, the rename is tried again: until its source is gone it may still
// be on its way.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rfork::remote {

// The names that exist beside a ticket.
struct TicketNames {
    int error = 0; // errno of listing the directory; then nothing else counts
    bool ticket = false;
    bool given_up = false;
    char running[256] = "";      // the whole name; "" if there is none
    char acknowledged[256] = ""; // likewise

    bool none() const { return !error && !ticket && !given_up && !running[0] && !acknowledged[0]; }
};

// Lists the open directory, which asks an NFS server anew. Allocates nothing.
TicketNames look(int directory, std::string_view ticket);

enum class Outcome {
    given_up, // no copy runs, nor will
    runs,     // one does
    unclear,  // only of try_*(): not decided, or the spool does not say
};

// One attempt at .run -> .ack, by the caller; unclear: the name is not there, or no answer.
Outcome try_acknowledge(int directory, std::string_view ticket, const char* running);

// What an attempt to give up has met.
struct Met {
    int error = 0;        // what kept it from an outcome; 0 if none of the names is there
    bool running = false; // a stub has won: never false again
};

// One attempt at ticket -> .back; .run is acknowledged on the way if `caller` asks.
Outcome try_give_up(int directory, std::string_view ticket, bool caller, Met& met);

// A stub is known to have died before it announced itself: whatever it has won is given up.
Outcome try_revoke(int directory, std::string_view ticket, std::string_view attempt);

} // namespace rfork::remote
