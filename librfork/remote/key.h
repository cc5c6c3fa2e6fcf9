// The pre-shared key: 64 hexadecimal digits and a newline in a file that only its owner can read
// (mode 0640 lets its group read it too, for a daemon that runs under a group of its own).
#pragma once

#include "base/result.h"

#include <array>
#include <cstdint>
#include <string>

namespace rfork::remote {

using Key = std::array<std::uint8_t, 32>;

// Refuses with a sentence: missing, not a regular file, readable or writable by others, not exactly
// the text above. At most a few hundred bytes are read.
Result<Key> read_key(const std::string& path);

// Creates `path`, mode 0600, exclusively, with a new random key; never overwrites.
Result<void> generate_key(const std::string& path);

} // namespace rfork::remote
