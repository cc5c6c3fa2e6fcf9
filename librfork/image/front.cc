// libelf lays the ELF structures down in a file. That would have to be the image itself, and it
// writes here and there; so it gets a file in memory, which then goes into the image from front to
// back. The hashes of front and metadata are put into that, when the bytes are what they will be.
#include "image/front.h"

#include "base/hash.h"

#include <cerrno>
#include <cstring>
#include <libelf.h>
#include <string>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

extern "C" {
extern const std::uint8_t rfork_stub_begin[];
extern const std::uint8_t rfork_stub_end[];
}

namespace rfork::image {
namespace {

constexpr std::uint64_t stub_offset = page_size;
constexpr unsigned noexec_seal = 8; // MFD_NOEXEC_SEAL, Linux 6.3

Error elf_error(const char* what) {
    return {EIO, std::string("cannot build the image's ELF structure (") + what +
                     " of libelf failed with error " + std::to_string(elf_errno()) + ")"};
}

// A section of the executable view, for readelf and its kin; the kernel does not look at them.
struct ElfSection {
    std::string name;
    std::uint32_t type;
    std::uint64_t flags;
    std::uint64_t address;
    std::uint64_t offset;
    const void* data;
    std::uint64_t size;
    std::uint64_t align;
};

// "\0.name\0.name\0": the section name table of the given sections.
std::string name_table(const std::vector<ElfSection>& sections) {
    std::string names(1, '\0');
    for (const ElfSection& s : sections)
        names.append(s.name).push_back('\0');
    return names;
}

Result<void> add_section(Elf* elf, const ElfSection& section, std::size_t name) {
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

// What the kernel maps: the stub, and behind it the metadata with the stub's memory.
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

// Of the first process these are the names that people know.
std::string name_for(const char* name, std::size_t process) {
    return process == 0 ? name : name + ("." + std::to_string(process + 1));
}

void add_core(const CoreView& core, std::size_t process, std::vector<ElfSection>& sections) {
    sections.push_back({name_for(".rfork.core.header", process), SHT_PROGBITS, 0, 0,
                        core.offset.header, &core.header, sizeof core.header, 8});
    sections.push_back({name_for(".note.core", process), SHT_NOTE, 0, 0, core.offset.notes,
                        core.notes.data(), core.notes.size(), 4});
    sections.push_back({name_for(".rfork.core.segments", process), SHT_PROGBITS, 0, 0,
                        core.offset.segments, core.segments.data(),
                        core.segments.size() * sizeof(Elf64_Phdr), 8});
    sections.push_back({name_for(".rfork.core.count", process), SHT_PROGBITS, 0, 0,
                        core.offset.count, &core.count, sizeof core.count, 8});
}

// All but the table of their names.
std::vector<ElfSection> sections_of(const Layout& layout) {
    const Header& h = layout.header;
    std::vector<ElfSection> sections = {
        {".rfork.stub", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, h.window.base, stub_offset,
         stub_code().data(), stub_code().size(), 16},
        {".rfork.metadata", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, h.window.metadata,
         h.metadata_offset, layout.metadata.data(), layout.metadata.size(), 16},
    };
    for (std::size_t i = 0; i < layout.cores.size(); ++i)
        add_core(layout.cores[i], i, sections);
    return sections;
}

// The executable view as libelf builds it.
struct Executable {
    Elf* elf = nullptr;
    ~Executable() {
        if (elf)
            elf_end(elf);
    }
};

void fill_header(Elf64_Ehdr& ehdr, const Layout& layout, std::size_t names_size,
                 std::size_t sections) {
    identify(ehdr, ET_EXEC);
    ehdr.e_entry = layout.header.window.base;
    ehdr.e_phoff = sizeof(Elf64_Ehdr);
    ehdr.e_shoff = (layout.sections_offset + names_size + 7) / 8 * 8;
    ehdr.e_shstrndx = std::uint16_t(sections);
}

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

Result<void> write_elf(const Layout& layout, int fd) {
    std::vector<ElfSection> sections = sections_of(layout);
    sections.push_back({".shstrtab", SHT_STRTAB, 0, 0, layout.sections_offset, nullptr, 0, 1});
    const std::string names = name_table(sections);
    sections.back().data = names.data();
    sections.back().size = names.size();

    elf_version(EV_CURRENT);
    Executable executable;
    executable.elf = elf_begin(fd, ELF_C_WRITE, nullptr);
    Elf64_Ehdr* ehdr = executable.elf ? elf64_newehdr(executable.elf) : nullptr;
    Elf64_Phdr* phdrs = ehdr ? elf64_newphdr(executable.elf, 4) : nullptr;
    if (!phdrs)
        return elf_error("elf_begin");
    elf_flagelf(executable.elf, ELF_C_SET, ELF_F_LAYOUT); // the offsets are ours
    fill_header(*ehdr, layout, names.size(), sections.size());
    fill_segments(phdrs, layout.header, layout.cores.front());
    std::size_t name = 1;
    for (const ElfSection& s : sections) {
        if (Result<void> r = add_section(executable.elf, s, name); !r)
            return r;
        name += s.name.size() + 1;
    }
    return update(executable.elf);
}

// Not executable, where the kernel distinguishes: it may forbid others (vm.memfd_noexec).
Result<UniqueFd> memory_file() {
    long fd = arch::syscall(SYS_memfd_create, "rfork image", MFD_CLOEXEC | noexec_seal);
    if (fd == -EINVAL)
        fd = arch::syscall(SYS_memfd_create, "rfork image", MFD_CLOEXEC);
    if (fd < 0)
        return system_error(int(-fd), "cannot build the image in a file in memory");
    return UniqueFd(int(fd));
}

void seal(std::uint8_t* front, const Header& h) {
    auto* header = reinterpret_cast<Header*>(front + h.metadata_offset);
    header->front_hash = hash(std::as_bytes(std::span(front, h.metadata_offset)));
    header->metadata_hash =
        hash(std::as_bytes(std::span(front + h.metadata_offset, h.metadata_size)));
}

} // namespace

std::span<const std::uint8_t> stub_code() {
    return {rfork_stub_begin, rfork_stub_end};
}

std::uint64_t padded_stub_size() {
    return (stub_code().size() + page_size - 1) / page_size * page_size;
}

std::uint64_t room_for_section_headers(std::size_t processes) {
    constexpr std::size_t always = 4, for_each = 4, name_limit = 32; // the null section, too
    return (always + for_each * processes) * (sizeof(Elf64_Shdr) + name_limit);
}

Result<Front> Front::build(const Layout& layout) {
    const Result<UniqueFd> file = memory_file();
    if (!file)
        return file.error();
    if (Result<void> r = write_elf(layout, file->get()); !r)
        return r.error();
    const std::uint64_t size = section(layout, SectionKind::pages).offset;
    if (const long r = arch::syscall(SYS_ftruncate, file->get(), size); r < 0)
        return system_error(int(-r), "cannot build the image in memory");
    const long at =
        arch::syscall(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_SHARED, file->get(), 0);
    if (at < 0)
        return system_error(int(-at), "cannot build the image in memory");
    Front front(reinterpret_cast<std::uint8_t*>(at), size);
    seal(front.at_, layout.header);
    return front;
}

Front::Front(Front&& other) noexcept : at_(std::exchange(other.at_, nullptr)), size_(other.size_) {}

Front::~Front() {
    if (at_)
        munmap(at_, size_);
}

} // namespace rfork::image
