// Images that hold several processes.
//
// What was executed becomes the first of them. Before it is anybody, it makes once what they can
// share: open files, at numbers that none of them uses, and memory, where none of them has anything
// (the image says where: in the tables of process 0, which is nobody). Then it makes its children
// of the image, which make theirs; each takes what is its own out of that, and becomes itself up to
// the last step.
//
//   first    common things | children | own files, memory, threads | hears all | claim | go |
//   leaves others                            | likewise                   | ready             | go
//   | leave
//
// Each says in a pipe that it is ready, and closes its end; what ends it before does the latter as
// well. So when the pipe ends, there are as many words as processes, or somebody is missing. What
// that one had to say went the same way, and the first says it, once. The others wait for a byte
// from another pipe, or its end. So all run, when all are there and the ticket is won, or none
// does. No time-out is in this, no signal, and no page in which somebody who was killed would have
// had to leave word.
#include "stub/identity.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

namespace rfork::stub {
namespace {

using image::Process;
using image::StatusMessage;

void close(int& fd) {
    if (fd >= 0)
        arch::syscall(__NR_close, fd);
    fd = -1;
}

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
}

[[noreturn]] void cannot_make(const Stub& stub, int error, const Process& process) {
    fail(stub, error,
         error == EEXIST
             ? "cannot give a process of the program its pid again: somebody has taken it "
               "meanwhile; try again; pid"
             : "cannot make again a process of the program (raise ulimit -u), pid",
         PidText(process.pid).text);
}

// It answers to nobody but the first process.
void become(Stub& stub, const Process& process) {
    stub.process = &process;
    stub.supervised = false;
    stub.progress.wanted = false;
    close(stub.status_fd);
    close(stub.spool_fd);
    close(stub.ready_in);
    close(stub.go_out);
}

// Returns in each of them. Those that a new one is to make stand behind it.
void make_others(Stub& stub) {
    for (const Process& process : processes_of(stub).subspan(1)) {
        if (process.parent != stub.process->pid)
            continue;
        const long pid = make_process(stub.keeps_ids ? process.pid : 0, int(process.exit_signal));
        if (pid < 0)
            cannot_make(stub, int(-pid), process);
        if (pid == 0)
            become(stub, process);
    }
    if (is_first(stub)) {
        close(stub.ready_out);
        close(stub.go_in);
    }
}

template <class T>
long read(int fd, T& to) {
    long r;
    while ((r = arch::syscall(__NR_read, fd, &to, sizeof to)) == -EINTR) {
    }
    return r;
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
    for (const Process& process : processes.subspan(1))
        check_parent(stub, process);
    stub.process = processes.data();
    if (!are_several(stub))
        return;
    int ready[2], go[2];
    long r = arch::syscall(__NR_pipe2, ready, O_CLOEXEC);
    if (r == 0)
        r = arch::syscall(__NR_pipe2, go, O_CLOEXEC);
    if (r < 0)
        fail(stub, int(-r), "cannot make pipes between the processes of the program");
    stub.ready_in = ready[0];
    stub.ready_out = ready[1];
    stub.go_in = go[0];
    stub.go_out = go[1];
}

void restore_common_files(Stub& stub) {
    if (are_several(stub))
        stub.process = &stub.nobody;
    restore(stub, Phase::files);
}

void restore_common_memory(Stub& stub) {
    begin_progress(stub);
    stub.process = &stub.nobody;
    restore(stub, Phase::memory);
    stub.process = processes_of(stub).data();
}

void part(Stub& stub) {
    if (!are_several(stub))
        return;
    make_others(stub);
    if (!is_first(stub))
        restore(stub, Phase::host);
    take_descriptors(stub);
    restore(stub, Phase::files);
}

void claim_for_all(Stub& stub) {
    for (std::size_t missing = others(stub); missing > 0; --missing) {
        StatusMessage message;
        if (read(stub.ready_in, message) != long(sizeof message))
            fail(stub, ECANCELED,
                 "a process of the program has ended while it was made again (it was killed, or "
                 "memory is short)");
        if (message.stage != Stage::resumed)
            refuse(stub, message);
    }
    claim(stub);
    announce(stub);
    for (std::size_t waiting = others(stub); waiting > 0; --waiting)
        while (arch::syscall(__NR_write, stub.go_out, "", 1) == -EINTR) {
        }
}

void await_claim(Stub& stub) {
    StatusMessage ready{};
    ready.stage = Stage::resumed;
    arch::syscall(__NR_write, stub.ready_out, &ready, sizeof ready);
    close(stub.ready_out);
    char go;
    if (read(stub.go_in, go) != 1)
        arch::syscall(__NR_exit_group, refusal_status);
}

} // namespace rfork::stub
