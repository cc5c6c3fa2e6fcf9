// What the describers of all kinds share: the words in which `rfork inspect` tells of a record.
//
// A describer gets a record that may claim anything of itself. describe_as() sees to it that it is
// as long as its structure; counts and strings are checked by Room and string_at().
#pragma once

#include "arch/x86_64/cpu_features.h"
#include "describe/text.h"
#include "image/reader.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rfork::tool {

struct FrozenProgram {
    int fd; // the image file
    const image::Image& image;
    std::uint32_t process = 1; // which of its processes; 0: none, but what they refer to
};

// A line of the output: what it is about, and what there is to say.
struct Line {
    std::string title;
    std::string text;
};

using Lines = std::vector<Line>;

Lines too_short(const image::Record&);

template <class T, class Describe>
Lines describe_as(const image::Record& whole, Describe describe) {
    const T* record = whole.as<T>();
    return record ? describe(*record) : too_short(whole);
}

// Whether so many things of so many bytes are behind a record's structure.
class Room {
  public:
    Room(const image::Record& whole, std::size_t structure)
        : left_(whole.bytes().size() - structure) {}
    bool take(std::uint64_t count, std::size_t size) {
        if (count > left_ / size)
            return false;
        left_ -= count * size;
        return true;
    }

  private:
    std::size_t left_;
};

inline constexpr char malformed[] = "(malformed)";

// --- Words ---

std::string string_at(const FrozenProgram&, std::uint32_t offset);
std::string raw_string_at(const FrozenProgram&, std::uint32_t offset); // its bytes; "" outside
std::string fixed_text(const char* text, std::size_t capacity);
void append_word(std::string& words, std::string_view word);
std::string or_none(std::string words);
// On as many lines as it takes.
Lines folded(const std::string& title, std::string_view words, std::size_t width = 80 - 15);

std::string feature_names(const arch::CpuFeatureSet& set);
std::string signal_name(unsigned number);
std::string signal_set(std::uint64_t mask);
std::string clock_name(std::int32_t clock);
// "runs out in 1.500000 s, interval 2.000000 s"
std::string timer_state(std::uint64_t remaining, std::uint64_t interval, std::uint64_t in_a_second);

// --- Descriptors ---

// "3 4(close-on-exec)"; where it is not about a process, "object 5".
std::string descriptors(const FrozenProgram&, std::uint32_t object);
std::string status_flags(std::uint32_t flags); // of what is not opened, each behind a comma

} // namespace rfork::tool
