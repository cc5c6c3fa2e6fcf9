#include "process/provenance.h"

#include <sys/stat.h>

namespace rfork::capture {

Provenance Provenance::of(const Source& source) {
    Provenance none;
    const Result<UniqueFd> exe = source.executable();
    struct stat st;
    if (!exe || fstat(exe->get(), &st) != 0)
        return none;
    Result<image::Image> image = image::read_image(exe->get());
    if (!image)
        return none;
    Provenance provenance;
    provenance.image_ = std::move(*image);
    provenance.inode_ = st.st_ino;
    return provenance;
}

void Provenance::restore(MemoryMapEntry& entry) const {
    if (!image_ || entry.inode != inode_ || entry.name.empty() || entry.name[0] != '/')
        return;
    for (const image::Mapping& m : image_->mappings()) {
        if (m.kind != image::MappingKind::file_content || entry.offset < m.file_offset ||
            entry.offset - m.file_offset >= m.end - m.start)
            continue;
        entry.offset = m.origin_offset + (entry.offset - m.file_offset);
        entry.name = image_->string(m.name).value_or("");
        return;
    }
}

} // namespace rfork::capture
