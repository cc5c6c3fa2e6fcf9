// The reader accepts what the format allows, and nothing else.
#include "format/kinds.h"
#include "synthetic_image.h"

#include "image/reader.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <functional>
#include <string>

using namespace rfork;
using namespace rfork::image;
using rfork::test::memory_file;
using rfork::test::SyntheticImage;

namespace {

// The sentence with which the reader refuses a change to the synthetic image; "" if it accepts it.
std::string refusal(const std::function<void(SyntheticImage&)>& change) {
    SyntheticImage image;
    change(image);
    auto file = memory_file(image.bytes());
    auto read = read_image(file.get());
    return read ? "" : read.error().sentence;
}

std::string refusal_of(std::string_view content) {
    auto file = memory_file(std::as_bytes(std::span(content)));
    auto read = read_front(file.get());
    return read ? "" : read.error().sentence;
}

} // namespace

using Catch::Matchers::Contains;

TEST_CASE("a valid image is read as it was written") {
    SyntheticImage written;
    auto file = memory_file(written.bytes());

    auto front = read_front(file.get());
    REQUIRE(front);
    CHECK(front->id.bytes[15] == 15);

    auto image = read_image(file.get());
    REQUIRE(image);
    REQUIRE(image->section(SectionKind::core_view, 1));
    CHECK(image->section(SectionKind::core_view, 2)->offset == 0x3100);
    CHECK(image->section(SectionKind::core_view, 3) == nullptr);
    REQUIRE(image->mappings().size() == 3);
    CHECK(image->mappings()[1].start == 0x500000);
    CHECK(image->string(image->mappings()[0].name) == "/usr/bin/true");
    CHECK(image->string(image->mappings()[1].name) == "[heap]");
    CHECK(image->string(0) == "");
    CHECK_FALSE(image->string(1000));
    CHECK(image->extents().size() == 2);

    std::vector<Kind> kinds;
    for (Record record : image->state())
        kinds.push_back(record.header().kind);
    CHECK(kinds == std::vector{Kind::cpu, Kind::umask});
    CHECK(verify_pages(file.get(), *image));
}

TEST_CASE("each process of an image has its own, and what they share is there once") {
    auto file = memory_file(SyntheticImage().bytes());
    auto image = read_image(file.get());
    REQUIRE(image);
    REQUIRE(image->processes().size() == 2);
    CHECK(image->processes()[1].pid == 101);
    CHECK(image->processes()[1].parent == image->processes()[0].pid);
    CHECK(image->mappings(2).size() == 1);
    CHECK(image->mappings(3).empty());
    REQUIRE(image->descriptors(1).size() == 2);
    CHECK(image->descriptors(1)[1].fd == 3);
    CHECK(image->descriptors(2).size() == 1);
    REQUIRE(image->extents(2).size() == 1);
    CHECK(image->extents(2)[0].offset == 0x7000);
    REQUIRE(image->shared_memory(1).size() == 1);
    CHECK(image->shared_memory(2).empty());
    std::size_t objects = 0;
    for (Record record : image->objects())
        objects += record.header().kind == Kind::event_fd;
    CHECK(objects == 1);
    const auto hashes = read_hashes(file.get(), *image);
    REQUIRE(hashes);
    CHECK(hashes->size() == 4);
}

TEST_CASE("a record is never taken for a longer one") {
    struct Longer {
        RecordHeader header;
        std::uint64_t content[2];
    };
    auto file = memory_file(SyntheticImage().bytes());
    auto image = read_image(file.get());
    REQUIRE(image);
    for (Record record : image->state()) {
        CHECK(record.as<RecordHeader>() != nullptr);
        CHECK(record.as<Longer>() == nullptr);
    }
}

TEST_CASE("every corrupted byte of front and metadata is noticed") {
    auto bytes = SyntheticImage().bytes();
    auto file = memory_file(bytes);
    const std::size_t end = test::metadata_offset + SyntheticImage::metadata_bytes;
    for (std::size_t at = 0; at < end; ++at) {
        for (unsigned flip : {0x01u, 0x80u, 0xffu}) {
            std::byte corrupted = bytes[at] ^ std::byte(flip);
            REQUIRE(::pwrite(file.get(), &corrupted, 1, static_cast<off_t>(at)) == 1);
            INFO("offset " << at << " flipped by " << flip);
            REQUIRE_FALSE(read_front(file.get()));
            REQUIRE_FALSE(read_image(file.get()));
        }
        REQUIRE(::pwrite(file.get(), &bytes[at], 1, static_cast<off_t>(at)) == 1);
    }
    CHECK(read_front(file.get()));
}

TEST_CASE("every corrupted byte of the pages is noticed by verify_pages") {
    auto bytes = SyntheticImage().bytes();
    auto file = memory_file(bytes);
    auto image = read_image(file.get());
    REQUIRE(image);
    const std::size_t closing = bytes.size() - sizeof(Closing);
    for (std::size_t at = test::pages_offset; at < closing; ++at) {
        std::byte corrupted = ~bytes[at];
        REQUIRE(::pwrite(file.get(), &corrupted, 1, static_cast<off_t>(at)) == 1);
        INFO("offset " << at);
        REQUIRE_FALSE(verify_pages(file.get(), *image));
        REQUIRE(::pwrite(file.get(), &bytes[at], 1, static_cast<off_t>(at)) == 1);
    }
    CHECK(verify_pages(file.get(), *image));
}

TEST_CASE("every corrupted byte of the closing record is noticed") {
    auto bytes = SyntheticImage().bytes();
    auto file = memory_file(bytes);
    for (std::size_t at = bytes.size() - sizeof(Closing); at < bytes.size(); ++at) {
        std::byte corrupted = ~bytes[at];
        REQUIRE(::pwrite(file.get(), &corrupted, 1, static_cast<off_t>(at)) == 1);
        INFO("offset " << at);
        auto image = read_image(file.get());
        REQUIRE_FALSE((image && verify_pages(file.get(), *image)));
        REQUIRE(::pwrite(file.get(), &bytes[at], 1, static_cast<off_t>(at)) == 1);
    }
}

TEST_CASE("an image cut short anywhere is refused") {
    auto bytes = SyntheticImage().bytes();
    auto file = memory_file(bytes);
    for (std::size_t length = bytes.size() - 1;; --length) {
        REQUIRE(::ftruncate(file.get(), static_cast<off_t>(length)) == 0);
        INFO("length " << length);
        REQUIRE_FALSE(read_front(file.get()));
        if (length == 0)
            break;
    }
}

TEST_CASE("truncation is called by its name") {
    auto bytes = SyntheticImage().bytes();
    bytes.pop_back();
    auto file = memory_file(bytes);
    auto read = read_front(file.get());
    REQUIRE_FALSE(read);
    CHECK_THAT(read.error().sentence, Contains("truncated: 36935 of its 36936 bytes"));
}

TEST_CASE("an image with something appended is refused") {
    auto bytes = SyntheticImage().bytes();
    bytes.push_back(std::byte{});
    auto file = memory_file(bytes);
    CHECK_FALSE(read_front(file.get()));
}

TEST_CASE("an image for another architecture is refused by its name") {
    CHECK_THAT(refusal([](auto& image) { image.elf.e_machine = EM_AARCH64; }),
               Contains("another architecture") && Contains("AArch64"));
    CHECK_THAT(refusal([](auto& image) { image.elf.e_machine = EM_RISCV; }), Contains("RISC-V"));
    CHECK_THAT(refusal([](auto& image) { image.elf.e_machine = 4711; }), Contains("4711"));
    CHECK_THAT(refusal([](auto& image) { image.elf.e_ident[EI_DATA] = ELFDATA2MSB; }),
               Contains("another architecture"));
}

TEST_CASE("an image of another format version is refused with both versions") {
    CHECK_THAT(refusal([](auto& image) { image.metadata.header.version = 77; }),
               Contains("format version 77"));
}

TEST_CASE("a section that is not known is refused by its name, if it is one to be understood") {
    auto unknown = [](bool must_understand) {
        return [must_understand](SyntheticImage& image) {
            Section& s = image.metadata.sections[SyntheticImage::core2];
            s = {SectionKind{200}, must_understand, 0, 0x3100, 0x100, "delta"};
        };
    };
    CHECK_THAT(refusal(unknown(true)), Contains("section 'delta', which this release does not"));
    CHECK(refusal(unknown(false)) == "");
}

TEST_CASE("pages of another size are refused with both sizes") {
    CHECK_THAT(refusal([](auto& image) { image.metadata.header.page_size = 65536; }),
               Contains("pages of 65536 bytes") && Contains("pages of 4096"));
}

TEST_CASE("what is no image is told so") {
    CHECK_THAT(refusal_of(""), Contains("not an rfork image"));
    CHECK_THAT(refusal_of("\x7f"
                          "ELF"),
               Contains("not an rfork image"));
    CHECK_THAT(refusal_of("#!/bin/sh\necho hello\n" + std::string(100, '#')),
               Contains("it is no ELF file"));
    CHECK_THAT(refusal([](auto& image) { image.elf.e_type = ET_CORE; }), Contains("core file"));
    CHECK_THAT(refusal([](auto& image) { image.elf.e_type = ET_DYN; }), Contains("other ELF file"));
    CHECK_THAT(refusal([](auto& image) { image.programs[1].p_type = PT_NOTE; }),
               Contains("ordinary executable"));
    CHECK_THAT(refusal([](auto& image) { image.metadata.header.magic[0] = 'x'; }),
               Contains("ordinary executable"));

    UniqueFd directory(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    CHECK_FALSE(read_front(directory.get()));
}

// Each of these has right checksums: an enemy computes them as well as we do.
TEST_CASE("a structure that points outside itself is refused") {
    using Change = std::function<void(SyntheticImage&)>;
    constexpr std::uint64_t huge = ~std::uint64_t{0} - 7;
    auto header = [](auto change) {
        return Change([change](SyntheticImage& image) { change(image.metadata.header); });
    };
    auto mapping = [](auto change) {
        return Change([change](SyntheticImage& image) { change(image.metadata.mappings1[0]); });
    };
    constexpr auto core1 = SyntheticImage::core1, pages_at = SyntheticImage::pages_section,
                   hashes_at = SyntheticImage::hashes_section,
                   closing_at = SyntheticImage::closing_section;
    auto section = [](unsigned which, auto change) {
        return Change(
            [which, change](SyntheticImage& image) { change(image.metadata.sections[which]); });
    };
    auto extent = [](auto change) {
        return Change([change](SyntheticImage& image) { change(image.metadata.extents1[0]); });
    };

    const std::pair<const char*, Change> changes[] = {
        {"program headers behind the first page", [](auto& i) { i.elf.e_phnum = 73; }},
        {"entry point outside the stub",
         [](auto& i) { i.elf.e_entry = test::window_base + 0x1000; }},
        {"stub loaded elsewhere", [](auto& i) { i.programs[0].p_vaddr += 0x1000; }},
        {"stub larger than its memory", [](auto& i) { i.programs[0].p_filesz = huge; }},
        {"metadata loaded elsewhere", [](auto& i) { i.programs[1].p_vaddr += 0x1000; }},
        {"metadata not wholly loaded", [](auto& i) { i.programs[1].p_filesz -= 1; }},
        {"more memory than the window", [](auto& i) { i.programs[1].p_memsz = huge; }},
        {"wrong machine", header([](auto& h) { h.machine = EM_386; })},
        {"wrong header size", header([](auto& h) { h.header_size += 8; })},
        {"file size too small", header([](auto& h) { h.file_size -= 0x1000; })},
        {"file size too large", header([](auto& h) { h.file_size = huge; })},
        {"other metadata offset", header([](auto& h) { h.metadata_offset += 0x1000; })},
        {"huge metadata", header([](auto& h) { h.metadata_size = huge; })},
        {"metadata beyond the file", header([](auto& h) { h.metadata_size = 0x7100; })},
        {"metadata smaller than the header", header([](auto& h) { h.metadata_size = 8; })},
        {"more sections than there is room", header([](auto& h) { h.sections = 1000; })},
        {"a huge number of sections", header([](auto& h) { h.sections = ~0u; })},
        {"no sections", header([](auto& h) { h.sections = 0; })},
        {"a section less", header([](auto& h) { h.sections -= 1; })},
        {"core view within the metadata", section(core1, [](auto& s) { s.offset = 0x2008; })},
        {"huge core view", section(core1, [](auto& s) { s.size = huge; })},
        {"core view without room for its header", section(core1, [](auto& s) { s.size = 8; })},
        {"core view of nobody", section(core1, [](auto& s) { s.owner = 3; })},
        {"two core views of one process", section(core1, [](auto& s) { s.owner = 2; })},
        {"pages within the core view", section(pages_at, [](auto& s) { s.offset = 0x3000; })},
        {"pages behind the file", section(pages_at, [](auto& s) { s.offset = 0xa000; })},
        {"pages not aligned", section(pages_at, [](auto& s) { s.offset = 0x4008; })},
        {"a checksum less", section(hashes_at, [](auto& s) { s.size -= 8; })},
        {"checksums elsewhere", section(hashes_at, [](auto& s) { s.offset -= 8; })},
        {"closing record not at the end", section(closing_at, [](auto& s) { s.offset -= 8; })},
        {"closing record too short", section(closing_at, [](auto& s) { s.size -= 8; })},
        {"no room for the checksums",
         header([](auto& h) { h.window.stacks = h.window.hashes + 8; })},
        {"no process", section(SyntheticImage::processes, [](auto& s) { s.size = 0; })},
        {"a process and a half", section(SyntheticImage::processes, [](auto& s) { s.size = 36; })},
        {"processes out of order", [](auto& i) { i.metadata.processes[1].id = 1; }},
        {"two processes with one pid", [](auto& i) { i.metadata.processes[1].pid = 100; }},
        {"its own parent", [](auto& i) { i.metadata.processes[1].parent = 101; }},
        {"a stranger's child", [](auto& i) { i.metadata.processes[1].parent = 7; }},
        {"common files twice", section(SyntheticImage::common_memory,
                                       [](auto& s) { s.kind = SectionKind::descriptors; })},
        {"common files of a process",
         section(SyntheticImage::common_files, [](auto& s) { s.owner = 2; })},
        {"a common file with a process's number",
         [](auto& i) { i.metadata.common_files[0].fd = 3; }},
        {"a common file with the stub's number",
         [](auto& i) { i.metadata.common_files[0].fd = 12; }},
        {"common files with one number", [](auto& i) { i.metadata.common_files[0].fd = 31; }},
        {"common memory in the window",
         [](auto& i) { i.metadata.common_memory[0].start = test::window_base; }},
        {"common memory where a process has its own",
         [](auto& i) { i.metadata.common_memory[0].start = 0x5ff000; }},
        {"common memory that is not shared",
         [](auto& i) { i.metadata.common_memory[0].kind = MappingKind::anonymous; }},
        {"a mapping outside of where it is made",
         [](auto& i) {
             i.metadata.mappings2[0].kind = MappingKind::shared_memory;
             i.metadata.mappings2[0].object = 1;
             i.metadata.mappings2[0].origin_offset = 0x1000;
             i.metadata.sections[SyntheticImage::extents2].size = 0;
         }},
        {"several mappings of what is made nowhere",
         [](auto& i) {
             for (unsigned m : {1, 2}) {
                 i.metadata.mappings1[m].kind = MappingKind::shared_memory;
                 i.metadata.mappings1[m].object = 9;
             }
             i.metadata.sections[SyntheticImage::extents1].size = 0;
         }},
        {"a stub without pipes", [](auto& i) { i.metadata.header.descriptors[fd_go_in] = -1; }},
        {"a stub without an image", [](auto& i) { i.metadata.header.descriptors[0] = -1; }},
        {"common memory of nothing", [](auto& i) { i.metadata.common_memory[0].object = 0; }},
        {"state of nobody", section(SyntheticImage::state2, [](auto& s) { s.owner = 3; })},
        {"mappings twice", section(SyntheticImage::mappings2, [](auto& s) { s.owner = 1; })},
        {"extents of an image", section(SyntheticImage::extents2, [](auto& s) { s.owner = 0; })},
        {"objects of a process", section(SyntheticImage::objects, [](auto& s) { s.owner = 1; })},
        {"sections out of order",
         [](auto& i) { std::swap(i.metadata.sections[5], i.metadata.sections[6]); }},
        {"magic of the closing record", [](auto& i) { i.closing.magic[0] = 'x'; }},
        {"closing record of another image", [](auto& i) { i.closing.id.bytes[0] = 77; }},
        {"extent in a file that is not named", [](auto& i) { i.metadata.extents1[1].backing = 1; }},
        {"descriptors twice", section(SyntheticImage::descriptors2, [](auto& s) { s.owner = 1; })},
        {"descriptor of nothing", [](auto& i) { i.metadata.descriptors1[0].object = 0; }},
        {"descriptor without a number", [](auto& i) { i.metadata.descriptors1[1].fd = -1; }},
        {"descriptor there twice", [](auto& i) { i.metadata.descriptors1[1].fd = 4; }},
        {"descriptor of the stub's", [](auto& i) { i.metadata.descriptors1[1].fd = 11; }},
        {"descriptors out of order",
         [](auto& i) { std::swap(i.metadata.descriptors1[0], i.metadata.descriptors1[1]); }},
        {"extent of a mapping that has none",
         [](auto& i) { i.metadata.mappings1[1].kind = MappingKind::file_shared; }},
        {"more extents than pages",
         [](auto& i) { i.metadata.extents1[1] = {0x580000, 3, 0, 0x4000}; }},
        {"pages that are not whole", section(pages_at, [](auto& s) { s.size -= 8; })},
        {"shared extent of no size", [](auto& i) { i.metadata.shared[0].pages = 0; }},
        {"shared extent behind the pages", [](auto& i) { i.metadata.shared[0].offset = 0x9000; }},
        {"extent of the other process outside its mapping",
         [](auto& i) { i.metadata.extents2[0].at = 0x501000; }},
        {"window upside down", header([](auto& h) { std::swap(h.window.base, h.window.end); })},
        {"window too small", header([](auto& h) { h.window.scratch = h.window.metadata + 8; })},
        {"window in kernel space", header([](auto& h) { h.window.end = huge; })},
        {"records in the header",
         section(SyntheticImage::state1, [](auto& s) { s.offset = 0x2000; })},
        {"records not aligned", section(SyntheticImage::state1, [](auto& s) { s.offset += 4; })},
        {"records cut", section(SyntheticImage::state1, [](auto& s) { s.size -= 4; })},
        {"records outside", section(SyntheticImage::state1, [](auto& s) { s.offset = huge; })},
        {"records too long", section(SyntheticImage::state1, [](auto& s) { s.size = huge; })},
        {"mappings outside", section(SyntheticImage::mappings1, [](auto& s) { s.offset = huge; })},
        {"mappings too long", section(SyntheticImage::mappings1, [](auto& s) { s.size = huge; })},
        {"a mapping and a half", section(SyntheticImage::mappings1, [](auto& s) { s.size -= 24; })},
        {"extents outside", section(SyntheticImage::extents1, [](auto& s) { s.offset = huge; })},
        {"extents too long", section(SyntheticImage::extents1, [](auto& s) { s.size += 24; })},
        {"strings outside", section(SyntheticImage::strings, [](auto& s) { s.offset = huge; })},
        {"strings too long", section(SyntheticImage::strings, [](auto& s) { s.size += 3; })},
        {"no strings", section(SyntheticImage::strings, [](auto& s) { s.size = 0; })},
        {"strings without an end", section(SyntheticImage::strings, [](auto& s) { s.size -= 1; })},
        {"strings without the empty string", [](auto& i) { i.metadata.strings[0] = 'x'; }},
        {"record of no size", [](auto& i) { i.metadata.state1[0].size = 0; }},
        {"record of an odd size", [](auto& i) { i.metadata.state1[0].size = 12; }},
        {"record longer than the table", [](auto& i) { i.metadata.state1[1].size = 24; }},
        {"record of a huge size", [](auto& i) { i.metadata.state1[0].size = 0xfffffff8; }},
        {"mapping upside down", mapping([](auto& m) { std::swap(m.start, m.end); })},
        {"empty mapping", mapping([](auto& m) { m.end = m.start; })},
        {"mapping not aligned", mapping([](auto& m) { m.start += 8; })},
        {"mapping in kernel space", mapping([](auto& m) { m.end = huge & ~0xfffull; })},
        {"overlapping mappings", mapping([](auto& m) { m.end = 0x501000; })},
        {"mapping over the window", mapping([](auto& m) { m.start = 0x13000; })},
        {"unknown kind of mapping", mapping([](auto& m) { m.kind = MappingKind{7}; })},
        {"unknown protection", mapping([](auto& m) { m.prot = 8; })},
        {"name outside the strings", mapping([](auto& m) { m.name = 22; })},
        {"content before the pages", mapping([](auto& m) { m.file_offset = 0x3000; })},
        {"content behind the file", mapping([](auto& m) { m.file_offset = 0x8000; })},
        {"content far behind it", mapping([](auto& m) { m.file_offset = huge & ~0xfffull; })},
        {"extent not aligned", extent([](auto& e) { e.at += 8; })},
        {"empty extent", extent([](auto& e) { e.pages = 0; })},
        {"huge extent", extent([](auto& e) { e.pages = ~0u; })},
        {"extent over a mapping's end", extent([](auto& e) { e.pages = 3; })},
        {"extent outside any mapping", extent([](auto& e) { e.at = 0x404000; })},
        {"extent before any mapping", extent([](auto& e) { e.at = 0x3ff000; })},
        {"extent behind any mapping", [](auto& i) { i.metadata.extents1[1].at = 1ull << 47; }},
        {"extent of kernel pages", [](auto& i) { i.metadata.extents1[1].at = 0x7ff000000000; }},
        {"extent before the pages", extent([](auto& e) { e.offset = 0x3000; })},
        {"extent behind the file", extent([](auto& e) { e.offset = 0x8000; })},
        {"extent not where its mapping is", extent([](auto& e) { e.offset = 0x4000; })},
        {"extents out of order",
         [](auto& i) { std::swap(i.metadata.extents1[0], i.metadata.extents1[1]); }},
        {"overlapping extents", [](auto& i) { i.metadata.extents1[1] = {0x401000, 1, 0, 0x6000}; }},
    };
    for (const auto& [name, change] : changes) {
        INFO(name);
        CHECK(refusal(change) != "");
    }
}

TEST_CASE("an image without a core view is an image") {
    CHECK(refusal([](auto& image) {
              for (unsigned which : {SyntheticImage::core1, SyntheticImage::core2})
                  image.metadata.sections[which].kind = SectionKind{200};
              for (unsigned which : {SyntheticImage::core1, SyntheticImage::core2})
                  image.metadata.sections[which].must_understand = 0;
          }) == "");
}
