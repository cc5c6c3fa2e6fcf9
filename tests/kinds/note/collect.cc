#include "record.h"

#include "format/kinds.h"
#include "objects/descriptors.h"

#include <cerrno>
#include <unistd.h>

namespace rfork::kinds {
namespace {

Result<void> add(const capture::Source& source, capture::ProcessSnapshot& process,
                 const OpenDescription& d) {
    const Result<UniqueFd> fd = source.descriptor(d.number());
    if (!fd)
        return fd.error();
    std::vector<std::uint8_t> text(std::size_t(d.st.st_size));
    if (pread(fd->get(), text.data(), text.size(), 0) != ssize_t(text.size()))
        return system_error(errno, "cannot read " + label(d));
    NoteRecord record{};
    record.object = add_object(process, d);
    record.size = std::uint32_t(text.size());
    process.all.objects.add(image::Kind::note, record, text.data(), text.size());
    return {};
}

} // namespace

bool is_note(const capture::Source&, const OpenDescriptions&, const OpenDescription& d) {
    return S_ISREG(d.st.st_mode) && d.path.ends_with(".note");
}

Result<void> collect_note(const capture::Source& source, capture::ProcessSnapshot& process) {
    return collect_each(source, process, image::Kind::note,
                        [&](const OpenDescription& d) { return add(source, process, d); });
}

} // namespace rfork::kinds
