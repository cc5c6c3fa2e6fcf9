// What the stub tells whoever started it: one message on the status pipe, then end of file.
//
// rexecd's runner passes RFORK_CLAIM="<status fd>,<spool directory fd>,<image name>" in the
// environment of the image. The stub then claims the image with an exclusive create of
// "<image name>.claim" in that directory as its last stage, and writes one StatusMessage,
// atomically, when the program runs or at the first failure. Without RFORK_CLAIM there is no claim
// and no message, and a failure goes to standard error. Shared with freestanding code.
#pragma once

#include <cstdint>

namespace rfork::image {

inline constexpr char claim_variable[] = "RFORK_CLAIM";
inline constexpr char claim_suffix[] = ".claim";
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
    claim,       // the exclusive create that lets exactly one copy run
    resumed,     // the program runs
};

struct StatusMessage {
    std::uint32_t magic;
    Stage stage;        // resumed, or the stage that failed
    std::int32_t error; // errno of the failure; EEXIST at Stage::claim: somebody else has won
    std::int32_t pid;   // the process that was executed, which may be the program's parent
    char sentence[496]; // zero-terminated; empty when resumed
};
static_assert(sizeof(StatusMessage) == 512); // at most PIPE_BUF: one write, one read

// The claim file's content: "<pid> <host name>\n", written by the winner. A caller that gave up
// writes "0 <host name>\n".

} // namespace rfork::image
