#include "process/program_vdso.h"

#include <cstring>
#include <elf.h>
#include <sys/mman.h>

namespace rfork::capture {
namespace {

using image::Redirection;

std::uint64_t vdso_address(std::span<const std::uint64_t> auxv) {
    for (std::size_t i = 0; i + 1 < auxv.size(); i += 2)
        if (auxv[i] == AT_SYSINFO_EHDR)
            return auxv[i + 1];
    return 0;
}

// Private memory without a file, such as the stub makes it; the kernel may have joined it with a
// neighbour.
bool is_covered(std::span<const MemoryMapEntry> entries, Range range, std::uint32_t prot) {
    for (const MemoryMapEntry& e : entries) {
        if (e.end <= range.start || e.start > range.start)
            continue;
        if (e.shared || e.inode != 0 || (e.prot & prot) != prot || e.name == "[vdso]")
            return false;
        if (e.end >= range.end)
            return true;
        range.start = e.end;
    }
    return false;
}

// The program could have written here.
bool is_sound(const Redirection& r, std::uint64_t vdso) {
    constexpr std::uint64_t page = image::page_size;
    if (std::memcmp(r.magic, image::redirection_magic, sizeof r.magic) != 0 || r.vdso != vdso ||
        r.vdso_end <= vdso || r.vdso_end % page != 0 || r.pieces == 0 ||
        r.pieces > image::data_piece_limit)
        return false;
    std::uint64_t free_from = 0;
    for (std::uint64_t i = 0; i < r.pieces; ++i) {
        const image::DataPiece& piece = r.piece[i];
        if (piece.start < free_from || piece.start >= piece.end || piece.start % page != 0 ||
            piece.end % page != 0 || !std::memchr(piece.name, 0, sizeof piece.name))
            return false;
        free_from = piece.end;
    }
    return free_from == vdso;
}

} // namespace

std::optional<Redirection> find_redirection(const Source& source,
                                            std::span<const MemoryMapEntry> entries,
                                            std::span<const std::uint64_t> auxv) {
    constexpr std::uint32_t code = PROT_READ | PROT_EXEC;
    const std::uint64_t vdso = vdso_address(auxv);
    if (vdso < image::page_size || vdso % image::page_size != 0 ||
        !is_covered(entries, {vdso - image::page_size, vdso}, code))
        return {};
    Redirection redirection;
    if (source.read_memory(vdso - image::page_size, &redirection, sizeof redirection) !=
            sizeof redirection ||
        !is_sound(redirection, vdso) || !is_covered(entries, {vdso, redirection.vdso_end}, code))
        return {};
    for (std::uint64_t i = 0; i < redirection.pieces; ++i)
        if (!is_covered(entries, {redirection.piece[i].start, redirection.piece[i].end}, 0))
            return {};
    return redirection;
}

} // namespace rfork::capture
