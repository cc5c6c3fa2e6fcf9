// Has records described that say anything of themselves. Their image is a proper one, as its reader
// looks at the size of a record only; whoever tells what is in it must bear the rest.
//
// An input is a list of records, each a number of a kind, the size of its content in two bytes, and
// as much of that as there is. They are told as of one process and as of several, and as JSON.
//
//   clang++ -std=c++20 -g -fsanitize=fuzzer,address,undefined -DRFORK_LIBFUZZER -I. -Ilibrfork
//       -Itests/unit tests/fuzz/describe_fuzz.cc, with rfork_tool_core and what that needs
//
// Without RFORK_LIBFUZZER it is an ordinary program, for CTest: inputs that it makes up, the same
// ones each time.
#include "environment.h"
#include "format/kinds.h"
#include "synthetic_image.h"
#include "written_image.h"

#include "image/reader.h"
#include "rfork/inspect_json.h"
#include "rfork/mapping_table.h"
#include "rfork/records.h"

#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

using namespace rfork;

constexpr std::uint64_t memory_at = 0x100000000;

constexpr image::Kind kinds_of_records[] = {
#define RFORK_KIND(number, name, collected, recognised, restored, described) image::Kind::name,
#include "format/kinds.def"
    image::Kind{4711}, // of a later release
};

class Input {
  public:
    explicit Input(std::span<const std::uint8_t> bytes) : rest_(bytes) {}
    bool empty() const { return rest_.empty(); }
    std::span<const std::uint8_t> take(std::size_t size) {
        const auto taken = rest_.first(std::min(size, rest_.size()));
        rest_ = rest_.subspan(taken.size());
        return taken;
    }
    std::size_t number(std::size_t bytes) {
        std::size_t number = 0;
        for (std::uint8_t byte : take(bytes))
            number = number << 8 | byte;
        return number;
    }

  private:
    std::span<const std::uint8_t> rest_;
};

void add_record(capture::RecordList& records, Input& input) {
    struct Bare {
        image::RecordHeader header;
    };
    const image::Kind kind = kinds_of_records[input.number(1) % std::size(kinds_of_records)];
    const auto content = input.take(input.number(2));
    records.add(kind, Bare{}, content.data(), content.size());
}

std::size_t characters_seen = 0; // keeps the work from being optimised away

void look_at(const tool::Lines& lines) {
    for (const tool::Line& line : lines)
        characters_seen += line.title.size() + line.text.size();
}

// Each in memory of its own, behind whose end a sanitizer watches.
void describe_alone(const tool::FrozenProgram& program, image::Records records) {
    for (image::Record record : records) {
        const std::vector<std::byte> copy(record.bytes().begin(), record.bytes().end());
        look_at(tool::describe_record(program, image::Record(copy)));
    }
}

void describe(int fd, const image::Image& image) {
    const tool::SharedBytes shared(image);
    look_at(tool::describe_records({fd, image}));
    look_at(tool::describe_objects(fd, image));
    describe_alone({fd, image}, image.objects());
    for (const image::Process& process : image.processes()) {
        const tool::FrozenProgram program{fd, image, process.id};
        look_at({tool::title_of(program)});
        look_at(tool::describe_state(program));
        describe_alone(program, image.state(process.id));
        look_at(tool::MappingTable(program, shared).summary());
    }
    tool::InspectOptions all;
    all.mappings = true;
    characters_seen += tool::json_of("image", fd, image, all).size();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    ::setenv("RFORK_PID", "new", 1); // whether pids can be kept here is not the image's doing
    test::WrittenImage written;
    Input input({data, size});
    for (std::int32_t pid : {100, 101}) {
        capture::ProcessSnapshot& process =
            written.add_process(pid, pid == 100 ? 1 : 100, "fuzzed");
        process.mappings = {written.mapping(memory_at, 2)};
        process.mappings[0].name = written.snapshot.strings.add("/a/name");
        process.descriptors = {{4, 0, 1, 0}, {3, image::descriptor_close_on_exec, 2, 0}};
    }
    for (std::size_t i = 0; !input.empty(); ++i)
        add_record(i % 2 ? written.snapshot.objects : written.snapshot.processes[i / 2 % 2].records,
                   input);
    const auto file = test::memory_file(written.bytes());
    const auto image = image::read_image(file.get());
    if (!image)
        __builtin_trap();
    describe(file.get(), *image);
    return 0;
}

#ifndef RFORK_LIBFUZZER

#include <cstdio>
#include <random>

namespace {

// As long as any record, and mostly longer than its structure; filled with small numbers, which
// counts, offsets and descriptors are, and such at which arithmetic goes wrong.
void add_random_record(std::vector<std::uint8_t>& bytes, std::mt19937& random) {
    constexpr std::uint32_t interesting[] = {0,           0x7fff'ffff, 0x8000'0000,
                                             0xffff'ffff, 0x1000'0000, 1};
    auto below = [&random](std::size_t n) { return random() % n; };
    const std::size_t words = below(4) ? below(40) : below(700);
    bytes.push_back(std::uint8_t(random()));
    bytes.push_back(std::uint8_t(words * 4 >> 8));
    bytes.push_back(std::uint8_t(words * 4));
    const bool is_tame = below(2);
    for (std::size_t i = 0; i < words; ++i) {
        const std::size_t sort = below(is_tame ? 2 : 4);
        const std::uint32_t word = sort < 2    ? std::uint32_t(below(16))
                                   : sort == 2 ? interesting[below(std::size(interesting))]
                                               : std::uint32_t(random());
        const auto* first = reinterpret_cast<const std::uint8_t*>(&word);
        bytes.insert(bytes.end(), first, first + sizeof word);
    }
}

} // namespace

int main() {
    std::mt19937 random(test::from_environment("FUZZ_SEED", 1989));
    for (unsigned i = 0; i < 500 * test::from_environment("FUZZ_TIMES", 1); ++i) {
        std::vector<std::uint8_t> bytes;
        for (unsigned record = 0; record < 200; ++record)
            add_random_record(bytes, random);
        LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    }
    std::printf("EXIT-SUCCESS (%zu)\n", characters_seen);
    return 0;
}

#endif
