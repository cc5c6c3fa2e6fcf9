// What the writer lays down, and how the tools find it again, where processes share memory.
#include "format/kinds.h"
#include "format/records/event_fd.h"
#include "format/records/shared_memory.h"
#include "output.h"
#include "synthetic_image.h"
#include "written_image.h"

#include "image/reader.h"
#include "rfork/inspect.h"
#include "rfork/mapping_table.h"

#include <catch2/catch.hpp>

#include <random>
#include <string>

using namespace rfork;
using namespace rfork::image;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using rfork::test::WrittenImage;

namespace {

constexpr std::uint64_t somewhere = 0x100000000, far = 0x100000;

// The byte with which a page of an object is full; 0 where the image has none.
std::byte byte_of_object(const std::vector<std::byte>& file, const Image& image,
                         std::uint32_t object, std::uint64_t offset) {
    for (const Extent& e : image.shared_memory(object))
        if (e.at <= offset && offset < e.end())
            return file[e.offset + (offset - e.at)];
    return {};
}

std::byte byte_in_core(const std::vector<std::byte>& file, const Image& image,
                       std::uint32_t process, std::uint64_t address) {
    Elf64_Ehdr core;
    std::memcpy(&core, &file[image.section(SectionKind::core_view, process)->offset], sizeof core);
    for (unsigned i = 0; i < core.e_phnum; ++i) {
        Elf64_Phdr p;
        std::memcpy(&p, &file[core.e_phoff + i * sizeof p], sizeof p);
        if (p.p_type == PT_LOAD && p.p_vaddr <= address && address < p.p_vaddr + p.p_filesz)
            return file[p.p_offset + (address - p.p_vaddr)];
    }
    return {};
}

// Two processes that have a few parts of a few objects each, here and there.
WrittenImage& sharing(WrittenImage& written) {
    std::mt19937 random(1989);
    auto below = [&](unsigned n) { return unsigned(random() % n); };
    std::uint32_t objects[7];
    for (std::uint32_t& object : objects)
        object = written.add_shared_memory();
    for (std::int32_t pid : {100, 101}) {
        capture::ProcessSnapshot& process = written.add_process(pid, pid - 1, "sharing");
        for (unsigned i = 0; i < 60; ++i)
            process.mappings.push_back(
                written.mapping(somewhere + i * far, 1 + below(20), objects[below(7)], below(300)));
    }
    return written;
}

} // namespace

TEST_CASE("a mapping of shared memory shows what its object has, in each core view") {
    WrittenImage written;
    const auto file = sharing(written).bytes();
    const auto fd = test::memory_file(file);
    const auto image = read_image(fd.get());
    REQUIRE(image);
    CHECK(verify_pages(fd.get(), *image));
    for (const Process& process : image->processes())
        for (const Mapping& m : image->mappings(process.id))
            for (std::uint64_t at = m.start; at < m.end; at += page_size) {
                const std::byte there =
                    byte_of_object(file, *image, m.object, m.origin_offset + (at - m.start));
                INFO("process " << process.pid << ", address " << std::hex << at);
                CHECK(byte_in_core(file, *image, process.id, at) == there);
            }
    std::uint64_t stored = 0;
    for (const Section* s : image->sections(SectionKind::shared_memory)) {
        std::uint64_t behind = 0;
        for (const Extent& e : image->contents<Extent>(*s)) {
            CHECK(e.at >= behind); // each byte once
            behind = e.end();
            stored += e.size();
        }
    }
    CHECK(stored == image->section(SectionKind::pages)->size);
}

TEST_CASE("what a mapping of shared memory carries are the bytes of its object that it shows") {
    WrittenImage written;
    const auto file = sharing(written).bytes();
    const auto fd = test::memory_file(file);
    const auto image = read_image(fd.get());
    REQUIRE(image);
    const tool::SharedBytes shared(*image);
    for (const Mapping& m : image->mappings(2)) {
        const std::uint64_t end = m.origin_offset + (m.end - m.start);
        std::uint64_t bytes = 0;
        for (const Extent& e : image->shared_memory(m.object))
            if (e.at < end && e.end() > m.origin_offset)
                bytes += std::min(e.end(), end) - std::max(e.at, m.origin_offset);
        CHECK(shared.between(m.object, m.origin_offset, end) == bytes);
    }
    CHECK(shared.between(4711, 0, far) == 0);
}

namespace {

// What `rfork inspect` prints of an image.
std::string inspected(const std::vector<std::byte>& file, const tool::InspectOptions& options) {
    const auto fd = test::memory_file(file);
    return test::output_of(STDOUT_FILENO, [&] {
        CHECK(tool::inspect("/proc/self/fd/" + std::to_string(fd.get()), options));
    });
}

std::size_t count(const std::string& text, const std::string& part) {
    std::size_t n = 0;
    for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at)
        ++n;
    return n;
}

// With memory that all map, and an eventfd of which all have a descriptor.
void add_process_with_all(WrittenImage& written, std::int32_t pid, const char* name) {
    capture::ProcessSnapshot& process = written.add_process(pid, pid - 1, name);
    process.mappings = {written.mapping(somewhere, 2), written.mapping(somewhere + far, 1, 1, 0)};
    process.descriptors = {{pid - 90, 0, 2, 0}};
}

std::vector<std::byte> image_of(std::initializer_list<const char*> names) {
    WrittenImage written;
    const std::uint32_t memory = written.add_shared_memory(), event = written.snapshot.new_object();
    written.snapshot.objects.add(
        Kind::shared_memory,
        kinds::SharedMemoryRecord{
            {{}, memory, 0, 0, 0}, kinds::SharedMemoryType::anonymous, 0, page_size});
    kinds::EventFdRecord counter{};
    counter.object.id = event;
    written.snapshot.objects.add(Kind::event_fd, counter);
    std::int32_t pid = 100;
    for (const char* name : names)
        add_process_with_all(written, pid++, name);
    return written.bytes();
}

} // namespace

TEST_CASE("of several processes each has its part, and what they share is told once") {
    const std::string text = inspected(image_of({"first", "sec\nond"}), {.mappings = true});
    CHECK_THAT(text, Contains("\nprocesses      2\n"));
    const std::size_t first = text.find("\n\nprocess 100    parent 99, 'first'\nthread 100");
    const std::size_t second = text.find("\n\nprocess 101    parent 100, 'sec\\nond'\nthread 101");
    REQUIRE(first != std::string::npos);
    REQUIRE(second != std::string::npos);
    REQUIRE(first < second);

    const std::string common = text.substr(0, first), one = text.substr(first, second - first),
                      other = text.substr(second);
    CHECK_THAT(common, Contains("\neventfd object 2 counter 0"));
    CHECK_THAT(common, Contains("\nmemory 1       4.0 KiB, shared\n"));
    CHECK(count(text, "eventfd") == 1);
    CHECK(count(text, "KiB, shared\n") == 1);
    CHECK_THAT(one, Contains("\nobject 2       descriptor 10\n") && !Contains("descriptor 11"));
    CHECK_THAT(other, Contains("\nobject 2       descriptor 11\n") && !Contains("descriptor 10"));
    for (const std::string& part : {one, other}) {
        CHECK(count(part, "\nmemory             2 mapped") == 1);
        CHECK_THAT(part, Contains("000100000000-000100002000 rw-p     8.0 KiB carried  anonymous"));
        CHECK_THAT(part, Contains("rw-s     4.0 KiB carried  shared memory          object 1 "));
    }
}

TEST_CASE("of a single process nothing is told of others") {
    const std::string text = inspected(image_of({"first"}), {.mappings = true});
    CHECK_THAT(text, !Contains("process") && !Contains("object"));
    CHECK_THAT(text, Contains("\neventfd 10     counter 0\n"));
    CHECK_THAT(text, Contains("carried  shared memory          \n"));
}

TEST_CASE("all memory of several processes is verified") {
    auto file = image_of({"first", "second"});
    const tool::InspectOptions verifies{.verify = true};
    CHECK(count(inspected(file, verifies), "verified       every byte") == 1);
    const auto image = read_image(test::memory_file(file).get());
    REQUIRE(image);
    file[image->extents(2)[0].offset] ^= std::byte(1);
    const auto fd = test::memory_file(file);
    test::output_of(STDOUT_FILENO, [&] {
        CHECK_FALSE(tool::inspect("/proc/self/fd/" + std::to_string(fd.get()), verifies));
    });
}

TEST_CASE("a name of an enemy's may be as long as all strings, and is not shown as a whole") {
    WrittenImage written;
    written.add_process(100, 1, "first").mappings = {written.mapping(somewhere, 1)};
    written.snapshot.processes[0].mappings[0].name =
        written.snapshot.strings.add("/" + std::string(100000, 'x'));
    const std::string text = inspected(written.bytes(), {.mappings = true});
    CHECK(text.size() < 10000);
    CHECK_THAT(text, Contains("xxx ...\n"));
}
