#include "describe/describe.h"
#include "base/printable.h"
#include "base/progress.h"
#include "describe/frozen_memory.h"
#include "format/records/address_space.h"

#include <algorithm>

namespace rfork::tool {
namespace {

// The file whose mapping holds the first byte of code.
std::string executable(const FrozenProgram& program, std::uint64_t start_code) {
    const auto mappings = program.image.mappings(program.process);
    const auto mapping = std::ranges::partition_point(
        mappings, [=](const image::Mapping& other) { return other.end <= start_code; });
    if (mapping == mappings.end() || start_code < mapping->start)
        return "(in no mapping)";
    return string_at(program, mapping->name);
}

// argv as the program's memory has it, one quoted word each.
std::string command_line(const FrozenProgram& program, std::uint64_t start, std::uint64_t end) {
    constexpr std::uint64_t enough = 4096;
    if (start >= end)
        return "";
    std::string memory = frozen_memory(program, start, std::min(end - start, enough));
    std::string words;
    for (std::size_t at = 0; at < memory.size();) {
        std::string word = memory.c_str() + at;
        at += word.size() + 1;
        append_word(words, word.empty() || word.find(' ') != std::string::npos
                               ? "'" + printable(word) + "'"
                               : printable(word));
    }
    return end - start > enough ? words + " ..." : words;
}

} // namespace

Lines describe_address_space(const FrozenProgram& program, const image::Record& whole) {
    return describe_as<kinds::AddressSpaceRecord>(
        whole, [&](const kinds::AddressSpaceRecord& record) -> Lines {
            std::string build_id;
            auto size =
                std::min<std::size_t>(record.vdso_build_id_size, sizeof record.vdso_build_id);
            for (std::size_t i = 0; i < size; ++i)
                build_id += format("%02x", record.vdso_build_id[i]);
            return {
                {"executable", executable(program, record.start_code)},
                {"command line", command_line(program, record.arg_start, record.arg_end)},
                {"heap", format("%#lx-%#lx, %s", record.start_brk, record.brk,
                                bytes_text(record.brk - record.start_brk).c_str())},
                {"vDSO", record.vdso
                             ? format("%#lx, build id %s", record.vdso, or_none(build_id).c_str())
                             : "none"},
            };
        });
}

} // namespace rfork::tool
