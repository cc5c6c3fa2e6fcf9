// The resume stub: the only code of ours that runs before the program goes on.
//
// It is freestanding: no libc, no writable globals, no relocations. It includes the image format,
// the records and arch/, nothing else of the hosted side. Whatever goes wrong ends the process with
// one sentence, before the program has run a single instruction.
#pragma once

#include "arch/arch.h"
#include "base/hash.h"
#include "format/format.h"
#include "format/object.h"
#include "format/record.h"
#include "format/records/resource_limits.h"
#include "format/status.h"
#include "format/ticket.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace rfork::kinds {
struct AddressSpaceRecord;
struct Owner;
struct ThreadRecord;
} // namespace rfork::kinds

namespace rfork::stub {

using image::Stage;

struct Range {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    std::uint64_t size() const { return end - start; }
};

// A mapping the kernel made for itself, and where it waits while memory is rebuilt.
struct KernelMapping {
    Range now;
    Range parked;
};
inline constexpr unsigned kernel_mappings_limit = 4; // [vvar], [vvar_vclock], [vdso]

// What capget(2) and its kin say of a process, a bit a capability.
struct Rights {
    std::uint64_t effective = 0, permitted = 0, inheritable = 0, bounding = 0, ambient = 0;
    std::uint32_t securebits = 0;
};

// RFORK_FILES: what to do about files that are not as they were; objects/open_file/restore.cc.
enum class Files { check, trust, rollback };

// RFORK_MAP: path_map.cc.
struct PathMap {
    char text[8192]; // old, new, old, new ..., each with a zero byte behind it
    unsigned size = 0;
    mutable char here[4096]; // the path that was asked for last
};

// Of the program's memory, in bytes, and of the line that tells of it: progress.cc.
struct Progress {
    bool wanted = false;
    std::uint64_t done = 0, all = 0;
    std::uint64_t next_look = 0; // bytes
    std::uint64_t began = 0, due = 0;
    unsigned shown = 0; // length of the line that is on the terminal
};

// A page that the executed process shares with others: identity.h.
struct SupervisionPage;

struct Stub {
    const image::Header* header = nullptr;
    const image::Process* process = nullptr; // which of the frozen ones this is to become
    image::Process nobody{};                 // or whose tables are in use before that
    Stage stage = Stage::start;
    char called[256] = "image";        // as it was started, for sentences
    std::uint64_t ignored_signals = 0; // a bit each; see state/signal_actions/restore.cc

    // From the environment the image was started with.
    bool ignore_cpu = false;
    bool new_ids = false; // RFORK_PID=new
    bool stops = false;   // RFORK_STOP=yes
    Files files = Files::check;
    PathMap paths;
    const char* temporary = "/tmp"; // TMPDIR; until the address space is cleared
    int status_fd = -1; // whoever started us listens there
    char ticket_directory[image::max_directory + 1] = {};
    char ticket[64] = {};
    char attempt[image::id_digits + 1] = {};
    const char* ticket_path = nullptr; // of its directory, whoever has said it
    int spool_fd = -1;                 // that directory
    char running[200] = {};            // what the ticket is called once it is won
    char log[513] = {};                // where the output goes, for the monitor

    HashUnit hash_unit;

    int image_fd = -1;
    int stream_fd[3] = {-1, -1, -1};
    bool other_window = false; // than when it was frozen: one of them is a terminal of another size
    struct Pipe {
        int in = -1, out = -1;
    };
    Pipe built_pipe, arm_pipe, ready_pipe, go_pipe; // between several processes
    mutable Progress progress;

    // CLOCK_MONOTONIC and CLOCK_BOOTTIME go on from what they showed at the freeze.
    bool clocks_continue = false;

    bool xsave = false;          // the CPU has it and the kernel uses it
    std::uint64_t xcr0 = 0;      // state components enabled here
    Range vdso;                  // this kernel's, from AT_SYSINFO_EHDR on; empty if it gives none
    bool redirects_vdso = false; // the program's is another kernel's
    KernelMapping kernel[kernel_mappings_limit];
    unsigned kernel_mappings = 0;

    // Who this is; see identity.cc.
    int outer_pid = 0; // the process that was executed: its parent knows the program by this pid
    bool supervised = false;                     // that one is our parent, and stays in front
    SupervisionPage* supervision_page = nullptr; // if so
    bool keeps_ids = false;       // so further threads get the tids they had (clone3(2), set_tid)
    bool borrowed_rights = false; // a user namespace gave us more than `rights`
    Rights rights;
    int parent_death_signal = 0;
    std::int64_t monotonic_shift = 0; // what the program sees CLOCK_MONOTONIC jump by, nanoseconds:
    std::int64_t boottime_shift = 0;  // 0, unless there are no time namespaces here

    const kinds::ResourceLimitsRecord* limits = nullptr;
    kinds::Limit limits_here[kinds::limit_count]; // that the image was started with
    bool knows_limits = false;

    // Threads: state/thread/restore.cc.
    const kinds::ThreadRecord* caller = nullptr; // that froze the program
    const kinds::ThreadRecord* leader = nullptr; // that this one becomes; none if it had ended
    unsigned threads = 0;                        // made
    std::uint64_t next_frame = 0;
    std::uint32_t ready = 0;  // futex: how many of them wait
    std::uint32_t go = 0;     // futex: for what
    std::uint32_t inside = 0; // those that have not left, if the program has no code of ours
};

// Of an image that does not go on, as of env(1) and its like: programs hardly use it.
inline constexpr int refusal_status = 125;

// report.cc: "what 'detail': why", to the status pipe or to standard error, and the end.
[[noreturn]] void fail(const Stub&, int error, const char* what, const char* detail = "");
[[noreturn]] void refuse(const Stub&, const image::StatusMessage&);
// "note: what 'detail'" to standard error, and on; left out where that would have to wait.
void note(const Stub&, const char* what, const char* detail);
// Not so a full pipe, and a terminal after ^S: whoever writes there waits.
bool takes_a_line(int fd);

// owner.cc: whether a file that belongs to `user` belongs to whom it did.
bool is_owner(const kinds::Owner&, std::uint32_t user);

// text.cc
unsigned length(const char* text);
bool same(const char* a, const char* b);
bool starts_with(const char* text, const char* prefix);
bool parse_unsigned(const char*& text, std::uint64_t& value, unsigned base);
bool copy_text(char* to, unsigned capacity, const char* text); // false: it does not fit, and is cut

// A sentence under construction; what does not fit is cut.
class Text {
  public:
    Text(char* buffer, unsigned capacity) : buffer_(buffer), capacity_(capacity) {
        buffer_[0] = '\0';
    }
    Text& operator<<(const char* text);
    Text& operator<<(std::uint64_t number);
    unsigned size() const { return size_; }

  private:
    char* buffer_;
    unsigned capacity_;
    unsigned size_ = 0;
};

// deadline.cc
class Deadline {
  public:
    explicit Deadline(unsigned seconds);
    bool passed() const;

  private:
    std::uint64_t end_; // CLOCK_MONOTONIC, ns
};

// path_map.cc
void parse_map(Stub&, const char* text);
// Where something is that was at that path; valid until the next call.
const char* path_here(const Stub&, const char* path);
// In the environment that the program was started with, TMPDIR; as long as that takes no more room.
void map_temporary_directory(const Stub&, const kinds::AddressSpaceRecord&);

// image_file.cc
void open_image(Stub&, const char* executable_name);
void check_image(Stub&);
const char* string_at(const Stub&, std::uint32_t offset);

// The contents of a section of the metadata; empty if there is none.
const image::Section* find_section(const Stub&, image::SectionKind, std::uint32_t owner);
template <class T>
std::span<const T> table(const Stub& stub, image::SectionKind kind, std::uint32_t owner = 0) {
    const image::Section* s = find_section(stub, kind, owner);
    if (!s)
        return {};
    const auto* metadata = reinterpret_cast<const std::uint8_t*>(stub.header);
    return {reinterpret_cast<const T*>(metadata + (s->offset - stub.header->metadata_offset)),
            s->size / sizeof(T)};
}
std::span<const image::Mapping> mappings_of(const Stub&);

// Extents with their hashes.
struct Extents {
    std::span<const image::Extent> extents;
    const std::uint64_t* hashes;
};
Extents extents_of(const Stub&, image::SectionKind, std::uint32_t owner);

// One of them where it belongs in memory.
struct Placed {
    std::uint64_t address;
    const image::Extent& extent;
    std::uint64_t hash;
};

// Records of a process, or of the objects.
class Records {
  public:
    explicit Records(const Stub& stub); // of this process
    Records(const Stub& stub, const image::Process& process);
    static Records of_objects(const Stub& stub);
    const image::RecordHeader* next(); // nullptr at the end
  private:
    explicit Records(std::span<const std::uint8_t> records) : rest_(records) {}
    std::span<const std::uint8_t> rest_;
};

template <class Record>
const Record& as(const image::RecordHeader& header) {
    return reinterpret_cast<const Record&>(header);
}

// Where the entries for an object begin in a table that is in the order of the objects.
template <class Entry>
std::size_t first_of(std::span<const Entry> table, std::uint32_t object) {
    std::size_t first = 0, behind = table.size();
    while (first < behind) {
        const std::size_t middle = first + (behind - first) / 2;
        if (table[middle].object < object)
            first = middle + 1;
        else
            behind = middle;
    }
    return first;
}

// The parts of a resume, between which the stub does the rest of its work: format/kinds.def.
enum class Phase { host, identity, files, memory, process, threads, armed, never };

// records.cc
void check_records(const Stub&); // refuses a kind that this stub does not know
void restore(Stub&, Phase);      // the records of a phase; objects, if nobody else does that

// processes.cc
std::span<const image::Process> processes_of(const Stub&);
bool are_several(const Stub&);
bool is_first(const Stub&);
void find_processes(Stub&); // and becomes the first
void restore_common_files(Stub&);
void restore_common_memory(Stub&);
void part_ways(Stub&); // returns in every process, whose files are there
void meet(Stub&);      // when all are there, but for what runs by itself
void claim(Stub&);     // for all, when they are ready; nobody returns unless it is won

// descriptors.cc
void renumber_private_descriptors(Stub&);
void close_private_descriptors(Stub&);
using Descriptors = std::span<const image::Descriptor>;
// Those of the process that refer to an object.
Descriptors descriptors_of(const Stub&, std::uint32_t object);
// Moves a descriptor from a standard stream's number, if it has got one that was closed; or -errno.
long keep_off_streams(int fd);
// Moves a descriptor to a number that is none of these.
int set_aside(const Stub&, int fd, Descriptors, const char* name);
// Gives an open file its descriptors, and closes the one at which it was opened, unless that is one
// of them.
void place(const Stub&, int opened, Descriptors, const char* name);
void place(const Stub&, int opened, const image::ObjectHeader&);
// Puts at their numbers what was made for all processes.
void take_descriptors(const Stub&);
// What only the resume needs.
void close_temporary_descriptors(const Stub&);
// Of what only the resume needs, whatever is of the same file as `fd`.
void close_early(Stub&, int fd);
// O_NONBLOCK and its like, on a file that was opened without.
void set_status_flags(const Stub&, int fd, std::uint32_t flags, const char* name);
void close_all_descriptors(int but = -1);

// Where Stub::supervision_page is, behind the room for the kernel's mappings.
inline std::uint64_t supervision_page_place(const Stub& stub) {
    return stub.header->window.scratch + image::parking_size - image::page_size;
}

// kernel_mappings.cc: the vDSO and its data pages, which belong to the running kernel.
void find_kernel_mappings(Stub&);
void park_kernel_mappings(Stub&);
void place_kernel_mappings(Stub&);

// redirect_vdso.cc: makes the functions of `program`, another kernel's vDSO, call those of ours.
void redirect_vdso(const Stub&, const image::Mapping& program);

// progress.cc
void look_for_terminal(const Stub&); // before a pid namespace hides who has it
void begin_progress(const Stub&);
void count_progress(const Stub&, std::uint64_t bytes);
void end_progress(const Stub&); // also before a sentence

// memory.cc
void clear_address_space(Stub&);
void restore_memory(Stub&);
// Reads and checks it; `about` is for sentences.
void read_extent(const Stub&, const image::Mapping& about, const Placed&);
// What mmap(2) does not set: advice, and a name.
void finish_mapping(const Stub&, const image::Mapping&);

// What started the image wanted ignored (state/signal_actions).
void note_ignored_signals(Stub&);

// From where it was made, or alone (objects/shared_memory).
void map_shared_memory(const Stub&, const image::Mapping&);
void unmap_common_memory(const Stub&);

// The file of a shared mapping, if it is still the one that it was (objects/open_file).
int open_mapped_file(const Stub&, const image::Mapping&);
// Whether the program's terminal has another size than it had.
bool has_other_window(const Stub&);
// RFORK_FILES=rollback, when nothing else can fail any more (objects/open_file).
void roll_back_files(Stub&);

// What waits for one thread; called by itself, when all timers are there (state/pending_signal).
void queue_pending_signals(Stub&, std::int32_t frozen_tid);
bool any_signal_waits_for_a_thread(const Stub&);

// Makes a timer whose expiry was pending run out, so that it is again (state/posix_timer).
void let_posix_timer_expire(Stub&, std::int32_t id);

// identity.cc: takes back what a thread was lent for the resume. Every thread calls it, once no
// further threads are to be made.
void return_rights(const Stub&);
void await_guard(const Stub&);          // until the program cannot outlive the process in front
void return_lent_identity(const Stub&); // the process, when the program is about to run

// door.cc: stops the program before it leaves, if that is wanted.
void pass_the_door(const Stub&);

// Resource limits, when the stub needs nothing any more (state/resource_limits).
void apply_final_limits(const Stub&);

// Whether it was the resumed program itself that executed the image, by the name that /proc has for
// the program's file; then it is that file which it meant (state/executable).
bool is_link_to_executable(const char* name);
[[noreturn]] void execute_program_instead(Stub&, const char* const* arguments,
                                          const char* const* environment,
                                          std::uint64_t signal_mask);

// The end of the stub, in all threads: state/thread/restore.cc.
[[noreturn]] void leave(Stub&);
// What the thread with that id is called now.
std::int32_t tid_now(const Stub&, std::int32_t frozen_tid);

// The ticket's directory, if it is its owner's alone, else -EINVAL (state/ticket).
long open_ticket_directory(const Stub&);
// claim.cc: wins the ticket of an image that travels, or ends.
void win_ticket(Stub&);
// announce.cc: the program runs.
void announce(Stub&);

} // namespace rfork::stub
