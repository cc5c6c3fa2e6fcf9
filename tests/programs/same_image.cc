// same_image A B - whether two images are equal byte for byte, but for what names the call: id,
// times, and the hash over them. Says where they differ.
#include "format/kinds.h"
#include "format/records/process.h"
#include "image/reader.h"

#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace rfork;

namespace {

struct Loaded {
    image::Image image;
    std::vector<std::byte> bytes;
};

template <class T>
T must(Result<T> result, const char *path) {
    if (result)
        return std::move(*result);
    std::fprintf(stderr, "same_image: %s: %s\n", path, result.error().sentence.c_str());
    _exit(2);
}

void forget(std::vector<std::byte> &bytes, std::uint64_t offset, std::size_t size) {
    std::memset(bytes.data() + offset, 0, size);
}

// What names the call.
void forget_call(Loaded &loaded) {
    const image::Header &header = loaded.image.header();
    const std::uint64_t at = header.metadata_offset;
    forget(loaded.bytes, at + offsetof(image::Header, id), sizeof header.id);
    forget(loaded.bytes, at + offsetof(image::Header, created), sizeof header.created);
    forget(loaded.bytes, at + offsetof(image::Header, metadata_hash), sizeof header.metadata_hash);
    const image::Section &closing = *loaded.image.section(image::SectionKind::closing);
    forget(loaded.bytes, closing.offset + offsetof(image::Closing, id), sizeof header.id);
    std::uint64_t record_at = loaded.image.section(image::SectionKind::state, 1)->offset;
    for (image::Record record : loaded.image.state()) {
        if (record.header().kind == image::Kind::process)
            forget(loaded.bytes, record_at + offsetof(kinds::ProcessRecord, monotonic),
                   3 * sizeof(std::int64_t));
        record_at += record.bytes().size();
    }
}

Loaded load(const char *path) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    Loaded loaded{must(image::read_image(fd), path), {}};
    if (Result<void> r = image::verify_pages(fd, loaded.image); !r) {
        std::fprintf(stderr, "same_image: %s: %s\n", path, r.error().sentence.c_str());
        _exit(2);
    }
    loaded.bytes.resize(loaded.image.header().file_size);
    if (pread(fd, loaded.bytes.data(), loaded.bytes.size(), 0) != ssize_t(loaded.bytes.size()))
        _exit(2);
    close(fd);
    forget_call(loaded);
    return loaded;
}

void tell(const image::Image &image, std::uint64_t offset) {
    for (const image::Section &s : image.sections())
        if (s.offset <= offset && offset < s.offset + s.size)
            std::printf("they differ at %#lx, %#lx into '%.16s'\n", offset, offset - s.offset,
                        s.name);
    for (const image::Extent &e : image.extents())
        if (e.offset <= offset && offset < e.offset + e.size())
            std::printf("which is address %#lx\n", e.at + (offset - e.offset));
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    const Loaded a = load(argv[1]), b = load(argv[2]);
    if (a.bytes.size() != b.bytes.size()) {
        std::printf("one has %zu bytes, the other %zu\n", a.bytes.size(), b.bytes.size());
        return 1;
    }
    unsigned differences = 0;
    for (std::size_t at = 0; at < a.bytes.size(); ++at)
        if (a.bytes[at] != b.bytes[at] && ++differences <= 20)
            tell(a.image, at);
    return differences ? 1 : 0;
}
