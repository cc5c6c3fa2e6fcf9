#include "image/check_tables.h"

#include "image/checks.h"

#include <cstring>
#include <sys/mman.h>

namespace rfork::image {
namespace {

Result<void> check_strings(std::span<const std::byte> strings) {
    if (strings.empty() || strings.front() != std::byte{} || strings.back() != std::byte{})
        return damaged("its strings do not begin and end with a zero byte");
    return {};
}

Result<void> check_records(std::span<const std::byte> rest) {
    while (!rest.empty()) {
        // The table's size is a multiple of 8, and so is every record's, so a header always fits.
        RecordHeader header;
        std::memcpy(&header, rest.data(), sizeof header);
        if (header.size < sizeof header || header.size % 8 != 0 || header.size > rest.size())
            return damaged("a record has an impossible size");
        rest = rest.subspan(header.size);
    }
    return {};
}

bool known(MappingKind kind) {
    return kind >= MappingKind::anonymous && kind <= MappingKind::vdso;
}

Result<void> check_mapping(const Mapping& mapping, const Image& image) {
    const Header& header = image.header();
    if (mapping.start >= mapping.end || mapping.end > address_limit ||
        !page_aligned(mapping.start) || !page_aligned(mapping.end))
        return damaged("a mapping has an impossible address");
    if (mapping.start < header.window.end && header.window.base < mapping.end)
        return damaged("a mapping lies where its stub works");
    if (!known(mapping.kind) || (mapping.prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC)) != 0)
        return damaged("a mapping is of an unknown sort");
    if (!image.string(mapping.name))
        return damaged("a mapping has no proper name");
    if (mapping.kind == MappingKind::file_content &&
        (mapping.file_offset < header.pages_offset || !page_aligned(mapping.file_offset) ||
         !fits(mapping.file_offset, mapping.end - mapping.start, header.file_size)))
        return damaged("the content of a mapping lies outside its pages");
    return {};
}

Result<void> check_mappings(const Image& image) {
    std::uint64_t free_from = 0;
    for (const Mapping& mapping : image.mappings()) {
        if (auto checked = check_mapping(mapping, image); !checked)
            return checked;
        if (mapping.start < free_from)
            return damaged("its mappings overlap or are out of order");
        free_from = mapping.end;
    }
    return {};
}

Result<void> check_extent(const Extent& extent, const Mapping& mapping, const Header& header) {
    if (extent.size == 0 || extent.size > extent_limit || !page_aligned(extent.size) ||
        !page_aligned(extent.address) || !page_aligned(extent.file_offset))
        return damaged("an extent has an impossible size");
    if (extent.file_offset < header.pages_offset ||
        !fits(extent.file_offset, extent.size, header.file_size))
        return damaged("an extent lies outside its pages");
    if (extent.address < mapping.start ||
        !fits(extent.address - mapping.start, extent.size, mapping.end - mapping.start))
        return damaged("an extent belongs to no mapping");
    if (mapping.kind == MappingKind::vvar)
        return damaged("an extent belongs to the kernel's own pages");
    if (mapping.kind == MappingKind::file_content &&
        extent.file_offset - mapping.file_offset != extent.address - mapping.start)
        return damaged("an extent lies elsewhere than its mapping");
    return {};
}

// Both tables ascend, so one walk through them side by side finds each extent's mapping.
Result<void> check_extents(const Image& image) {
    auto mapping = image.mappings().begin();
    std::uint64_t free_from = 0;
    for (const Extent& extent : image.extents()) {
        if (extent.address < free_from)
            return damaged("its extents overlap or are out of order");
        while (mapping != image.mappings().end() && mapping->end <= extent.address)
            ++mapping;
        if (mapping == image.mappings().end())
            return damaged("an extent belongs to no mapping");
        if (auto checked = check_extent(extent, *mapping, image.header()); !checked)
            return checked;
        free_from = extent.address + extent.size;
    }
    return {};
}

} // namespace

Result<void> check_tables(const Image& image) {
    if (auto checked = check_strings(image.string_table()); !checked)
        return checked;
    if (auto checked = check_records(image.record_table()); !checked)
        return checked;
    if (auto checked = check_mappings(image); !checked)
        return checked;
    return check_extents(image);
}

} // namespace rfork::image
