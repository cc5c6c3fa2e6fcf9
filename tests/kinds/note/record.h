// A note is a made-up object: a file called *.note, which travels with what is in it. It shows what
// a kind needs, and that nothing else has to know of it (docs/adding-a-kind.md).
#pragma once

#include "format/record.h"
#include "format/records/descriptor_slot.h"

namespace rfork::kinds {

// Behind the structure: slots, then the text.
struct NoteRecord {
    image::RecordHeader header;
    std::uint32_t name; // string
    std::uint32_t slots;
    std::uint32_t size;
    std::uint32_t pad;

    const DescriptorSlot* slot() const { return reinterpret_cast<const DescriptorSlot*>(this + 1); }
    const char* text() const { return reinterpret_cast<const char*>(slot() + slots); }
};
static_assert(sizeof(NoteRecord) == 24);

} // namespace rfork::kinds
