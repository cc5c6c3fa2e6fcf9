// The build-id of an ELF object that is mapped as the file is (as the vDSO is). Shared with
// freestanding code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <elf.h>

namespace rfork::image {

struct BuildId {
    std::uint8_t bytes[32];
    std::uint32_t size; // 0: it has none
};

inline BuildId build_id_of(const void* object) {
    BuildId id{};
    const auto* base = static_cast<const std::uint8_t*>(object);
    const auto* header = reinterpret_cast<const Elf64_Ehdr*>(base);
    const auto* segment = reinterpret_cast<const Elf64_Phdr*>(base + header->e_phoff);
    for (unsigned i = 0; i < header->e_phnum; ++i) {
        if (segment[i].p_type != PT_NOTE)
            continue;
        std::uint64_t at = 0;
        while (at + sizeof(Elf64_Nhdr) <= segment[i].p_filesz) {
            const auto* note = reinterpret_cast<const Elf64_Nhdr*>(base + segment[i].p_offset + at);
            const std::uint64_t name = at + sizeof *note;
            const std::uint64_t content = name + ((note->n_namesz + 3u) & ~3u);
            if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4) {
                id.size = note->n_descsz < sizeof id.bytes ? note->n_descsz : sizeof id.bytes;
                for (unsigned b = 0; b < id.size; ++b)
                    id.bytes[b] = base[segment[i].p_offset + content + b];
                return id;
            }
            at = content + ((note->n_descsz + 3u) & ~3u);
        }
    }
    return id;
}

} // namespace rfork::image
