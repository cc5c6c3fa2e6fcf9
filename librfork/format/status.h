// What the stub tells whoever started it: one message on the status pipe, then end of file.
//
// rexecd's runner passes the number of the pipe in RFORK_TICKET (format/ticket.h). The stub writes
// one StatusMessage, atomically, when the program runs or at the first failure; without a pipe a
// failure goes to standard error. Shared with freestanding code.
#pragma once

#include <cstdint>

namespace rfork::image {

inline constexpr std::uint32_t status_magic = 0x534b4652; // "RFKS"

// Roughly in the order of the stub; for sentences and logs, not for logic, but for the last two.
enum class Stage : std::uint32_t {
    start,       // open and check the image itself
    cpu,         // what the program's code needs of the CPU
    vdso,        // the kernel's own code page
    directory,   // working directory
    descriptors, // open files
    memory,      // mappings and their contents
    process,     // attributes, signals
    thread,      // registers
    claim,       // the rename of the ticket, which lets exactly one copy run
    resumed,     // the program runs
};

struct StatusMessage {
    std::uint32_t magic;
    Stage stage;        // resumed, or the stage that failed
    std::int32_t error; // errno of the failure; ECANCELED at Stage::claim: the ticket was gone
    std::int32_t pid;   // the process that was executed, which may be the program's parent
    char sentence[496]; // zero-terminated; empty when resumed

    // When resumed. To whom to report the end of the program, in network byte order, and by which
    // name; 0: nobody listens.
    std::uint32_t monitor_address;
    std::uint16_t monitor_port;
    char program[50];  // zero-terminated: "name[pid]", as in its other reports
    char running[200]; // zero-terminated: what the ticket is called now
};
static_assert(sizeof(StatusMessage) == 768); // at most PIPE_BUF: one write, one read

} // namespace rfork::image
