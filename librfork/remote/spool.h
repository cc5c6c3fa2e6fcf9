// The spool: one directory that all hosts share, in which images, claims and logs lie side by side.
//
//   .rfork.<id>.tmp     an image being written; renamed when complete
//   rfork.<id>          an image; <id> is 32 hexadecimal digits, random, never used twice
//   rfork.<id>.claim    the arbiter: whoever creates it exclusively decides (see claim.h)
//   rfork.<id>.out      what the copy writes to its standard output and error under rexecd
#pragma once

#include "base/result.h"
#include "image/format.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace rfork::remote {

inline constexpr std::string_view image_prefix = "rfork.";
inline constexpr std::string_view temporary_prefix = ".rfork.";
inline constexpr std::string_view temporary_suffix = ".tmp";
inline constexpr std::string_view log_suffix = ".out";

// So that the name with any of the suffixes still is a file name.
inline constexpr std::size_t max_image_name = 240;

std::string id_text(const image::Id& id); // 32 hexadecimal digits
image::Id new_id();                       // from getrandom(2)

std::string image_name(const image::Id& id);
std::string temporary_name(const image::Id& id);
std::string log_name(std::string_view image_name);

// A name that may be looked up in a spool: one path component of at most max_image_name bytes,
// starting with image_prefix and longer than it, no '/', no control characters.
bool is_image_name(std::string_view name);

// What an entry of the spool is, going by its name alone, which must be exactly one of the four
// above. Only such entries are rfork's own, and may be removed by it.
enum class EntryKind { foreign, temporary, image, claim, log };
EntryKind kind_of_entry(std::string_view name);

} // namespace rfork::remote
