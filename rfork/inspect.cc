#include "inspect.h"

#include "base/printable.h"
#include "base/progress.h"
#include "base/unique_fd.h"
#include "describe/text.h"
#include "image/reader.h"
#include "in_the_way.h"
#include "inspect_json.h"
#include "mapping_table.h"
#include "records.h"
#include "remote/spool.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>

namespace rfork::tool {
namespace {

void print(const Line& line) {
    std::printf("%-14s %s\n", line.title.c_str(), line.text.c_str());
}

void print(const std::vector<Line>& lines) {
    for (const Line& line : lines)
        print(line);
}

std::uint64_t size_of(const image::Image& image, image::SectionKind kind) {
    std::uint64_t size = 0;
    for (const image::Section* section : image.sections(kind))
        size += section->size;
    return size;
}

std::vector<Line> describe_file(const std::string& path, int fd, const image::Image& image) {
    const image::Header& header = image.header();
    struct stat status {};
    ::fstat(fd, &status);
    std::uint64_t on_disk = static_cast<std::uint64_t>(status.st_blocks) * 512;
    bool travels = header.flags & image::flag_travels;
    bool trusts = header.flags & image::flag_trusts_files;
    return {
        {"image", printable(path)},
        {"id", remote::id_text(header.id)},
        {"frozen", time_text(header.created)},
        {"made by", std::string(travels ? "rfork(): runs once, where it was sent"
                                        : "rfork_checkpoint(): runs any number of times") +
                        (trusts ? "; trusts the files that it finds (RFORK_FILES)" : "")},
        {"size", format("%s, %s of it on disk", bytes_text(header.file_size).c_str(),
                        bytes_text(on_disk).c_str())},
        {"parts", format("front %s, metadata %s, core view %s, pages %s",
                         bytes_text(header.metadata_offset).c_str(),
                         bytes_text(header.metadata_size).c_str(),
                         bytes_text(size_of(image, image::SectionKind::core_view)).c_str(),
                         bytes_text(size_of(image, image::SectionKind::pages)).c_str())},
        {"stub", format("%#lx-%#lx", header.window.base, header.window.end)},
    };
}

Error about(const std::string& path, const Error& error) {
    return {error.code, path + ": " + error.sentence};
}

Result<void> verify(const std::string& path, int fd, const image::Image& image) {
    Progress progress("verifying " + printable(path));
    auto verified = image::verify_pages(
        fd, image, [&](std::uint64_t done, std::uint64_t all) { progress.at_byte(done, all); });
    if (!verified)
        return about(path, verified.error());
    return {};
}

Result<void> verify_and_tell(const std::string& path, int fd, const image::Image& image) {
    auto verified = verify(path, fd, image);
    if (verified)
        print(Line{"verified", "every byte of memory has the checksum it was written with"});
    return verified;
}

void print_lists(const MappingTable& mappings, const InspectOptions& options) {
    if (options.top > 0) {
        std::printf("\n");
        for (std::size_t number : mappings.largest(options.top))
            std::printf("%s\n", mappings.text(number).c_str());
    }
    if (options.mappings) {
        std::printf("\n");
        for (std::size_t number = 0; number < mappings.size(); ++number)
            std::printf("%s\n", mappings.text(number).c_str());
    }
}

void print_obstacles(int fd, const image::Image& image) {
    for (const std::string& sentence : what_is_in_the_way(fd, image))
        print(folded("would not run", "here: " + sentence));
}

Result<void> print_only_process(const std::string& path, int fd, const image::Image& image,
                                const InspectOptions& options) {
    const FrozenProgram program{fd, image};
    const MappingTable mappings(program, SharedBytes(image));
    print(describe_records(program));
    print(mappings.summary());
    if (options.verify)
        if (auto verified = verify_and_tell(path, fd, image); !verified)
            return verified;
    print_lists(mappings, options);
    return {};
}

Result<void> print_json(const std::string& path, int fd, const image::Image& image,
                        const InspectOptions& options) {
    if (options.verify)
        if (auto verified = verify(path, fd, image); !verified)
            return verified;
    std::printf("%s\n", json_of(path, fd, image, options).c_str());
    return {};
}

// What they refer to once, then what is each one's own.
Result<void> print_processes(const std::string& path, int fd, const image::Image& image,
                             const InspectOptions& options) {
    const SharedBytes shared(image);
    print(Line{"processes", std::to_string(image.processes().size())});
    if (options.verify)
        if (auto verified = verify_and_tell(path, fd, image); !verified)
            return verified;
    std::printf("\n");
    print(describe_objects(fd, image));
    for (const image::Process& process : image.processes()) {
        const FrozenProgram program{fd, image, process.id};
        const MappingTable mappings(program, shared);
        std::printf("\n");
        print(title_of(program));
        print(describe_state(program));
        print(mappings.summary());
        print_lists(mappings, options);
    }
    return {};
}

} // namespace

Result<void> inspect(const std::string& path, const InspectOptions& options) {
    UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file)
        return system_error(errno, "cannot open " + path);
    auto image = image::read_image(file.get());
    if (!image)
        return about(path, image.error());

    if (options.json)
        return print_json(path, file.get(), *image, options);
    print(describe_file(path, file.get(), *image));
    print_obstacles(file.get(), *image);
    const bool several = image->processes().size() > 1;
    return (several ? print_processes : print_only_process)(path, file.get(), *image, options);
}

} // namespace rfork::tool
