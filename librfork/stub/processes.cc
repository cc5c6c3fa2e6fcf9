// Images that hold several processes.
//
// What was executed becomes the first of them. Before it is anybody, it makes once what they can
// share: open files, at numbers that none of them uses, and memory, where none of them has anything
// (the image says where: in the tables of process 0, which is nobody). Then it makes its children
// of the image, which make theirs; each takes what is its own out of that, and becomes itself.
//
//   first   common things | clone | files, memory, threads | hears, go | timers | hears, claim, go
//   others                        |        likewise        |   built   | timers | ready    | leave
//
// They meet twice: what runs by itself is set going when all are there, and the claim is made when
// they are that far.
//
// Each says in a pipe that it is so far, and closes its end; what ends it before does the latter as
// well. So when the pipe ends, there are as many words as processes, or somebody is missing. What
// that one had to say went the same way, and the first says it, once. The others wait for a byte
// from another pipe, or its end; each time from another one, where nobody can take two. So all run,
// when all were ready and the ticket is won, or none does. (One that is killed when it has said so
// has been killed as soon as it ran.) No time-out is in this, no signal, and no page in which
// somebody who was killed would have had to leave word.
#include "stub/identity.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/time.h>

namespace rfork::stub {
namespace {

using image::Process;
using image::StatusMessage;

void close(int& fd) {
    if (fd >= 0)
        arch::syscall(__NR_close, fd);
    fd = -1;
}

constexpr unsigned patience_s = 2;
constexpr timespec pause{0, 200'000};

std::size_t others(const Stub& stub) {
    return processes_of(stub).size() - 1;
}

// One that is not the first is a child of one that stands before it.
void check_parent(const Stub& stub, const Process& child) {
    bool found = false;
    for (const Process& process : processes_of(stub)) {
        if (&process == &child)
            break;
        if (process.pid == child.pid)
            fail(stub, EBADMSG, "the image holds two processes with the same pid,",
                 PidText(child.pid).text);
        found = found || process.pid == child.parent;
    }
    if (!found)
        fail(stub, EOPNOTSUPP,
             "the image holds a process that does not descend from its first, pid",
             PidText(child.pid).text);
    const Process& first = processes_of(stub).front();
    if (child.process_group != first.process_group || child.session != first.session)
        fail(stub, EOPNOTSUPP,
             "the image holds processes of several process groups or sessions, which its stub "
             "cannot bring back, such as that with pid",
             PidText(child.pid).text);
}

// 0 in the new one. A number that has just come free is so a moment later than it looks.
long make(const Stub& stub, const Process& process) {
    const Deadline soon(patience_s);
    long pid;
    while ((pid = make_process(process.pid, int(process.exit_signal))) == -EEXIST && !soon.passed())
        arch::syscall(__NR_nanosleep, &pause, nullptr);
    if (pid < 0)
        fail(stub, int(-pid),
             pid == -EEXIST
                 ? "cannot give a process of the program its pid again: somebody has taken it "
                   "meanwhile; try again; pid"
             : pid == -EAGAIN
                 ? "cannot make again a process of the program (raise ulimit -u), pid"
                 : "cannot make again a process of the program (sysctl kernel.pid_max must be "
                   "greater, and a seccomp profile may forbid clone3), pid",
             PidText(process.pid).text);
    return pid;
}

// It answers to nobody but the first process.
void become(Stub& stub, const Process& process) {
    stub.process = &process;
    stub.supervised = false;
    stub.progress.wanted = false;
    close(stub.status_fd);
    close(stub.spool_fd);
    close(stub.built_pipe.in);
    close(stub.arm_pipe.out);
    close(stub.ready_pipe.in);
    close(stub.go_pipe.out);
}

// Returns in each of them. Those that a new one is to make stand behind it.
void make_others(Stub& stub) {
    for (const Process& process : processes_of(stub).subspan(1))
        if (process.parent == stub.process->pid && make(stub, process) == 0)
            become(stub, process);
    if (is_first(stub)) { // that keeps the end to read from, whoever else is gone
        close(stub.built_pipe.out);
        close(stub.ready_pipe.out);
    }
}

template <class T>
long read(int fd, T& to) {
    long r;
    while ((r = arch::syscall(__NR_read, fd, &to, sizeof to)) == -EINTR) {
    }
    return r;
}

// The first: that all the others are so far.
void hear_all(const Stub& stub, int pipe) {
    for (std::size_t missing = others(stub); missing > 0; --missing) {
        StatusMessage message;
        if (read(pipe, message) != long(sizeof message))
            fail(stub, ECANCELED,
                 "a process of the program has ended while it was made again (it was killed, or "
                 "memory is short)");
        if (message.stage != Stage::resumed)
            refuse(stub, message);
    }
}

// A byte for each of them, whatever it is; up to PIPE_BUF of them in one piece.
void let_go(const Stub& stub, int pipe) {
    for (std::size_t left = others(stub); left > 0;) {
        const long put = arch::syscall(__NR_write, pipe, stub.header, left);
        left -= put > 0 ? std::size_t(put) : 0;
    }
}

// The others: that they are so far, and when they go on.
void say_and_wait(int& said, int heard) {
    StatusMessage so_far{};
    so_far.stage = Stage::resumed;
    arch::syscall(__NR_write, said, &so_far, sizeof so_far);
    close(said);
    char go;
    if (read(heard, go) != 1)
        arch::syscall(__NR_exit_group, refusal_status);
}

void make_pipe(const Stub& stub, Stub::Pipe& pipe) {
    int ends[2] = {-1, -1};
    long r = arch::syscall(__NR_pipe2, ends, O_CLOEXEC);
    for (int i = 0; r >= 0 && i < 2; ++i)
        if ((r = keep_off_streams(ends[i])) >= 0)
            ends[i] = int(r);
    if (r < 0)
        fail(stub, int(-r), "cannot make pipes between the processes of the program");
    pipe = {ends[0], ends[1]};
}

} // namespace

std::span<const Process> processes_of(const Stub& stub) {
    return table<Process>(stub, image::SectionKind::processes);
}

bool are_several(const Stub& stub) {
    return processes_of(stub).size() > 1;
}

// Or nobody yet.
bool is_first(const Stub& stub) {
    return stub.process->id <= 1;
}

void find_processes(Stub& stub) {
    const std::span<const Process> processes = processes_of(stub);
    if (processes.empty())
        fail(stub, EBADMSG, "the image holds no process");
    for (const Process& process : processes.subspan(1))
        check_parent(stub, process);
    stub.process = processes.data();
    if (!are_several(stub))
        return;
    if (stub.new_ids)
        fail(stub, EOPNOTSUPP,
             "the image holds several processes, which know each other by their pids: start it "
             "without RFORK_PID=new");
    make_pipe(stub, stub.built_pipe);
    make_pipe(stub, stub.arm_pipe);
    make_pipe(stub, stub.ready_pipe);
    make_pipe(stub, stub.go_pipe);
}

void restore_common_files(Stub& stub) {
    begin_progress(stub); // what is in files is a part of it
    if (are_several(stub))
        stub.process = &stub.nobody;
    restore(stub, Phase::files);
}

void restore_common_memory(Stub& stub) {
    stub.process = &stub.nobody;
    restore(stub, Phase::memory);
    stub.process = processes_of(stub).data();
}

void part_ways(Stub& stub) {
    if (!are_several(stub))
        return;
    make_others(stub);
    if (!is_first(stub))
        restore(stub, Phase::host);
    take_descriptors(stub);
    restore(stub, Phase::files);
}

void meet(Stub& stub) {
    if (!is_first(stub))
        return say_and_wait(stub.built_pipe.out, stub.arm_pipe.in);
    hear_all(stub, stub.built_pipe.in);
    let_go(stub, stub.arm_pipe.out);
}

void claim(Stub& stub) {
    if (!is_first(stub))
        return say_and_wait(stub.ready_pipe.out, stub.go_pipe.in);
    hear_all(stub, stub.ready_pipe.in);
    roll_back_files(stub);
    win_ticket(stub);
    announce(stub);
    let_go(stub, stub.go_pipe.out);
}

} // namespace rfork::stub
