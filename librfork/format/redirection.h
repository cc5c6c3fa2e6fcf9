// What the stub leaves in a program's memory when its vDSO is that of another kernel than the one
// it is resumed on: a page in front of the program's vDSO, where the last of that vDSO's data pages
// was. It holds the code to which the functions are redirected, and says what was where, so that
// the next freeze finds the program's vDSO again, and not the running kernel's. Shared with
// freestanding code; stub/redirect_vdso.cc has the picture.
#pragma once

#include "format/format.h"

namespace rfork::image {

inline constexpr unsigned data_piece_limit = 4;
inline constexpr char redirection_magic[16] = "rfork: old vDSO";

struct DataPiece { // a mapping of the old kernel's data, of kind vvar
    std::uint64_t start;
    std::uint64_t end;
    char name[32];
};

struct Redirection {
    char magic[16];
    std::uint64_t vdso; // where the program's vDSO starts, and this page ends
    std::uint64_t vdso_end;
    std::uint64_t pieces;
    DataPiece piece[data_piece_limit];
};
static_assert(sizeof(Redirection) == 40 + 48 * data_piece_limit);

} // namespace rfork::image
