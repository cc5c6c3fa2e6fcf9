#include "describe/describe.h"

#include "base/printable.h"
#include "format/records/signal_actions.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <span>

namespace rfork::tool {

Lines too_short(const image::Record& whole) {
    return {{format("kind %u", static_cast<unsigned>(whole.header().kind)),
             "a record too short for its kind"}};
}

std::string string_at(const FrozenProgram& program, std::uint32_t offset) {
    constexpr std::size_t enough = 4096;
    auto text = program.image.string(offset, enough + 1);
    if (!text)
        return "(outside the strings)";
    return text->size() > enough ? printable(text->substr(0, enough)) + " ..." : printable(*text);
}

std::string raw_string_at(const FrozenProgram& program, std::uint32_t offset) {
    constexpr std::size_t enough = 4096;
    return std::string(program.image.string(offset, enough).value_or(""));
}

std::string fixed_text(const char* text, std::size_t capacity) {
    return printable({text, ::strnlen(text, capacity)});
}

void append_word(std::string& words, std::string_view word) {
    if (!words.empty())
        words += ' ';
    words += word;
}

Lines folded(const std::string& title, std::string_view words, std::size_t width) {
    Lines lines;
    while (words.size() > width) {
        std::size_t end = words.rfind(' ', width);
        if (end == std::string_view::npos)
            break;
        lines.push_back({lines.empty() ? title : "", std::string(words.substr(0, end))});
        words.remove_prefix(end + 1);
    }
    lines.push_back({lines.empty() ? title : "", std::string(words)});
    return lines;
}

std::string or_none(std::string words) {
    return words.empty() ? "none" : words;
}

std::string feature_names(const arch::CpuFeatureSet& set) {
    std::string names;
    for (unsigned i = 0; i < arch::cpu_feature_count; ++i)
        if (set.has(i))
            append_word(names, arch::cpu_features[i].name);
    return names;
}

std::string signal_name(unsigned number) {
    const char* name = ::sigabbrev_np(static_cast<int>(number));
    return name ? std::string("SIG") + name : "signal " + std::to_string(number);
}

std::string signal_set(std::uint64_t mask) {
    std::string names;
    for (unsigned number = 1; number <= kinds::signal_count; ++number) {
        if (mask >> (number - 1) & 1)
            append_word(names, signal_name(number));
    }
    return or_none(names);
}

namespace {

std::string seconds(std::uint64_t count, std::uint64_t in_a_second) {
    return format("%.6f s", double(count) / double(in_a_second));
}

} // namespace

std::string timer_state(std::uint64_t remaining, std::uint64_t interval,
                        std::uint64_t in_a_second) {
    std::string text = remaining ? "runs out in " + seconds(remaining, in_a_second) : "not running";
    return interval ? text + ", interval " + seconds(interval, in_a_second) : text;
}

std::string clock_name(std::int32_t clock) {
    if (clock < 0)
        return "CPU time";
    switch (clock) {
    case CLOCK_REALTIME:
        return "CLOCK_REALTIME";
    case CLOCK_MONOTONIC:
        return "CLOCK_MONOTONIC";
    case CLOCK_BOOTTIME:
        return "CLOCK_BOOTTIME";
    case CLOCK_REALTIME_ALARM:
        return "CLOCK_REALTIME_ALARM";
    case CLOCK_BOOTTIME_ALARM:
        return "CLOCK_BOOTTIME_ALARM";
    }
    return format("clock %d", clock);
}

std::string descriptors(const FrozenProgram& program, std::uint32_t object) {
    if (program.process == 0)
        return format("object %u", object);
    constexpr std::size_t enough = 64;
    const auto all = program.image.descriptors(program.process);
    const auto range = std::ranges::equal_range(
        all, object, {}, [](const image::Descriptor& d) { return d.object; });
    const std::span those(range.begin(), range.end());
    std::string words;
    for (const image::Descriptor& d : those.size() > enough ? those.first(enough) : those) {
        append_word(words, std::to_string(d.fd));
        if (d.flags & image::descriptor_close_on_exec)
            words += "(close-on-exec)";
    }
    if (those.size() > enough)
        append_word(words, format("and %zu more", those.size() - enough));
    return or_none(words);
}

std::string status_flags(std::uint32_t flags) {
    std::string text;
    if (flags & O_NONBLOCK)
        text += ", nonblocking";
    if (flags & O_DIRECT)
        text += ", packets";
    return text;
}

} // namespace rfork::tool
