// What a tracer looks up in a stopped thread's memory is looked up there, whether or not the tracer
// shares it: here a child has changed its copy of what this process has as well.
#include "process/restarted_calls.h"
#include "process/rseq.h"

#include <catch2/catch.hpp>
#include <csignal>
#include <cstring>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace rfork;
using namespace rfork::capture;

namespace {

constexpr std::uint64_t start = 0x1000, length = 0x10, abort_handler = 0x2000;

struct { // struct rseq
    std::uint32_t cpu_start = 0, cpu = 0;
    std::uint64_t section = 0;
} area;
RseqSection section;
std::uint8_t code[50]; // up to the end of a system call instruction

std::uint64_t address_of(const void* what) {
    return reinterpret_cast<std::uint64_t>(what);
}

void enter_sequence_and_poll() {
    section = {0, 0, start, length, abort_handler};
    area.section = address_of(&section);
    constexpr std::uint32_t number = SYS_poll;
    code[43] = 0xb8; // mov $number, %eax; syscall
    std::memcpy(code + 44, &number, sizeof number);
}

class Child {
  public:
    Child() : pid_(fork()) {
        if (pid_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            enter_sequence_and_poll();
            raise(SIGSTOP);
            _exit(0);
        }
        int status = 0;
        const bool stopped = waitpid(pid_, &status, WUNTRACED) == pid_ && WIFSTOPPED(status);
        REQUIRE(stopped);
    }
    ~Child() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    pid_t pid() const { return pid_; }

  private:
    pid_t pid_;
};

} // namespace

TEST_CASE("a restartable sequence is aborted that the thread is in, not its tracer") {
    const Child child;
    const std::uint64_t at = address_of(&area);
    CHECK(after_abort(child.pid(), at, start + 1) == abort_handler);
    CHECK(after_abort(child.pid(), at, start + length) == start + length);
    CHECK(after_abort(child.pid(), 0, start + 1) == start + 1);
    CHECK(after_abort(getpid(), at, start + 1) == start + 1);
}

TEST_CASE("a call that somebody has restarted is found in the code of the thread, not its tracer") {
    const Child child;
    arch::Registers registers{};
    registers.orig_rax = SYS_restart_syscall;
    registers.rip = address_of(code) + sizeof code;
    CHECK(!recall_call(getpid(), registers));
    CHECK(recall_call(child.pid(), registers));
    CHECK(registers.orig_rax == SYS_poll);
}
