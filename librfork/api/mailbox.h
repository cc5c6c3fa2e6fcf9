// A page that the caller shares with its copy: what the copy has to say, and the bells by which it
// says when.
#pragma once

#include "api/doorbell.h"
#include "capture/snapshot.h"
#include "image/writer.h"

#include <sys/mman.h>

namespace rfork::api {

struct Mailbox {
    Doorbell doorbell;
    bool done;
    bool lacks_memory;  // the copy does (make_copy.h), so there is no image
    std::int32_t error; // 0: the image is complete
    std::uint64_t bytes;
    image::Progress progress;
    char sentence[1000];
};

class SharedMailbox {
  public:
    SharedMailbox()
        : mailbox_(mmap(nullptr, sizeof(Mailbox), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {}
    ~SharedMailbox() {
        if (*this)
            munmap(mailbox_, sizeof(Mailbox));
    }
    explicit operator bool() const { return mailbox_ != MAP_FAILED; }
    Mailbox* operator->() const { return static_cast<Mailbox*>(mailbox_); }
    capture::Range range() const {
        const auto start = reinterpret_cast<std::uint64_t>(mailbox_);
        return {start, start + (sizeof(Mailbox) + image::page_size - 1) / image::page_size *
                                   image::page_size};
    }

  private:
    void* mailbox_;
};

} // namespace rfork::api
