#include "process/pending_signals.h"

#include "format/records/pending_signal.h"
#include "process/source.h"

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace rfork;
using namespace rfork::capture;

namespace {

void queue(int number, int value) {
    if (sigqueue(getpid(), number, {.sival_int = value}) != 0)
        abort();
}

void queue_for_thread(int number, int value) {
    siginfo_t info{};
    info.si_code = SI_QUEUE;
    info.si_value.sival_int = value;
    if (syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), number, &info) != 0)
        abort();
}

// A child with signals of its own that waits, and is ended with this.
class Child {
  public:
    explicit Child(void (*prepare)()) {
        int ready[2];
        REQUIRE(pipe(ready) == 0);
        pid_ = fork();
        REQUIRE(pid_ >= 0);
        if (pid_ == 0) {
            sigset_t all;
            sigfillset(&all);
            sigprocmask(SIG_SETMASK, &all, nullptr);
            prepare();
            if (write(ready[1], "", 1) != 1)
                abort();
            for (;;)
                pause();
        }
        close(ready[1]);
        char byte;
        const bool prepared = read(ready[0], &byte, 1) == 1;
        close(ready[0]);
        REQUIRE(prepared);
    }
    ~Child() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    pid_t pid() const { return pid_; }
    bool stop() {
        int status = 0;
        return ptrace(PTRACE_SEIZE, pid_, 0, 0) == 0 && ptrace(PTRACE_INTERRUPT, pid_, 0, 0) == 0 &&
               waitpid(pid_, &status, 0) == pid_ && WIFSTOPPED(status);
    }

  private:
    pid_t pid_ = 0;
};

std::string read_text(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<kinds::SignalInfo> read_queue(const Child& child, Queue queue, std::int32_t tid) {
    std::vector<PendingSignal> signals;
    const std::string status = read_text("/proc/" + std::to_string(child.pid()) + "/status");
    const std::string set = field(status, queue == Queue::process ? "ShdPnd" : "SigPnd");
    REQUIRE(read_pending_signals(child.pid(), queue, std::stoull(set, nullptr, 16), tid, signals));
    std::vector<kinds::SignalInfo> infos;
    for (const PendingSignal& signal : signals) {
        CHECK(signal.tid == tid);
        kinds::SignalInfo info;
        std::memcpy(&info, signal.info.data(), sizeof info);
        infos.push_back(info);
    }
    return infos;
}

} // namespace

TEST_CASE("pending signals are read from both queues, in order") {
    Child child([] {
        for (int i = 0; i < 100; ++i)
            queue(SIGRTMIN + 1, i);
        queue(SIGRTMIN, 100);
        queue(SIGUSR1, 101);
        for (int i = 0; i < 40; ++i)
            queue_for_thread(SIGRTMIN + 2, i);
        raise(SIGUSR2);
    });
    REQUIRE(child.stop());
    const auto of_process = read_queue(child, Queue::process, 0);
    REQUIRE(of_process.size() == 102);
    for (int i = 0; i < 102; ++i)
        CHECK(int(of_process[std::size_t(i)].value) == i);
    CHECK(of_process[99].number == SIGRTMIN + 1);
    CHECK(of_process[100].number == SIGRTMIN);
    CHECK(of_process[101].number == SIGUSR1);
    CHECK(of_process[101].code == SI_QUEUE);

    const auto of_thread = read_queue(child, Queue::thread, child.pid());
    REQUIRE(of_thread.size() == 41);
    CHECK(of_thread[39].number == SIGRTMIN + 2);
    CHECK(of_thread[39].value == 39);
    CHECK(of_thread[40].number == SIGUSR2);
    CHECK(of_thread[40].code == SI_TKILL);
}

TEST_CASE("a signal without an entry in the queue is found by its bit") {
    Child child([] {
        const rlimit none{};
        setrlimit(RLIMIT_SIGPENDING, &none);
        kill(getpid(), SIGRTMIN);
        raise(SIGTERM);
    });
    REQUIRE(child.stop());
    const auto of_process = read_queue(child, Queue::process, 0);
    REQUIRE(of_process.size() == 1);
    CHECK(of_process[0].number == SIGRTMIN);
    CHECK(of_process[0].code == SI_USER);
    const auto of_thread = read_queue(child, Queue::thread, child.pid());
    REQUIRE(of_thread.size() == 1);
    CHECK(of_thread[0].number == SIGTERM);
}

TEST_CASE("nothing pending is nothing, and a process that is not traced is an error") {
    Child child([] {});
    std::vector<PendingSignal> signals;
    CHECK_FALSE(read_pending_signals(child.pid(), Queue::process, 0, 0, signals));
    REQUIRE(child.stop());
    CHECK(read_queue(child, Queue::process, 0).empty());
    CHECK(read_queue(child, Queue::thread, 1).empty());
}
