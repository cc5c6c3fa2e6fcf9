// The same lines for people who watch: local time, a column for each host, failures in red.
//
//   02:31:55.123  o . .  10.77.0.1  tour[25973]: dump started, for elm
//   02:31:55.131  . o .  10.77.0.2  tour[78]: resumed on elm as pid 78, 8 ms after the dump began
#pragma once

#include <cstddef>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

namespace notifyd {

class TerminalLines {
  public:
    static constexpr std::size_t columns = 8; // further hosts share the last one

    explicit TerminalLines(bool colours) : colours_(colours) {}
    std::string make(const timespec& time, const std::string& origin, std::string_view message);

  private:
    std::size_t column_of(const std::string& origin);

    bool colours_;
    std::vector<std::string> hosts_; // in the order in which they were first heard of
};

// Whether a message says that something has gone wrong for its program.
bool tells_of_failure(std::string_view message);

} // namespace notifyd
