// A page that the caller shares with its copy: what the copy has to say, and the events by which it
// says when.
#pragma once

#include "api/copy_events.h"
#include "image/writer.h"
#include "snapshot/snapshot.h"

#include <climits>
#include <sys/mman.h>
#include <utility>

namespace rfork::api {

struct Mailbox {
    CopyEvents events;
    bool done;
    bool lacks_memory;  // the copy does (make_copy.h), so there is no image
    std::int32_t error; // 0: the image is complete
    std::uint64_t bytes;
    image::Progress progress;
    char sentence[1000];
    // Of a checkpoint in the background (api/background.h).
    char directory[PATH_MAX];
    char temporary[64];
};

inline capture::Range range_of(const Mailbox* mailbox) {
    const auto start = reinterpret_cast<std::uint64_t>(mailbox);
    return {start,
            start + (sizeof(Mailbox) + image::page_size - 1) / image::page_size * image::page_size};
}

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
    capture::Range range() const { return range_of(static_cast<Mailbox*>(mailbox_)); }
    Mailbox* release() { return static_cast<Mailbox*>(std::exchange(mailbox_, MAP_FAILED)); }

  private:
    void* mailbox_;
};

} // namespace rfork::api
