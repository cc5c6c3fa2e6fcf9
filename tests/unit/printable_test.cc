#include "base/printable.h"
#include "notifyd/line.h"

#include <catch2/catch.hpp>

using notifyd::make_line;
using rfork::one_line;
using rfork::printable;
using rfork::quoted;

TEST_CASE("text stays text, in any language") {
    CHECK(printable("") == "");
    CHECK(printable("I am at oak ~ #1") == "I am at oak ~ #1");
    CHECK(printable("\u00fc \u20ac \U0001f3a0") == "\u00fc \u20ac \U0001f3a0");
    CHECK(printable("\u00a0") == "\u00a0"); // the first after C1
}

TEST_CASE("control characters are made visible") {
    CHECK(printable("a\nb\tc\rd") == "a\\nb\\tc\\rd");
    CHECK(printable(std::string("\0\x1b[2J\x7f", 6)) == "\\x00\\x1b[2J\\x7f");
    CHECK(printable("\u0080\u0085\u009b\u009f") == "\\xc2\\x80\\xc2\\x85\\xc2\\x9b\\xc2\\x9f");
}

TEST_CASE("what would rearrange a line is made visible") {
    CHECK(printable("a\u2028b\u2029c") == "a\\xe2\\x80\\xa8b\\xe2\\x80\\xa9c");
    CHECK(printable("\u202egnp.exe") == "\\xe2\\x80\\xaegnp.exe");
    for (const char* control : {"\u061c", "\u200e", "\u200f", "\u202a", "\u202b", "\u202c",
                                "\u202d", "\u2066", "\u2067", "\u2068", "\u2069"})
        CHECK(printable(control).starts_with("\\x"));
    CHECK(printable("\u200d\u2027\u202f\u2065\u206a") == "\u200d\u2027\u202f\u2065\u206a");
}

TEST_CASE("a name is one word, or in quotation marks") {
    CHECK(quoted("rfork.0123-4_5@oak/x") == "rfork.0123-4_5@oak/x");
    CHECK(quoted("") == "\"\"");
    CHECK(quoted("a for 10.0.0.1:7: runs") == "\"a for 10.0.0.1:7: runs\"");
    CHECK(quoted("a\" b\\") == "\"a\\\" b\\\\\"");
    CHECK(quoted("\n") == "\"\\n\"");
}

TEST_CASE("an escape in the message cannot be mistaken for one of ours") {
    CHECK(printable("\\n") == "\\\\n");
    CHECK(one_line("\"a\\n\" is\nmissing") == "\"a\\n\" is\\nmissing"); // escaped already
}

TEST_CASE("what is not UTF-8 is shown byte by byte") {
    CHECK(printable("\x80") == "\\x80");
    CHECK(printable("\xff\xfe") == "\\xff\\xfe");
    CHECK(printable("\xc0\xaf") == "\\xc0\\xaf");                   // overlong
    CHECK(printable("\xe0\x80\xaf") == "\\xe0\\x80\\xaf");          //
    CHECK(printable("\xf0\x80\x80\xaf") == "\\xf0\\x80\\x80\\xaf"); //
    CHECK(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");          // a surrogate
    CHECK(printable("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80"); // beyond U+10FFFF
    CHECK(printable("a\xe2\x82") == "a\\xe2\\x82");                 // cut short
    CHECK(printable("\xe2\x82z") == "\\xe2\\x82z");                 // the rest is not swallowed
    CHECK(printable("\xc3\n") == "\\xc3\\n");
}

TEST_CASE("no message of any byte makes a second line or a control character") {
    for (int first = 0; first < 256; ++first)
        for (int second = 0; second < 256; ++second)
            for (char letter : printable(std::string{char(first), char(second)})) {
                auto byte = static_cast<unsigned char>(letter);
                if (byte < 0x20 || byte == 0x7f)
                    FAIL("control character after " << first << " " << second);
            }
}

TEST_CASE("a line is the time, the origin and the message") {
    CHECK(make_line({0, 0}, "192.0.2.1", "hello") ==
          "1970-01-01T00:00:00.000000Z 192.0.2.1 hello\n");
    CHECK(make_line({1795228200, 123456789}, "192.0.2.1", "") ==
          "2026-11-21T02:30:00.123456Z 192.0.2.1 \n");
}

TEST_CASE("one newline at the end is not part of the message") {
    CHECK(make_line({0, 0}, "x", "hello\n") == make_line({0, 0}, "x", "hello"));
    CHECK(make_line({0, 0}, "x", "hello\n\n").ends_with(" hello\\n\n"));
}

TEST_CASE("a message that is too long is cut, and says so") {
    const std::string longest(notifyd::max_message, 'm');
    CHECK(make_line({0, 0}, "x", longest + "\n").ends_with("m\n"));
    CHECK(make_line({0, 0}, "x", longest + "m").ends_with("m [cut]\n"));
    CHECK(make_line({0, 0}, "x", longest + "m").size() < notifyd::max_message + 64);
}
