// The smallest image with one of everything, laid down by hand, so that the reader is not tested
// with what the writer happens to write.
//
//   0x0000  ELF header, two program headers
//   0x1000  "stub": one page of 0x90
//   0x2000  Header, two records, three mappings, two extents, strings
//   0x3000  core view
//   0x4000  pages: one of an anonymous mapping, two of a file_content mapping
//   0x7000  end
#pragma once

#include "base/hash.h"
#include "base/unique_fd.h"
#include "format/format.h"

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
inline constexpr std::uint64_t file_size = 0x7000;
inline constexpr std::uint64_t window_base = 0x10000;
inline constexpr std::string_view string_table{"\0[heap]\0/usr/bin/true\0", 22};

struct SyntheticImage {
    struct Metadata {
        image::Header header;
        image::RecordHeader records[3]; // an empty one, and one with 8 bytes of content
        image::Mapping mappings[3];
        image::Extent extents[2];
        char strings[string_table.size()];
    };

    Elf64_Ehdr elf{};
    Elf64_Phdr programs[2]{};
    Metadata metadata{};
    std::vector<std::byte> pages;

    SyntheticImage() : pages(file_size - pages_offset) {
        for (std::size_t i = 0; i < pages.size(); ++i)
            pages[i] = std::byte(i * 7 + i / 4096);
        lay_out_front();
        lay_out_header();
        lay_out_tables();
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
        return file;
    }

    static constexpr std::size_t metadata_bytes = offsetof(Metadata, strings) + string_table.size();

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
        header.file_size = file_size;
        header.metadata_offset = metadata_offset;
        header.metadata_size = metadata_bytes;
        header.core_offset = 0x3000;
        header.core_size = 0x100;
        header.core_header_offset = 0x3040;
        header.pages_offset = pages_offset;
        header.window = {window_base,          window_base + 0x1000, window_base + 0x2000,
                         window_base + 0x3000, window_base + 0x4000, window_base + 0x4000};
        header.records = {offsetof(Metadata, records), sizeof metadata.records};
        header.mappings = {offsetof(Metadata, mappings), sizeof metadata.mappings};
        header.extents = {offsetof(Metadata, extents), sizeof metadata.extents};
        header.strings = {offsetof(Metadata, strings), string_table.size()};
    }

    void lay_out_tables() {
        using image::MappingKind;
        metadata.records[0] = {image::Kind::cpu, 1, 8};
        metadata.records[1] = {image::Kind::umask, 1, 16};
        metadata.mappings[0] = {
            0x400000, 0x402000, PROT_READ | PROT_EXEC, MappingKind::file_content, 0, 8, 0x5000, 0};
        metadata.mappings[1] = {
            0x500000, 0x600000, PROT_READ | PROT_WRITE, MappingKind::anonymous, 0, 1, 0, 0};
        metadata.mappings[2] = {
            0x7ff000000000, 0x7ff000002000, PROT_READ, MappingKind::vvar, 0, 0, 0, 0};
        metadata.extents[0] = {0x400000, 0x2000, 0x5000, hash(std::span(pages).subspan(0x1000))};
        metadata.extents[1] = {0x580000, 0x1000, 0x4000, hash(std::span(pages).first(0x1000))};
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
