#include "mapping_table.h"

#include "base/printable.h"
#include "base/progress.h"
#include "describe/text.h"

#include <algorithm>
#include <numeric>
#include <sys/mman.h>

namespace rfork::tool {
namespace {

using image::Extent;
using image::Mapping;
using image::MappingKind;

const char* kind_name(MappingKind kind) {
    switch (kind) {
    case MappingKind::anonymous:
        return "anonymous";
    case MappingKind::shared_memory:
        return "shared memory";
    case MappingKind::file_content:
        return "file, content carried";
    case MappingKind::file_shared:
        return "shared file, by path";
    case MappingKind::vvar:
        return "kernel data (vvar)";
    case MappingKind::vdso:
        return "kernel code (vDSO)";
    }
    return "unknown";
}

std::uint64_t shared_bytes(const image::Image& image, const Mapping& mapping) {
    const std::uint64_t end = mapping.origin_offset + (mapping.end - mapping.start);
    std::uint64_t bytes = 0;
    for (const Extent& e : image.shared_memory(mapping.object))
        if (e.at < end && e.end() > mapping.origin_offset)
            bytes += std::min(e.end(), end) - std::max(e.at, mapping.origin_offset);
    return bytes;
}

// How many bytes of each mapping the image carries; extents ascend as mappings do.
std::vector<std::uint64_t> carried_bytes(const image::Image& image) {
    std::vector<std::uint64_t> carried;
    auto extent = image.extents().begin();
    for (const Mapping& mapping : image.mappings()) {
        std::uint64_t bytes = 0;
        for (; extent != image.extents().end() && extent->at < mapping.end; ++extent)
            bytes += extent->size();
        if (mapping.kind == MappingKind::shared_memory)
            bytes += shared_bytes(image, mapping);
        carried.push_back(bytes);
    }
    return carried;
}

struct Total {
    unsigned count = 0;
    std::uint64_t mapped = 0;
    std::uint64_t carried = 0;
};

std::string total_text(const Total& total) {
    return format("%5u mapped at %11s, %11s carried", total.count, bytes_text(total.mapped).c_str(),
                  bytes_text(total.carried).c_str());
}

// The part in the whole, as a bar; what is there at all has at least one mark.
std::string bar(std::uint64_t part, std::uint64_t whole) {
    constexpr std::size_t marks = 20;
    std::size_t count = whole ? static_cast<std::size_t>(static_cast<double>(part) /
                                                         static_cast<double>(whole) * marks)
                              : 0;
    std::string text(part ? std::max<std::size_t>(count, 1) : 0, '#');
    text.resize(marks, ' ');
    return text;
}

std::string flag_words(std::uint32_t flags) {
    static constexpr struct {
        std::uint32_t bit;
        const char* name;
    } names[] = {{image::mapping_growsdown, " growsdown"},
                 {image::mapping_hugepage, " hugepage"},
                 {image::mapping_nohugepage, " nohugepage"},
                 {image::mapping_wipeonfork, " wipeonfork"},
                 {image::mapping_dontdump, " dontdump"},
                 {image::mapping_noreserve, " noreserve"},
                 {image::mapping_mergeable, " mergeable"},
                 {image::mapping_writable_file, " writable-file"},
                 {image::mapping_accounted, " accounted"},
                 {image::mapping_dontfork, " dontfork"},
                 {image::mapping_sequential, " sequential"},
                 {image::mapping_random, " random"},
                 {image::mapping_droppable, " droppable"},
                 {image::mapping_sealed, " sealed"}};
    std::string words;
    for (const auto& name : names) {
        if (flags & name.bit)
            words += name.name;
    }
    return words;
}

std::string mapping_text(const image::Image& image, const Mapping& mapping, std::uint64_t carried) {
    bool shared =
        mapping.kind == MappingKind::shared_memory || mapping.kind == MappingKind::file_shared;
    return format("%012lx-%012lx %c%c%c%c %11s carried  %-22s %s%s", mapping.start, mapping.end,
                  mapping.prot & PROT_READ ? 'r' : '-', mapping.prot & PROT_WRITE ? 'w' : '-',
                  mapping.prot & PROT_EXEC ? 'x' : '-', shared ? 's' : 'p',
                  bytes_text(carried).c_str(), kind_name(mapping.kind),
                  printable(image.string(mapping.name).value_or("")).c_str(),
                  flag_words(mapping.flags).c_str());
}

} // namespace

std::vector<Line> summarise_mappings(const image::Image& image) {
    constexpr auto last = static_cast<unsigned>(MappingKind::vdso);
    Total by_kind[last + 1], all;
    auto carried = carried_bytes(image);
    for (std::size_t i = 0; i < carried.size(); ++i) {
        const Mapping& mapping = image.mappings()[i];
        for (Total* total : {&all, &by_kind[static_cast<unsigned>(mapping.kind)]}) {
            total->count += 1;
            total->mapped += mapping.end - mapping.start;
            total->carried += carried[i];
        }
    }
    std::vector<Line> lines{{"memory", total_text(all)}};
    for (unsigned kind = 1; kind <= last; ++kind) {
        if (by_kind[kind].count != 0)
            lines.push_back({"", total_text(by_kind[kind]) + "  " +
                                     bar(by_kind[kind].carried, all.carried) + "  " +
                                     kind_name(static_cast<MappingKind>(kind))});
    }
    return lines;
}

std::vector<std::string> list_mappings(const image::Image& image) {
    std::vector<std::string> lines;
    auto carried = carried_bytes(image);
    for (std::size_t i = 0; i < carried.size(); ++i)
        lines.push_back(mapping_text(image, image.mappings()[i], carried[i]));
    return lines;
}

std::vector<std::string> list_largest_mappings(const image::Image& image, std::size_t count) {
    auto carried = carried_bytes(image);
    std::vector<std::size_t> order(carried.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return carried[a] > carried[b]; });
    order.resize(std::min(order.size(), count));
    std::vector<std::string> lines;
    for (std::size_t i : order)
        lines.push_back(mapping_text(image, image.mappings()[i], carried[i]));
    return lines;
}

} // namespace rfork::tool
