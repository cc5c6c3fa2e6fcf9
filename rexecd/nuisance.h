// Datagrams that are passed over in silence, of which the log tells once a minute.
#pragma once

#include <cstdint>
#include <optional>

namespace rexecd {

class Nuisance {
  public:
    // Counts one; how many there were since that was told last, if it is time to tell.
    std::optional<std::uint64_t> count(std::uint64_t steady) {
        ++count_;
        if (told_ != 0 && steady - told_ < interval)
            return std::nullopt;
        told_ = steady;
        const std::uint64_t counted = count_;
        count_ = 0;
        return counted;
    }

    // Whether one of these may still be answered, or told of, in this second: an old datagram that
    // somebody has recorded can be sent again for ever.
    bool may_answer(std::uint64_t steady, unsigned a_second = 20) {
        if (steady - second_began_ >= 1'000'000'000) {
            second_began_ = steady;
            answered_ = 0;
        }
        return answered_++ < a_second;
    }

  private:
    static constexpr std::uint64_t interval = 60'000'000'000;
    std::uint64_t count_ = 0, told_ = 0, second_began_ = 0;
    unsigned answered_ = 0;
};

} // namespace rexecd
