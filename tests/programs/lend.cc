// lend IMAGE FD - changes an image: its process is to have descriptor FD until it is resumed only.
#include "edit_image.h"

#include <cstdlib>

using namespace rfork;

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    test::EditedImage edited(argv[1]);
    bool found = false;
    const std::span<std::byte> table = edited.contents(image::SectionKind::descriptors, 1);
    auto *descriptors = reinterpret_cast<image::Descriptor *>(table.data());
    for (std::size_t i = 0; i < table.size() / sizeof *descriptors; ++i)
        if (descriptors[i].fd == std::atoi(argv[2])) {
            descriptors[i].flags |= image::descriptor_until_resumed;
            found = true;
        }
    if (!found)
        test::EditedImage::fail("there is no such descriptor");
    edited.save();
    return 0;
}
