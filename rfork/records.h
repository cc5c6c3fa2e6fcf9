// The records of an image in words.
#pragma once

#include "describe/describe.h"

namespace rfork::tool {

// As format/kinds.def has it; "" if this program does not know the kind.
const char* name_of(image::Kind kind);

Lines describe_record(const FrozenProgram& program, const image::Record& record);

// Part by part, then whatever this program does not know: of an image of one process all records.
Lines describe_records(const FrozenProgram& program);

// Of an image of several processes what they refer to, by its number, and what is of one of them:
// its records, and its descriptors by that number.
Lines describe_objects(int fd, const image::Image& image);
Lines describe_state(const FrozenProgram& program);
Line title_of(const FrozenProgram& program);

// Each record of a kind that is as long as it must be.
template <class T, class Each>
void each_record(image::Records records, image::Kind kind, Each each) {
    for (image::Record record : records)
        if (record.header().kind == kind)
            if (const T* known = record.as<T>())
                each(*known);
}

// The same, of all processes.
template <class T, class Each>
void each_state(const image::Image& image, image::Kind kind, Each each) {
    for (const image::Process& process : image.processes())
        each_record<T>(image.state(process.id), kind, each);
}

} // namespace rfork::tool
