// resume(): from the kernel's exec of the image to the program's next instruction.
//
// The order is the point. What can fail for want of something on this host comes first (the CPU,
// the vDSO, directories and files), then memory, then what the kernel keeps about the process, then
// the thread. The claim is last: until it is won, ending this process harms nobody, and after it
// nothing can fail any more.
#include "stub/stub.h"

#include <linux/errno.h>

#include "arch/x86_64/offsets.h"

#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/auxvec.h>

namespace rfork::stub {
namespace {

static_assert(offsetof(image::Header, window) + offsetof(image::Window, frames) ==
              HEADER_WINDOW_FRAMES);

struct Start { // what the kernel put on the initial stack
    const char* const* arguments;
    const char* const* environment;
    const std::uint64_t* auxv;
};

Start parse_stack(const std::uint64_t* stack) {
    Start start;
    const std::uint64_t arguments = stack[0];
    start.arguments = reinterpret_cast<const char* const*>(stack + 1);
    start.environment = start.arguments + arguments + 1;
    const char* const* end = start.environment;
    while (*end)
        ++end;
    start.auxv = reinterpret_cast<const std::uint64_t*>(end + 1);
    return start;
}

bool take_comma(const char*& text) {
    return *text == ',' && *text++;
}

// The part up to the comma, of exactly that many characters, or "-", which is nothing.
bool take_attempt(const char*& text, char (&attempt)[image::id_digits + 1]) {
    if (text[0] == '-')
        return take_comma(++text);
    for (unsigned i = 0; i < image::id_digits; ++i) {
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
            return false;
        attempt[i] = text[i];
    }
    text += image::id_digits;
    return take_comma(text);
}

bool take_status(const char*& text, int& status_fd) {
    if (text[0] == '-')
        return take_comma(++text);
    std::uint64_t number = 0;
    if (!parse_unsigned(text, number, 10) || number > 0x7fffffff)
        return false;
    status_fd = int(number);
    return take_comma(text);
}

// "<directory>/<name>"
bool take_path(const char* path, Stub& stub) {
    unsigned slash = 0;
    for (unsigned i = 0; path[i]; ++i)
        if (path[i] == '/')
            slash = i;
    if (path[0] != '/' || slash == 0 || slash > image::max_directory || !path[slash + 1] ||
        !copy_text(stub.ticket, sizeof stub.ticket, path + slash + 1))
        return false;
    for (unsigned i = 0; i < slash; ++i)
        stub.ticket_directory[i] = path[i];
    return true;
}

// RFORK_TICKET="<status fd>,<attempt>,<path>", see format/ticket.h
void parse_ticket(Stub& stub, const char* text) {
    int status_fd = -1;
    if (!take_status(text, status_fd) || !take_attempt(text, stub.attempt) ||
        !take_path(text, stub))
        fail(stub, EINVAL,
             "RFORK_TICKET in the environment is malformed: unset it, or see "
             "rfork-image(5)");
    stub.status_fd = status_fd;
}

void parse_files(Stub& stub, const char* text) {
    if (same(text, "trust"))
        stub.files = Files::trust;
    else if (same(text, "rollback"))
        stub.files = Files::rollback;
    else if (!*text || same(text, "check"))
        stub.files = Files::check;
    else
        fail(stub, EINVAL, "RFORK_FILES must be check, trust or rollback, and is", text);
}

// A variable that says yes by one word, and no by another or none.
bool says_yes(const Stub& stub, const char* value, const char* yes, const char* no,
              const char* what) {
    if (!*value || same(value, yes) || same(value, no))
        return same(value, yes);
    fail(stub, EINVAL, what, value);
}

// Whoever executes such an image is not whose rights it would have: neither the environment nor the
// program, which never was in that position, is to be trusted with them.
[[noreturn]] void refuse_borrowed_rights(const Stub& stub) {
    fail(stub, EOPNOTSUPP,
         "the image would have rights that its user does not have (set-user-ID, set-group-ID, file "
         "capabilities, or a security module's), which the frozen program did not expect: take "
         "them away (chmod ug-s, setcap -r)");
}

// The stack these lie on is unmapped soon; the values are kept.
const char* read_start(Stub& stub, const Start& start) {
    static constexpr char cpu_prefix[] = "RFORK_CPU=";
    static constexpr char pid_prefix[] = "RFORK_PID=";
    static constexpr char ticket_prefix[] = "RFORK_TICKET=";
    static constexpr char log_prefix[] = "RFORK_OUTPUT=";
    static constexpr char files_prefix[] = "RFORK_FILES=";
    static constexpr char map_prefix[] = "RFORK_MAP=";
    static constexpr char stop_prefix[] = "RFORK_STOP=";
    static constexpr char temporary_prefix[] = "TMPDIR=";
    if (const char* name = *start.arguments; name && *name)
        Text(stub.called, sizeof stub.called) << name;
    const char* executable = "";
    for (const std::uint64_t* entry = start.auxv; entry[0] != AT_NULL; entry += 2) {
        if (entry[0] == AT_SYSINFO_EHDR)
            stub.vdso = {entry[1], entry[1]};
        else if (entry[0] == AT_EXECFN)
            executable = reinterpret_cast<const char*>(entry[1]);
        else if (entry[0] == AT_SECURE && entry[1])
            refuse_borrowed_rights(stub);
    }
    for (const char* const* e = start.environment; *e; ++e) {
        if (starts_with(*e, cpu_prefix))
            stub.ignore_cpu = says_yes(stub, *e + sizeof cpu_prefix - 1, "ignore", "check",
                                       "RFORK_CPU must be check or ignore, and is");
        else if (starts_with(*e, pid_prefix))
            stub.new_ids = says_yes(stub, *e + sizeof pid_prefix - 1, "new", "keep",
                                    "RFORK_PID must be keep or new, and is");
        else if (starts_with(*e, ticket_prefix))
            parse_ticket(stub, *e + sizeof ticket_prefix - 1);
        else if (starts_with(*e, log_prefix))
            copy_text(stub.log, sizeof stub.log, *e + sizeof log_prefix - 1);
        else if (starts_with(*e, files_prefix))
            parse_files(stub, *e + sizeof files_prefix - 1);
        else if (starts_with(*e, map_prefix))
            parse_map(stub, *e + sizeof map_prefix - 1);
        else if (starts_with(*e, stop_prefix))
            stub.stops = says_yes(stub, *e + sizeof stop_prefix - 1, "yes", "no",
                                  "RFORK_STOP must be yes or no, and is");
        else if (starts_with(*e, temporary_prefix) && (*e)[sizeof temporary_prefix - 1] == '/')
            stub.temporary = *e + sizeof temporary_prefix - 1;
    }
    return executable;
}

std::uint64_t block_signals() {
    const std::uint64_t all = ~std::uint64_t(0);
    std::uint64_t before = 0;
    arch::syscall(__NR_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
    return before;
}

// Nothing that travels runs without having won its ticket, however it was started.
void check_ticket(const Stub& stub) {
    if (stub.header->flags & image::flag_travels && stub.spool_fd < 0)
        fail(stub, EBADMSG, "the image travels, and does not say where its ticket is");
}

} // namespace

extern "C" [[noreturn, gnu::visibility("hidden"), gnu::used]] void
stub_main(const std::uint64_t* stack, const image::Header* header) {
    Stub stub;
    stub.header = header;
    stub.outer_pid = int(arch::syscall(__NR_getpid));
    stub.xsave = arch::has_xsave();
    stub.xcr0 = arch::enabled_xstate(stub.xsave);
    // What arrives from now on is for the program, and waits for it.
    const std::uint64_t signal_mask = block_signals();

    if (header->flags & image::flag_trusts_files)
        stub.files = Files::trust; // unless the environment says otherwise
    const Start start = parse_stack(stack);
    const char* executable = read_start(stub, start);
    note_ignored_signals(stub);
    open_image(stub, executable);
    check_image(stub);
    find_processes(stub);
    if (is_link_to_executable(executable))
        execute_program_instead(stub, start.arguments, start.environment, signal_mask);
    renumber_private_descriptors(stub);
    look_for_terminal(stub);
    check_records(stub);
    stub.other_window = has_other_window(stub);
    find_kernel_mappings(stub);
    restore(stub, Phase::host);
    check_ticket(stub);
    restore(stub, Phase::identity); // beyond this point this may be a child of who was executed
    restore_common_files(stub);

    park_kernel_mappings(stub);
    clear_address_space(stub); // beyond this point nothing exists but the window
    restore_common_memory(stub);
    part_ways(stub); // beyond this point this may be any of the processes
    restore_memory(stub);
    place_kernel_mappings(stub);

    restore(stub, Phase::process);
    restore(stub, Phase::threads);
    meet(stub);
    restore(stub, Phase::armed);
    leave(stub); // with all the others, once the claim is won
}

} // namespace rfork::stub
