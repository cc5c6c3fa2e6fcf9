// What a fuzzer that runs under CTest is told: FUZZ_SEED, other inputs, and FUZZ_TIMES, more of them.
#pragma once

#include <cstdlib>

namespace rfork::test {

inline unsigned from_environment(const char* name, unsigned otherwise) {
    const char* text = std::getenv(name);
    return text ? static_cast<unsigned>(std::strtoul(text, nullptr, 10)) : otherwise;
}

} // namespace rfork::test
