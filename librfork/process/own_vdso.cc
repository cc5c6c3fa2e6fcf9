#include "process/own_vdso.h"

#include "base/proc.h"
#include "format/redirection.h"
#include "process/own_memory.h"

#include <cstdlib>
#include <cstring>
#include <elf.h>
#include <sys/auxv.h>

namespace rfork::capture {
namespace {

std::uint64_t size_in_memory(std::uint64_t object) {
    const auto* header = reinterpret_cast<const Elf64_Ehdr*>(object);
    const auto* segment = reinterpret_cast<const Elf64_Phdr*>(object + header->e_phoff);
    std::uint64_t size = 0;
    for (unsigned i = 0; i < header->e_phnum; ++i)
        if (segment[i].p_type == PT_LOAD && segment[i].p_vaddr + segment[i].p_memsz > size)
            size = segment[i].p_vaddr + segment[i].p_memsz;
    return size;
}

// The running kernel's, found by its name.
void add_kernels_vdso(std::vector<Range>& code) {
    const std::string text = text_of("/proc/self/maps");
    const std::size_t name = text.find("[vdso]");
    if (name == std::string::npos)
        return;
    char* end = nullptr;
    const char* line = text.c_str() + text.rfind('\n', name) + 1; // npos + 1 is the first
    const std::uint64_t start = std::strtoull(line, &end, 16);
    code.push_back({start, std::strtoull(end + 1, nullptr, 16)});
}

} // namespace

std::vector<Range> vdso_code() {
    std::vector<Range> code;
    const std::uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
    if (!vdso)
        return code;
    code.push_back({vdso, vdso + size_in_memory(vdso)});
    char magic[sizeof image::redirection_magic];
    const std::uint64_t page = vdso - image::page_size;
    if (peek_own(page, magic, sizeof magic) == sizeof magic &&
        std::memcmp(magic, image::redirection_magic, sizeof magic) == 0) {
        code.front().start = page;
        add_kernels_vdso(code);
    }
    return code;
}

} // namespace rfork::capture
