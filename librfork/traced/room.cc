#include "traced/room.h"

#include "arch/x86_64/tracee.h"
#include "process/peek.h"

#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <sys/syscall.h>

extern "C" {
extern const std::uint8_t rfork_agent_begin[] __attribute__((visibility("hidden")));
extern const std::uint8_t rfork_agent_end[] __attribute__((visibility("hidden")));
}

namespace rfork::capture {
namespace {

constexpr std::uint64_t page = 4096, red_zone = 128;
constexpr std::int64_t patience_s = 2;

std::uint64_t page_up(std::uint64_t size) {
    return (size + page - 1) / page * page;
}

// By its size a room is known in which nothing has been put yet, if it holds nothing at all: a
// number of pages, modulo 1024. What is not needed of it is never touched.
constexpr std::uint64_t size_cycle = 1024 * page, size_mark = 679 * page;

std::uint64_t size_of_room(std::uint64_t used) {
    const std::uint64_t whole = used / size_cycle * size_cycle + size_mark;
    return whole >= used ? whole : whole + size_cycle;
}

bool has_size_of_room(std::uint64_t size) {
    return size % size_cycle == size_mark;
}

std::uint64_t agent_size() {
    return std::uint64_t(rfork_agent_end - rfork_agent_begin);
}

// Places one behind the other.
class Plan {
  public:
    std::uint64_t take(std::uint64_t size) {
        const std::uint64_t at = used_;
        used_ += (size + 63) / 64 * 64;
        return at;
    }
    std::uint64_t used() const { return used_; }

  private:
    std::uint64_t used_ = 0;
};

template <class T>
void put(std::vector<std::uint8_t>& bytes, std::uint64_t at, const T& value) {
    std::memcpy(bytes.data() + at, &value, sizeof value);
}

template <class T>
Result<std::vector<T>> read_all(pid_t pid, std::uint64_t address, std::size_t count) {
    std::vector<T> all(count);
    const auto size = long(count * sizeof(T));
    if (count && peek_bytes(pid, address, all.data(), std::size_t(size)) != size)
        return Error{EIO, "cannot read what process " + std::to_string(pid) +
                              " has answered: it may have been killed"};
    return all;
}

Result<std::uint64_t> map_pages(Foothold& foothold, std::uint64_t size) {
    const Result<long> mapped =
        foothold.call(SYS_mmap, 0, size, PROT_READ | PROT_EXEC,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, ~std::uint64_t(0), 0);
    if (!mapped)
        return mapped.error();
    if (*mapped < 0)
        return system_error(int(-*mapped),
                            "the process cannot be given memory in which it would "
                            "answer for itself",
                            "raise its limit on virtual memory (ulimit -v), and allow executable "
                            "memory where a security module forbids it");
    return std::uint64_t(*mapped);
}

} // namespace

Result<void> Room::make(pid_t pid, Foothold& foothold, std::span<const Position> threads,
                        const Orders& orders) {
    other_count_ = threads.size() - 1;
    timer_count_ = orders.timers.size();
    Plan plan;
    plan.take(page_up(agent_size()));
    const std::uint64_t data = plan.used();
    const std::uint64_t order = plan.take(sizeof(agent::Order));
    const std::uint64_t others = plan.take(other_count_ * sizeof(agent::ThreadOrder));
    const std::uint64_t timers = plan.take(timer_count_ * sizeof(agent::TimerTimes));
    const std::uint64_t advice = plan.take(orders.advice.size() * sizeof(agent::Advice));
    const std::uint64_t stacks =
        plan.take(agent::agent_stack_size + other_count_ * ask::query_stack_size);
    std::vector<std::uint64_t> frames;
    for (const Position& thread : threads)
        frames.push_back(plan.take(ReturnFrame(thread).size()));
    size_ = size_of_room(page_up(plan.used()));

    const Result<std::uint64_t> start = map_pages(foothold, size_);
    if (!start)
        return start.error();
    start_ = *start;
    order_ = start_ + order;
    others_ = start_ + others;
    timers_ = start_ + timers;
    stacks_ = start_ + stacks;
    std::vector<std::uint8_t> bytes(page_up(plan.used()));
    std::memcpy(bytes.data(), rfork_agent_begin, agent_size());
    agent::Order for_agent{};
    for (std::size_t i = 0; i < threads.size(); ++i) {
        agent::ThreadOrder for_thread{};
        for_thread.frame = ReturnFrame(threads[i]).build(start_ + frames[i], &bytes[frames[i]]);
        for_thread.patience = {patience_s, 0};
        if (!for_thread.frame)
            return Error{ENOTSUP, "a thread holds values in vector registers that rfork does not "
                                  "know"};
        if (i == 0)
            for_agent.own = for_thread;
        else
            put(bytes, others + (i - 1) * sizeof for_thread, for_thread);
    }
    for (std::size_t i = 0; i < timer_count_; ++i)
        put(bytes, timers + i * sizeof(agent::TimerTimes),
            agent::TimerTimes{orders.timers[i], 0, {}, {}});
    for (std::size_t i = 0; i < orders.advice.size(); ++i)
        put(bytes, advice + i * sizeof(agent::Advice), orders.advice[i]);
    for_agent.room_size = size_;
    for_agent.other_count = std::uint32_t(other_count_);
    for_agent.timer_count = std::uint32_t(timer_count_);
    for_agent.advice_count = std::uint32_t(orders.advice.size());
    for_agent.others = reinterpret_cast<agent::ThreadOrder*>(others_);
    for_agent.timers = reinterpret_cast<agent::TimerTimes*>(timers_);
    for_agent.advice = reinterpret_cast<const agent::Advice*>(start_ + advice);
    put(bytes, order, for_agent);
    // At once: what is killed from here on leaves a room that is known for one.
    if (!poke_bytes(pid, start_, bytes.data(), bytes.size()))
        return Error{EIO, "cannot write into the memory of process " + std::to_string(pid) +
                              ": try again"};
    const Result<long> writable =
        foothold.call(SYS_mprotect, start_ + data, size_ - data, PROT_READ | PROT_WRITE);
    if (!writable)
        return writable.error();
    if (*writable < 0)
        return system_error(int(-*writable), "memory of the process cannot be made writable");
    return {};
}

Range Room::left_in(pid_t pid, const MemoryMapEntry& e) {
    const std::uint64_t code_size = page_up(agent_size());
    if (e.shared || !e.name.empty() || e.prot != (PROT_READ | PROT_EXEC) ||
        e.end - e.start < code_size)
        return {};
    // Before anything was put there.
    if (e.flags & vm_noreserve && !e.rss && !e.swap && has_size_of_room(e.end - e.start))
        return {e.start, e.end};
    std::vector<std::uint8_t> code(agent_size());
    agent::Order order{};
    if (peek_bytes(pid, e.start, code.data(), code.size()) != long(code.size()) ||
        std::memcmp(code.data(), rfork_agent_begin, code.size()) != 0)
        return {};
    if (!peek(pid, e.start + code_size, order) || order.room_size < code_size ||
        order.room_size % page)
        return {e.start, e.end};
    return {e.start, e.start + order.room_size};
}

Result<void> Room::give_back(Foothold& foothold) {
    if (!start_)
        return {};
    const Result<long> r = foothold.call(SYS_munmap, start_, size_);
    start_ = 0;
    if (!r)
        return r.error();
    return {};
}

std::uint64_t Room::order_of(std::size_t thread) const {
    return thread == 0 ? order_ : others_ + (thread - 1) * sizeof(agent::ThreadOrder);
}

arch::Registers Room::registers_for(std::size_t thread, const Position& position) const {
    const std::uint64_t entry = thread == 0 ? agent::agent_entry : agent::thread_entry;
    arch::Registers r = arch::calling(position.here, start_ + entry, order_of(thread),
                                      position.here.rsp - red_zone);
    r.rsi = stacks_ + agent::agent_stack_size + thread * ask::query_stack_size;
    return r;
}

arch::Registers Room::registers_back(std::size_t thread, const arch::Registers& here) const {
    arch::Registers r = arch::calling(here, start_ + agent::way_back, 0, here.rsp - red_zone);
    r.rbx = order_of(thread);
    return r;
}

bool Room::is_done(pid_t pid) const {
    std::uint32_t done = 0;
    return peek(pid, order_ + offsetof(agent::Order, done), done) && done;
}

Result<agent::Order> Room::read_order(pid_t pid) const {
    const Result<std::vector<agent::Order>> order = read_all<agent::Order>(pid, order_, 1);
    if (!order)
        return order.error();
    return order->front();
}

Result<std::vector<agent::ThreadOrder>> Room::read_others(pid_t pid) const {
    return read_all<agent::ThreadOrder>(pid, others_, other_count_);
}

Result<std::vector<agent::TimerTimes>> Room::read_timers(pid_t pid) const {
    return read_all<agent::TimerTimes>(pid, timers_, timer_count_);
}

} // namespace rfork::capture
