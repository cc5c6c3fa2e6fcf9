#include "mapping_table.h"

#include "base/progress.h"
#include "describe/text.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <sys/mman.h>

namespace rfork::tool {
namespace {

using image::Extent;
using image::Mapping;
using image::MappingKind;

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

} // namespace

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

std::string protection(const Mapping& m) {
    const bool shared = m.kind == MappingKind::shared_memory || m.kind == MappingKind::file_shared;
    return format("%c%c%c%c", m.prot & PROT_READ ? 'r' : '-', m.prot & PROT_WRITE ? 'w' : '-',
                  m.prot & PROT_EXEC ? 'x' : '-', shared ? 's' : 'p');
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

SharedBytes::SharedBytes(const image::Image& image) : image_(image) {
    for (const image::Section* section : image.sections(image::SectionKind::shared_memory)) {
        std::vector<std::uint64_t>& in_front = in_front_[section->owner];
        std::uint64_t sum = 0;
        for (const Extent& extent : image.contents<Extent>(*section)) {
            in_front.push_back(sum);
            sum += extent.size();
        }
    }
}

std::uint64_t SharedBytes::before(std::uint32_t object, std::uint64_t offset) const {
    const auto extents = image_.shared_memory(object);
    const auto behind = std::ranges::partition_point(
        extents, [=](const Extent& extent) { return extent.at < offset; });
    if (behind == extents.begin())
        return 0;
    const auto last = std::prev(behind);
    return in_front_.at(object)[std::size_t(last - extents.begin())] +
           std::min(offset - last->at, last->size());
}

std::uint64_t SharedBytes::between(std::uint32_t object, std::uint64_t start,
                                   std::uint64_t end) const {
    return before(object, end) - before(object, start);
}

// Extents ascend as mappings do.
MappingTable::MappingTable(const FrozenProgram& program, const SharedBytes& shared)
    : program_(program), mappings_(program.image.mappings(program.process)) {
    const auto extents = program.image.extents(program.process);
    auto extent = extents.begin();
    for (const Mapping& m : mappings_) {
        std::uint64_t bytes = 0;
        for (; extent != extents.end() && extent->at < m.end; ++extent)
            bytes += extent->size();
        if (m.kind == MappingKind::shared_memory)
            bytes += shared.between(m.object, m.origin_offset, m.origin_offset + (m.end - m.start));
        carried_.push_back(bytes);
    }
}

Total MappingTable::total() const {
    Total all;
    for (const auto& [kind, total] : totals()) {
        all.count += total.count;
        all.mapped += total.mapped;
        all.carried += total.carried;
    }
    return all;
}

std::map<MappingKind, Total> MappingTable::totals() const {
    std::map<MappingKind, Total> by_kind;
    for (std::size_t i = 0; i < mappings_.size(); ++i) {
        Total& total = by_kind[mappings_[i].kind];
        total.count += 1;
        total.mapped += mappings_[i].end - mappings_[i].start;
        total.carried += carried_[i];
    }
    return by_kind;
}

std::vector<Line> MappingTable::summary() const {
    const Total all = total();
    std::vector<Line> lines{{"memory", total_text(all)}};
    for (const auto& [kind, total] : totals())
        lines.push_back({"", total_text(total) + "  " + bar(total.carried, all.carried) + "  " +
                                 kind_name(kind)});
    return lines;
}

// Which memory is shared matters where somebody has the other share.
std::string MappingTable::text(std::size_t number) const {
    const Mapping& m = mappings_[number];
    bool tells_object = m.object != 0 && program_.image.processes().size() > 1;
    return format("%012lx-%012lx %s %11s carried  %-22s %s%s%s", m.start, m.end,
                  protection(m).c_str(), bytes_text(carried_[number]).c_str(), kind_name(m.kind),
                  tells_object ? format("object %u ", m.object).c_str() : "",
                  string_at(program_, m.name).c_str(), flag_words(m.flags).c_str());
}

std::vector<std::size_t> MappingTable::largest(std::size_t count) const {
    std::vector<std::size_t> order(mappings_.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return carried_[a] > carried_[b]; });
    order.resize(std::min(order.size(), count));
    return order;
}

} // namespace rfork::tool
