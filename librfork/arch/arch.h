// Selects the architecture. Everything that knows a register, an instruction or a kernel structure
// that differs between machines lives in the folder named here.
#pragma once

#if defined(__x86_64__) && defined(__LP64__)
#include "arch/x86_64/machine.h"
#include "arch/x86_64/wide_hash.h"
#else
#error "rfork knows x86-64 only; a port adds librfork/arch/<name>/ with the files of arch/x86_64/."
#endif
