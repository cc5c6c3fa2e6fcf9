// join_images JOINED [--damage N | --strangers] IMAGE ... - makes one image of several, each of one
// process, that were frozen one after the other by a family whose members share what they have open
// and mapped (family.c). What they share is taken from the first. With --damage a byte of the
// memory of process N is not what its checksum says. With --strangers they are brought back as
// programs that have no code of the library's by which to leave the stub.
#include "format/kinds.h"
#include "format/records/shared_memory.h"
#include "format/records/thread.h"
#include "image/reader.h"
#include "image/sink.h"
#include "image/writer.h"
#include "snapshot/snapshot.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace rfork;
using capture::ProcessSnapshot;
using capture::Range;
using capture::Snapshot;
using image::Extent;
using image::Mapping;

namespace {

[[noreturn]] void fail(const char *path, const std::string &why) {
    std::fprintf(stderr, "join_images: %s: %s\n", path, why.c_str());
    _exit(1);
}

template <class T>
T must(Result<T> result, const char *path) {
    if (!result)
        fail(path, result.error().sentence);
    return std::move(*result);
}

// The memory of a process that an image holds.
class FrozenPages : public capture::PageSource {
  public:
    FrozenPages(int fd, const image::Image &image) : fd_(fd) {
        for (const Extent &e : image.extents())
            parts_.push_back({e.at, e.size(), e.offset});
        for (const Mapping &m : image.mappings())
            if (m.kind == image::MappingKind::shared_memory)
                add_view(m, image.shared_memory(m.object));
        std::sort(parts_.begin(), parts_.end(),
                  [](const Part &a, const Part &b) { return a.at < b.at; });
    }
    Result<void> find_pages(const Mapping &m, std::vector<Range> &pages) override {
        for (const Part &p : parts_)
            if (p.at < m.end && m.start < p.at + p.size)
                pages.push_back({std::max(p.at, m.start), std::min(p.at + p.size, m.end)});
        return {};
    }
    Result<std::span<const std::uint8_t>> bytes(Range range) override {
        buffer_.resize(range.size());
        const Result<std::uint64_t> got = read(range, buffer_.data());
        if (!got)
            return got.error();
        return std::span<const std::uint8_t>(buffer_);
    }
    Result<std::uint64_t> read(Range range, std::uint8_t *to) override {
        std::memset(to, 0, range.size());
        for (const Part &p : parts_) {
            const std::uint64_t begin = std::max(p.at, range.start),
                                end = std::min(p.at + p.size, range.end);
            if (begin < end && pread(fd_, to + (begin - range.start), end - begin,
                                     off_t(p.offset + (begin - p.at))) != ssize_t(end - begin))
                return Error{EIO, "cannot read an image"};
        }
        return range.size();
    }

  private:
    struct Part {
        std::uint64_t at, size, offset;
    };
    void add_view(const Mapping &m, std::span<const Extent> extents) {
        const std::uint64_t size = m.end - m.start;
        for (const Extent &e : extents)
            for (std::uint64_t at = e.at; at < e.end(); at += image::page_size)
                if (at >= m.origin_offset && at - m.origin_offset < size)
                    parts_.push_back({m.start + (at - m.origin_offset), image::page_size,
                                      e.offset + (at - e.at)});
    }

    int fd_;
    std::vector<Part> parts_;
    std::vector<std::uint8_t> buffer_;
};

struct Loaded {
    explicit Loaded(const char *path)
        : fd(open(path, O_RDONLY | O_CLOEXEC)), image(must(image::read_image(fd), path)),
          pages(fd, image) {}
    int fd;
    image::Image image;
    FrozenPages pages;
};

struct AnyRecord {
    image::RecordHeader header;
};

void add(capture::RecordList &list, image::Record record) {
    const auto rest = record.bytes().subspan(sizeof(image::RecordHeader));
    list.add(record.header().kind, AnyRecord{}, rest.data(), rest.size());
}

void add_thread(ProcessSnapshot &process, image::Record whole) {
    capture::Thread thread;
    thread.record = *whole.as<kinds::ThreadRecord>();
    thread.xstate.resize(thread.record.xstate_size);
    std::memcpy(thread.xstate.data(), whole.bytes().data() + sizeof thread.record,
                thread.xstate.size());
    process.departure = thread.record.departure;
    process.threads.push_back(std::move(thread));
}

void add_process(Snapshot &all, Loaded &from) {
    const image::Process &was = from.image.processes()[0];
    ProcessSnapshot &process = all.processes.emplace_back(all);
    process.identity.pid = was.pid;
    process.identity.parent = was.parent;
    process.identity.process_group = was.process_group;
    process.identity.session = was.session;
    process.identity.exit_signal = was.exit_signal;
    process.unmaps_window = true;
    process.pages = &from.pages;
    const auto mappings = from.image.mappings();
    process.mappings.assign(mappings.begin(), mappings.end());
    const auto descriptors = from.image.descriptors();
    process.descriptors.assign(descriptors.begin(), descriptors.end());
    for (image::Record record : from.image.state()) {
        if (record.header().kind == image::Kind::thread)
            add_thread(process, record);
        else
            add(process.records, record);
    }
}

// rfork_landing is where they wake up all the same, and finds no window to unmap.
void make_stranger(ProcessSnapshot &process) {
    process.unmaps_window = false;
    process.departure = 0;
    arch::Registers &registers = process.threads.front().record.registers;
    registers.rdi = registers.rsi = registers.rdx = 0;
}

void add_objects(Snapshot &all, const image::Image &image) {
    for (image::Record record : image.objects()) {
        add(all.objects, record);
        if (record.header().kind != image::Kind::shared_memory)
            continue;
        const auto &memory = *record.as<kinds::SharedMemoryRecord>();
        const bool is_memfd = memory.type == kinds::SharedMemoryType::memfd;
        all.shared_memory.push_back({memory.object.id, 0, 0, is_memfd ? "/memfd:" : "/dev/zero"});
    }
}

bool is_same(std::span<const std::byte> a, std::span<const std::byte> b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

// The offsets of strings and the ids of objects mean the same in all of them.
void check_fits(const image::Image &first, const image::Image &other, const char *path) {
    const auto strings = image::SectionKind::strings;
    if (!is_same(first.table<std::byte>(strings), other.table<std::byte>(strings)))
        fail(path, "it has other strings than the first");
    auto mine = other.objects().begin();
    for (image::Record record : first.objects()) {
        if (!(mine != other.objects().end()) || (*mine).header().kind != record.header().kind)
            fail(path, "it has other objects than the first");
        ++mine;
    }
}

void damage(int fd, std::uint32_t process, const char *path) {
    const image::Image image = must(image::read_image(fd), path);
    const Extent &last = image.extents(process).back();
    char byte;
    if (pread(fd, &byte, 1, off_t(last.offset)) != 1)
        fail(path, "it cannot be read");
    byte ^= 1;
    if (pwrite(fd, &byte, 1, off_t(last.offset)) != 1)
        fail(path, "it cannot be changed");
}

} // namespace

int main(int argc, char **argv) {
    const bool damages = argc > 3 && !std::strcmp(argv[2], "--damage");
    const bool strangers = argc > 3 && !std::strcmp(argv[2], "--strangers");
    if (argc < 3)
        return 2;
    std::deque<Loaded> images;
    Snapshot all;
    for (int i = damages ? 4 : strangers ? 3 : 2; i < argc; ++i) {
        images.emplace_back(argv[i]);
        check_fits(images.front().image, images.back().image, argv[i]);
        add_process(all, images.back());
        if (strangers)
            make_stranger(all.processes.back());
    }
    const image::Image &first = images.front().image;
    all.created = first.header().created;
    if (getrandom(&all.id, sizeof all.id, 0) != sizeof all.id)
        return 1;
    const auto strings = first.table<char>(image::SectionKind::strings);
    for (std::size_t at = 1; at < strings.size(); at += std::strlen(&strings[at]) + 1)
        all.strings.add(&strings[at]);
    add_objects(all, first);

    unlink(argv[1]); // which somebody may be executing
    const int fd = open(argv[1], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    if (fd < 0)
        fail(argv[1], std::strerror(errno));
    image::DescriptorSink sink(fd);
    image::Progress progress{};
    must(image::write_image(all, sink, progress), argv[1]);
    if (damages)
        damage(fd, std::uint32_t(std::atoi(argv[3])), argv[1]);
    return close(fd);
}
