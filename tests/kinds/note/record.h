// A note is a made-up object: a file called *.note, which travels with what is in it. It shows what
// a kind needs, and that nothing else has to know of it (docs/adding-a-kind.md).
#pragma once

#include "format/object.h"

namespace rfork::kinds {

// Behind the structure: the text.
struct NoteRecord {
    image::ObjectHeader object;
    std::uint32_t size;
    std::uint32_t pad;

    const char* text() const { return reinterpret_cast<const char*>(this + 1); }
};
static_assert(sizeof(NoteRecord) == 32);

} // namespace rfork::kinds
