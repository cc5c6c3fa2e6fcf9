// A directory of the bench's own for spool, key, fifos and logs; removed at the end.
#pragma once

#include <filesystem>
#include <string>

namespace rfork::bench {

class Workplace {
  public:
    // In `parent`, which should be a tmpfs: the bench measures rfork, not a disk.
    explicit Workplace(const std::string& parent);
    Workplace(const Workplace&) = delete;
    Workplace& operator=(const Workplace&) = delete;
    ~Workplace();

    std::string path(const char* name) const { return root_ / name; }
    std::string spool() const { return path("spool"); }
    std::string key() const { return path("key"); }

  private:
    std::filesystem::path root_;
};

} // namespace rfork::bench
