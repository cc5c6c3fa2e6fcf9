#include "format/kinds.h"
#include "format/records/umask.h"
#include "process/source.h"

#include <cstdlib>

namespace rfork::kinds {

Result<void> collect_umask(const capture::Source& source, capture::ProcessSnapshot& process) {
    UmaskRecord record{};
    record.mask = std::uint32_t(std::strtoul(field(source.status(), "Umask").c_str(), nullptr, 8));
    process.records.add(image::Kind::umask, record);
    return {};
}

} // namespace rfork::kinds
