// XXH3 with 64 bits, the checksum of everything in an image: against rotten disks, half copies and
// transmission errors, never against an enemy, who can compute it as well as we can.
//
// libxxhash is used header-only, so that no library of its own travels in self-contained images. It
// is compiled for two vector units, of which the wider is four times as fast; the values are equal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace rfork {

// The wider unit, if this CPU has it. To ask leaves a virtual machine (CPUID), so it is asked once
// for much work; and it is never kept in a program's memory, which goes on to other CPUs.
class HashUnit {
  public:
    HashUnit();
    bool is_wide() const { return is_wide_; }

  private:
    bool is_wide_;
};

std::uint64_t hash(std::span<const std::byte> bytes, HashUnit unit = {});

// The same over bytes that arrive in pieces.
class RunningHash {
  public:
    explicit RunningHash(HashUnit unit = {});
    void add(std::span<const std::byte> bytes);
    std::uint64_t value() const;

  private:
    HashUnit unit_;
    alignas(64) std::byte state_[576]; // XXH3_state_t, which two compilations name differently
};

} // namespace rfork
