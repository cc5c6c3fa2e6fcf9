// Images that the writer makes of processes that never were.
#pragma once

#include "image/writer.h"
#include "snapshot/snapshot.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace rfork::test {

// All pages are there, and each is full of a byte that its number gives, never 0.
class CountedPages : public capture::PageSource {
  public:
    Result<void> find_pages(const image::Mapping& mapping,
                            std::vector<capture::Range>& pages) override {
        pages.push_back({mapping.start, mapping.end});
        return {};
    }
    Result<std::span<const std::uint8_t>> bytes(capture::Range range) override {
        buffer_.resize(range.size());
        fill(range, buffer_.data());
        return std::span<const std::uint8_t>(buffer_);
    }
    Result<std::uint64_t> read(capture::Range range, std::uint8_t* to) override {
        fill(range, to);
        return range.size();
    }

  private:
    static void fill(capture::Range range, std::uint8_t* to) {
        for (std::uint64_t at = range.start; at < range.end; ++at)
            *to++ = std::uint8_t(1 + at / image::page_size % 251);
    }
    std::vector<std::uint8_t> buffer_;
};

class MemorySink : public image::Sink {
  public:
    Result<void> write(std::span<const std::uint8_t> bytes) override {
        const auto some = std::as_bytes(bytes);
        file.insert(file.end(), some.begin(), some.end());
        return {};
    }
    Result<void> write_zeroes(std::uint64_t count) override {
        file.resize(file.size() + count);
        return {};
    }
    std::vector<std::byte> file;
};

struct WrittenImage {
    capture::Snapshot snapshot;
    CountedPages pages;

    // With one thread, which has its pid.
    capture::ProcessSnapshot& add_process(std::int32_t pid, std::int32_t parent,
                                          std::string_view name) {
        capture::ProcessSnapshot& process = snapshot.processes.emplace_back(snapshot);
        process.identity.pid = pid;
        process.identity.parent = parent;
        process.identity.name = name;
        process.pages = &pages;
        capture::Thread thread;
        thread.record.tid = pid;
        thread.record.flags = kinds::thread_leads;
        name.copy(thread.record.name, sizeof thread.record.name - 1);
        thread.xstate.resize(576); // x87, SSE, and the header
        process.threads.push_back(thread);
        return process;
    }

    // Memory that processes can share; returns the object.
    std::uint32_t add_shared_memory() {
        const std::uint32_t object = snapshot.new_object();
        snapshot.shared_memory.push_back({object, 0, object, ""});
        return object;
    }

    static image::Mapping mapping(std::uint64_t start, std::uint64_t page_count) {
        image::Mapping m{};
        m.start = start;
        m.end = start + page_count * image::page_size;
        m.prot = 3; // readable, writable
        m.kind = image::MappingKind::anonymous;
        return m;
    }
    static image::Mapping mapping(std::uint64_t start, std::uint64_t page_count,
                                  std::uint32_t object, std::uint64_t first_page) {
        image::Mapping m = mapping(start, page_count);
        m.kind = image::MappingKind::shared_memory;
        m.object = object;
        m.origin_offset = first_page * image::page_size;
        return m;
    }

    std::vector<std::byte> bytes() const {
        MemorySink sink;
        image::Progress progress{};
        return image::write_image(snapshot, sink, progress) ? std::move(sink.file)
                                                            : std::vector<std::byte>();
    }
};

} // namespace rfork::test
