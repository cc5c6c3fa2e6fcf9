// other_kernel IMAGE [FUNCTION] - makes an image look as if it had been frozen under another
// kernel: the recorded build-id of the vDSO becomes another, and FUNCTION of that vDSO, if one is
// named, gets a name that no kernel knows. All checksums are put right.
#include "edit_image.h"

#include "format/kinds.h"
#include "format/records/address_space.h"

using namespace rfork;

namespace {

void change_build_id(std::span<std::byte> records) {
    for (std::size_t at = 0; at < records.size();) {
        auto *header = reinterpret_cast<image::RecordHeader *>(&records[at]);
        if (header->kind == image::Kind::address_space) {
            auto *record = reinterpret_cast<kinds::AddressSpaceRecord *>(header);
            record->vdso_build_id[0] = std::uint8_t(~record->vdso_build_id[0]);
        }
        at += header->size;
    }
}

// The function's name, wherever it stands alone or behind "__vdso_".
void change_name(std::vector<std::byte> &code, const char *function) {
    const std::size_t size = std::strlen(function) + 1;
    unsigned changed = 0;
    for (std::size_t at = 1; at + size <= code.size(); ++at)
        if (std::memcmp(code.data() + at, function, size) == 0) {
            code[at] = std::byte('x');
            ++changed;
        }
    if (!changed)
        test::EditedImage::fail("the vDSO has no such function");
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    test::EditedImage edited(argv[1]);
    const image::Image &image = edited.image();
    change_build_id(edited.contents(image::SectionKind::state, 1));
    for (std::size_t i = 0; argc > 2 && i < image.extents().size(); ++i)
        for (const image::Mapping &m : image.mappings()) {
            const image::Extent &extent = image.extents()[i];
            if (m.kind != image::MappingKind::vdso || m.start != extent.at)
                continue;
            auto code = edited.read(extent.offset, extent.size());
            change_name(code, argv[2]);
            edited.replace_page_data(i, code);
        }
    edited.save();
    return 0;
}
