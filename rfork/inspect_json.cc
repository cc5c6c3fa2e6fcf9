#include "inspect_json.h"

#include "base/elf_object.h"
#include "base/json.h"
#include "describe/frozen_memory.h"
#include "format/kinds.h"
#include "format/object.h"
#include "format/records/address_space.h"
#include "format/records/cpu.h"
#include "format/records/executable.h"
#include "format/records/process.h"
#include "format/records/thread.h"
#include "format/records/umask.h"
#include "format/records/working_directory.h"
#include "in_the_way.h"
#include "kernel_needs.h"
#include "mapping_table.h"
#include "records.h"
#include "remote/spool.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <ctime>
#include <sys/auxv.h>
#include <sys/stat.h>

namespace rfork::tool {
namespace {

// RFC 3339; "" for what is in no calendar.
std::string timestamp(std::uint64_t nanoseconds) {
    const auto seconds = static_cast<std::time_t>(nanoseconds / 1'000'000'000);
    std::tm time{};
    char text[64];
    if (!::gmtime_r(&seconds, &time) ||
        !std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &time))
        return {};
    return format("%s.%09luZ", text, nanoseconds % 1'000'000'000);
}

std::string hexadecimal(std::uint64_t number) {
    return format("%#lx", number);
}

std::string digits_of(const std::uint8_t* bytes, std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i)
        text += format("%02x", bytes[i]);
    return text;
}

image::BuildId build_id_here() {
    const auto* vdso = reinterpret_cast<const void*>(::getauxval(AT_SYSINFO_EHDR));
    return vdso ? image::ElfObject(vdso, image::page_size).build_id() : image::BuildId{};
}

class Writer {
  public:
    Writer(int fd, const image::Image& image, const InspectOptions& options)
        : fd_(fd), image_(image), options_(options), shared_(image) {}

    std::string whole(const std::string& path) {
        json_.object([&] {
            json_.key("image").text(path);
            write_file();
            write_requirements();
            json_.key("would_not_run_here").list([&] {
                for (const std::string& sentence : what_is_in_the_way(fd_, image_))
                    json_.text(sentence);
            });
            json_.key("objects").list([&] { write_objects(); });
            json_.key("processes").list([&] {
                for (const image::Process& process : image_.processes())
                    write_process(process);
            });
            if (options_.verify)
                json_.key("verified").boolean(true);
        });
        return json_.str();
    }

  private:
    void write_file() {
        const image::Header& header = image_.header();
        struct stat status {};
        ::fstat(fd_, &status);
        json_.key("id").text(remote::id_text(header.id));
        json_.key("owner").number(status.st_uid);
        json_.key("frozen").text(timestamp(header.created));
        json_.key("frozen_ns").number(header.created);
        json_.key("made_by").text(header.flags & image::flag_travels ? "rfork"
                                                                     : "rfork_checkpoint");
        json_.key("trusts_files").boolean(header.flags & image::flag_trusts_files);
        json_.key("format_version").number(header.version);
        json_.key("file_size").number(header.file_size);
        json_.key("bytes_on_disk").number(std::uint64_t(status.st_blocks) * 512);
        json_.key("sections").list([&] {
            for (const image::Section& section : image_.sections())
                write_section(section);
        });
        json_.key("stub_start").text(hexadecimal(header.window.base));
        json_.key("stub_end").text(hexadecimal(header.window.end));
    }

    void write_section(const image::Section& section) {
        json_.object([&] {
            json_.key("name").text({section.name, ::strnlen(section.name, sizeof section.name)});
            json_.key("owner").number(section.owner);
            json_.key("offset").number(section.offset);
            json_.key("size").number(section.size);
        });
    }

    void write_requirements() {
        const std::vector<KernelNeed> needs = kernel_needs(image_);
        std::uint64_t xstate = 0;
        each_state<kinds::CpuRecord>(image_, image::Kind::cpu,
                                     [&](const auto& record) { xstate |= record.xstate; });
        json_.key("requires").object([&] {
            json_.key("kernel").text(release_text(oldest_kernel(needs)));
            json_.key("kernel_features").list([&] {
                for (const KernelNeed& need : needs)
                    json_.object([&] {
                        json_.key("what").text(need.what);
                        json_.key("since").text(release_text(need.since));
                        json_.key("here").boolean(need.is_here);
                    });
            });
            json_.key("cpu_features").list([&] { write(required_cpu_features(image_)); });
            json_.key("cpu_features_missing").list([&] { write(missing_cpu_features(image_)); });
            json_.key("xstate").text(hexadecimal(xstate));
        });
    }

    void write(const arch::CpuFeatureSet& set) {
        for (unsigned i = 0; i < arch::cpu_feature_count; ++i)
            if (set.has(i))
                json_.text(arch::cpu_features[i].name);
    }

    void write_objects() {
        for (image::Record record : image_.objects()) {
            const auto* object = record.as<image::ObjectHeader>();
            if (!object)
                continue;
            json_.object([&] {
                json_.key("object").number(object->id);
                json_.key("kind").text(name_of(record.header().kind));
                json_.key("name").text(raw_string_at({fd_, image_, 0}, object->name));
                json_.key("text").text(text_of_object(record));
            });
        }
    }

    std::string text_of_object(const image::Record& record) const {
        std::string text;
        for (const Line& line : describe_record({fd_, image_, 0}, record))
            append_word(text, line.text);
        return text;
    }

    void write_process(const image::Process& process) {
        const FrozenProgram program{fd_, image_, process.id};
        const MappingTable mappings(program, shared_);
        json_.object([&] {
            json_.key("pid").number(process.pid);
            json_.key("parent").number(process.parent);
            json_.key("process_group").number(process.process_group);
            json_.key("session").number(process.session);
            write_state(program);
            json_.key("threads").list([&] { write_threads(process); });
            json_.key("descriptors").list([&] {
                for (const image::Descriptor& descriptor : image_.descriptors(process.id))
                    write_descriptor(descriptor);
            });
            json_.key("memory").object([&] { write_memory(mappings); });
            if (options_.mappings)
                json_.key("mappings").list([&] {
                    for (std::size_t number = 0; number < mappings.size(); ++number)
                        write_mapping(program, mappings, number);
                });
            if (options_.top > 0)
                json_.key("largest_mappings").list([&] {
                    for (std::size_t number : mappings.largest(options_.top))
                        write_mapping(program, mappings, number);
                });
            json_.key("text").list([&] { write_lines(describe_state(program)); });
        });
    }

    void write_state(const FrozenProgram& program) {
        const image::Records state = image_.state(program.process);
        each_record<kinds::ExecutableRecord>(state, image::Kind::executable, [&](const auto& r) {
            json_.key("executable").text(raw_string_at(program, r.path));
        });
        each_record<kinds::AddressSpaceRecord>(
            state, image::Kind::address_space, [&](const auto& r) {
                json_.key("command_line").list([&] { write_arguments(program, r); });
                write_vdso(r);
            });
        each_record<kinds::WorkingDirectoryRecord>(
            state, image::Kind::working_directory, [&](const auto& r) {
                json_.key("working_directory").text(raw_string_at(program, r.path));
            });
        each_record<kinds::UmaskRecord>(state, image::Kind::umask, [&](const auto& r) {
            json_.key("umask").text(format("%04o", r.mask));
        });
        each_record<kinds::ProcessRecord>(state, image::Kind::process, [&](const auto& r) {
            json_.key("keeps_ids").boolean(r.keeps_ids);
            json_.key("monotonic_ns").number(r.monotonic);
            json_.key("boottime_ns").number(r.boottime);
        });
    }

    void write_arguments(const FrozenProgram& program, const kinds::AddressSpaceRecord& record) {
        if (record.arg_start >= record.arg_end)
            return;
        const std::uint64_t size = std::min(record.arg_end - record.arg_start, arguments_left_);
        arguments_left_ -= size;
        const std::string memory = frozen_memory(program, record.arg_start, size);
        for (std::size_t at = 0; at < memory.size();) {
            const std::string_view word = memory.c_str() + at;
            json_.text(word);
            at += word.size() + 1;
        }
    }

    void write_vdso(const kinds::AddressSpaceRecord& record) {
        const std::size_t size =
            std::min<std::size_t>(record.vdso_build_id_size, sizeof record.vdso_build_id);
        const image::BuildId here = build_id_here();
        const bool same =
            here.size == size && std::memcmp(here.bytes, record.vdso_build_id, size) == 0;
        json_.key("vdso").object([&] {
            json_.key("address").text(hexadecimal(record.vdso));
            json_.key("build_id").text(digits_of(record.vdso_build_id, size));
            json_.key("is_that_of_this_kernel").boolean(same);
        });
    }

    void write_threads(const image::Process& process) {
        each_record<kinds::ThreadRecord>(
            image_.state(process.id), image::Kind::thread, [&](const auto& thread) {
                json_.object([&] {
                    json_.key("tid").number(thread.tid);
                    json_.key("name").text(
                        {thread.name, ::strnlen(thread.name, sizeof thread.name)});
                    json_.key("at").text(hexadecimal(thread.registers.rip));
                    json_.key("stack_pointer").text(hexadecimal(thread.registers.rsp));
                    json_.key("blocked_signals").list([&] { write_signals(thread.signal_mask); });
                });
            });
    }

    void write_signals(std::uint64_t mask) {
        for (unsigned number = 1; number <= 64; ++number)
            if (mask >> (number - 1) & 1)
                json_.text(signal_name(number));
    }

    void write_descriptor(const image::Descriptor& descriptor) {
        json_.object([&] {
            json_.key("fd").number(descriptor.fd);
            json_.key("object").number(descriptor.object);
            json_.key("close_on_exec").boolean(descriptor.flags & image::descriptor_close_on_exec);
            json_.key("until_resumed").boolean(descriptor.flags & image::descriptor_until_resumed);
        });
    }

    void write_total(const Total& total) {
        json_.key("mappings").number(total.count);
        json_.key("mapped").number(total.mapped);
        json_.key("carried").number(total.carried);
    }

    void write_memory(const MappingTable& mappings) {
        write_total(mappings.total());
        json_.key("by_kind").list([&] {
            for (const auto& [kind, total] : mappings.totals())
                json_.object([&] {
                    json_.key("kind").text(kind_name(kind));
                    write_total(total);
                });
        });
    }

    void write_mapping(const FrozenProgram& program, const MappingTable& mappings,
                       std::size_t number) {
        const image::Mapping& m = mappings.mapping(number);
        json_.object([&] {
            json_.key("start").text(hexadecimal(m.start));
            json_.key("end").text(hexadecimal(m.end));
            json_.key("protection").text(protection(m));
            json_.key("carried").number(mappings.carried(number));
            json_.key("kind").text(kind_name(m.kind));
            json_.key("name").text(raw_string_at(program, m.name));
            json_.key("object").number(m.object);
            const std::string advice = flag_words(m.flags);
            json_.key("advice").text(advice.empty() ? advice : advice.substr(1));
        });
    }

    // What is told for people, a line for each thing.
    void write_lines(const Lines& lines) {
        for (std::size_t i = 0; i < lines.size();) {
            std::string text = lines[i].text;
            const std::string& title = lines[i].title;
            for (++i; i < lines.size() && lines[i].title.empty(); ++i)
                append_word(text, lines[i].text);
            json_.object([&] {
                json_.key("title").text(title);
                json_.key("text").text(text);
            });
        }
    }

    int fd_;
    const image::Image& image_;
    const InspectOptions& options_;
    SharedBytes shared_;
    std::uint64_t arguments_left_ = 4 * 1024 * 1024; // no honest image has more
    Json json_;
};

} // namespace

std::string json_of(const std::string& path, int fd, const image::Image& image,
                    const InspectOptions& options) {
    return Writer(fd, image, options).whole(path);
}

} // namespace rfork::tool
