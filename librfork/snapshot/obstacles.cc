#include "snapshot/obstacles.h"

#include <cerrno>

namespace rfork::capture {
namespace {

constexpr std::size_t room = 600; // for what is named: a sentence has an end
constexpr std::size_t numbers_at_most = 6;

void append(std::string& list, const char* separator, const std::string& item) {
    if (!list.empty())
        list += separator;
    list += item;
}

// The end of a long path tells more than its beginning.
std::string shortened(const std::string& item) {
    constexpr std::size_t kept = room / 2;
    return item.size() <= room ? item
                               : item.substr(0, kept) + " ... " + item.substr(item.size() - kept);
}

// Joins what fits, the first in any case, and tells how many did not.
class Enumeration {
  public:
    void add(const std::string& item) {
        if (left_out_ > 0 || (!text_.empty() && text_.size() + item.size() > room))
            ++left_out_;
        else
            append(text_, "; ", shortened(item));
    }
    std::string text() const {
        return left_out_ ? text_ + "; and " + std::to_string(left_out_) + " more" : text_;
    }

  private:
    std::string text_;
    std::size_t left_out_ = 0;
};

} // namespace

void Obstacles::add_descriptor(int number, std::string what, bool inherited,
                               std::string_view sort) {
    descriptors_.push_back({number, std::move(what), inherited, std::string(sort)});
}

void Obstacles::add(std::string sentence) {
    others_.push_back(std::move(sentence));
}

void Obstacles::add_children(const std::string& which) {
    add(which + ", which an image cannot carry yet: " +
        (process_.empty() ? "wait for them before the call, or set RFORK_IGNORE=children (or "
                            "RFORK_LEAVE_CHILDREN, rfork_options(3)) to go on without"
                          : "wait until they have ended, or leave them behind by "
                            "--ignore=children"));
}

std::string Obstacles::remedy_of_others(const std::string& ignored, const char* it) const {
    return std::string("leave ") + it + " out by --ignore=" + ignored +
           " (or RFORK_IGNORE, rfork(3))";
}

// What to do about the descriptors.
std::string Obstacles::remedy() const {
    std::string own, inherited, ignored, redirections;
    bool any_number = false;
    for (const Descriptor& d : descriptors_) {
        const std::string number = std::to_string(d.number);
        any_number = any_number || d.sort.empty();
        if (d.sort.empty() || ("," + ignored + ",").find("," + d.sort + ",") == std::string::npos)
            append(ignored, ",", d.sort.empty() ? number : d.sort);
        append(d.inherited ? inherited : own, ", ", number);
        if (d.inherited)
            append(redirections, " ", number + ">&-");
    }
    const char* it = descriptors_.size() == 1 ? "it" : "them";
    if (!process_.empty())
        return remedy_of_others(ignored, it);
    const bool one = descriptors_.size() == 1, mixed = !own.empty() && !inherited.empty();
    std::string text;
    if (!own.empty())
        text = std::string("close ") + (mixed ? own : it) + " before the call";
    if (!inherited.empty())
        append(text, "; ",
               (mixed ? inherited
                : one ? "it"
                      : "they") +
                   (inherited.find(',') == std::string::npos ? " was" : " were") +
                   " there when the program started, so start it with " + redirections);
    if (!any_number)
        return text; // what is in the way says itself how to do without
    if (descriptors_.size() > numbers_at_most)
        return text + ", or name them, or their sorts, in RFORK_IGNORE (rfork(3))";
    return text + ", or set RFORK_IGNORE=" + ignored +
           (own.empty() && ignored.find_first_not_of("0123456789,") == std::string::npos
                ? " (or inherited)"
                : "") +
           " to go on without " + it;
}

Error Obstacles::error() const {
    Enumeration descriptors, others;
    for (const Descriptor& d : descriptors_)
        descriptors.add(d.what);
    for (const std::string& other : others_)
        others.add(other);
    std::string sentence = process_.empty() ? "" : process_ + " cannot be frozen: ";
    const std::size_t before = sentence.size();
    sentence += descriptors.text();
    if (!descriptors_.empty())
        sentence += ": " + remedy();
    if (!others_.empty())
        sentence += (sentence.size() > before ? "; " : "") + others.text();
    return {ENOTSUP, sentence};
}

} // namespace rfork::capture
