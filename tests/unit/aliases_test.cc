// What is said of shared memory at one address holds wherever else it is mapped.
#include "process/memory.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

using namespace rfork;
using capture::Range;
using image::Mapping;
using image::MappingKind;

namespace {

constexpr std::uint64_t page = 4096, step = 512;

const Mapping* mapping_at(const std::vector<Mapping>& mappings, std::uint64_t at) {
    const auto m = std::ranges::find_if(
        mappings, [at](const Mapping& other) { return other.start <= at && at < other.end; });
    return m == mappings.end() ? nullptr : &*m;
}

bool covers(std::span<const Range> ranges, std::uint64_t at) {
    return std::ranges::any_of(ranges,
                               [at](const Range& r) { return r.start <= at && at < r.end; });
}

bool is_alias(const std::vector<Mapping>& mappings, const Mapping& m, std::uint64_t at,
              std::span<const Range> ranges) {
    const std::uint64_t offset = at - m.start + m.origin_offset;
    return m.kind == MappingKind::shared_memory &&
           std::ranges::any_of(mappings, [&](const Mapping& other) {
               return other.kind == m.kind && other.object == m.object &&
                      other.origin_offset <= offset &&
                      offset < other.origin_offset + (other.end - other.start) &&
                      covers(ranges, other.start + (offset - other.origin_offset));
           });
}

} // namespace

TEST_CASE("ranges get the aliases of their shared memory, and nothing else") {
    std::mt19937 random(1989);
    auto below = [&](unsigned n) { return std::uint64_t(random() % n); };
    for (unsigned time = 0; time < 50; ++time) {
        std::vector<Mapping> mappings;
        for (std::uint64_t at = 10; at < 80; at += 1 + below(6)) {
            Mapping m{};
            m.start = at * page;
            m.end = (at += 1 + below(4)) * page;
            m.kind = below(4) ? MappingKind::shared_memory : MappingKind::anonymous;
            m.object = std::uint32_t(1 + below(3));
            m.origin_offset = below(5) * page;
            mappings.push_back(m);
        }
        std::vector<Range> ranges;
        for (std::uint64_t at = below(40); at < 90 * page / step; at += 1 + below(200)) {
            const std::uint64_t start = at * step;
            ranges.push_back({start, (at += below(60)) * step});
        }
        const std::vector<Range> all = capture::with_aliases(mappings, ranges);
        for (std::size_t i = 0; i < all.size(); ++i) {
            CHECK(all[i].start < all[i].end);
            CHECK((i == 0 || all[i - 1].end < all[i].start));
        }
        for (std::uint64_t at = 0; at < 100 * page; at += step) {
            const Mapping* m = mapping_at(mappings, at);
            INFO("time " << time << ", address " << at);
            CHECK(covers(all, at) ==
                  (covers(ranges, at) || (m && is_alias(mappings, *m, at, ranges))));
        }
    }
}
