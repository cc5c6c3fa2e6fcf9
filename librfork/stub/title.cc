// What ps(1) shows of the executed process and its helper, which have given up the memory where
// their arguments were: "rfork: ./simulation 8 3 (6244)" and "rfork: helper of 6243". The text
// is on their stacks, since the kernel shows anonymous memory only (Linux 4.17).
//
// Their name (comm) is not the program's: killall(1) would signal the program and its supervisor,
// which passes it on, so that the program had it twice.
#include "format/kinds.h"
#include "stub/identity.h"

#include "format/records/address_space.h"

#include <asm/unistd.h>
#include <linux/prctl.h>

namespace rfork::stub {
namespace {

const kinds::AddressSpaceRecord* address_space(const Stub& stub) {
    Records records(stub);
    while (const image::RecordHeader* record = records.next())
        if (record->kind == image::Kind::address_space)
            return &as<kinds::AddressSpaceRecord>(*record);
    return nullptr;
}

// From the image, since the program's memory is not here; zeroes are not in it.
void read_frozen(const Stub& stub, std::uint64_t from, char* to, std::uint64_t size) {
    const std::uint64_t end = from + size;
    for (const image::Extent& extent :
         table<image::Extent>(stub, image::SectionKind::extents, stub.process->id)) {
        const std::uint64_t first = extent.at > from ? extent.at : from;
        const std::uint64_t stop = extent.end() < end ? extent.end() : end;
        if (first < stop && extent.backing == 0)
            arch::syscall(__NR_pread64, stub.image_fd, to + (first - from), stop - first,
                          extent.offset + (first - extent.at));
    }
}

// With blanks between them.
void write_arguments(const Stub& stub, Text& title) {
    constexpr unsigned room = title_size - 64; // which the rest needs
    char arguments[room] = {};
    const kinds::AddressSpaceRecord* frozen = address_space(stub);
    const std::uint64_t size = frozen ? frozen->arg_end - frozen->arg_start : 0;
    if (size == 0 || size > (std::uint64_t(1) << 32))
        return;
    const std::uint64_t used = size < room ? size : room;
    read_frozen(stub, frozen->arg_start, arguments, used);
    for (std::uint64_t i = 0; i < used; ++i)
        if (arguments[i] == '\0')
            arguments[i] = ' ';
    arguments[used - 1] = '\0';
    title << arguments << (size > room ? "..." : "") << " ";
}

// A kernel that does not let us shows nothing. The heap has to be above the data, by older kernels,
// and no address may be zero.
void show(const Stub& stub, const char* title) {
    const image::Window& window = stub.header->window;
    prctl_mm_map map{};
    map.start_code = map.start_data = map.end_data = window.base;
    map.end_code = map.start_brk = map.brk = map.start_stack = window.end;
    map.arg_start = reinterpret_cast<std::uint64_t>(title);
    map.arg_end = map.env_start = map.env_end = map.arg_start + length(title) + 1;
    map.exe_fd = std::uint32_t(-1);
    arch::syscall(__NR_prctl, PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0);
    arch::syscall(__NR_prctl, PR_SET_NAME, "rfork");
}

} // namespace

void show_program(const Stub& stub, int program, char (&title)[title_size]) {
    Text text(title, sizeof title);
    text << "rfork: ";
    write_arguments(stub, text);
    text << "(" << std::uint64_t(program) << ")";
    show(stub, title);
}

void show_helper(const Stub& stub, int executed, char (&title)[title_size]) {
    Text(title, sizeof title) << "rfork: helper of " << std::uint64_t(executed);
    show(stub, title);
}

} // namespace rfork::stub
