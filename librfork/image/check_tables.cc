#include "image/check_tables.h"

#include "image/check_sections.h"
#include "image/checks.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <sys/mman.h>

namespace rfork::image {
namespace {

constexpr std::uint32_t nobody = 0;

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

Result<void> check_mapping(const Mapping& mapping, const Image& image, const Section& pages) {
    const Header& header = image.header();
    if (mapping.start >= mapping.end || mapping.end > address_limit ||
        !page_aligned(mapping.start) || !page_aligned(mapping.end))
        return damaged("a mapping has an impossible address");
    if (mapping.start < header.window.end && header.window.base < mapping.end)
        return damaged("a mapping lies where its stub works");
    if (!known(mapping.kind) || (mapping.prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC)) != 0)
        return damaged("a mapping is of an unknown sort");
    if (mapping.name >= image.section(SectionKind::strings)->size)
        return damaged("a mapping has no proper name");
    if (mapping.kind == MappingKind::shared_memory &&
        (mapping.object == 0 || !page_aligned(mapping.origin_offset) ||
         !fits(mapping.origin_offset, mapping.end - mapping.start, address_limit)))
        return damaged("a mapping of shared memory does not say of which");
    if (mapping.kind == MappingKind::file_content &&
        (mapping.file_offset < pages.offset || !page_aligned(mapping.file_offset) ||
         !fits(mapping.file_offset - pages.offset, mapping.end - mapping.start, pages.size)))
        return damaged("the content of a mapping lies outside its pages");
    return {};
}

Result<void> check_mappings(const Image& image, std::uint32_t process, const Section& pages) {
    std::uint64_t free_from = 0;
    for (const Mapping& mapping : image.mappings(process)) {
        if (auto checked = check_mapping(mapping, image, pages); !checked)
            return checked;
        if (mapping.start < free_from)
            return damaged("its mappings overlap or are out of order");
        free_from = mapping.end;
    }
    return {};
}

// Whatever it belongs to.
Result<void> check_extent(const Extent& extent, const Image& image, const Section& pages) {
    if (extent.pages == 0 || extent.pages > extent_limit / page_size || !page_aligned(extent.at) ||
        !page_aligned(extent.offset) || extent.at > address_limit)
        return damaged("an extent has an impossible size");
    if (extent.backing > image.backings().size())
        return damaged("an extent lies in a file that is not named");
    if (extent.backing == 0 && (extent.offset < pages.offset ||
                                !fits(extent.offset - pages.offset, extent.size(), pages.size)))
        return damaged("an extent lies outside its pages");
    return {};
}

Result<void> check_extent(const Extent& extent, const Mapping& mapping) {
    if (extent.at < mapping.start ||
        !fits(extent.at - mapping.start, extent.size(), mapping.end - mapping.start))
        return damaged("an extent belongs to no mapping");
    if (mapping.kind == MappingKind::vvar || mapping.kind == MappingKind::file_shared ||
        mapping.kind == MappingKind::shared_memory)
        return damaged("an extent belongs to a mapping that has none of its own");
    const bool is_whole =
        mapping.kind == MappingKind::file_content || mapping.kind == MappingKind::vdso;
    if (is_whole &&
        (extent.backing != 0 || extent.offset - mapping.file_offset != extent.at - mapping.start))
        return damaged("an extent lies elsewhere than its mapping");
    return {};
}

// Both tables ascend, so one walk through them side by side finds each extent's mapping.
Result<void> check_extents(const Image& image, std::uint32_t process, const Section& pages) {
    const std::span<const Mapping> mappings = image.mappings(process);
    auto mapping = mappings.begin();
    std::uint64_t free_from = 0;
    for (const Extent& extent : image.extents(process)) {
        if (auto checked = check_extent(extent, image, pages); !checked)
            return checked;
        if (extent.at < free_from)
            return damaged("its extents overlap or are out of order");
        while (mapping != mappings.end() && mapping->end <= extent.at)
            ++mapping;
        if (mapping == mappings.end())
            return damaged("an extent belongs to no mapping");
        if (auto checked = check_extent(extent, *mapping); !checked)
            return checked;
        free_from = extent.end();
    }
    return {};
}

// Of the stub and of nobody, ascending.
std::vector<std::int32_t> taken_numbers(const Image& image) {
    std::vector<std::int32_t> numbers;
    std::copy_if(std::begin(image.header().descriptors), std::end(image.header().descriptors),
                 std::back_inserter(numbers), [](std::int32_t number) { return number >= 0; });
    for (const Descriptor& d : image.descriptors(nobody))
        numbers.push_back(d.fd);
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

bool any_twice(const std::vector<std::int32_t>& ascending) {
    return std::adjacent_find(ascending.begin(), ascending.end()) != ascending.end();
}

// Each once, and none that is taken.
Result<void> check_numbers(const Image& image, std::uint32_t process,
                           const std::vector<std::int32_t>& taken) {
    std::vector<std::int32_t> numbers;
    for (const Descriptor& d : image.descriptors(process))
        numbers.push_back(d.fd);
    std::sort(numbers.begin(), numbers.end());
    const bool collides = std::any_of(numbers.begin(), numbers.end(), [&](std::int32_t number) {
        return std::binary_search(taken.begin(), taken.end(), number);
    });
    if (any_twice(numbers) || collides)
        return damaged("a descriptor is there twice");
    return {};
}

// The pipes are there where there is somebody to talk to.
Result<void> check_private_numbers(const Image& image) {
    const bool several = image.processes().size() > 1;
    for (unsigned i = 0; i < private_descriptors; ++i)
        if ((image.header().descriptors[i] >= 0) != (several || i < fd_built_in))
            return damaged("its stub has too many descriptors, or too few");
    return {};
}

Result<void> check_descriptors(const Image& image, std::uint32_t process) {
    const Descriptor* last = nullptr;
    for (const Descriptor& d : image.descriptors(process)) {
        if (d.fd < 0 || d.object == 0)
            return damaged("a descriptor has an impossible number, or refers to nothing");
        if (last && (last->object > d.object || (last->object == d.object && last->fd >= d.fd)))
            return damaged("its descriptors are out of order");
        last = &d;
    }
    return {};
}

// Where shared memory is made none of the processes has anything; what is mapped of it lies there;
// and what is made nowhere is mapped once.
Result<void> check_mapping_of_common(const Mapping& m, std::span<const Mapping> places,
                                     std::vector<std::uint32_t>& made_alone) {
    const auto behind = std::partition_point(places.begin(), places.end(),
                                             [&](const Mapping& p) { return p.end <= m.start; });
    if (behind != places.end() && behind->start < m.end)
        return damaged("shared memory is made where a process has something else");
    if (m.kind != MappingKind::shared_memory)
        return {};
    const auto place = std::partition_point(places.begin(), places.end(),
                                            [&](const Mapping& p) { return p.object < m.object; });
    if (place == places.end() || place->object != m.object)
        made_alone.push_back(m.object);
    else if (m.origin_offset < place->origin_offset ||
             !fits(m.origin_offset - place->origin_offset, m.end - m.start,
                   place->end - place->start))
        return damaged("a mapping of shared memory is not where that is made");
    return {};
}

Result<void> check_common_memory(const Image& image) {
    const std::span<const Mapping> places = image.mappings(nobody);
    std::vector<std::uint32_t> made_alone;
    for (const Process& process : image.processes())
        for (const Mapping& m : image.mappings(process.id))
            if (auto checked = check_mapping_of_common(m, places, made_alone); !checked)
                return checked;
    std::sort(made_alone.begin(), made_alone.end());
    if (std::adjacent_find(made_alone.begin(), made_alone.end()) != made_alone.end())
        return damaged("shared memory that has several mappings is not made for them");
    return {};
}

Result<void> check_common_tables(const Image& image, const Section& pages) {
    if (auto checked = check_mappings(image, nobody, pages); !checked)
        return checked;
    std::uint32_t last = 0;
    for (const Mapping& m : image.mappings(nobody)) {
        if (m.kind != MappingKind::shared_memory || m.object <= last)
            return damaged("what is no shared memory is made like it, or twice");
        last = m.object;
    }
    if (auto checked = check_common_memory(image); !checked)
        return checked;
    if (auto checked = check_private_numbers(image); !checked)
        return checked;
    return check_descriptors(image, nobody);
}

// No byte of the file is in two places, so that who reads all of them comes to an end.
Result<void> check_sum(const Image& image, const Section& pages) {
    std::uint64_t sum = 0;
    for (const Section& s : image.sections())
        if (holds_extents(s.kind))
            for (const Extent& extent : image.contents<Extent>(s))
                sum += extent.backing == 0 ? extent.pages : 0;
    if (sum > pages.size / page_size)
        return damaged("its extents are more than its pages");
    return {};
}

Result<void> check_shared_memory(const Image& image, const Section& pages) {
    for (const Section& s : image.sections()) {
        if (s.kind != SectionKind::shared_memory)
            continue;
        std::uint64_t free_from = 0;
        for (const Extent& extent : image.contents<Extent>(s)) {
            if (auto checked = check_extent(extent, image, pages); !checked)
                return checked;
            if (extent.at < free_from)
                return damaged("the extents of shared memory overlap or are out of order");
            free_from = extent.end();
        }
    }
    return {};
}

} // namespace

Result<void> check_tables(const Image& image) {
    if (auto checked = check_strings(image.table<std::byte>(SectionKind::strings)); !checked)
        return checked;
    if (auto checked = check_records(image.table<std::byte>(SectionKind::objects)); !checked)
        return checked;
    const Section& pages = *image.section(SectionKind::pages);
    if (auto checked = check_sum(image, pages); !checked)
        return checked;
    const std::vector<std::int32_t> taken = taken_numbers(image);
    if (any_twice(taken))
        return damaged("its stub has a descriptor twice");
    for (const Process& process : image.processes()) {
        const std::uint32_t id = process.id;
        if (auto checked = check_records(image.table<std::byte>(SectionKind::state, id)); !checked)
            return checked;
        if (auto checked = check_mappings(image, id, pages); !checked)
            return checked;
        if (auto checked = check_extents(image, id, pages); !checked)
            return checked;
        if (auto checked = check_descriptors(image, id); !checked)
            return checked;
        if (auto checked = check_numbers(image, id, taken); !checked)
            return checked;
    }
    if (auto checked = check_common_tables(image, pages); !checked)
        return checked;
    return check_shared_memory(image, pages);
}

} // namespace rfork::image
