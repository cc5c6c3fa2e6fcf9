// One describer a kind of record. A describer gets a record that is at least as long as its
// structure says; whatever else the record claims about itself (counts, string offsets) is checked
// here. A new kind is a function and a line of the table at the end.

#include "records.h"

#include "base/printable.h"
#include "base/progress.h"
#include "format/records/address_space.h"
#include "format/records/attributes.h"
#include "format/records/cpu.h"
#include "format/records/epoll.h"
#include "format/records/event_fd.h"
#include "format/records/executable.h"
#include "format/records/interval_timers.h"
#include "format/records/listening_socket.h"
#include "format/records/membarrier.h"
#include "format/records/monitor.h"
#include "format/records/open_file.h"
#include "format/records/pending_signal.h"
#include "format/records/personality.h"
#include "format/records/pipe.h"
#include "format/records/posix_timer.h"
#include "format/records/process.h"
#include "format/records/resource_limits.h"
#include "format/records/signal_actions.h"
#include "format/records/signal_fd.h"
#include "format/records/thread.h"
#include "format/records/ticket.h"
#include "format/records/timer_fd.h"
#include "format/records/timer_fd_setting.h"
#include "format/records/umask.h"
#include "format/records/working_directory.h"
#include "frozen_memory.h"
#include "text.h"

#include <algorithm>
#include <arpa/inet.h>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sys/timerfd.h>

namespace rfork::tool {
namespace {

using Lines = std::vector<Line>;

std::string string_at(const FrozenProgram& program, std::uint32_t offset) {
    auto text = program.image.string(offset);
    return text ? printable(*text) : "(outside the strings)";
}

std::string fixed_text(const char* text, std::size_t capacity) {
    return printable({text, ::strnlen(text, capacity)});
}

void append_word(std::string& words, std::string_view word) {
    if (!words.empty())
        words += ' ';
    words += word;
}

// A title and many words, on as many lines as it takes.
Lines folded(const std::string& title, std::string_view words) {
    constexpr std::size_t width = 80 - 15; // what a terminal has beside the titles
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

std::string signal_name(unsigned number) {
    const char* name = ::sigabbrev_np(static_cast<int>(number));
    return name ? std::string("SIG") + name : "signal " + std::to_string(number);
}

// --- The program and where it ran ---

// The file whose mapping holds the first byte of code.
std::string executable(const FrozenProgram& program, std::uint64_t start_code) {
    for (const image::Mapping& mapping : program.image.mappings()) {
        if (mapping.start <= start_code && start_code < mapping.end)
            return string_at(program, mapping.name);
    }
    return "(in no mapping)";
}

// argv as the program's memory has it, one quoted word each.
std::string command_line(const FrozenProgram& program, std::uint64_t start, std::uint64_t end) {
    constexpr std::uint64_t enough = 4096;
    if (start >= end)
        return "";
    std::string memory =
        frozen_memory(program.fd, program.image, start, std::min(end - start, enough));
    std::string words;
    for (std::size_t at = 0; at < memory.size();) {
        std::string word = memory.c_str() + at;
        at += word.size() + 1;
        append_word(words, word.empty() || word.find(' ') != std::string::npos
                               ? "'" + printable(word) + "'"
                               : printable(word));
    }
    return end - start > enough ? words + " ..." : words;
}

Lines describe(const FrozenProgram& program, const kinds::AddressSpaceRecord& record,
               const image::Record&) {
    std::string build_id;
    auto size = std::min<std::size_t>(record.vdso_build_id_size, sizeof record.vdso_build_id);
    for (std::size_t i = 0; i < size; ++i)
        build_id += format("%02x", record.vdso_build_id[i]);
    return {
        {"executable", executable(program, record.start_code)},
        {"command line", command_line(program, record.arg_start, record.arg_end)},
        {"heap", format("%#lx-%#lx, %s", record.start_brk, record.brk,
                        bytes_text(record.brk - record.start_brk).c_str())},
        {"vDSO", record.vdso ? format("%#lx, build id %s", record.vdso, or_none(build_id).c_str())
                             : "none"},
    };
}

Lines describe(const FrozenProgram&, const kinds::AttributesRecord& record, const image::Record&) {
    std::string flags;
    if (record.no_new_privileges)
        append_word(flags, "no-new-privileges");
    if (record.child_subreaper)
        append_word(flags, "child-subreaper");
    if (record.thp_disable)
        append_word(flags, "no-huge-pages");
    if (record.deny_write_execute)
        append_word(flags, "no-write-execute");
    if (record.memory_merge)
        append_word(flags, "merges-memory");
    if (record.keep_capabilities)
        append_word(flags, "keeps-capabilities");
    if (record.core_filter != kinds::default_core_filter)
        append_word(flags, format("core-filter=%#x", record.core_filter));
    if (record.oom_score_adj)
        append_word(flags, format("oom-score-adj=%d", record.oom_score_adj));
    return {{"attributes", or_none(flags)}};
}

Lines describe(const FrozenProgram&, const kinds::MembarrierRecord& record, const image::Record&) {
    return {{"membarrier", format("registrations %#lx", record.registrations)}};
}

Lines describe(const FrozenProgram& program, const kinds::ExecutableRecord& record,
               const image::Record&) {
    return {{"program file", string_at(program, record.path)}};
}

std::string limit_text(std::uint64_t limit) {
    return limit == ~std::uint64_t(0) ? "unlimited" : std::to_string(limit);
}

Lines describe(const FrozenProgram&, const kinds::ResourceLimitsRecord& record,
               const image::Record&) {
    static constexpr const char* names[kinds::limit_count] = {
        "cpu",     "fsize", "data",  "stack",      "core",     "rss",  "nproc",  "nofile",
        "memlock", "as",    "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime"};
    std::string own;
    for (unsigned i = 0; i < kinds::limit_count; ++i)
        if ((record.own_soft | record.own_hard) >> i & 1)
            append_word(own, std::string(names[i]) + "=" + limit_text(record.limits[i].soft) + "/" +
                                 limit_text(record.limits[i].hard));
    return {{"limits of its own", or_none(own)}};
}

Lines describe(const FrozenProgram& program, const kinds::WorkingDirectoryRecord& record,
               const image::Record&) {
    return {{"directory", string_at(program, record.path)}};
}

Lines describe(const FrozenProgram&, const kinds::UmaskRecord& record, const image::Record&) {
    return {{"umask", format("%04o", record.mask)}};
}

Lines describe(const FrozenProgram&, const kinds::PersonalityRecord& record, const image::Record&) {
    return {{"personality", format("%#lx", record.persona)}};
}

std::string seconds(std::int64_t nanoseconds) {
    constexpr std::int64_t second = 1'000'000'000;
    return format("%ld.%09ld s", nanoseconds / second, nanoseconds % second);
}

Lines describe(const FrozenProgram&, const kinds::ProcessRecord& record, const image::Record&) {
    return {{"pid", format("%d, %s", record.pid,
                           record.keeps_ids ? "kept, with the tids" : "new where it is resumed")},
            {"clocks", "monotonic " + seconds(record.monotonic) + ", since boot " +
                           seconds(record.boottime)}};
}

// --- Threads and signals ---

std::string signal_set(std::uint64_t mask) {
    std::string names;
    for (unsigned number = 1; number <= kinds::signal_count; ++number) {
        if (mask >> (number - 1) & 1)
            append_word(names, signal_name(number));
    }
    return or_none(names);
}

Lines describe(const FrozenProgram&, const kinds::ThreadRecord& record, const image::Record&) {
    return {{format("thread %d", record.tid),
             format("'%s' at %#lx, stack pointer %#lx, blocked signals: %s",
                    fixed_text(record.name, sizeof record.name).c_str(), record.registers.rip,
                    record.registers.rsp, signal_set(record.signal_mask).c_str())}};
}

Lines describe(const FrozenProgram&, const kinds::SignalActionsRecord& record,
               const image::Record&) {
    std::string handled, ignored;
    for (unsigned i = 0; i < kinds::signal_count; ++i) {
        std::uint64_t handler = record.actions[i].handler;
        if (handler == reinterpret_cast<std::uintptr_t>(SIG_IGN))
            append_word(ignored, signal_name(i + 1));
        else if (handler != reinterpret_cast<std::uintptr_t>(SIG_DFL))
            append_word(handled, signal_name(i + 1));
    }
    return {{"signals", "handled: " + or_none(handled) + "; ignored: " + or_none(ignored)}};
}

Lines describe(const FrozenProgram&, const kinds::PendingSignalRecord& record,
               const image::Record&) {
    kinds::SignalInfo info;
    std::memcpy(&info, record.info, sizeof info);
    return {{"pending for " + (record.tid ? format("thread %d", record.tid) : "the process"),
             format("%s, code %d", signal_name(unsigned(info.number)).c_str(), info.code)}};
}

// --- Timers ---

std::string seconds(std::uint64_t count, std::uint64_t in_a_second) {
    return format("%.6f s", double(count) / double(in_a_second));
}

// "runs out in 1.500000 s, then every 2.000000 s"
std::string timer_state(std::uint64_t remaining, std::uint64_t interval,
                        std::uint64_t in_a_second) {
    std::string text = remaining ? "runs out in " + seconds(remaining, in_a_second) : "not running";
    return interval ? text + ", interval " + seconds(interval, in_a_second) : text;
}

Lines describe(const FrozenProgram&, const kinds::IntervalTimersRecord& record,
               const image::Record&) {
    static constexpr const char* names[] = {"real", "virtual", "profiling"};
    Lines lines;
    for (unsigned which = 0; which < kinds::interval_timer_count; ++which) {
        const kinds::IntervalTimer& timer = record.timers[which];
        if (timer.interval || timer.remaining)
            lines.push_back({format("%s interval timer", names[which]),
                             timer_state(timer.remaining, timer.interval, 1000000)});
    }
    return lines;
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

std::string notification(const kinds::PosixTimerRecord& record) {
    if (record.notify == SIGEV_NONE)
        return "no signal";
    const std::string signal = signal_name(unsigned(record.signal));
    return record.thread ? signal + format(" for thread %d", record.thread) : signal;
}

Lines describe(const FrozenProgram&, const kinds::PosixTimerRecord& record, const image::Record&) {
    return {{format("POSIX timer %d", record.id),
             "clock " + clock_name(record.clock) + ", " + notification(record) + ", " +
                 timer_state(record.remaining, record.interval, 1000000000) +
                 (record.expiry_pending ? ", signal pending" : "")}};
}

// --- Descriptors ---

// Whether so many things of so many bytes are behind a record's structure.
class Room {
  public:
    Room(const image::Record& whole, std::size_t structure)
        : left_(whole.bytes().size() - structure) {}
    bool take(std::uint64_t count, std::size_t size) {
        if (count > left_ / size)
            return false;
        left_ -= count * size;
        return true;
    }

  private:
    std::size_t left_;
};

const std::string malformed = "(malformed)";

std::string numbers(const kinds::DescriptorSlot* slots, std::uint32_t count) {
    std::string words;
    for (unsigned i = 0; i < count; ++i) {
        append_word(words, std::to_string(slots[i].fd));
        if (slots[i].close_on_exec)
            words += "(close-on-exec)";
    }
    return or_none(words);
}

// Of a record with nothing behind its slots.
template <class Record>
std::string descriptors(const Record& record, const image::Record& whole) {
    return Room(whole, sizeof record).take(record.slots, sizeof(kinds::DescriptorSlot))
               ? numbers(record.slot(), record.slots)
               : malformed;
}

std::string open_flags(std::uint32_t flags) {
    static constexpr struct {
        std::uint32_t bit;
        const char* name;
    } names[] = {{O_APPEND, "append"},      {O_NONBLOCK, "nonblocking"}, {O_DSYNC, "dsync"},
                 {O_DIRECT, "direct"},      {O_NOATIME, "noatime"},      {O_PATH, "path only"},
                 {O_ASYNC, "signal-driven"}};
    static constexpr const char* access[] = {"read", "write", "read and write", "no access"};
    std::string text = access[flags & O_ACCMODE];
    for (const auto& name : names) {
        if (flags & name.bit)
            text += std::string(", ") + name.name;
    }
    return text;
}

std::string file_description(const FrozenProgram& program, const kinds::OpenFileRecord& record) {
    std::string path = string_at(program, record.path);
    std::string flags = open_flags(record.flags);
    switch (record.type) {
    case kinds::FileType::regular:
        return format("%s at %lu of %lu (%s)", path.c_str(), record.position, record.size,
                      flags.c_str());
    case kinds::FileType::directory:
        return path + " (directory)";
    case kinds::FileType::device:
        return path + " (device, " + flags + ")";
    case kinds::FileType::mapped:
        return format("%s, mapped shared up to %lu of %lu", path.c_str(), record.position,
                      record.size);
    case kinds::FileType::stream:
        return format("standard stream %u", record.stream);
    }
    return format("file of unknown type %u", static_cast<unsigned>(record.type));
}

Lines describe(const FrozenProgram& program, const kinds::OpenFileRecord& record,
               const image::Record& whole) {
    return {{"file " + descriptors(record, whole), file_description(program, record)}};
}

// Of files that are not opened: status flags, each behind a comma.
std::string status_flags(std::uint32_t flags) {
    std::string text;
    if (flags & O_NONBLOCK)
        text += ", nonblocking";
    if (flags & O_DIRECT)
        text += ", packets";
    return text;
}

Lines describe(const FrozenProgram&, const kinds::PipeRecord& record, const image::Record& whole) {
    Room room(whole, sizeof record);
    if (!room.take(record.slots, sizeof(kinds::DescriptorSlot)) ||
        !room.take(record.ends, sizeof(kinds::PipeEnd)))
        return {{"pipe", malformed}};
    static constexpr const char* access[] = {"read ", "write ", "both ways ", "no access "};
    std::string ends;
    std::uint32_t used = 0;
    for (unsigned i = 0; i < record.ends; ++i) {
        const kinds::PipeEnd& end = record.end()[i];
        if (end.slots > record.slots - used)
            return {{"pipe", malformed}};
        ends += (i ? "; " : "") + std::string(access[end.flags & O_ACCMODE]) +
                numbers(record.slot() + used, end.slots) + status_flags(end.flags);
        used += end.slots;
    }
    return {{"pipe", format("%s; %s of %s in it", ends.c_str(), bytes_text(record.bytes).c_str(),
                            bytes_text(record.capacity).c_str())}};
}

Lines describe(const FrozenProgram&, const kinds::EventFdRecord& record,
               const image::Record& whole) {
    return {{"eventfd " + descriptors(record, whole),
             format("counter %lu%s%s", record.count, record.semaphore ? ", semaphore" : "",
                    status_flags(record.flags).c_str())}};
}

Lines describe(const FrozenProgram&, const kinds::SignalFdRecord& record,
               const image::Record& whole) {
    return {{"signalfd " + descriptors(record, whole),
             signal_set(record.mask) + status_flags(record.flags)}};
}

Lines describe(const FrozenProgram&, const kinds::TimerFdRecord& record,
               const image::Record& whole) {
    return {{"timerfd " + descriptors(record, whole),
             clock_name(record.clock) + status_flags(record.flags)}};
}

Lines describe(const FrozenProgram&, const kinds::TimerFdSettingRecord& record,
               const image::Record&) {
    constexpr double second = 1e9;
    std::string text = record.remaining
                           ? format("expires in %.6f s", double(record.remaining) / second)
                           : "not armed";
    if (record.interval)
        text += format(", then every %.6f s", double(record.interval) / second);
    if (record.unread)
        text += format(", %lu expirations not read", record.unread);
    if (record.flags & TFD_TIMER_ABSTIME)
        text += ", absolute";
    return {{format("timer of %d", record.fd), text}};
}

Lines describe(const FrozenProgram& program, const kinds::ListeningSocketRecord& record,
               const image::Record& whole) {
    Room room(whole, sizeof record);
    if (!room.take(record.slots, sizeof(kinds::DescriptorSlot)) ||
        !room.take(record.options, sizeof(kinds::SocketOption)))
        return {{"listening socket", malformed}};
    return {{"listening socket " + numbers(record.slot(), record.slots),
             format("%s, queue of %d, %u options set%s", string_at(program, record.name).c_str(),
                    record.backlog, record.options, status_flags(record.flags).c_str())}};
}

Lines describe(const FrozenProgram&, const kinds::EpollRecord& record, const image::Record& whole) {
    Room room(whole, sizeof record);
    if (!room.take(record.slots, sizeof(kinds::DescriptorSlot)) ||
        !room.take(record.entries, sizeof(kinds::EpollEntry)))
        return {{"epoll", malformed}};
    std::string watched;
    for (unsigned i = 0; i < record.entries; ++i)
        append_word(watched, format("%d(%#x)", record.entry()[i].number, record.entry()[i].events));
    return {{"epoll " + numbers(record.slot(), record.slots),
             "watches " + or_none(watched) + status_flags(record.flags)}};
}

// --- What it needs and whom it tells ---

std::string cpu_features(const arch::CpuFeatureSet& set) {
    std::string names;
    for (unsigned i = 0; i < arch::cpu_feature_count; ++i) {
        if (set.has(i))
            append_word(names, arch::cpu_features[i].name);
    }
    return or_none(names);
}

Lines describe(const FrozenProgram&, const kinds::CpuRecord& record, const image::Record&) {
    Lines lines = folded("CPU features", cpu_features(record.required));
    lines.push_back({"CPU state", format("components %#lx", record.xstate)});
    return lines;
}

Lines describe(const FrozenProgram& program, const kinds::MonitorRecord& record,
               const image::Record&) {
    char address[INET_ADDRSTRLEN] = "?";
    ::inet_ntop(AF_INET, &record.address, address, sizeof address);
    return {{"monitor", format("%s:%u, told as \"%s\"", address, ntohs(record.port),
                               string_at(program, record.name).c_str())}};
}

Lines describe(const FrozenProgram& program, const kinds::TicketRecord& record,
               const image::Record&) {
    return {{"ticket",
             string_at(program, record.name) + " in " + string_at(program, record.directory)}};
}

// --- The table ---

template <class T>
Lines describe_as(const FrozenProgram& program, const image::Record& record) {
    if (const T* structure = record.as<T>())
        return describe(program, *structure, record);
    return {{format("kind %u", static_cast<unsigned>(record.header().kind)),
             "a record too short for its kind"}};
}

struct Describer {
    image::Kind kind;
    Lines (*describe)(const FrozenProgram&, const image::Record&);
};

constexpr Describer describers[] = {
    {image::Kind::attributes, describe_as<kinds::AttributesRecord>},
    {image::Kind::executable, describe_as<kinds::ExecutableRecord>},
    {image::Kind::resource_limits, describe_as<kinds::ResourceLimitsRecord>},
    {image::Kind::membarrier, describe_as<kinds::MembarrierRecord>},
    {image::Kind::address_space, describe_as<kinds::AddressSpaceRecord>},
    {image::Kind::working_directory, describe_as<kinds::WorkingDirectoryRecord>},
    {image::Kind::umask, describe_as<kinds::UmaskRecord>},
    {image::Kind::personality, describe_as<kinds::PersonalityRecord>},
    {image::Kind::process, describe_as<kinds::ProcessRecord>},
    {image::Kind::thread, describe_as<kinds::ThreadRecord>},
    {image::Kind::signal_actions, describe_as<kinds::SignalActionsRecord>},
    {image::Kind::pending_signal, describe_as<kinds::PendingSignalRecord>},
    {image::Kind::interval_timers, describe_as<kinds::IntervalTimersRecord>},
    {image::Kind::posix_timer, describe_as<kinds::PosixTimerRecord>},
    {image::Kind::open_file, describe_as<kinds::OpenFileRecord>},
    {image::Kind::pipe, describe_as<kinds::PipeRecord>},
    {image::Kind::event_fd, describe_as<kinds::EventFdRecord>},
    {image::Kind::signal_fd, describe_as<kinds::SignalFdRecord>},
    {image::Kind::timer_fd, describe_as<kinds::TimerFdRecord>},
    {image::Kind::timer_fd_setting, describe_as<kinds::TimerFdSettingRecord>},
    {image::Kind::listening_socket, describe_as<kinds::ListeningSocketRecord>},
    {image::Kind::epoll, describe_as<kinds::EpollRecord>},
    {image::Kind::cpu, describe_as<kinds::CpuRecord>},
    {image::Kind::monitor, describe_as<kinds::MonitorRecord>},
    {image::Kind::ticket, describe_as<kinds::TicketRecord>},
};

bool known(image::Kind kind) {
    return std::any_of(std::begin(describers), std::end(describers),
                       [kind](const Describer& describer) { return describer.kind == kind; });
}

void append(Lines& lines, Lines more) {
    lines.insert(lines.end(), more.begin(), more.end());
}

} // namespace

std::vector<Line> describe_records(const FrozenProgram& program) {
    Lines lines;
    for (const Describer& describer : describers) {
        for (image::Records records : {program.image.objects(), program.image.state()})
            for (image::Record record : records)
                if (record.header().kind == describer.kind)
                    append(lines, describer.describe(program, record));
    }
    for (image::Records records : {program.image.objects(), program.image.state()})
        for (image::Record record : records)
            if (!known(record.header().kind))
                lines.push_back({format("kind %u", static_cast<unsigned>(record.header().kind)),
                                 format("%zu bytes that this release does not understand",
                                        record.bytes().size())});
    return lines;
}

} // namespace rfork::tool
