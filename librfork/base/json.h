// Writes JSON (RFC 8259), in ASCII and on one line.
//
// Names of files and arguments of programs are bytes. What of them is UTF-8 is that character,
// written \uXXXX outside of ASCII; a byte that is not is one of \udc80 to \udcff, a half of a
// surrogate pair that nothing else can be. So no name is lost: Python's os.fsencode() makes the
// bytes out of it again, and who does not care sees a character that cannot be shown.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace rfork {

class Json {
  public:
    // Values: one, or as many as an open list or object takes.
    void text(std::string_view bytes);
    void boolean(bool value);
    void nothing(); // null
    void number(double value, int decimals);
    template <std::integral Integer>
    void number(Integer value) {
        word(std::to_string(value));
    }

    template <class Fill>
    void list(Fill fill) {
        open('[');
        fill();
        close(']');
    }
    template <class Fill>
    void object(Fill fill) {
        open('{');
        fill();
        close('}');
    }

    // In an object, in front of each value.
    Json& key(std::string_view name);

    const std::string& str() const { return out_; }

  private:
    void open(char bracket);
    void close(char bracket);
    void word(std::string_view word);
    void quote(std::string_view bytes);
    void separate();

    std::string out_;
    bool follows_ = false; // the next value stands behind another one
};

} // namespace rfork
