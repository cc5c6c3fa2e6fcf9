// The public header for the library's own sources, in which `rfork` is a namespace already and
// cannot be a function too. The function itself is in assembly and needs no declaration here.
#pragma once

#define rfork rfork_in_assembly
#include "rfork/rfork.h"
#undef rfork
