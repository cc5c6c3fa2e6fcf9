// The calling process's vDSOs: as a rule one; process/program_vdso.h says when there are two.
#pragma once

#include "snapshot/snapshot.h"

#include <vector>

namespace rfork::capture {

// Where their code lies.
std::vector<Range> vdso_code();

} // namespace rfork::capture
