#include "image/check_front.h"

#include "image/checks.h"

#include <cstring>

namespace rfork::image {
namespace {

std::string machine_name(Elf64_Half machine) {
    switch (machine) {
    case EM_386:
        return "32-bit x86";
    case EM_X86_64:
        return "x86-64";
    case EM_ARM:
        return "32-bit ARM";
    case EM_AARCH64:
        return "AArch64";
    case EM_RISCV:
        return "RISC-V";
    case EM_PPC64:
        return "64-bit PowerPC";
    case EM_S390:
        return "IBM Z";
    default:
        return "ELF machine " + std::to_string(machine);
    }
}

Result<void> check_elf_header(const Elf64_Ehdr& elf) {
    if (std::memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0)
        return not_an_image("it is no ELF file");
    if (elf.e_ident[EI_CLASS] == ELFCLASS64 && elf.e_ident[EI_DATA] == ELFDATA2LSB &&
        elf.e_machine != EM_X86_64)
        return Error{ENOEXEC,
                     "the image is for another architecture: " + machine_name(elf.e_machine) +
                         " code cannot run on x86-64: resume it where it was frozen"};
    if (elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_ident[EI_DATA] != ELFDATA2LSB)
        return not_an_image("it is an ELF file of another architecture, not of x86-64");
    if (elf.e_type == ET_CORE)
        return not_an_image("it is a core file: if `rfork core` made it, use the image it was "
                            "made from");
    if (elf.e_type != ET_EXEC || elf.e_version != EV_CURRENT ||
        elf.e_ehsize != sizeof(Elf64_Ehdr) || elf.e_phentsize != sizeof(Elf64_Phdr))
        return not_an_image("it is some other ELF file");
    return {};
}

} // namespace

Result<Front> parse_front(std::span<const std::byte> page) {
    Front front{};
    if (page.size() < sizeof front.elf)
        return not_an_image("it is shorter than an ELF header");
    std::memcpy(&front.elf, page.data(), sizeof front.elf);
    if (auto checked = check_elf_header(front.elf); !checked)
        return checked.error();
    if (!fits(front.elf.e_phoff, front.elf.e_phnum * sizeof(Elf64_Phdr), page.size()))
        return not_an_image("its program headers do not lie in its first page");

    unsigned loads = 0;
    for (unsigned i = 0; i < front.elf.e_phnum; ++i) {
        Elf64_Phdr header;
        std::memcpy(&header, page.data() + front.elf.e_phoff + i * sizeof header, sizeof header);
        if (header.p_type != PT_LOAD)
            continue;
        ++loads;
        if (loads == 1)
            front.stub = header;
        else if (loads == 2)
            front.metadata = header;
    }
    if (loads < 2)
        return not_an_image("it is an ordinary executable");
    return front;
}

} // namespace rfork::image
