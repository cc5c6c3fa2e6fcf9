// The smallest image with one of everything, laid down by hand, so that the reader is not tested
// with what the writer happens to write.
//
//   0x0000  ELF header, two program headers
//   0x1000  "stub": one page of 0x90
//   0x2000  Header, sections, and those of the metadata, of two processes
//   0x3000  a core view each
//   0x4000  pages: of process 1, one of an anonymous mapping and two of a file_content mapping; one
//           of process 2; one of memory that they share
//   0x9000  hashes, closing record
#pragma once

#include "base/hash.h"
#include "base/unique_fd.h"
#include "format/format.h"
#include "format/kinds.h"
#include "format/object.h"

#include <cstddef>
#include <cstring>
#include <elf.h>
#include <span>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

namespace rfork::test {

inline constexpr std::uint64_t metadata_offset = 0x2000;
inline constexpr std::uint64_t pages_offset = 0x4000;
inline constexpr std::uint64_t hashes_offset = 0x9000;
inline constexpr std::uint64_t file_size =
    hashes_offset + 4 * sizeof(std::uint64_t) + sizeof(image::Closing);
inline constexpr std::uint64_t window_base = 0x10000;
inline constexpr std::string_view string_table{"\0[heap]\0/usr/bin/true\0", 22};

struct SyntheticImage {
    // Where what is in `Metadata::sections`.
    enum {
        front,
        processes,
        objects,
        state1,
        state2,
        mappings1,
        mappings2,
        extents1,
        extents2,
        descriptors1,
        descriptors2,
        common_files,
        common_memory,
        shared,
        strings,
        core1,
        core2,
        pages_section,
        hashes_section,
        closing_section,
        count
    };

    struct Metadata {
        image::Header header;
        image::Section sections[count];
        image::Process processes[2];
        image::RecordHeader objects[1];
        image::RecordHeader state1[3]; // an empty one, and one with 8 bytes of content
        image::RecordHeader state2[1];
        image::Mapping mappings1[3], mappings2[1];
        image::Extent extents1[2], extents2[1];
        image::Descriptor descriptors1[2], descriptors2[1], common_files[2];
        image::Mapping common_memory[1];
        image::Extent shared[1];
        char strings[string_table.size()];
    };

    Elf64_Ehdr elf{};
    Elf64_Phdr programs[2]{};
    Metadata metadata{};
    std::vector<std::byte> pages;
    image::Closing closing{};

    SyntheticImage() : pages(hashes_offset - pages_offset) {
        for (std::size_t i = 0; i < pages.size(); ++i)
            pages[i] = std::byte(i * 7 + i / 4096);
        lay_out_front();
        lay_out_header();
        lay_out_sections();
        lay_out_tables();
        std::memcpy(closing.magic, image::closing_magic, sizeof closing.magic);
        closing.id = metadata.header.id;
        closing.file_size = file_size;
    }

    // The file, with checksums that are right for whatever a test has done to the members.
    std::vector<std::byte> bytes() const {
        std::vector<std::byte> file(file_size);
        std::memcpy(&file[0], &elf, sizeof elf);
        std::memcpy(&file[elf.e_phoff], programs, sizeof programs);
        std::memset(&file[0x1000], 0x90, 0x1000);
        std::memcpy(&file[pages_offset], pages.data(), pages.size());

        Metadata sealed = metadata;
        sealed.header.front_hash = hash(std::span(file).first(metadata_offset));
        sealed.header.metadata_hash = 0;
        sealed.header.metadata_hash =
            hash(std::as_bytes(std::span(&sealed, 1)).first(metadata_bytes));
        std::memcpy(&file[metadata_offset], &sealed, metadata_bytes);

        const std::span<const std::byte> stored(pages);
        const std::uint64_t hashes[] = {
            hash(stored.subspan(0x1000, 0x2000)), hash(stored.first(0x1000)),
            hash(stored.subspan(0x3000, 0x1000)), hash(stored.subspan(0x4000, 0x1000))};
        image::Closing end = closing;
        end.hashes_hash = hash(std::as_bytes(std::span(hashes)));
        std::memcpy(&file[hashes_offset], hashes, sizeof hashes);
        std::memcpy(&file[hashes_offset + sizeof hashes], &end, sizeof end);
        return file;
    }

    static constexpr std::size_t metadata_bytes =
        (offsetof(Metadata, strings) + string_table.size() + 7) / 8 * 8;
    static_assert(metadata_bytes <= sizeof(Metadata) && sizeof(Metadata) < 0x1000);

  private:
    void lay_out_front() {
        std::memcpy(elf.e_ident, ELFMAG, SELFMAG);
        elf.e_ident[EI_CLASS] = ELFCLASS64;
        elf.e_ident[EI_DATA] = ELFDATA2LSB;
        elf.e_ident[EI_VERSION] = EV_CURRENT;
        elf.e_type = ET_EXEC;
        elf.e_machine = EM_X86_64;
        elf.e_version = EV_CURRENT;
        elf.e_entry = window_base;
        elf.e_phoff = sizeof elf;
        elf.e_ehsize = sizeof elf;
        elf.e_phentsize = sizeof(Elf64_Phdr);
        elf.e_phnum = 2;

        Elf64_Phdr& stub = programs[0];
        stub.p_type = PT_LOAD;
        stub.p_flags = PF_R | PF_X;
        stub.p_offset = 0x1000;
        stub.p_vaddr = stub.p_paddr = window_base;
        stub.p_filesz = stub.p_memsz = 0x1000;
        stub.p_align = image::page_size;

        Elf64_Phdr& data = programs[1];
        data.p_type = PT_LOAD;
        data.p_flags = PF_R | PF_W;
        data.p_offset = metadata_offset;
        data.p_vaddr = data.p_paddr = window_base + 0x1000;
        data.p_filesz = metadata_bytes;
        data.p_memsz = 0x3000;
        data.p_align = image::page_size;
    }

    void lay_out_header() {
        image::Header& header = metadata.header;
        std::memcpy(header.magic, image::magic, sizeof header.magic);
        header.version = image::format_version;
        header.header_size = sizeof header;
        header.machine = EM_X86_64;
        for (unsigned i = 0; i < 16; ++i)
            header.id.bytes[i] = static_cast<std::uint8_t>(i);
        header.page_size = image::page_size;
        header.sections = count;
        header.file_size = file_size;
        header.metadata_offset = metadata_offset;
        header.metadata_size = metadata_bytes;
        for (int i = 0; i < int(image::private_descriptors); ++i)
            header.descriptors[i] = 10 + i;
        header.window = {window_base,          window_base + 0x1000, window_base + 0x2000,
                         window_base + 0x3000, window_base + 0x4000, window_base + 0x5000,
                         window_base + 0x5000};
    }

    template <class T>
    void lay_out(unsigned index, image::SectionKind kind, std::uint32_t owner, const T& table) {
        const auto distance = std::uint64_t(reinterpret_cast<const char*>(&table) -
                                            reinterpret_cast<const char*>(&metadata));
        metadata.sections[index] = {kind, 1, owner, metadata_offset + distance, sizeof table, {}};
    }

    void lay_out_sections() {
        using image::SectionKind;
        metadata.sections[front] = {SectionKind::front, 1, 0, 0, metadata_offset, "front"};
        lay_out(processes, SectionKind::processes, 0, metadata.processes);
        lay_out(objects, SectionKind::objects, 0, metadata.objects);
        lay_out(state1, SectionKind::state, 1, metadata.state1);
        lay_out(state2, SectionKind::state, 2, metadata.state2);
        lay_out(mappings1, SectionKind::mappings, 1, metadata.mappings1);
        lay_out(mappings2, SectionKind::mappings, 2, metadata.mappings2);
        lay_out(extents1, SectionKind::extents, 1, metadata.extents1);
        lay_out(extents2, SectionKind::extents, 2, metadata.extents2);
        lay_out(descriptors1, SectionKind::descriptors, 1, metadata.descriptors1);
        lay_out(descriptors2, SectionKind::descriptors, 2, metadata.descriptors2);
        lay_out(common_files, SectionKind::descriptors, 0, metadata.common_files);
        lay_out(common_memory, SectionKind::mappings, 0, metadata.common_memory);
        lay_out(shared, SectionKind::shared_memory, 1, metadata.shared);
        lay_out(strings, SectionKind::strings, 0, metadata.strings);
        metadata.sections[core1] = {SectionKind::core_view, 0, 1, 0x3000, 0x100, "core view"};
        metadata.sections[core2] = {SectionKind::core_view, 0, 2, 0x3100, 0x100, "core view"};
        metadata.sections[pages_section] = {SectionKind::pages,           1,      0, pages_offset,
                                            hashes_offset - pages_offset, "pages"};
        metadata.sections[hashes_section] = {SectionKind::hashes, 1,  0,
                                             hashes_offset,       32, "hashes"};
        metadata.sections[closing_section] = {
            SectionKind::closing, 1, 0, hashes_offset + 32, sizeof(image::Closing), "closing"};
    }

    void lay_out_tables() {
        using image::MappingKind;
        constexpr std::uint32_t read = PROT_READ, write = PROT_READ | PROT_WRITE;
        metadata.processes[0] = {1, 100, 1, 100, 100, 17};
        metadata.processes[1] = {2, 101, 100, 100, 100, 17};
        metadata.objects[0] = {image::Kind::event_fd, 8};
        metadata.state1[0] = {image::Kind::cpu, 8};
        metadata.state1[1] = {image::Kind::umask, 16};
        metadata.state2[0] = {image::Kind::umask, 8};
        metadata.mappings1[0] = {0x400000, 0x402000, read, MappingKind::file_content, 0, 8, 0x5000,
                                 0,        0,        0};
        metadata.mappings1[1] = {0x500000, 0x600000, write, MappingKind::anonymous, 0, 1, 0,
                                 0,        0,        0};
        metadata.mappings1[2] = {
            0x7ff000000000, 0x7ff000002000, read, MappingKind::vvar, 0, 0, 0, 0, 0, 0};
        metadata.mappings2[0] = {0x500000, 0x501000, write, MappingKind::anonymous, 0, 1, 0,
                                 0,        0,        0};
        metadata.extents1[0] = {0x400000, 2, 0, 0x5000};
        metadata.extents1[1] = {0x580000, 1, 0, 0x4000};
        metadata.extents2[0] = {0x500000, 1, 0, 0x7000};
        metadata.descriptors1[0] = {4, 0, 1, 0};
        metadata.descriptors1[1] = {3, image::descriptor_close_on_exec, 2, 0};
        metadata.descriptors2[0] = {4, 0, 1, 0};
        metadata.common_files[0] = {30, image::descriptor_close_on_exec, 1, 0};
        metadata.common_files[1] = {31, image::descriptor_close_on_exec, 2, 0};
        metadata.common_memory[0] = {0x700000, 0x701000, write, MappingKind::shared_memory, 0, 0, 0,
                                     0,        1,        0};
        metadata.shared[0] = {0, 1, 0, 0x8000};
        std::memcpy(metadata.strings, string_table.data(), string_table.size());
    }
};

// A file without a name that holds these bytes.
inline UniqueFd memory_file(std::span<const std::byte> bytes) {
    UniqueFd fd(::memfd_create("image", MFD_CLOEXEC));
    if (!fd ||
        ::pwrite(fd.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
        return {};
    return fd;
}

} // namespace rfork::test
