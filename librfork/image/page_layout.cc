// Page data lie in address order, process by process, and then those of shared memory and of files
// without a name. A private
// file mapping lies there as a whole, so that the stub can map it; anonymous memory only in runs of
// pages that hold something. A few zero pages between two runs are cheaper stored than described.
#include "image/page_layout.h"

#include <algorithm>

namespace rfork::image {
namespace {

using capture::Range;
using capture::Snapshot;

constexpr std::uint64_t longest_zero_gap = 3 * page_size;

// So that the stub can map it from the image.
bool has_place_in_file(const Mapping& m) {
    return m.kind == MappingKind::file_content || m.kind == MappingKind::vdso;
}

// By words, not by memcmp(3): the program's memory is none of the business of a wrapper around libc
// that the program may bring along (AddressSanitizer stops at what it has poisoned).
bool is_zero(const std::uint8_t* page) {
    const auto* words = reinterpret_cast<const std::uint64_t*>(page);
    constexpr std::uint64_t count = page_size / sizeof *words, at_once = 8;
    for (std::uint64_t i = 0; i < count; i += at_once) {
        std::uint64_t any = 0;
        for (std::uint64_t j = 0; j < at_once; ++j)
            any |= words[i + j];
        if (any)
            return false;
    }
    return true;
}

// The parts of `pages` that are not zero, with short gaps closed.
Result<std::vector<Range>> runs_of(capture::PageSource& source, const std::vector<Range>& pages) {
    std::vector<Range> runs;
    for (const Range& range : pages) {
        for (std::uint64_t at = range.start; at < range.end; at += extent_limit) {
            const Range piece{at, std::min(at + extent_limit, range.end)};
            const Result<std::span<const std::uint8_t>> bytes = source.bytes(piece);
            if (!bytes)
                return bytes.error();
            for (std::uint64_t page = piece.start; page < piece.end; page += page_size) {
                if (is_zero(bytes->data() + (page - piece.start)))
                    continue;
                if (!runs.empty() && page - runs.back().end <= longest_zero_gap)
                    runs.back().end = page + page_size;
                else
                    runs.push_back({page, page + page_size});
            }
        }
    }
    return runs;
}

// A mapping of shared memory, and who reads it.
struct View {
    Mapping mapping;
    capture::PageSource* pages;
};

// Those of an object together, in the order in which they begin in it.
std::vector<View> views_of(const Snapshot& snapshot) {
    std::vector<View> views;
    for (const capture::ProcessSnapshot& process : snapshot.processes)
        for (const Mapping& m : process.mappings)
            if (m.kind == MappingKind::shared_memory)
                views.push_back({m, process.pages});
    std::sort(views.begin(), views.end(), [](const View& a, const View& b) {
        return a.mapping.object != b.mapping.object
                   ? a.mapping.object < b.mapping.object
                   : a.mapping.origin_offset < b.mapping.origin_offset;
    });
    return views;
}

std::span<const View> views_of(std::uint32_t object, const std::vector<View>& all) {
    const auto first = std::partition_point(
        all.begin(), all.end(), [=](const View& view) { return view.mapping.object < object; });
    const auto last = std::partition_point(
        first, all.end(), [=](const View& view) { return view.mapping.object == object; });
    return {first, last};
}

class PageLayout {
  public:
    explicit PageLayout(std::vector<Stored>& stored) : stored_(stored) {}

    // Offsets count from the first page until the size of the metadata is known.
    Result<void> add(const capture::ProcessSnapshot& process, Owned& owned) {
        for (const Mapping& frozen : process.mappings) {
            Mapping m = frozen;
            if (m.kind == MappingKind::shared_memory) { // see add_shared()
                owned.mappings.push_back(m);
                continue;
            }
            std::vector<Range> pages;
            if (Result<void> r = process.pages->find_pages(m, pages); !r)
                return r;
            if (has_place_in_file(m))
                add_whole(*process.pages, m, pages, owned);
            else if (Result<void> r = add_runs(*process.pages, pages, 0, owned); !r)
                return r;
            owned.mappings.push_back(m);
        }
        return {};
    }
    // Each byte once, by whichever mapping shows it.
    Result<void> add_shared(std::span<const View> views, Owned& owned) {
        std::uint64_t known = 0; // the object is, up to there
        for (const View& view : views) {
            Mapping rest = view.mapping;
            const std::uint64_t end = rest.origin_offset + (rest.end - rest.start);
            if (end <= known)
                continue;
            if (rest.origin_offset < known) {
                rest.start += known - rest.origin_offset;
                rest.origin_offset = known;
            }
            known = end;
            std::vector<Range> pages;
            if (Result<void> r = view.pages->find_pages(rest, pages); !r)
                return r;
            if (Result<void> r =
                    add_runs(*view.pages, pages, rest.start - rest.origin_offset, owned);
                !r)
                return r;
        }
        return {};
    }
    Result<void> add_file(capture::FileContents& file, Owned& owned) {
        std::vector<Range> pages;
        if (Result<void> r = file.find_pages(file.whole(), pages); !r)
            return r;
        return add_runs(file, pages, 0, owned);
    }
    std::uint64_t size() const { return at_; }

  private:
    // What its file does not have has room, so that the mapping is as long as it was.
    void add_whole(capture::PageSource& source, Mapping& m, const std::vector<Range>& pages,
                   Owned& owned) {
        m.file_offset = at_;
        for (const Range& part : pages)
            add_extents(source, part, 0, m.file_offset + (part.start - m.start), owned);
        at_ += m.end - m.start;
    }
    // `base`: the address of what is 0 in the extents.
    Result<void> add_runs(capture::PageSource& source, const std::vector<Range>& pages,
                          std::uint64_t base, Owned& owned) {
        const Result<std::vector<Range>> runs = runs_of(source, pages);
        if (!runs)
            return runs.error();
        for (const Range& run : *runs) {
            add_extents(source, run, base, at_, owned);
            at_ += run.size();
        }
        return {};
    }
    void add_extents(capture::PageSource& source, Range run, std::uint64_t base,
                     std::uint64_t offset, Owned& owned) {
        for (std::uint64_t at = run.start; at < run.end; at += extent_limit) {
            const std::uint64_t size = std::min(extent_limit, run.end - at);
            const Extent extent{at - base, std::uint32_t(size / page_size), 0,
                                offset + (at - run.start)};
            owned.extents.push_back(extent);
            stored_.push_back({extent, &source, at});
        }
    }

    std::vector<Stored>& stored_;
    std::uint64_t at_ = 0;
};

} // namespace

Result<PageData> lay_out_pages(const Snapshot& snapshot) {
    PageData data;
    PageLayout pages(data.stored);
    for (const capture::ProcessSnapshot& process : snapshot.processes) {
        data.owned.push_back({SectionKind::extents, std::uint32_t(data.owned.size() + 1), {}, {}});
        if (Result<void> r = pages.add(process, data.owned.back()); !r)
            return r.error();
    }
    const std::vector<View> views = views_of(snapshot);
    for (const capture::SharedMemory& memory : snapshot.shared_memory) {
        data.owned.push_back({SectionKind::shared_memory, memory.id, {}, {}});
        if (Result<void> r = pages.add_shared(views_of(memory.id, views), data.owned.back()); !r)
            return r.error();
    }
    for (const auto& file : snapshot.files) {
        data.owned.push_back({SectionKind::shared_memory, file->object(), {}, {}});
        if (Result<void> r = pages.add_file(*file, data.owned.back()); !r)
            return r.error();
    }
    data.size = pages.size();
    return data;
}

void shift_pages(PageData& data, std::uint64_t by) {
    for (Owned& owned : data.owned) {
        for (Mapping& m : owned.mappings)
            if (has_place_in_file(m))
                m.file_offset += by;
        for (Extent& e : owned.extents)
            e.offset += by;
    }
    for (Stored& s : data.stored)
        s.extent.offset += by;
}
} // namespace rfork::image
