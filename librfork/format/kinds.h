// The kinds by their names.
#pragma once

#include "format/record.h"

namespace rfork::image {

enum class Kind : std::uint32_t {
#define RFORK_KIND(number, name, collected, recognised, restored, described) name = number,
#include "format/kinds.def"
};

inline constexpr std::uint32_t kind_numbers[] = {
#define RFORK_KIND(number, name, collected, recognised, restored, described) number,
#define RFORK_KIND_GONE(number, name) number,
#include "format/kinds.def"
};

consteval bool has_every_number_once() {
    for (const std::uint32_t& number : kind_numbers)
        for (const std::uint32_t& other : kind_numbers)
            if (&number != &other && number == other)
                return false;
    return true;
}
static_assert(has_every_number_once());

} // namespace rfork::image
