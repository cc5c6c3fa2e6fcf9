#include "traced/freeze_process.h"

#include "base/clock.h"
#include "base/proc.h"
#include "objects/collect_process.h"
#include "objects/descriptors.h"
#include "process/kept_from_forks.h"
#include "process/peek.h"
#include "process/ptrace.h"
#include "process/timers_and_signals.h"
#include "traced/admission.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <utility>

namespace rfork::capture {
namespace {

constexpr std::uint64_t page = image::page_size;

Result<std::vector<MemoryMapEntry>> read_map(const std::string& directory, const char* name) {
    const UniqueFd fd(open((directory + "/" + name).c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd)
        return system_error(errno, "cannot read " + directory + "/" + name);
    return read_memory_map(fd.get());
}

std::uint64_t vdso_in(const std::string& auxv) {
    for (std::size_t at = 0; at + 16 <= auxv.size(); at += 16) {
        std::uint64_t entry[2];
        std::memcpy(entry, auxv.data() + at, sizeof entry);
        if (entry[0] == AT_SYSINFO_EHDR)
            return entry[1];
    }
    return 0;
}

// What the stub has left to a program that has no code of ours (state/thread/restore.cc).
bool is_door(pid_t pid, const MemoryMapEntry& e) {
    char magic[sizeof image::door_magic];
    return e.name.empty() && !e.shared && e.prot == (PROT_READ | PROT_EXEC) &&
           peek(pid, e.start + image::frames_header_size - sizeof magic, magic) &&
           std::memcmp(magic, image::door_magic, sizeof magic) == 0;
}

// A thread is not led out of it step by step: the death of its tracer at a step would be its own.
std::vector<UnsafeCode> unsafe_code(const std::vector<MemoryMapEntry>& map, std::uint64_t vdso,
                                    const std::vector<Range>& doors) {
    std::vector<UnsafeCode> all;
    for (const MemoryMapEntry& e : map)
        if (e.name == "[vdso]" || (vdso >= e.start && vdso < e.end))
            all.push_back({e.start, e.end, false});
    for (const Range& door : doors)
        all.push_back({door.start, door.end, false});
    return all;
}

constexpr std::uint32_t kept = vm_dontfork | vm_wipeonfork;

void add_advice(const MemoryMapEntry& e, std::vector<agent::Advice>& advice) {
    if (e.flags & vm_dontfork)
        advice.push_back({e.start, e.end - e.start, MADV_DOFORK, MADV_DONTFORK});
    if (e.flags & vm_wipeonfork)
        advice.push_back({e.start, e.end - e.start, MADV_KEEPONFORK, MADV_WIPEONFORK});
}

Error changed_meanwhile() {
    return {EAGAIN, "the process has changed what of its memory a fork would have while it was "
                    "being stopped: try again"};
}

// With all its threads.
bool has_ended(pid_t pid) {
    const std::string status = text_of("/proc/" + std::to_string(pid) + "/status");
    const std::string state = field(status, "State").substr(0, 1);
    return status.empty() || state == "X" || (state == "Z" && field(status, "Threads") == "1");
}

// As in OutsideTracer: what the process's threads have in common with this CPU.
void complete(Thread& thread, pid_t own_pid) {
    const bool xsave = arch::has_xsave();
    kinds::ThreadRecord& record = thread.record;
    record.xcr0 = arch::enabled_xstate(xsave);
    record.xstate_size = (arch::xstate_layout(record.xcr0, record.layout) + 7) / 8 * 8;
    thread.xstate.resize(record.xstate_size);
    if (!xsave) {
        const std::uint64_t x87_and_sse = 3;
        std::memcpy(thread.xstate.data() + arch::xstate_bv_offset, &x87_and_sse,
                    sizeof x87_and_sse);
    }
    if (record.tid == own_pid)
        record.flags |= kinds::thread_leads;
}

} // namespace

Result<void> FrozenProcess::stop() {
    const Result<std::vector<MemoryMapEntry>> map = read_map(directory_, "smaps");
    if (!map && (map.error().code == EACCES || map.error().code == EPERM))
        return cannot_trace(pid_, EPERM);
    if (!map)
        return map.error();
    std::vector<agent::Advice> advice;
    for (const MemoryMapEntry& e : *map) {
        if (e.flags & vm_shadow_stack)
            return Error{ENOTSUP, label_of(pid_) +
                                      " has shadow stacks, which an image cannot carry "
                                      "yet: start it without"};
        if (is_door(pid_, e))
            doors_.push_back({e.start, e.end});
        if ((e.flags & kept) && e.name != "[uprobes]") {
            add_advice(e, advice);
            facts_.given.push_back({{e.start, e.end}, e.flags & kept});
        }
    }
    tracer_.emplace(pid_, "/proc/" + std::to_string(pid_),
                    unsafe_code(*map, vdso_in(text_of(directory_ + "/auxv")), doors_));
    tracer_->give_twin(std::move(advice));
    was_stopped_ = field(text_of(directory_ + "/status"), "State")[0] == 'T';
    tracer_->take_away(find_leftovers(pid_, *map));
    stopped_ = monotonic_ns();
    Result<void> r = tracer_->stop();
    if (!r && r.error().code == EPERM)
        return cannot_trace(pid_, EPERM);
    if (!r)
        return r;
    const std::size_t levels = ids_in(text_of(directory_ + "/status")).size();
    if (Result<void> begun =
            twin_.begin(tracer_->twin(), tracer_->room(), tracer_->agent(), levels);
        !begun)
        return begun;
    zombie_ = twin_.own_id();
    const Result<std::uint64_t> its = mapped_pages(directory_);
    const Result<std::uint64_t> twins = mapped_pages("/proc/" + std::to_string(twin_.pid()));
    if (!its || !twins)
        return !its ? its.error() : twins.error();
    if (*twins < *its)
        return changed_meanwhile();
    static_cast<ask::ProcessAnswers&>(facts_.kernel) = tracer_->answers();
    facts_.posix_timers = tracer_->posix_timers();
    if (Result<void> pending = tracer_->read_pending(facts_.pending); !pending)
        return pending;
    advance_timers(monotonic_ns(), facts_.pending, facts_.kernel, facts_.posix_timers);
    const std::string status = text_of("/proc/" + std::to_string(pid_) + "/status");
    facts_.threads = tracer_->threads();
    for (Thread& thread : facts_.threads)
        complete(thread, own_id_in(status));
    if (directory_.find("/task/") != std::string::npos)
        field(status, "Name").copy(facts_.kernel.name_of_ended_main, 15);
    return {};
}

Result<void> FrozenProcess::collect_memory(const TracedProcess& source, ProcessSnapshot& process) {
    std::vector<Range> own = doors_;
    own.push_back(tracer_->room());
    return kinds::collect_memory(source, own, process);
}

// The process will write into it; and what of it was written to, nobody but the object itself knows.
Result<void> FrozenProcess::keep_shared_memory(const TracedProcess& source,
                                               ProcessSnapshot& process) {
    const Result<std::vector<MemoryMapEntry>> map =
        read_map("/proc/" + std::to_string(twin_.pid()), "maps");
    if (!map)
        return map.error();
    if (std::none_of(map->begin(), map->end(), [](const MemoryMapEntry& e) { return e.shared; }))
        return {};
    if (Result<void> r = collect_memory(source, process); !r)
        return r;
    for (const image::Mapping& m : process.mappings)
        if (m.kind == image::MappingKind::shared_memory)
            if (Result<void> r = pages_->keep(m); !r)
                return r;
    return {};
}

Result<void> FrozenProcess::collect(const FreezeOrder& order, Snapshot& snapshot) {
    Result<TracedProcess> source = TracedProcess::open(pid_, directory_, facts_, twin_);
    if (!source)
        return source.error();
    snapshot.created = std::uint64_t(source->clock(CLOCK_REALTIME));
    snapshot.obstacles.are_of(label_of(pid_));
    ProcessSnapshot& process = snapshot.processes.emplace_back(snapshot);
    const pid_t ours[] = {twin_.own_id()};
    if (Result<void> r = kinds::collect_process(*source, {ours, order.leaves_children}, process);
        !r)
        return r;
    Result<std::unique_ptr<TwinPages>> pages = TwinPages::open(twin_);
    if (!pages)
        return pages.error();
    pages_ = std::move(*pages);
    process.pages = pages_.get();
    if (order.goes_on) {
        if (Result<void> r = keep_shared_memory(*source, process); !r)
            return r;
        release();
    }
    if (process.mappings.empty())
        if (Result<void> r = collect_memory(*source, process); !r)
            return r;
    for (const image::Mapping& m : process.mappings)
        if (m.flags & image::mapping_wipeonfork &&
            std::none_of(facts_.given.begin(), facts_.given.end(), [&](const auto& given) {
                return m.start >= given.first.start && m.end <= given.first.end;
            }))
            return changed_meanwhile();
    kinds::add_shared_memory(snapshot);
    return {};
}

void FrozenProcess::release() {
    if (!stopped_)
        return;
    tracer_->release();
    stood_still_ = monotonic_ns() - stopped_;
    stopped_ = 0;
}

Result<std::unique_ptr<FrozenProcess>> FrozenProcess::freeze(pid_t pid, const FreezeOrder& order,
                                                             Snapshot& snapshot) {
    const Result<Admitted> admitted = admit(pid);
    if (!admitted)
        return admitted.error();
    std::unique_ptr<FrozenProcess> frozen(new FrozenProcess(admitted->pid, admitted->directory));
    if (Result<void> r = frozen->stop(); !r)
        return r.error();
    if (Result<void> r = frozen->collect(order, snapshot); !r)
        return r.error();
    return frozen;
}

// What is left of the twin, and of what this process holds.
Result<void> FrozenProcess::end_twin() {
    pages_.reset();
    twin_.end();
    if (!zombie_ || !tracer_)
        return {};
    const pid_t zombie = std::exchange(zombie_, 0);
    Result<void> r = tracer_->reap(zombie);
    return has_ended(pid_) ? Result<void>() : r; // then nobody need wait for it
}

Result<void> FrozenProcess::finish() {
    Result<void> r = end_twin();
    if (std::exchange(halted_, false))
        if (Result<void> taken_back = tracer_->take_back_stop(); !taken_back && r)
            r = taken_back;
    release();
    return r;
}

Result<void> FrozenProcess::finish_with(int signal) {
    halted_ = false;
    if (signal == SIGKILL) // nobody need wait for the twin of who is gone
        zombie_ = 0;
    Result<void> r = end_twin();
    if (r && arch::syscall(SYS_kill, pid_, signal) < 0)
        r = system_error(ESRCH, "cannot signal " + label_of(pid_));
    release();
    return r;
}

Result<void> FrozenProcess::halt() {
    if (was_stopped_)
        return {};
    if (const long r = arch::syscall(SYS_kill, pid_, SIGSTOP); r < 0)
        return system_error(int(-r), "cannot stop " + label_of(pid_));
    halted_ = true;
    return {};
}

} // namespace rfork::capture
