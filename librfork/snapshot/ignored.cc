#include "snapshot/ignored.h"

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace rfork::capture {
namespace {

constexpr struct {
    std::string_view name;
    Sort sort;
} names[] = {
    {"socket", Sort::socket},   {"pipe", Sort::pipe},   {"device", Sort::device},
    {"deleted", Sort::deleted}, {"proc", Sort::proc},   {"other", Sort::other},
    {"lock", Sort::lock},       {"async", Sort::async}, {"children", Sort::children},
};

std::string_view trimmed(std::string_view word) {
    while (!word.empty() && word.front() == ' ')
        word.remove_prefix(1);
    while (!word.empty() && word.back() == ' ')
        word.remove_suffix(1);
    return word;
}

// False: it is none of the words there are.
bool add(std::string_view word, Ignored& ignored) {
    int number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error == std::errc() && end == word.data() + word.size() && number >= 0) {
        ignored.numbers.push_back(number);
        return true;
    }
    if (word == "inherited")
        return ignored.inherited = true;
    for (const auto& known : names) {
        if (word != known.name)
            continue;
        ignored.sorts |= 1u << unsigned(known.sort);
        return true;
    }
    return word.empty();
}

} // namespace

bool Ignored::has(int number) const {
    return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
}

Result<Ignored> parse_ignored(std::string_view text) {
    Ignored ignored;
    while (!text.empty()) {
        const std::string_view word = trimmed(text.substr(0, text.find(',')));
        text.remove_prefix(
            std::min(text.size(), text.find(',') == text.npos ? text.size() : text.find(',') + 1));
        if (!add(word, ignored))
            return Error{EINVAL, "RFORK_IGNORE has the word '" + std::string(word) +
                                     "': it must be a list, with commas, of descriptors' numbers, "
                                     "inherited, socket, pipe, device, deleted, proc, other, lock, "
                                     "async, children"};
    }
    return ignored;
}

} // namespace rfork::capture
