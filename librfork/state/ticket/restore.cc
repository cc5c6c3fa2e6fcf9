// Opens the directory in which the ticket lies. It is proved by its owner and mode, not by its
// name: where others may write, they could take the ticket away or put back one that is spent.
#include "format/records/ticket.h"
#include "stub/stub.h"

#include <asm/stat.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

namespace rfork::stub {
namespace {

constexpr unsigned file_type = 0170000, directory_type = 0040000, of_others = 0077;

bool is_private_directory(int fd) {
    struct stat st;
    return arch::syscall(__NR_fstat, fd, &st) == 0 && (st.st_mode & file_type) == directory_type &&
           long(st.st_uid) == arch::syscall(__NR_geteuid) && !(st.st_mode & of_others);
}

} // namespace

long open_ticket_directory(const Stub& stub) {
    const long fd =
        arch::syscall(__NR_open, stub.ticket_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || is_private_directory(int(fd)))
        return fd;
    arch::syscall(__NR_close, fd);
    return -EINVAL;
}

void restore_ticket(Stub& stub, const image::RecordHeader& header) {
    const auto& record = as<kinds::TicketRecord>(header);
    if (!is_first(stub)) // which wins it for all
        return;
    stub.ticket_path =
        stub.ticket_directory[0] ? stub.ticket_directory : string_at(stub, record.directory);
    const long opened = open_ticket_directory(stub);
    if (opened == -EINVAL)
        fail(stub, EINVAL,
             "the image travels, and others than its owner may write where its ticket is",
             stub.ticket_path);
    if (opened < 0)
        fail(stub, int(-opened),
             "the image travels, and cannot run without its ticket; cannot open the spool's "
             "directory",
             stub.ticket_path);
    const int number = stub.header->descriptors[image::fd_spool];
    if (opened != number) {
        if (long r = arch::syscall(__NR_dup3, opened, number, O_CLOEXEC); r < 0)
            fail(stub, int(-r), "cannot put a descriptor of the resume in its place");
        arch::syscall(__NR_close, opened);
    }
    stub.spool_fd = number;
    if (!stub.ticket[0])
        copy_text(stub.ticket, sizeof stub.ticket, string_at(stub, record.name));
}

} // namespace rfork::stub
