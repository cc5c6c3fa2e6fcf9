#include "remote/spool.h"

#include "remote/random.h"

#include <algorithm>
#include <charconv>

namespace rfork::remote {

namespace {

constexpr std::string_view digits = "0123456789abcdef";

bool take(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix))
        return false;
    text.remove_prefix(prefix.size());
    return true;
}

bool take_id(std::string_view& text) {
    if (!is_attempt_id(text.substr(0, image::id_digits)))
        return false;
    text.remove_prefix(image::id_digits);
    return true;
}

// "<attempt>.<host>.<pid>"; a host's name may have dots itself.
bool parse_attempt(std::string_view text, Entry& entry) {
    entry.attempt = text;
    if (!take_id(text) || !take(text, "."))
        return false;
    const std::size_t dot = text.rfind('.');
    if (dot == std::string_view::npos)
        return false;
    entry.host = text.substr(0, dot);
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + dot + 1, end, entry.pid);
    return error == std::errc() && stop == end && entry.pid > 0;
}

EntryKind kind_after_ticket(std::string_view rest, Entry& entry) {
    if (rest.empty())
        return EntryKind::ticket;
    if (rest == image::given_up_mark)
        return EntryKind::given_up;
    if (take(rest, image::running_mark) && parse_attempt(rest, entry))
        return EntryKind::running;
    if (take(rest, image::acknowledged_mark) && parse_attempt(rest, entry))
        return EntryKind::acknowledged;
    return EntryKind::foreign;
}

} // namespace

bool is_attempt_id(std::string_view text) {
    return text.size() == image::id_digits &&
           text.find_first_not_of(digits) == std::string_view::npos;
}

std::string id_text(const image::Id& id) {
    std::string text;
    text.reserve(image::id_digits);
    for (std::uint8_t byte : id.bytes) {
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

image::Id new_id() {
    image::Id id;
    fill_random(id.bytes);
    return id;
}

std::string user_directory_name(uid_t user, const image::Id& id) {
    return "u" + std::to_string(user) + "." + id_text(id);
}

std::optional<uid_t> user_of_directory(std::string_view name) {
    uid_t user = 0;
    if (!take(name, "u") || name.empty() || (name[0] == '0' && !name.starts_with("0.")))
        return std::nullopt;
    const auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), user);
    name.remove_prefix(std::size_t(stop - name.data()));
    if (error != std::errc() || !take(name, ".") || !take_id(name) || !name.empty())
        return std::nullopt;
    return user;
}

std::string ticket_name(const image::Id& id) {
    return image::ticket_prefix + id_text(id);
}

std::string temporary_name(const image::Id& id) {
    return std::string(temporary_prefix) + id_text(id) + std::string(temporary_suffix);
}

std::string given_up_name(std::string_view ticket) {
    return std::string(ticket) + image::given_up_mark;
}

bool is_ticket_name(std::string_view name) {
    return take(name, image::ticket_prefix) && take_id(name) && name.empty();
}

Entry parse_entry(std::string_view name) {
    Entry entry;
    std::string_view rest = name;
    if (take(rest, temporary_prefix)) {
        if (take_id(rest) && rest == temporary_suffix)
            entry.kind = EntryKind::temporary;
        return entry;
    }
    if (!take(rest, image::ticket_prefix) || !take_id(rest))
        return entry;
    entry.ticket = name.substr(0, name.size() - rest.size());
    entry.kind = kind_after_ticket(rest, entry);
    return entry;
}

std::optional<std::string> acknowledged_name(std::string_view running) {
    const Entry entry = parse_entry(running);
    if (entry.kind != EntryKind::running)
        return std::nullopt;
    return std::string(entry.ticket) + image::acknowledged_mark + std::string(entry.attempt);
}

} // namespace rfork::remote
