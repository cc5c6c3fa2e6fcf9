// freeze(), second half: from a snapshot to a file.
//
//   1 lay_out          where everything goes, in memory and in the file
//   2 write_front      ELF header, program headers, stub, core view, by libelf
//   3 write_pages      memory, by way of a buffer, hashing as it goes
//   4 write_metadata   last, because it holds the hashes
//
// Steps 2 and 4 overlap in the file: libelf lays down a place for the metadata that step 4 fills.
//
// What is hashed is what is stored. Memory that is being written does not stand still, although its
// only thread is here: another process may write into what it shares with us; the kernel writes
// into what a restartable sequence, a user event (user_events) or a read in flight was registered
// for; libc puts an errno or a cache of its own into thread-local storage. Stored first and then
// hashed, or the other way round, such a page would now and then contradict its own hash, and an
// image that was reported good would be refused by every stub. So each extent is copied once, into
// memory that nobody else knows, and both are done from there. (The last of what is not the page's
// own is taken away as well where that is possible: api/copy.cc gives up the restartable
// sequences before all else.) Metadata are built in such memory, and the front is hashed as it is
// read back.
#include "image/writer.h"

#include "base/hash.h"
#include "image/layout.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <libelf.h>
#include <sys/syscall.h>
#include <unistd.h>

extern "C" {
extern const std::uint8_t rfork_stub_begin[];
extern const std::uint8_t rfork_stub_end[];
}

namespace rfork::image {
namespace {

using capture::Snapshot;

constexpr std::uint64_t stub_offset = page_size;

std::uint64_t padded_stub_size() {
    return (stub_code().size() + page_size - 1) / page_size * page_size;
}

Error elf_error(const char* what) {
    return {EIO, std::string("cannot build the image's ELF structure (") + what +
                     " of libelf failed with error " + std::to_string(elf_errno()) + ")"};
}

// A section of the executable view, for readelf and its kin; the kernel does not look at them.
struct Section {
    const char* name;
    std::uint32_t type;
    std::uint64_t flags;
    std::uint64_t address;
    std::uint64_t offset;
    const void* data;
    std::uint64_t size;
    std::uint64_t align;
};

// "\0.name\0.name\0": the section name table of the given sections.
std::string name_table(std::span<const Section> sections) {
    std::string names(1, '\0');
    for (const Section& s : sections)
        names.append(s.name).push_back('\0');
    return names;
}

Result<void> add_section(Elf* elf, const Section& section, std::size_t name) {
    Elf_Scn* scn = elf_newscn(elf);
    Elf64_Shdr* header = scn ? elf64_getshdr(scn) : nullptr;
    Elf_Data* data = scn ? elf_newdata(scn) : nullptr;
    if (!header || !data)
        return elf_error("elf_newscn");
    data->d_buf = const_cast<void*>(section.data);
    data->d_size = section.size;
    data->d_type = ELF_T_BYTE;
    data->d_align = section.align;
    data->d_version = EV_CURRENT;
    header->sh_name = std::uint32_t(name);
    header->sh_type = section.type;
    header->sh_flags = section.flags;
    header->sh_addr = section.address;
    header->sh_offset = section.offset;
    header->sh_size = section.size;
    header->sh_addralign = section.align;
    return {};
}

// What the kernel maps: the stub, and behind it the metadata with scratch memory.
void fill_segments(Elf64_Phdr* p, const Header& h, const CoreView& core) {
    p[0].p_type = PT_LOAD;
    p[0].p_flags = PF_R | PF_X;
    p[0].p_offset = stub_offset;
    p[0].p_vaddr = p[0].p_paddr = h.window.base;
    p[0].p_filesz = p[0].p_memsz = h.window.metadata - h.window.base;
    p[0].p_align = page_size;

    p[1].p_type = PT_LOAD;
    p[1].p_flags = PF_R | PF_W;
    p[1].p_offset = h.metadata_offset;
    p[1].p_vaddr = p[1].p_paddr = h.window.metadata;
    p[1].p_filesz = h.metadata_size;
    p[1].p_memsz = h.window.end - h.window.metadata;
    p[1].p_align = page_size;

    p[2].p_type = PT_NOTE;
    p[2].p_flags = PF_R;
    p[2].p_offset = core.offset.notes;
    p[2].p_filesz = core.notes.size();
    p[2].p_align = 4;

    p[3].p_type = PT_GNU_STACK;
    p[3].p_flags = PF_R | PF_W;
    p[3].p_align = 16;
}

// The executable view as libelf builds it.
struct Front {
    Elf* elf = nullptr;
    ~Front() {
        if (elf)
            elf_end(elf);
    }
};

// errno tells why the write failed, where libelf only tells that it did; it is the program's, and
// stays.
Result<void> update(Elf* elf) {
    const int programs = errno;
    errno = 0;
    const bool done = elf_update(elf, ELF_C_WRITE) >= 0;
    const int why = errno;
    errno = programs;
    if (done)
        return {};
    return why ? system_error(why, "cannot write the image") : elf_error("elf_update");
}

Result<void> write_front(const Layout& layout, int fd) {
    const Header& h = layout.header;
    const CoreView& core = layout.core;
    const std::vector<std::uint8_t> blank(h.metadata_size);

    std::vector<Section> sections = {
        {".rfork.stub", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, h.window.base, stub_offset,
         stub_code().data(), stub_code().size(), 16},
        {".rfork.metadata", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, h.window.metadata,
         h.metadata_offset, blank.data(), blank.size(), 16},
        {".note.core", SHT_NOTE, 0, 0, core.offset.notes, core.notes.data(), core.notes.size(), 4},
        {".rfork.core.segments", SHT_PROGBITS, 0, 0, core.offset.segments, core.segments.data(),
         core.segments.size() * sizeof(Elf64_Phdr), 8},
        {".rfork.core.count", SHT_PROGBITS, 0, 0, core.offset.count, &core.count, sizeof core.count,
         8},
        {".rfork.core.header", SHT_PROGBITS, 0, 0, core.offset.header, &core.header,
         sizeof core.header, 8},
        {".shstrtab", SHT_STRTAB, 0, 0, core.offset.end, nullptr, 0, 1},
    };
    const std::string names = name_table(sections);
    sections.back().data = names.data();
    sections.back().size = names.size();

    elf_version(EV_CURRENT);
    Front front;
    front.elf = elf_begin(fd, ELF_C_WRITE, nullptr);
    Elf64_Ehdr* ehdr = front.elf ? elf64_newehdr(front.elf) : nullptr;
    Elf64_Phdr* phdrs = ehdr ? elf64_newphdr(front.elf, 4) : nullptr;
    if (!phdrs)
        return elf_error("elf_begin");
    elf_flagelf(front.elf, ELF_C_SET, ELF_F_LAYOUT); // the offsets are ours
    std::memcpy(ehdr->e_ident, ELFMAG, SELFMAG);
    ehdr->e_ident[EI_CLASS] = ELFCLASS64;
    ehdr->e_ident[EI_DATA] = ELFDATA2LSB;
    ehdr->e_ident[EI_VERSION] = EV_CURRENT;
    ehdr->e_type = ET_EXEC;
    ehdr->e_machine = std::uint16_t(arch::elf_machine);
    ehdr->e_version = EV_CURRENT;
    ehdr->e_entry = h.window.base;
    ehdr->e_phoff = sizeof(Elf64_Ehdr);
    ehdr->e_shoff = (core.offset.end + names.size() + 7) / 8 * 8;
    ehdr->e_shstrndx = std::uint16_t(sections.size());
    fill_segments(phdrs, h, core);
    std::size_t name = 1;
    for (const Section& s : sections) {
        if (Result<void> r = add_section(front.elf, s, name); !r)
            return r;
        name += std::strlen(s.name) + 1;
    }
    return update(front.elf);
}

// By system call: errno is part of the program's memory, and stays as it is to be.
Result<void> pwrite_all(int fd, const void* data, std::size_t size, std::uint64_t offset) {
    const auto* at = static_cast<const std::uint8_t*>(data);
    while (size > 0) {
        const long put = arch::syscall(SYS_pwrite64, fd, at, size, offset);
        if (put == -EINTR)
            continue;
        if (put <= 0)
            return system_error(put < 0 ? int(-put) : EIO, "cannot write the image");
        at += put;
        size -= std::size_t(put);
        offset += std::uint64_t(put);
    }
    return {};
}

// One extent, piece by piece: a piece is hashed and stored while the processor's cache holds it.
// What a mapped file does not have (its mapping is longer) stays a hole.
Result<void> write_extent(Extent& e, capture::PageSource& pages, int fd,
                          std::span<std::uint8_t> piece, HashUnit unit) {
    RunningHash hash(unit);
    std::uint64_t done = 0;
    for (std::uint64_t wanted = 1, got = 1; done < e.size && got == wanted; done += got) {
        wanted = std::min<std::uint64_t>(piece.size(), e.size - done);
        const std::uint64_t at = e.address + done;
        const Result<std::uint64_t> read = pages.read({at, at + wanted}, piece.data());
        if (!read)
            return read.error();
        got = *read;
        hash.add(std::as_bytes(piece.first(got)));
        if (Result<void> r = pwrite_all(fd, piece.data(), got, e.file_offset + done); !r)
            return r;
    }
    e.size = done;
    e.hash = hash.value();
    return {};
}

// Memory, in the order of the file. What is empty has no extent.
Result<void> write_pages(Layout& layout, capture::PageSource& pages, int fd, Progress& progress) {
    __atomic_store_n(&progress.all, layout.pages_size, __ATOMIC_RELAXED);
    std::vector<Extent> stored;
    stored.reserve(layout.extents.size());
    const HashUnit unit;
    constexpr std::size_t size = 64 * 1024;
    std::vector<std::uint8_t> piece(size);
    for (Extent& e : layout.extents) {
        if (Result<void> r = write_extent(e, pages, fd, piece, unit); !r)
            return r;
        if (e.size > 0)
            stored.push_back(e);
        __atomic_add_fetch(&progress.done, e.size, __ATOMIC_RELAXED);
    }
    layout.extents = std::move(stored);
    if (ftruncate(fd, off_t(layout.header.file_size)) != 0)
        return system_error(errno, "cannot write the image");
    return {};
}

Result<std::uint64_t> hash_of_front(int fd, std::uint64_t size) {
    std::vector<std::byte> front(size);
    std::size_t done = 0;
    while (done < size) {
        const ssize_t got = pread(fd, front.data() + done, size - done, off_t(done));
        if (got <= 0)
            return system_error(got < 0 ? errno : EIO, "cannot read back the image");
        done += std::size_t(got);
    }
    return hash(front);
}

Result<void> write_metadata(Layout& layout, const Snapshot& snapshot, int fd) {
    Header& h = layout.header;
    h.extents.size = layout.extents.size() * sizeof(Extent); // never more than planned
    const Result<std::uint64_t> front = hash_of_front(fd, h.metadata_offset);
    if (!front)
        return front.error();
    h.front_hash = *front;
    h.metadata_hash = 0;

    std::vector<std::byte> metadata(h.metadata_size);
    auto put = [&](std::uint64_t offset, const void* data, std::size_t size) {
        std::memcpy(metadata.data() + offset, data, size);
    };
    put(0, &h, sizeof h);
    put(h.records.offset, layout.records.data(), h.records.size);
    put(h.mappings.offset, layout.mappings.data(), h.mappings.size);
    put(h.extents.offset, layout.extents.data(), h.extents.size);
    put(h.strings.offset, snapshot.strings.bytes().data(), h.strings.size);
    h.metadata_hash = hash(metadata);
    put(0, &h, sizeof h);
    return pwrite_all(fd, metadata.data(), metadata.size(), h.metadata_offset);
}

} // namespace

std::span<const std::uint8_t> stub_code() {
    return {rfork_stub_begin, rfork_stub_end};
}

Result<Written> write_image(const Snapshot& snapshot, int fd, Progress& progress) {
    Result<Layout> layout = lay_out(snapshot, padded_stub_size());
    if (!layout)
        return layout.error();
    if (Result<void> r = write_front(*layout, fd); !r)
        return r.error();
    if (Result<void> r = write_pages(*layout, *snapshot.processes.front().pages, fd, progress); !r)
        return r.error();
    if (Result<void> r = write_metadata(*layout, snapshot, fd); !r)
        return r.error();
    return Written{layout->header.file_size};
}

} // namespace rfork::image
