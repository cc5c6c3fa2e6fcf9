// The image file: what the writer lays down and the stub, the tools and rexecd read.
//
// One file, two ELF views of the same bytes, written from front to back. `docs/image-format.md`
// draws it page by page:
//
//   what                                                          mapped by exec at
//   ELF header and program headers (ET_EXEC)                      -
//   stub: position-independent code                               window.base
//   Header, sections, and the sections of the metadata            window.metadata
//   (not in the file) stub's memory: stacks, frames, parked vDSO  behind the metadata
//   core view: core header, notes, core program headers           -
//   page data, page-aligned                                       by the stub itself
//   hashes of the page data                                       read by the stub
//   closing record                                                likewise
//
// This header is shared with freestanding code: fixed-size integers and nothing else. All offsets
// called "offset" without more are from the start of the file; "string" is an offset into the
// string table, where 0 is the empty string. Little-endian, as the machine is.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rfork::image {

inline constexpr std::uint64_t page_size = 4096;
inline constexpr std::uint32_t format_version = 2;
inline constexpr char magic[8] = {'r', 'f', 'o', 'r', 'k', 'i', 'm', 'g'};

// Data are checked in pieces of this many bytes, small enough to be still in the cache.
inline constexpr std::uint64_t extent_limit = 256 * 1024;

// Room behind Window::scratch for the running kernel's [vvar], [vvar_vclock] and [vdso].
inline constexpr std::uint64_t parking_size = 128 * 1024;

struct Id {
    std::uint8_t bytes[16];
};

struct Secret {
    std::uint8_t bytes[32];
};

// What a section holds. Those from `processes` to `strings` are the metadata: they lie in the part
// of the file that is mapped with the stub, at multiples of 8.
enum class SectionKind : std::uint16_t {
    front = 1,     // ELF header, program headers, stub
    processes,     // Process[]
    objects,       // records of what processes refer to, and may share
    state,         // records of the process `owner`
    mappings,      // Mapping[] of the process `owner`; 0: where shared memory is made
    extents,       // Extent[] of the process `owner`
    descriptors,   // Descriptor[] of the process `owner` (format/object.h); 0: where files wait
    shared_memory, // Extent[] of the object `owner`
    backings,      // Backing[]: where extents may lie beside this file
    strings,
    core_view, // an ELF header which, put at offset 0, makes the file a core; then what it refers
               // to
    pages,     // page data
    hashes,    // std::uint64_t[], XXH3 of the bytes of each extent, in the order of the sections
    closing,   // Closing: nothing is behind it
};

// The file is a list of these, in the order in which they lie there, without overlapping.
struct Section {
    SectionKind kind;
    std::uint16_t must_understand; // 0: whoever does not know the kind can do without
    std::uint32_t owner;           // the id of a process or an object; 0: none
    std::uint64_t offset;
    std::uint64_t size;
    char name[16]; // for people
};

// Where the stub lives while it works; see "address plan" in docs/architecture.md.
struct Window {
    std::uint64_t base;     // where the stub's first page is mapped
    std::uint64_t metadata; // address of the Header below
    std::uint64_t scratch;  // first byte behind the metadata; zero-filled
    std::uint64_t hashes;   // room for the sections `hashes` and `closing`
    std::uint64_t stacks;   // of the stub in all threads but the first, thread_stack_size each
    std::uint64_t frames;   // top of the stub's own stack; signal frames of the other threads
    std::uint64_t end;
};

inline constexpr std::uint64_t thread_stack_size = 32 * 1024;

// At `frames`, a counter of the threads that have not left; or, with a program that has no code of
// ours, the code by which they leave. Then a frame each.
inline constexpr std::uint64_t frames_header_size = 64;
inline constexpr char door_magic[8] = {'r', 'f', 'o', 'r', 'k', 'd', 'o', 'r'}; // ends that code
inline constexpr std::uint64_t frame_size = 3200;        // with room for all vector state but AMX
inline constexpr std::uint64_t large_frame_size = 12800; // and with AMX

// Descriptor numbers that the frozen process does not use, for the stub's own descriptors.
enum PrivateDescriptor : unsigned {
    fd_image,
    fd_status,
    fd_spool,
    fd_stream0, // the standard streams the image was started with
    fd_stream1,
    fd_stream2,
    fd_built_in, // where the first of several processes hears of the others; else -1
    fd_built_out,
    fd_arm_in, // and the others of it
    fd_arm_out,
    fd_ready_in, // likewise
    fd_ready_out,
    fd_go_in,
    fd_go_out,
    private_descriptors
};

enum HeaderFlags : std::uint32_t {
    flag_travels = 1,      // written by rfork(): rexecd runs it, once; it runs nothing else
    flag_trusts_files = 2, // where nobody says otherwise (RFORK_FILES)
};

struct Header {
    char magic[8];
    std::uint32_t version;
    std::uint32_t header_size;
    std::uint32_t machine;   // EM_X86_64
    std::uint32_t page_size; // of which addresses, extents and parts of the file are multiples
    std::uint32_t flags;
    std::uint32_t sections; // Section[sections] follow the header
    Id id;
    std::uint64_t created; // CLOCK_REALTIME, nanoseconds

    std::uint64_t file_size;
    std::uint64_t metadata_offset;
    std::uint64_t metadata_size; // with this header

    std::uint64_t front_hash;    // XXH3 of bytes [0, metadata_offset)
    std::uint64_t metadata_hash; // XXH3 of the metadata with this field zero

    Window window;
    std::int32_t descriptors[private_descriptors];

    // Of an image that travels: random, and known to nobody who cannot read the image. Who asks for
    // it to be run must know it (remote/protocol.h).
    Secret secret;
};

// Behind everything else: a stream that was cut short has none.
struct Closing {
    char magic[8];
    Id id; // of the header
    std::uint64_t file_size;
    std::uint64_t hashes_hash; // XXH3 of the section `hashes`
};
inline constexpr char closing_magic[8] = {'r', 'f', 'o', 'r', 'k', 'e', 'n', 'd'};

// As the frozen processes' own pid namespace had the numbers. All descend from the first, and stand
// behind their parents.
struct Process {
    std::uint32_t id; // from 1, ascending; 0 is nobody, who has what is made for all of them
    std::int32_t pid;
    std::int32_t parent;
    std::int32_t process_group;
    std::int32_t session;
    std::uint32_t exit_signal; // what its parent gets when it ends
};

enum class MappingKind : std::uint32_t {
    anonymous = 1,     // private, and again anonymous after the resume
    shared_memory = 2, // of an object that only mappings and descriptors lead to
    file_content = 3,  // private file mapping, its bytes are in the image and mapped from there
    file_shared = 4,   // MAP_SHARED of a named file, which is opened again by path
    vvar = 5,          // the kernel's own pages: never carried
    vdso = 6,          // the kernel's own code; the image's bytes are used on another kernel
};

enum MappingFlags : std::uint32_t {
    mapping_growsdown = 1,
    mapping_hugepage = 2,
    mapping_nohugepage = 4,
    mapping_wipeonfork = 8,
    mapping_dontdump = 16,
    mapping_noreserve = 32,
    mapping_mergeable = 64,
    mapping_writable_file = 128, // file_shared: the file was open for writing
    mapping_accounted = 256,     // counts as promised memory, as what was ever writable does
    mapping_dontfork = 512,
    mapping_sequential = 1024,
    mapping_random = 2048,
    mapping_droppable = 4096, // MAP_DROPPABLE
    mapping_sealed = 8192,    // mseal(2)
};

struct Mapping {
    std::uint64_t start;
    std::uint64_t end;
    std::uint32_t prot; // PROT_*
    MappingKind kind;
    std::uint32_t flags; // MappingFlags
    std::uint32_t name;  // string: file name, "[heap]", "[stack]" ...; for people, and file_shared
    std::uint64_t file_offset;   // file_content, vdso: where in the image
    std::uint64_t origin_offset; // offset into the file called `name`, or into the object
    std::uint32_t object;        // what is mapped, if processes can share it; else 0
    std::uint32_t pad;
};

// Where the bytes of an extent are: 0, in this file; n, in what entry n - 1 of the section
// `backings` names. No image of this version is written with any; it is a place for images that
// leave out what their parent or the target has.
enum class BackingKind : std::uint32_t {
    parent = 1,   // another image, by its id
    build_id = 2, // a file of the target, by its build-id
};

struct Backing {
    BackingKind kind;
    std::uint32_t name; // string: a path where it may be found
    std::uint32_t id_size;
    std::uint32_t pad;
    std::uint8_t id[32];
};

// Bytes that belong at an address of a process, or at an offset of an object; in their order.
struct Extent {
    std::uint64_t at;
    std::uint32_t pages;   // no more than extent_limit
    std::uint32_t backing; // 0: this file
    std::uint64_t offset;  // there

    std::uint64_t size() const { return pages * page_size; }
    std::uint64_t end() const { return at + size(); }
};

static_assert(sizeof(Header) == 240 && sizeof(Section) == 40 && sizeof(Closing) == 40 &&
              sizeof(Process) == 24 && sizeof(Mapping) == 56 && sizeof(Backing) == 48 &&
              sizeof(Extent) == 24);

} // namespace rfork::image
