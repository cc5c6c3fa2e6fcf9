// `rfork core` and what it tells of images that are not as they should be.
#include "output.h"
#include "synthetic_image.h"
#include "written_image.h"

#include "rfork/core.h"
#include "rfork/file_copy.h"
#include "rfork/records.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/procfs.h>
#include <sys/stat.h>

using namespace rfork;
using rfork::test::SyntheticImage;

namespace {

namespace fs = std::filesystem;

// A directory for one test.
struct Directory {
    std::string path = fs::temp_directory_path() / "rfork-core-test.XXXXXX";
    Directory() { REQUIRE(::mkdtemp(path.data())); }
    ~Directory() { fs::remove_all(path); }
    std::string operator/(const char* name) const { return path + "/" + name; }
    auto entries() const { return std::distance(fs::directory_iterator(path), {}); }
};

std::vector<std::byte> image_with_core_header() {
    SyntheticImage image;
    auto bytes = image.bytes();
    Elf64_Ehdr core = image.elf;
    core.e_type = ET_CORE;
    core.e_phoff = 0x3080;
    std::memcpy(&bytes[image.metadata.sections[SyntheticImage::core1].offset], &core, sizeof core);
    return bytes;
}

void write_file(const std::string& path, const std::vector<std::byte>& bytes) {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
}

std::vector<std::byte> read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::vector<char> content{std::istreambuf_iterator<char>(file), {}};
    auto bytes = std::as_bytes(std::span(content));
    return {bytes.begin(), bytes.end()};
}

} // namespace

TEST_CASE("a core is the image with the core header in front") {
    Directory directory;
    auto image = image_with_core_header();
    write_file(directory / "image", image);
    write_file(directory / "core", {}); // is replaced

    auto written = tool::write_core(directory / "image", directory / "core");
    INFO(written.error().sentence);
    REQUIRE(written);

    auto core = read_file(directory / "core");
    REQUIRE(core.size() == image.size());
    Elf64_Ehdr header;
    std::memcpy(&header, core.data(), sizeof header);
    CHECK(header.e_type == ET_CORE);
    CHECK(header.e_phoff == 0x3080);
    CHECK(std::equal(core.begin() + sizeof header, core.end(), image.begin() + sizeof header));
    CHECK(read_file(directory / "image") == image);
    CHECK((fs::status(directory / "core").permissions() & fs::perms::all) ==
          (fs::perms::owner_read | fs::perms::owner_write));
}

namespace {

std::vector<std::byte> image_of_three() {
    test::WrittenImage written;
    for (std::int32_t pid : {100, 101, 102})
        written.add_process(pid, pid - 1, "one of three").mappings = {
            written.mapping(0x100000000 * std::uint64_t(pid), 1)};
    return written.bytes();
}

// Of the first note, which is NT_PRSTATUS.
std::int32_t thread_in(const std::string& core) {
    const auto bytes = read_file(core);
    Elf64_Ehdr header;
    std::memcpy(&header, bytes.data(), sizeof header);
    Elf64_Phdr notes;
    std::memcpy(&notes, &bytes.at(header.e_phoff), sizeof notes);
    elf_prstatus status;
    std::memcpy(&status, &bytes.at(notes.p_offset + sizeof(Elf64_Nhdr) + 8), sizeof status);
    return status.pr_pid;
}

} // namespace

TEST_CASE("of several processes the core is that of the first, or of the one that is chosen") {
    Directory directory;
    const std::string image = directory / "image", core = directory / "core";
    write_file(image, image_of_three());
    auto told = [&](std::optional<std::int32_t> pid) {
        return test::output_of(STDERR_FILENO, [&] { CHECK(tool::write_core(image, core, pid)); });
    };
    CHECK(told({}) == "rfork: this is the core of process 100; --pid chooses another: 101, 102\n");
    CHECK(thread_in(core) == 100);
    CHECK(told(102) == "");
    CHECK(thread_in(core) == 102);
    CHECK(told(100) == "");
    CHECK(thread_in(core) == 100);
}

TEST_CASE("a process that the image does not hold is refused with those that it does") {
    Directory directory;
    write_file(directory / "image", image_of_three());
    const auto refused = tool::write_core(directory / "image", directory / "core", 4711);
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().sentence,
               Catch::Matchers::Contains("pid 4711: choose one of 100, 101, 102"));
    CHECK(directory.entries() == 1);
}

TEST_CASE("what is refused leaves nothing behind") {
    Directory directory;
    write_file(directory / "image", image_with_core_header());

    SECTION("the image itself as the core") {
        CHECK_FALSE(tool::write_core(directory / "image", directory / "image"));
        CHECK(read_file(directory / "image") == image_with_core_header());
    }
    SECTION("a core view without a core header") {
        write_file(directory / "image", SyntheticImage().bytes());
        CHECK_FALSE(tool::write_core(directory / "image", directory / "core"));
    }
    SECTION("no image at all") {
        write_file(directory / "image", std::vector<std::byte>(5000));
        CHECK_FALSE(tool::write_core(directory / "image", directory / "core"));
    }
    SECTION("a directory where the core should go") {
        fs::create_directory(directory / "core");
        CHECK_FALSE(tool::write_core(directory / "image", directory / "core"));
        fs::remove(directory / "core");
    }
    CHECK(directory.entries() == 1);
}

TEST_CASE("a copied file keeps its bytes and its holes") {
    Directory directory;
    constexpr off_t size = 64 * 1024 * 1024 + 123;
    {
        UniqueFd from(::open((directory / "from").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        REQUIRE(::ftruncate(from.get(), size) == 0);
        REQUIRE(::pwrite(from.get(), "middle", 6, 5'000'000) == 6);
        REQUIRE(::pwrite(from.get(), "end", 3, size - 3) == 3);
        UniqueFd to(::open((directory / "to").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        Progress progress("copying");
        REQUIRE(tool::copy_file(from.get(), to.get(), size, progress));
    }
    struct stat status;
    REQUIRE(::stat((directory / "to").c_str(), &status) == 0);
    CHECK(status.st_size == size);
    CHECK(status.st_blocks * 512 < 4'000'000);
    CHECK(read_file(directory / "to") == read_file(directory / "from"));
}

TEST_CASE("a record shorter than its kind is told, not read") {
    auto file = test::memory_file(SyntheticImage().bytes());
    auto image = image::read_image(file.get());
    REQUIRE(image);
    auto lines = tool::describe_records({file.get(), *image});
    REQUIRE(lines.size() == 3);
    CHECK(lines[0].title == "umask");
    CHECK(lines[2].text == "a record too short for its kind");
}

TEST_CASE("a record of an unknown kind is told by its number") {
    SyntheticImage synthetic;
    synthetic.metadata.state1[0].kind = image::Kind{4711};
    auto file = test::memory_file(synthetic.bytes());
    auto image = image::read_image(file.get());
    REQUIRE(image);
    auto lines = tool::describe_records({file.get(), *image});
    CHECK(lines.back().title == "kind 4711");
}
