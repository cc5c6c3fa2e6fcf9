// What stands in the way of an image: all of it, so that nobody has to meet one obstacle after the
// other.
#pragma once

#include "base/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace rfork::capture {

class Obstacles {
  public:
    // Of a process that somebody else freezes: "process 123 (name)". What to do is his to do.
    void are_of(std::string process) { process_ = std::move(process); }

    // A descriptor, and what of it an image cannot carry: "descriptor 7 (...) is a pipe ...".
    // `sort`: the word of RFORK_IGNORE that leaves out that alone and keeps the descriptor; "" if
    // only the number does.
    void add_descriptor(int number, std::string what, bool inherited, std::string_view sort);
    // A sentence that ends in its own remedy.
    void add(std::string sentence);
    // One that says which children there are.
    void add_children(const std::string& which);

    bool any() const { return !descriptors_.empty() || !others_.empty(); }
    Error error() const; // ENOTSUP

  private:
    struct Descriptor {
        int number;
        std::string what;
        bool inherited;
        std::string sort;
    };
    std::string remedy() const;
    std::string remedy_of_others(const std::string& ignored, const char* it) const;

    std::string process_;
    std::vector<Descriptor> descriptors_;
    std::vector<std::string> others_;
};

} // namespace rfork::capture
