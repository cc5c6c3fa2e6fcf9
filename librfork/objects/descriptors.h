// The kinds of descriptors. Each open file description belongs to one kind, whose recogniser knows
// it (is_<name>(), in collect.cc) and whose collector makes records of it. What no recogniser knows
// is left to open_file, which refuses by name what it does not know either.
#pragma once

#include "process/source.h"
#include "snapshot/snapshot.h"

#include <cstdint>
#include <string>
#include <vector>

namespace rfork::kinds {

using capture::DescriptorSlot;
using capture::OpenDescription;
using OpenDescriptions = std::vector<OpenDescription>;

// Lists what the process has open in the process, and gives each to its kind.
Result<void> sort_descriptors(const capture::Source&, capture::ProcessSnapshot&);

// A standard stream, if no kind has recognised it: the copy's is the one the image is started with.
bool is_stream(const OpenDescription&);

// What an image cannot carry. ENOTSUP, "descriptor 7 (...) <why>"; the remedy is added later, since
// it depends on where the descriptor comes from.
Error cannot_carry(const OpenDescription&, const std::string& why);

// Takes note that a description cannot be carried (ENOTSUP), or, if RFORK_IGNORE says so, puts
// /dev/null in its place. Other errors come back.
Result<void> refuse(const capture::Source&, capture::ProcessSnapshot&, OpenDescription&,
                    capture::Sort, const Error&);
capture::Sort sort_of(const OpenDescription&); // as users call it

// Has each description of a kind collected.
template <class Add>
Result<void> collect_each(const capture::Source& source, capture::ProcessSnapshot& process,
                          image::Kind kind, Add add) {
    for (OpenDescription& d : process.open_descriptions) {
        if (d.kind != kind || d.dropped || d.refused)
            continue;
        if (Result<void> r = add(d); !r)
            if (r = refuse(source, process, d, sort_of(d), r.error()); !r)
                return r;
    }
    return {};
}

// Of a description that is no other kind's: whether open_file can carry it.
Result<void> check_open_file(const capture::Source&, const OpenDescription&);
// Whether the locks that are held by it can be taken again; and whether they stay where they are,
// as those of a stream do, which is another file after the resume.
Result<void> check_locks(const OpenDescription&);
bool leaves_locks_behind(const OpenDescription&);
// That no file whose contents are in the image is also memory that is mapped; when that is known.
Result<void> check_not_mapped(const capture::ProcessSnapshot&);
// The record of a descriptor that is left out.
void add_null(const capture::Source&, capture::ProcessSnapshot&, const OpenDescription&);

// How the files are known again of which there are shared mappings; when these are known.
Result<void> add_mapped_files(const capture::Source&, capture::ProcessSnapshot&);

// What the process has mapped of the snapshot's shared memory, when its mappings are known; and the
// records, when those of all processes are.
void measure_shared_memory(const capture::Source&, capture::ProcessSnapshot&);
void add_shared_memory(capture::Snapshot&);

// What the record of an object of that id starts with.
image::ObjectHeader object_header(std::uint32_t id, std::uint32_t name, std::uint32_t flags = 0);
// Takes note that these descriptors refer to it.
void add_descriptors(capture::ProcessSnapshot&, std::uint32_t object,
                     const std::vector<DescriptorSlot>&);
// Both, for an open file description that is an object by itself.
image::ObjectHeader add_object(capture::ProcessSnapshot&, const OpenDescription&);
// That each descriptor refers to one object, when all have been collected.
Result<void> check_complete(const capture::ProcessSnapshot&);
// To which object a descriptor refers; 0: to none that is known yet.
std::uint32_t object_at(const capture::ProcessSnapshot&, int number);

// Whether the kernel calls it "anon_inode:[name]".
bool is_anonymous(const OpenDescription&, const char* name);

// How the stub names it when something goes wrong.
std::uint32_t name_of(const OpenDescription&, capture::ProcessSnapshot&);

// Numbers in the text of fdinfo.
std::uint64_t number_in(const std::string& info, const char* name, int base = 10);

// What follows a record's structure.
template <class T>
void append(std::vector<std::uint8_t>& extra, const std::vector<T>& items) {
    const auto* first = reinterpret_cast<const std::uint8_t*>(items.data());
    extra.insert(extra.end(), first, first + items.size() * sizeof(T));
}

} // namespace rfork::kinds
