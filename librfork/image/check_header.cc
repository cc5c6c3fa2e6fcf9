#include "image/check_header.h"

#include "image/checks.h"
#include "image/reader.h"

#include <cstring>

namespace rfork::image {
namespace {

Result<void> check_table(const Header& header, const Table& table, std::uint64_t entry_size,
                         std::string_view name) {
    if (table.offset < sizeof(Header) || table.offset % 8 != 0 ||
        !fits(table.offset, table.size, header.metadata_size) || table.size % entry_size != 0)
        return damaged("its table of " + std::string(name) + " has an impossible size or place");
    return {};
}

Result<void> check_identity(const Header& header) {
    if (std::memcmp(header.magic, magic, sizeof magic) != 0)
        return not_an_image("it is an ordinary executable");
    if (header.version != format_version || header.header_size != sizeof(Header))
        return Error{EPROTONOSUPPORT, "the image has format version " +
                                          std::to_string(header.version) + ", and only version " +
                                          std::to_string(format_version) +
                                          " can be read here: install the same release of rfork "
                                          "on both machines"};
    if (header.machine != EM_X86_64)
        return damaged("its two notes of its architecture differ");
    return {};
}

Result<void> check_file_size(const Header& header, std::uint64_t size) {
    if (size < header.file_size)
        return Error{EBADMSG, "the image is truncated: " + std::to_string(size) + " of its " +
                                  std::to_string(header.file_size) +
                                  " bytes are there: copy it again"};
    if (size > header.file_size)
        return damaged("something was appended to it");
    return {};
}

// The parts of the file follow one another; each begins where or behind where the last one ends.
Result<void> check_layout(const Header& header) {
    if (header.metadata_size < sizeof(Header) || header.metadata_size > metadata_limit ||
        !page_aligned(header.metadata_offset))
        return damaged("its metadata have an impossible size or place");
    if (!fits(header.metadata_offset, header.metadata_size, header.file_size))
        return damaged("its metadata lie behind its end");

    std::uint64_t metadata_end = header.metadata_offset + header.metadata_size;
    if (header.core_offset < metadata_end ||
        !fits(header.core_offset, header.core_size, header.file_size))
        return damaged("its core view lies elsewhere than it should");
    if (header.core_size != 0 && (header.core_header_offset < header.core_offset ||
                                  !fits(header.core_header_offset - header.core_offset,
                                        sizeof(Elf64_Ehdr), header.core_size)))
        return damaged("the header of its core view lies outside it");

    if (header.pages_offset < header.core_offset + header.core_size ||
        header.pages_offset > header.file_size || !page_aligned(header.pages_offset))
        return damaged("its pages lie elsewhere than they should");
    return {};
}

Result<void> check_window(const Header& header, const Front& front) {
    const Window& window = header.window;
    bool ordered = window.base < window.metadata && window.metadata < window.scratch &&
                   window.scratch < window.stacks && window.stacks < window.frames &&
                   window.frames <= window.end && window.end <= address_limit;
    bool aligned = page_aligned(window.base) && page_aligned(window.metadata);
    if (!ordered || !aligned || header.metadata_size > window.scratch - window.metadata)
        return damaged("its stub's window makes no sense");

    bool stub_there = front.stub.p_vaddr == window.base &&
                      front.stub.p_filesz <= front.stub.p_memsz &&
                      front.stub.p_memsz <= window.metadata - window.base &&
                      fits(front.stub.p_offset, front.stub.p_filesz, header.metadata_offset);
    bool entry_there =
        front.elf.e_entry >= window.base && front.elf.e_entry - window.base < front.stub.p_filesz;
    bool metadata_there = front.metadata.p_vaddr == window.metadata &&
                          front.metadata.p_filesz >= header.metadata_size &&
                          front.metadata.p_filesz <= front.metadata.p_memsz &&
                          front.metadata.p_memsz <= window.end - window.metadata;
    if (!stub_there || !entry_there || !metadata_there)
        return damaged("its program headers disagree with its metadata");
    return {};
}

Result<void> check_table_places(const Header& header) {
    if (auto checked = check_table(header, header.records, 8, "records"); !checked)
        return checked;
    if (auto checked = check_table(header, header.mappings, sizeof(Mapping), "mappings"); !checked)
        return checked;
    if (auto checked = check_table(header, header.extents, sizeof(Extent), "extents"); !checked)
        return checked;
    return check_table(header, header.strings, 1, "strings");
}

} // namespace

// In this order: each relies on the ones before.
Result<void> check_header(const Header& header, const Front& front, std::uint64_t file_size) {
    if (auto checked = check_identity(header); !checked)
        return checked;
    if (header.metadata_offset != front.metadata.p_offset)
        return damaged("its program headers disagree with its metadata");
    if (auto checked = check_file_size(header, file_size); !checked)
        return checked;
    if (auto checked = check_layout(header); !checked)
        return checked;
    if (auto checked = check_window(header, front); !checked)
        return checked;
    return check_table_places(header);
}

} // namespace rfork::image
