#include "objects/table_of_kinds.h"

#include "format/kinds.h"

#include <array>

namespace rfork::kinds {

using capture::ProcessSnapshot;
using capture::Source;

namespace {

enum class Collected { anytime, late, last, never };
enum class Recognised { no, asked, otherwise };

constexpr std::size_t count_collectors() {
    std::size_t count = 0;
#define RFORK_KIND(number, name, collected, recognised, restored, described)                       \
    count += Collected::collected != Collected::never;
#include "format/kinds.def"
    return count;
}

constexpr auto collectors_in_order() {
    std::array<Collector, count_collectors()> all{};
    std::size_t next = 0;
    for (Collected when : {Collected::anytime, Collected::late, Collected::last}) {
#define RFORK_KIND(number, name, collected, recognised, restored, described)                       \
    if constexpr (Collected::collected != Collected::never)                                        \
        if (Collected::collected == when)                                                          \
            all[next++] = collect_##name;
#include "format/kinds.def"
    }
    return all;
}

constexpr auto all_collectors = collectors_in_order();

} // namespace

std::span<const Collector> collectors() {
    return all_collectors;
}

image::Kind recognise(const Source& source, const OpenDescriptions& all, const OpenDescription& d) {
#define RFORK_KIND(number, name, collected, recognised, restored, described)                       \
    if constexpr (Recognised::recognised == Recognised::asked)                                     \
        if (is_##name(source, all, d))                                                             \
            return image::Kind::name;
#include "format/kinds.def"
#define RFORK_KIND(number, name, collected, recognised, restored, described)                       \
    if constexpr (Recognised::recognised == Recognised::otherwise)                                 \
        return image::Kind::name;
#include "format/kinds.def"
}

} // namespace rfork::kinds
