// The image file: what the writer lays down and the stub, the tools and rexecd read.
//
// One file, two ELF views of the same bytes. `docs/image-format.md` draws it page by page:
//
//   file offset            what                                       mapped by exec at
//   0                      ELF header + program headers (ET_EXEC)     -
//   0x1000                 stub: position-independent code            window.base
//   metadata_offset        Header, records, mappings, extents, strings          window.base + stub
//   size (not in the file)      scratch: stub stack, frame, parked vDSO    behind the metadata
//   core_offset            notes, core program headers, core header   -
//   pages_offset           page data, page-aligned, in address order  by the stub itself
//
// This header is shared with freestanding code: fixed-size integers and nothing else. All offsets
// called "offset" without more are from the start of the file; "string" is an offset into the
// string table, where 0 is the empty string. Little-endian, as the machine is.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rfork::image {

inline constexpr std::uint64_t page_size = 4096;
inline constexpr std::uint32_t format_version = 1;
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

// A run of fixed-size entries within the metadata.
struct Table {
    std::uint64_t offset; // from the start of the metadata
    std::uint64_t size;   // bytes
};

// Where the stub lives while it works; see "address plan" in docs/architecture.md.
struct Window {
    std::uint64_t base;     // where the stub's first page is mapped
    std::uint64_t metadata; // address of the Header below
    std::uint64_t scratch;  // first byte behind the metadata; zero-filled
    std::uint64_t stacks;   // of the stub in all threads but the first, thread_stack_size each
    std::uint64_t frames;   // top of the stub's own stack; signal frames of the other threads
    std::uint64_t end;
};

inline constexpr std::uint64_t thread_stack_size = 32 * 1024;

// At `frames`, a counter of the threads that have not left; then a frame each.
inline constexpr std::uint64_t frames_header_size = 64;
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
    std::uint32_t machine; // EM_X86_64
    std::uint32_t flags;
    Id id;
    std::uint64_t created; // CLOCK_REALTIME, nanoseconds

    std::uint64_t file_size;
    std::uint64_t metadata_offset;
    std::uint64_t metadata_size;
    std::uint64_t core_offset;
    std::uint64_t core_size;
    std::uint64_t core_header_offset; // an ELF header which, put at offset 0, makes the file a core
    std::uint64_t pages_offset;

    std::uint64_t front_hash;    // XXH3 of bytes [0, metadata_offset)
    std::uint64_t metadata_hash; // XXH3 of the metadata with this field zero

    Window window;
    std::int32_t descriptors[private_descriptors];

    Table records;
    Table mappings;
    Table extents;
    Table strings;

    // Of an image that travels: random, and known to nobody who cannot read the image. Who asks for
    // it to be run must know it (remote/protocol.h).
    Secret secret;
};

enum class MappingKind : std::uint32_t {
    anonymous = 1,        // private, and again anonymous after the resume
    shared_anonymous = 2, // MAP_SHARED | MAP_ANONYMOUS
    file_content = 3,     // private file mapping, its bytes are in the image and mapped from there
    file_shared = 4,      // MAP_SHARED of a named file, which is opened again by path
    vvar = 5,             // the kernel's own pages: never carried
    vdso = 6,             // the kernel's own code; the image's bytes are used on another kernel
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
    std::uint64_t origin_offset; // offset into the file called `name`
};

// Bytes of the file that belong at an address, not longer than extent_limit, in address order.
struct Extent {
    std::uint64_t address;
    std::uint64_t size;
    std::uint64_t file_offset;
    std::uint64_t hash; // XXH3 of the bytes
};

enum class Kind : std::uint16_t {
#define RFORK_KIND(number, phase, name) name = number,
#include "format/kinds.def"
#undef RFORK_KIND
};

// Every record starts so; size counts the header, and is a multiple of 8.
struct RecordHeader {
    Kind kind;
    std::uint16_t version;
    std::uint32_t size;
};

static_assert(sizeof(Header) == 288 && sizeof(Mapping) == 48 && sizeof(Extent) == 32 &&
              sizeof(RecordHeader) == 8);

} // namespace rfork::image
