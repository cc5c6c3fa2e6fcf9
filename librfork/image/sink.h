// Where an image goes: a file, a pipe, a socket. It is written from front to back; nothing that has
// been written is looked at again.
#pragma once

#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace rfork::image {

class Sink {
  public:
    virtual Result<void> write(std::span<const std::uint8_t> bytes) = 0;
    virtual Result<void> write_zeroes(std::uint64_t count) = 0;

  protected:
    ~Sink() = default;
};

// An open descriptor. In a regular file zeroes are a hole. From a pipe that is nonblocking
// something must be read every `patience_ms`, or its reader counts as gone.
class DescriptorSink : public Sink {
  public:
    explicit DescriptorSink(int fd, int patience_ms = -1);
    Result<void> write(std::span<const std::uint8_t> bytes) override;
    Result<void> write_zeroes(std::uint64_t count) override;
    // Until the reader of a pipe has read all of it. What a reader leaves when he ends, nobody has.
    Result<void> wait_until_read();

  private:
    class Patience;
    Result<void> wait_for_room();

    int fd_;
    int patience_ms_;
    bool has_holes_;
};

} // namespace rfork::image
