// freeze(), second half: from a snapshot to a file or a stream, from front to back.
//
//   lay_out        where everything goes, in memory and in the file
//   front          ELF views, stub, metadata (front.cc)
//   pages          memory, by way of a buffer, hashing as it goes
//   hashes         of all extents
//   closing record, by which a reader knows that nothing is missing
//
// What is hashed is what is stored. Memory that is being written does not stand still, although its
// only thread is here: another process may write into what it shares with us; the kernel writes
// into what a restartable sequence, a user event (user_events) or a read in flight was registered
// for; libc puts an errno or a cache of its own into thread-local storage. Stored first and then
// hashed, or the other way round, such a page would now and then contradict its own hash, and an
// image that was reported good would be refused by every stub. So each extent is copied once, into
// memory that nobody else knows, and both are done from there. (The last of what is not the page's
// own is taken away as well where that is possible: api/copy.cc gives up the restartable
// sequences before all else.) Front and metadata are built in such memory.
#include "image/writer.h"

#include "base/hash.h"
#include "image/front.h"
#include "image/layout.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace rfork::image {
namespace {

// Memory on its way into the sink, in pieces that the processor's cache holds while they are
// hashed and stored. Small extents share a piece.
class PageWriter {
  public:
    PageWriter(Sink& sink, std::uint64_t offset, Progress& progress)
        : sink_(sink), at_(offset), progress_(progress), piece_(piece_size) {}

    Result<void> add(const Stored& stored, std::uint64_t& hash_of_extent) {
        if (Result<void> r = skip_to(stored.extent.offset); !r)
            return r;
        RunningHash hash(unit_);
        const std::uint64_t size = stored.extent.size();
        for (std::uint64_t done = 0; done < size;) {
            const Result<std::uint64_t> got = read(stored, done);
            if (!got)
                return got.error();
            hash.add(std::as_bytes(std::span(piece_).subspan(used_, *got)));
            used_ += *got;
            done += *got;
        }
        hash_of_extent = hash.value();
        __atomic_add_fetch(&progress_.done, size, __ATOMIC_RELAXED);
        return {};
    }
    // What a mapped file does not have (its mapping is longer) is left out.
    Result<void> skip_to(std::uint64_t offset) {
        if (offset == at_ + used_)
            return {};
        if (Result<void> r = flush(); !r)
            return r;
        const std::uint64_t gap = offset - at_;
        at_ = offset;
        return sink_.write_zeroes(gap);
    }
    Result<void> flush() {
        Result<void> r = sink_.write(std::span(piece_).first(used_));
        at_ += used_;
        used_ = 0;
        return r;
    }

  private:
    Result<std::uint64_t> read(const Stored& stored, std::uint64_t done) {
        if (used_ == piece_size)
            if (Result<void> r = flush(); !r)
                return r.error();
        const std::uint64_t wanted =
            std::min<std::uint64_t>(piece_size - used_, stored.extent.size() - done);
        const std::uint64_t from = stored.address + done;
        const Result<std::uint64_t> got =
            stored.pages->read({from, from + wanted}, piece_.data() + used_);
        if (got && *got != wanted)
            return Error{EIO, "a file that the process has mapped became shorter while the image "
                              "was written: try again"};
        return got;
    }

    static constexpr std::size_t piece_size = 64 * 1024;
    Sink& sink_;
    std::uint64_t at_; // in the file, of the beginning of the piece
    Progress& progress_;
    const HashUnit unit_;
    std::vector<std::uint8_t> piece_;
    std::size_t used_ = 0;
};

Result<std::vector<std::uint64_t>> write_pages(const Layout& layout, Sink& sink,
                                               Progress& progress) {
    __atomic_store_n(&progress.all, layout.pages_size, __ATOMIC_RELAXED);
    const Section& pages = section(layout, SectionKind::pages);
    PageWriter writer(sink, pages.offset, progress);
    std::vector<std::uint64_t> hashes(layout.stored.size());
    for (std::size_t i = 0; i < hashes.size(); ++i)
        if (Result<void> r = writer.add(layout.stored[i], hashes[i]); !r)
            return r.error();
    if (Result<void> r = writer.skip_to(pages.offset + pages.size); !r)
        return r.error();
    if (Result<void> r = writer.flush(); !r)
        return r.error();
    return hashes;
}

Result<void> write_end(const Layout& layout, const std::vector<std::uint64_t>& hashes, Sink& sink) {
    const std::span<const std::byte> bytes = std::as_bytes(std::span(hashes));
    Closing closing{{}, layout.header.id, layout.header.file_size, hash(bytes)};
    std::memcpy(closing.magic, closing_magic, sizeof closing.magic);
    std::vector<std::uint8_t> end(bytes.size() + sizeof closing);
    std::memcpy(end.data(), bytes.data(), bytes.size());
    std::memcpy(end.data() + bytes.size(), &closing, sizeof closing);
    return sink.write(end);
}

} // namespace

Result<Written> write_image(const capture::Snapshot& snapshot, Sink& sink, Progress& progress) {
    const Result<Layout> layout = lay_out(snapshot, padded_stub_size());
    if (!layout)
        return layout.error();
    {
        const Result<Front> front = Front::build(*layout);
        if (!front)
            return front.error();
        if (Result<void> r = sink.write(front->bytes()); !r)
            return r.error();
    }
    const Result<std::vector<std::uint64_t>> hashes = write_pages(*layout, sink, progress);
    if (!hashes)
        return hashes.error();
    if (Result<void> r = write_end(*layout, *hashes, sink); !r)
        return r.error();
    return Written{layout->header.file_size};
}

} // namespace rfork::image
