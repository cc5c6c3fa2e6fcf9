#include "image/check_header.h"

#include "image/checks.h"
#include "image/reader.h"

#include <cstring>

namespace rfork::image {
namespace {

Result<void> check_identity(const Header& header) {
    if (std::memcmp(header.magic, magic, sizeof magic) != 0)
        return not_an_image("it is an ordinary executable");
    if (header.version != format_version)
        return Error{EPROTONOSUPPORT, "the image has format version " +
                                          std::to_string(header.version) + ", and only version " +
                                          std::to_string(format_version) +
                                          " can be read here: install the same release of rfork "
                                          "on both machines"};
    if (header.header_size != sizeof(Header) || header.machine != EM_X86_64)
        return damaged("its header makes no sense");
    if (header.page_size != page_size)
        return Error{ENOEXEC, "the image has pages of " + std::to_string(header.page_size) +
                                  " bytes, and this machine has pages of " +
                                  std::to_string(page_size) + ": resume it where it was frozen"};
    return {};
}

Result<void> check_file_size(const Header& header, std::uint64_t size) {
    if (size < header.file_size)
        return Error{EBADMSG, "the image is truncated: " + std::to_string(size) + " of its " +
                                  std::to_string(header.file_size) +
                                  " bytes are there: copy it again"};
    if (size > header.file_size)
        return damaged("something was appended to it");
    return {};
}

Result<void> check_layout(const Header& header) {
    if (header.metadata_size < sizeof(Header) || header.metadata_size > metadata_limit ||
        header.metadata_size % 8 != 0 || !page_aligned(header.metadata_offset))
        return damaged("its metadata have an impossible size or place");
    if (!fits(header.metadata_offset, header.metadata_size, header.file_size) ||
        header.file_size - header.metadata_offset - header.metadata_size < sizeof(Closing))
        return damaged("its metadata lie behind its end");
    if (!fits(sizeof(Header), header.sections * sizeof(Section), header.metadata_size))
        return damaged("its list of sections is longer than its metadata");
    return {};
}

Result<void> check_window(const Header& header, const Front& front) {
    const Window& window = header.window;
    bool ordered = window.base < window.metadata && window.metadata < window.scratch &&
                   window.scratch < window.hashes && window.hashes < window.stacks &&
                   window.stacks < window.frames && window.frames <= window.end &&
                   window.end <= address_limit;
    bool aligned = page_aligned(window.base) && page_aligned(window.metadata);
    if (!ordered || !aligned || header.metadata_size > window.scratch - window.metadata)
        return damaged("its stub's window makes no sense");

    bool stub_there = front.stub.p_vaddr == window.base &&
                      front.stub.p_filesz <= front.stub.p_memsz &&
                      front.stub.p_memsz <= window.metadata - window.base &&
                      fits(front.stub.p_offset, front.stub.p_filesz, header.metadata_offset);
    bool entry_there =
        front.elf.e_entry >= window.base && front.elf.e_entry - window.base < front.stub.p_filesz;
    bool metadata_there = front.metadata.p_vaddr == window.metadata &&
                          front.metadata.p_filesz >= header.metadata_size &&
                          front.metadata.p_filesz <= front.metadata.p_memsz &&
                          front.metadata.p_memsz <= window.end - window.metadata;
    if (!stub_there || !entry_there || !metadata_there)
        return damaged("its program headers disagree with its metadata");
    return {};
}

} // namespace

// In this order: each relies on the ones before.
Result<void> check_header(const Header& header, const Front& front, std::uint64_t file_size) {
    if (auto checked = check_identity(header); !checked)
        return checked;
    if (header.metadata_offset != front.metadata.p_offset)
        return damaged("its program headers disagree with its metadata");
    if (auto checked = check_file_size(header, file_size); !checked)
        return checked;
    if (auto checked = check_layout(header); !checked)
        return checked;
    return check_window(header, front);
}

} // namespace rfork::image
