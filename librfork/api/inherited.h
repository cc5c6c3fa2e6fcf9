// Which descriptors were there when the program started.
#pragma once

#include "snapshot/ignored.h"

#include <span>

namespace rfork::api {

std::span<const capture::InheritedFile> inherited_files();

} // namespace rfork::api
