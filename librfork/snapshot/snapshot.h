// Frozen processes as plain data. They hold no handle to the live ones but their page sources; the
// image writer, and whoever comes later (merge, push), cannot tell where they came from.
#pragma once

#include "arch/arch.h"
#include "base/result.h"
#include "format/format.h"
#include "format/object.h"
#include "format/records/thread.h"
#include "snapshot/file_contents.h"
#include "snapshot/ignored.h"
#include "snapshot/obstacles.h"
#include "snapshot/open_description.h"
#include "snapshot/page_source.h"

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rfork::capture {

// Zero-terminated strings, referred to by offset; offset 0 is the empty string.
class StringTable {
  public:
    StringTable() : bytes_(1, '\0') {}
    std::uint32_t add(std::string_view text);
    std::string_view at(std::uint32_t offset) const { return bytes_.data() + offset; }
    const std::vector<char>& bytes() const { return bytes_; }

  private:
    std::vector<char> bytes_;
    std::uint32_t last_ = 0; // neighbours often have the same name
};

// Records one after another, as the stub reads them.
class RecordList {
  public:
    // Its header is filled in; `extra` bytes follow the record and count in its size.
    template <class Record>
    void add(image::Kind kind, Record record, const void* extra = nullptr,
             std::size_t extra_size = 0) {
        header_of(record) = {kind, std::uint32_t((sizeof record + extra_size + 7) / 8 * 8)};
        append(&record, sizeof record);
        append(extra, extra_size);
        bytes_.resize((bytes_.size() + 7) / 8 * 8);
    }
    const std::vector<std::uint8_t>& bytes() const { return bytes_; }

  private:
    template <class Record>
    static image::RecordHeader& header_of(Record& record) {
        if constexpr (requires { record.object.header; })
            return record.object.header;
        else
            return record.header;
    }
    void append(const void* data, std::size_t size) {
        const auto* first = static_cast<const std::uint8_t*>(data);
        bytes_.insert(bytes_.end(), first, first + size);
    }
    std::vector<std::uint8_t> bytes_;
};

// What core-file readers want to know (struct elf_prpsinfo), and inspect shows.
struct Identity {
    std::int32_t pid = 0, parent = 0, process_group = 0, session = 0;
    std::uint32_t exit_signal = 0; // what its parent gets when it ends
    std::uint32_t uid = 0, gid = 0;
    std::int64_t nice = 0;
    std::string name;      // comm
    std::string arguments; // blanks between them
};

// A thread record and its XSAVE area.
struct Thread {
    kinds::ThreadRecord record{};
    std::vector<std::uint8_t> xstate;
};

struct Monitor {
    std::uint32_t address = 0; // IPv4 and port in network byte order; 0: nobody listens
    std::uint16_t port = 0;
    std::uint64_t dump_started = 0;
};

// Of an image that travels.
struct Ticket {
    std::string directory; // absolute
    std::string name;
    image::Secret secret{};
};

// Memory that processes can share; what it holds, its mappings tell.
struct SharedMemory {
    std::uint32_t id;            // of the object
    std::uint64_t device, inode; // by which the kernel knows it
    std::string name;            // as it is shown
    std::uint64_t size = 0;      // as far as any mapping reaches of what there is

    bool is_memfd() const { return name.starts_with("/memfd:"); }
};

struct Snapshot;

// One of the processes.
struct ProcessSnapshot {
    explicit ProcessSnapshot(Snapshot& whole) : all(whole) {}

    Snapshot& all; // what it has in common with the others

    // The code at the first thread's rip unmaps the stub's window itself; it is told where that is
    // in its first two argument registers.
    bool unmaps_window = false;
    std::uint64_t departure = 0; // ThreadRecord::departure of all threads; 0 if it does not do so
    std::span<const InheritedFile> inherited;

    Identity identity;
    std::vector<image::Mapping> mappings; // ascending, file offsets not yet assigned
    std::vector<Thread> threads;          // the one that called first
    std::vector<std::uint64_t> auxv;
    std::vector<OpenDescription> open_descriptions;
    std::vector<int> numbers; // of descriptors, ascending
    std::vector<image::Descriptor> descriptors;
    RecordList records; // all but the threads'
    PageSource* pages = nullptr;
};

struct Snapshot {
    Snapshot() = default;
    Snapshot(const Snapshot&) = delete; // its processes know where it is
    Snapshot& operator=(const Snapshot&) = delete;

    image::Id id{};
    bool travels = false; // by rfork(), not a checkpoint
    bool trusts_files = false;
    Ticket ticket;
    std::uint64_t created = 0;
    Monitor monitor;

    Ignored ignored;
    Obstacles obstacles; // if there are any, this is not to become an image

    std::uint32_t new_object() { return ++last_object; }

    std::uint32_t last_object = 0;           // ids are given out from 1
    std::vector<SharedMemory> shared_memory; // ids ascending
    // Null if there is none of that id.
    SharedMemory* find_shared_memory(std::uint32_t object);
    const SharedMemory* find_shared_memory(std::uint32_t object) const {
        return const_cast<Snapshot*>(this)->find_shared_memory(object);
    }
    std::vector<std::unique_ptr<FileContents>> files; // to which no name leads
    StringTable strings;
    RecordList objects;                    // what processes refer to, and may share
    std::deque<ProcessSnapshot> processes; // the first is the one that was asked for
};

} // namespace rfork::capture
