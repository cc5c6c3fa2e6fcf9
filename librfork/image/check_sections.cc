#include "image/check_sections.h"

#include "base/printable.h"
#include "image/checks.h"

#include <algorithm>
#include <cstring>
#include <elf.h>
#include <utility>

namespace rfork::image {
namespace {

bool is_known(SectionKind kind) {
    return kind >= SectionKind::front && kind <= SectionKind::closing;
}

bool is_metadata(SectionKind kind) {
    return kind >= SectionKind::processes && kind <= SectionKind::strings;
}

std::uint64_t entry_size(SectionKind kind) {
    switch (kind) {
    case SectionKind::processes:
        return sizeof(Process);
    case SectionKind::objects:
    case SectionKind::state:
        return 8; // a record is a multiple of it
    case SectionKind::mappings:
        return sizeof(Mapping);
    case SectionKind::extents:
    case SectionKind::shared_memory:
        return sizeof(Extent);
    case SectionKind::descriptors:
        return sizeof(Descriptor);
    case SectionKind::backings:
        return sizeof(Backing);
    case SectionKind::hashes:
        return sizeof(std::uint64_t);
    default:
        return 1;
    }
}

std::string name_of(const Section& s) {
    const std::string name(s.name, ::strnlen(s.name, sizeof s.name));
    return name.empty() ? "of kind " + std::to_string(unsigned(s.kind))
                        : "'" + printable(name) + "'";
}

Result<void> check_one(const Section& s, const Header& header) {
    if (!is_known(s.kind) && s.must_understand)
        return Error{EPROTONOSUPPORT,
                     "the image has a section " + name_of(s) +
                         ", which this release does not know and cannot do without: install the "
                         "release of rfork that wrote it"};
    if (!fits(s.offset, s.size, header.file_size) || s.size % entry_size(s.kind) != 0)
        return damaged("its section " + name_of(s) + " has an impossible size or place");
    if (is_metadata(s.kind) &&
        (s.offset % 8 != 0 || s.offset < header.metadata_offset + sizeof(Header) ||
         s.offset - header.metadata_offset - sizeof(Header) < header.sections * sizeof(Section) ||
         !fits(s.offset - header.metadata_offset, s.size, header.metadata_size)))
        return damaged("its section " + name_of(s) + " lies outside its metadata");
    return {};
}

Result<void> check_places(const Image& image) {
    std::uint64_t free_from = 0;
    for (const Section& s : image.sections()) {
        if (auto checked = check_one(s, image.header()); !checked)
            return checked;
        if (s.offset < free_from)
            return damaged("its sections overlap or are out of order");
        free_from = s.offset + s.size;
    }
    return {};
}

Error missing_or_twice(const char* whose) {
    return damaged(std::string("a section ") + whose + " is missing, or there twice");
}

// What there is once for the image.
Result<void> check_common(const Image& image) {
    constexpr SectionKind kinds[] = {
        SectionKind::front, SectionKind::processes, SectionKind::objects, SectionKind::strings,
        SectionKind::pages, SectionKind::hashes,    SectionKind::closing};
    for (SectionKind kind : kinds)
        if (image.sections(kind).size() != 1 || !image.section(kind))
            return missing_or_twice("of the image");
    const auto backings = image.sections(SectionKind::backings);
    if (backings.size() > 1 || (backings.size() == 1 && backings.front()->owner != 0))
        return missing_or_twice("of the image");
    return {};
}

// What each process has, and nobody else; of two sorts there may be one that belongs to nobody.
Result<void> check_owned(const Image& image) {
    for (SectionKind kind : {SectionKind::state, SectionKind::mappings, SectionKind::extents,
                             SectionKind::descriptors}) {
        const bool may_be_common =
            kind == SectionKind::mappings || kind == SectionKind::descriptors;
        const std::size_t common = may_be_common ? image.sections(kind, 0).size() : 0;
        if (common > 1 || image.sections(kind).size() != image.processes().size() + common)
            return missing_or_twice("of a process");
        for (const Process& process : image.processes())
            if (image.sections(kind, process.id).size() != 1)
                return missing_or_twice("of a process");
    }
    for (const Section* view : image.sections(SectionKind::core_view))
        if (view->size < sizeof(Elf64_Ehdr) || view->owner - 1 >= image.processes().size())
            return damaged("a core view is too short, or of no process");
    for (SectionKind kind : {SectionKind::core_view, SectionKind::shared_memory})
        for (const Section* s : image.sections(kind))
            if (image.sections(kind, s->owner).size() != 1)
                return missing_or_twice("of an object");
    return {};
}

Result<void> check_processes(const Image& image) {
    constexpr std::size_t limit = 65536;
    if (image.processes().empty() || image.processes().size() > limit)
        return damaged("it holds no process, or too many");
    std::uint32_t id = 0;
    std::vector<std::pair<std::int32_t, std::uint32_t>> pids; // and ids
    for (const Process& process : image.processes()) {
        if (process.id != ++id)
            return damaged("its processes are out of order");
        pids.emplace_back(process.pid, id);
    }
    std::sort(pids.begin(), pids.end());
    for (std::size_t i = 1; i < pids.size(); ++i)
        if (pids[i].first == pids[i - 1].first)
            return damaged("two of its processes have the same pid");
    for (const Process& process : image.processes().subspan(1)) {
        const auto parent =
            std::lower_bound(pids.begin(), pids.end(), std::pair(process.parent, 0u));
        if (parent == pids.end() || parent->first != process.parent || parent->second >= process.id)
            return damaged("one of its processes does not descend from the first");
    }
    return {};
}

Result<void> check_hashes(const Image& image) {
    std::uint64_t extents = 0;
    for (const Section& s : image.sections())
        if (holds_extents(s.kind))
            extents += s.size / sizeof(Extent);
    const Section& hashes = *image.section(SectionKind::hashes);
    const Section& closing = *image.section(SectionKind::closing);
    const Section& front = *image.section(SectionKind::front);
    const Section& pages = *image.section(SectionKind::pages);
    if (hashes.size / sizeof(std::uint64_t) != extents)
        return damaged("it has not a checksum for each part of its memory");
    if (closing.size != sizeof(Closing) ||
        closing.offset + closing.size != image.header().file_size ||
        hashes.offset + hashes.size != closing.offset)
        return damaged("its closing record lies elsewhere than at its end");
    if (front.offset != 0 || front.size != image.header().metadata_offset ||
        !page_aligned(pages.offset) || !page_aligned(pages.size))
        return damaged("its parts lie elsewhere than they should");
    if (hashes.size + closing.size > image.header().window.stacks - image.header().window.hashes)
        return damaged("its stub has no room for its checksums");
    return {};
}

} // namespace

// In this order: each relies on the ones before.
Result<void> check_sections(const Image& image) {
    if (auto checked = check_places(image); !checked)
        return checked;
    if (auto checked = check_common(image); !checked)
        return checked;
    if (auto checked = check_processes(image); !checked)
        return checked;
    if (auto checked = check_owned(image); !checked)
        return checked;
    return check_hashes(image);
}

} // namespace rfork::image
