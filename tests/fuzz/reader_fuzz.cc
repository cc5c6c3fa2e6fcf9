// Feeds the reader with arbitrary files. It may say what it likes, but not crash, and what it
// accepts must bear being walked to the end.
//
// Behind checksums a fuzzer sees nothing, so each input is tried twice: as it is, and with the
// checksums put right wherever the input says that they lie.
//
//   clang++ -std=c++20 -g -fsanitize=fuzzer,address,undefined -DRFORK_LIBFUZZER -Ilibrfork
//       -Itests/unit tests/fuzz/reader_fuzz.cc librfork/image/{check_*,reader}.cc -o reader_fuzz
//
// Without RFORK_LIBFUZZER it is an ordinary program, for CTest: it runs over the files named on its
// command line, or over mutations of a valid image, the same ones each time.
#include "environment.h"
#include "synthetic_image.h"

#include "image/reader.h"

#include <algorithm>
#include <cstdint>

namespace {

using Bytes = std::vector<std::byte>;
using namespace rfork;

std::size_t characters_seen = 0; // keeps the walk from being optimised away

void walk(image::Records records) {
    for (image::Record record : records)
        characters_seen += record.bytes().size();
}

void walk(std::span<const image::Extent> extents) {
    for (const image::Extent& extent : extents)
        characters_seen += extent.size();
}

void walk(const image::Image& image) {
    walk(image.objects());
    for (const image::Process& process : image.processes()) {
        walk(image.state(process.id));
        for (const image::Mapping& mapping : image.mappings(process.id))
            characters_seen += image.string(mapping.name)->size();
        walk(image.extents(process.id));
    }
    for (const image::Section& section : image.sections())
        if (section.kind == image::SectionKind::shared_memory)
            walk(image.shared_memory(section.owner));
}

void read_everything(const Bytes& bytes) {
    auto file = test::memory_file(bytes);
    auto front = image::read_front(file.get());
    auto image = image::read_image(file.get());
    if (image && !front)
        __builtin_trap(); // the deeper check must include the cheaper one
    if (!image)
        return;
    walk(*image);
    (void)static_cast<bool>(image::verify_pages(file.get(), *image));
}

// Where the synthetic image has the offset of its metadata: in its second program header.
constexpr std::size_t offset_at =
    sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr) + offsetof(Elf64_Phdr, p_offset);

// Where the synthetic image has it, if there is as much.
void put_closing_right(Bytes& bytes) {
    constexpr std::size_t size = test::file_size - sizeof(image::Closing) - test::hashes_offset;
    image::Closing closing;
    if (bytes.size() < test::file_size)
        return;
    std::memcpy(&closing, &bytes[test::hashes_offset + size], sizeof closing);
    closing.hashes_hash = hash(std::span(bytes).subspan(test::hashes_offset, size));
    std::memcpy(&bytes[test::hashes_offset + size], &closing, sizeof closing);
}

bool put_checksums_right(Bytes& bytes) {
    std::uint64_t offset;
    image::Header header;
    if (bytes.size() < offset_at + sizeof offset)
        return false;
    std::memcpy(&offset, &bytes[offset_at], sizeof offset);
    if (offset > bytes.size() || bytes.size() - offset < sizeof header)
        return false;
    std::memcpy(&header, &bytes[offset], sizeof header);
    if (header.metadata_size < sizeof header || header.metadata_size > bytes.size() - offset)
        return false;

    header.front_hash = hash(std::span(bytes).first(offset));
    header.metadata_hash = 0;
    std::memcpy(&bytes[offset], &header, sizeof header);
    header.metadata_hash = hash(std::span(bytes).subspan(offset, header.metadata_size));
    std::memcpy(&bytes[offset], &header, sizeof header);
    put_closing_right(bytes);
    return true;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto begin = reinterpret_cast<const std::byte*>(data);
    Bytes bytes(begin, begin + size);
    read_everything(bytes);
    if (put_checksums_right(bytes))
        read_everything(bytes);
    return 0;
}

#ifndef RFORK_LIBFUZZER

#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>

namespace {

void run(const Bytes& bytes) {
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

bool run_file(const char* path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        std::fprintf(stderr, "reader_fuzz: cannot open %s\n", path);
        return false;
    }
    std::vector<char> content{std::istreambuf_iterator<char>(file), {}};
    auto bytes = std::as_bytes(std::span(content));
    run(Bytes(bytes.begin(), bytes.end()));
    return true;
}

// Values at which arithmetic goes wrong, put where numbers are.
void run_mutations(unsigned count) {
    constexpr std::uint64_t interesting[] = {0,
                                             1,
                                             7,
                                             8,
                                             0xfff,
                                             0x1000,
                                             0x7fffffff,
                                             0xffffffff,
                                             std::uint64_t{1} << 47,
                                             ~std::uint64_t{0} >> 1,
                                             ~std::uint64_t{0} - 0xfff,
                                             ~std::uint64_t{0}};
    const Bytes valid = test::SyntheticImage().bytes();
    const std::size_t metadata_end = test::metadata_offset + test::SyntheticImage::metadata_bytes;
    std::mt19937 random(test::from_environment("FUZZ_SEED", 1989));
    auto below = [&random](std::size_t n) { return random() % n; };

    for (unsigned i = 0; i < count; ++i) {
        Bytes bytes = valid;
        for (std::size_t changes = 1 + below(3); changes != 0; --changes) {
            const std::size_t where = below(8);
            std::size_t at =
                where == 0   ? test::hashes_offset + below(valid.size() - test::hashes_offset)
                : where <= 2 ? below(sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr))
                             : test::metadata_offset + below(metadata_end - test::metadata_offset);
            std::size_t size = std::size_t{1} << below(4);
            at -= at % size;
            std::uint64_t value = below(2) ? interesting[below(std::size(interesting))] : random();
            std::memcpy(&bytes[at], &value, std::min(size, bytes.size() - at));
        }
        if (below(16) == 0)
            bytes.resize(below(bytes.size()));
        run(bytes);
    }
}

} // namespace

int main(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
        if (!run_file(argv[i]))
            return 1;
    }
    if (argc == 1) {
        run(test::SyntheticImage().bytes());
        run_mutations(20000 * test::from_environment("FUZZ_TIMES", 1));
    }
    std::printf("EXIT-SUCCESS (%zu)\n", characters_seen);
    return 0;
}

#endif
