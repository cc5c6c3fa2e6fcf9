#include "image/frozen_snapshot.h"

#include "format/kinds.h"
#include "format/records/shared_memory.h"
#include "format/records/thread.h"
#include "format/records/unlinked_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace rfork::image {
namespace {

using capture::ProcessSnapshot;
using capture::Range;
using capture::Snapshot;

struct AnyRecord {
    RecordHeader header;
};

void add(capture::RecordList& list, const Record& record) {
    const auto rest = record.bytes().subspan(sizeof(RecordHeader));
    list.add(record.header().kind, AnyRecord{}, rest.data(), rest.size());
}

Error is_damaged(const std::string& name) {
    return {EBADMSG, "'" + name + "' is damaged: a record of it is shorter than it says"};
}

Result<void> add_thread(ProcessSnapshot& process, const Record& whole, const std::string& name) {
    capture::Thread thread;
    const auto* record = whole.as<kinds::ThreadRecord>();
    if (!record || record->xstate_size > whole.bytes().size() - sizeof *record)
        return is_damaged(name);
    thread.record = *record;
    const auto* xstate =
        reinterpret_cast<const std::uint8_t*>(whole.bytes().data()) + sizeof *record;
    thread.xstate.assign(xstate, xstate + record->xstate_size);
    process.departure = record->departure;
    process.unmaps_window = record->departure != 0;
    if (process.threads.empty())
        process.identity.name.assign(record->name, strnlen(record->name, sizeof record->name));
    process.threads.push_back(std::move(thread));
    return {};
}

Result<void> add_state(ProcessSnapshot& process, const Records& records, const std::string& name) {
    for (const Record record : records) {
        Result<void> r;
        if (record.header().kind == Kind::thread)
            r = add_thread(process, record, name);
        else if (record.header().kind != Kind::ticket && record.header().kind != Kind::monitor)
            add(process.records, record);
        if (!r)
            return r;
    }
    return {};
}

Result<void> add_objects(Snapshot& to, const Image& image, const std::string& name) {
    for (const Record record : image.objects()) {
        add(to.objects, record);
        if (const auto* object = record.as<ObjectHeader>())
            to.last_object = std::max(to.last_object, object->id);
        if (record.header().kind != Kind::shared_memory)
            continue;
        const auto* memory = record.as<kinds::SharedMemoryRecord>();
        if (!memory)
            return is_damaged(name);
        const bool is_memfd = memory->type == kinds::SharedMemoryType::memfd;
        to.shared_memory.push_back({memory->object.id, 0, 0, is_memfd ? "/memfd:" : "/dev/zero"});
    }
    std::sort(to.shared_memory.begin(), to.shared_memory.end(),
              [](const auto& a, const auto& b) { return a.id < b.id; });
    return {};
}

Result<void> add_file(Snapshot& to, const Image& image, std::uint32_t object, std::uint64_t size,
                      int fd) {
    Result<capture::FileContents> contents = capture::FileContents::make(object, size);
    if (!contents)
        return contents.error();
    for (const Extent& e : image.shared_memory(object))
        if (Result<void> r = contents->copy(fd, e.offset, e.at, e.size()); !r)
            return r;
    to.files.push_back(std::make_unique<capture::FileContents>(std::move(*contents)));
    return {};
}

Result<void> add_files(Snapshot& to, const Image& image, int fd, const std::string& name) {
    for (const Record record : image.objects()) {
        if (record.header().kind != Kind::unlinked_file)
            continue;
        const auto* file = record.as<kinds::UnlinkedFileRecord>();
        if (!file)
            return is_damaged(name);
        if (file->file == file->object.id)
            if (Result<void> r = add_file(to, image, file->file, file->size, fd); !r)
                return r;
    }
    return {};
}

// At the same offsets.
void add_strings(Snapshot& to, std::span<const char> strings) {
    for (std::size_t at = 1; at < strings.size(); at += std::strlen(&strings[at]) + 1)
        to.strings.add(&strings[at]);
}

} // namespace

// The memory of one process.
class FrozenSnapshot::Pages final : public capture::PageSource {
  public:
    Pages(int fd, const Image& image, std::uint32_t process) : fd_(fd) {
        for (const Extent& e : image.extents(process))
            parts_.push_back({e.at, e.size(), e.offset});
        for (const Mapping& m : image.mappings(process))
            if (m.kind == MappingKind::shared_memory)
                add_view(m, image.shared_memory(m.object));
        std::sort(parts_.begin(), parts_.end(),
                  [](const Part& a, const Part& b) { return a.at < b.at; });
    }
    Result<void> find_pages(const Mapping& m, std::vector<Range>& pages) override {
        for (auto p = first_behind(m.start); p != parts_.end() && p->at < m.end; ++p)
            pages.push_back({std::max(p->at, m.start), std::min(p->end(), m.end)});
        return {};
    }
    Result<std::span<const std::uint8_t>> bytes(Range range) override {
        buffer_.resize(range.size());
        const Result<std::uint64_t> got = read(range, buffer_.data());
        if (!got)
            return got.error();
        return std::span<const std::uint8_t>(buffer_);
    }
    Result<std::uint64_t> read(Range range, std::uint8_t* to) override {
        std::memset(to, 0, range.size());
        for (auto p = first_behind(range.start); p != parts_.end() && p->at < range.end; ++p) {
            const std::uint64_t begin = std::max(p->at, range.start);
            const std::uint64_t size = std::min(p->end(), range.end) - begin;
            if (pread(fd_, to + (begin - range.start), size, off_t(p->offset + (begin - p->at))) !=
                ssize_t(size))
                return Error{EIO, "cannot read the image"};
        }
        return range.size();
    }

  private:
    struct Part {
        std::uint64_t at, size, offset;
        std::uint64_t end() const { return at + size; }
    };
    void add_view(const Mapping& m, std::span<const Extent> extents) {
        const std::uint64_t behind = m.origin_offset + (m.end - m.start);
        for (const Extent& e : extents) {
            const std::uint64_t from = std::max(e.at, m.origin_offset);
            const std::uint64_t to = std::min(e.end(), behind);
            if (from < to)
                parts_.push_back(
                    {m.start + (from - m.origin_offset), to - from, e.offset + (from - e.at)});
        }
    }
    std::vector<Part>::const_iterator first_behind(std::uint64_t address) const {
        return std::partition_point(parts_.begin(), parts_.end(),
                                    [address](const Part& p) { return p.end() <= address; });
    }

    int fd_;
    std::vector<Part> parts_;
    std::vector<std::uint8_t> buffer_;
};

FrozenSnapshot::FrozenSnapshot() = default;
FrozenSnapshot::FrozenSnapshot(FrozenSnapshot&&) noexcept = default;
FrozenSnapshot::~FrozenSnapshot() = default;

Result<FrozenSnapshot> FrozenSnapshot::read(int fd, const std::string& name,
                                            capture::Snapshot& to) {
    Result<Image> image = read_image(fd);
    if (!image)
        return Error{image.error().code, "'" + name + "': " + image.error().sentence};
    if (image->header().flags & flag_travels)
        return Error{EINVAL, "'" + name +
                                 "' is on a journey of its own (rfork(3)): it runs once, "
                                 "where it was sent"};
    if (!image->backings().empty())
        return Error{ENOTSUP, "'" + name + "' needs another file to be whole"};
    FrozenSnapshot frozen;
    frozen.image_ = std::make_unique<Image>(std::move(*image));
    const Image& from = *frozen.image_;
    to.created = from.header().created;
    add_strings(to, from.table<char>(SectionKind::strings));
    if (Result<void> r = add_objects(to, from, name); !r)
        return r.error();
    if (Result<void> r = add_files(to, from, fd, name); !r)
        return r.error();
    for (const Process& was : from.processes()) {
        ProcessSnapshot& process = to.processes.emplace_back(to);
        process.identity.pid = was.pid;
        process.identity.parent = was.parent;
        process.identity.process_group = was.process_group;
        process.identity.session = was.session;
        process.identity.exit_signal = was.exit_signal;
        const auto mappings = from.mappings(was.id);
        process.mappings.assign(mappings.begin(), mappings.end());
        const auto descriptors = from.descriptors(was.id);
        process.descriptors.assign(descriptors.begin(), descriptors.end());
        if (Result<void> r = add_state(process, from.state(was.id), name); !r)
            return r.error();
        frozen.pages_.push_back(std::make_unique<Pages>(fd, from, was.id));
        process.pages = frozen.pages_.back().get();
    }
    return frozen;
}

} // namespace rfork::image
