#include "base/elf_object.h"
#include "format/kinds.h"
#include "format/records/address_space.h"
#include "process/source.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <elf.h>

namespace rfork::kinds {
namespace {

// The first is field 3 in the numbering of proc(5), a letter.
std::vector<std::uint64_t> stat_fields(const std::string& text) {
    const std::string behind_name = fields_in_stat(text);
    std::vector<std::uint64_t> fields;
    const char* at = behind_name.c_str();
    while (*at && *at != '\n') {
        char* end = nullptr;
        fields.push_back(std::strtoull(at, &end, 10));
        at = end == at ? at + 1 : end;
        while (*at == ' ')
            ++at;
    }
    return fields;
}

// The vDSO that the program has pointers into, which need not be the running kernel's. The program
// may have unmapped it, so it is not simply looked at.
image::BuildId build_id_at(const capture::Source& source, std::uint64_t vdso) {
    std::vector<std::uint8_t> bytes(8 * image::page_size);
    const std::size_t there = source.read_memory(vdso, bytes.data(), bytes.size());
    return image::ElfObject(bytes.data(), there).build_id();
}

} // namespace

Result<void> collect_address_space(const capture::Source& source,
                                   capture::ProcessSnapshot& process) {
    const Result<std::string> stat = source.read("stat");
    if (!stat)
        return stat.error();
    const std::vector<std::uint64_t> fields = stat_fields(*stat);
    constexpr unsigned first = 3, last = 51; // proc(5)
    if (fields.size() <= last - first)
        return Error{ENOTSUP, "this kernel does not tell where the areas of a process lie "
                              "(/proc/PID/stat is too short): Linux 3.5 or later is needed"};
    auto field = [&](unsigned number) { return fields[number - first]; };

    AddressSpaceRecord record{};
    record.start_code = field(26);
    record.end_code = field(27);
    record.start_stack = field(28);
    record.start_data = field(45);
    record.end_data = field(46);
    record.start_brk = field(47);
    record.arg_start = field(48);
    record.arg_end = field(49);
    record.env_start = field(50);
    record.env_end = field(51);
    record.brk = source.facts().brk;

    const Result<std::string> auxv = source.read("auxv");
    if (!auxv)
        return auxv.error();
    if (auxv->size() > sizeof record.auxv)
        return Error{ENOTSUP, "this kernel's auxiliary vector is longer than an image can hold"};
    std::memcpy(record.auxv, auxv->data(), auxv->size());
    record.auxv_words = std::uint32_t(auxv->size() / sizeof record.auxv[0]);
    process.auxv.assign(record.auxv, record.auxv + record.auxv_words);
    for (unsigned i = 0; i + 1 < record.auxv_words; i += 2)
        if (record.auxv[i] == AT_SYSINFO_EHDR)
            record.vdso = record.auxv[i + 1];

    if (record.vdso) {
        const image::BuildId id = build_id_at(source, record.vdso);
        std::memcpy(record.vdso_build_id, id.bytes, sizeof id.bytes);
        record.vdso_build_id_size = id.size;
    }
    process.records.add(image::Kind::address_space, record);
    return {};
}

} // namespace rfork::kinds
