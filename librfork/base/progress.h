// A line about work that takes long: on a terminal only, from the first second on, and gone when
// the work is done.
//
//   verifying image: 412.0 MiB of 1.0 GiB, 190.0 MiB/s, 3 s left
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace rfork {

class Progress {
  public:
    // `work` is printable.
    explicit Progress(std::string work);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    // As often as one likes: what is shown changes ten times a second.
    void at_byte(std::uint64_t done, std::uint64_t all);
    void at_step(const std::string& step, std::uint64_t done, std::uint64_t all);

  private:
    using Clock = std::chrono::steady_clock;

    bool is_time();
    void show(const std::string& state);

    std::string work_;
    bool wanted_;
    bool shown_ = false;
    Clock::time_point start_ = Clock::now();
    Clock::time_point next_ = start_ + std::chrono::seconds(1);
};

std::string bytes_text(std::uint64_t bytes); // "12.3 MiB"

} // namespace rfork
