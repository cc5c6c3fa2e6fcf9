// The spool: one directory that all hosts share, and in it one directory for each user.
//
//   u<uid>.<32 digits>/            0700, made by its owner at first use (user_directory.h)
//     .rfork.<id>.tmp                an image being written; renamed when complete
//     rfork.<id>                     an image, and the ticket of its copy (format/ticket.h)
//     rfork.<id>.run.* .ack.* .back  what became of the ticket
//     and logs, which are the user's own
//
// <id> is 32 hexadecimal digits, random, never used twice. This header knows names only; nothing in
// it touches a file.
#pragma once

#include "base/result.h"
#include "format/format.h"
#include "format/ticket.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace rfork::remote {

inline constexpr std::string_view temporary_prefix = ".rfork.";
inline constexpr std::string_view temporary_suffix = ".tmp";

std::string id_text(const image::Id& id); // 32 hexadecimal digits
image::Id new_id();                       // from getrandom(2)

std::string user_directory_name(uid_t user, const image::Id& id);
std::optional<uid_t> user_of_directory(std::string_view name); // if it is such a name

std::string ticket_name(const image::Id& id);
std::string temporary_name(const image::Id& id);
std::string given_up_name(std::string_view ticket);
bool is_ticket_name(std::string_view name); // exactly "rfork.<id>"

// What an entry of a user's directory is, going by its name alone. Only entries that are not
// foreign are rfork's own, and may be removed by it.
enum class EntryKind { foreign, temporary, ticket, running, acknowledged, given_up };

struct Entry {
    EntryKind kind = EntryKind::foreign;
    std::string_view ticket;  // of all kinds but foreign and temporary
    std::string_view attempt; // running, acknowledged: "<attempt>.<host>.<pid>"
    std::string_view host;
    std::int64_t pid = 0;
};
Entry parse_entry(std::string_view name); // its views are into `name`

// "<ticket>.run.<attempt>" to "<ticket>.ack.<attempt>"; nothing if it is no such name.
std::optional<std::string> acknowledged_name(std::string_view running);

// Whether it is the part of a running name that rexecd chooses and tells the stub.
bool is_attempt_id(std::string_view text);

} // namespace rfork::remote
