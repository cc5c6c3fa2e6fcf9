#include "base/json.h"

#include <catch2/catch.hpp>

using rfork::Json;

namespace {

std::string text(std::string_view bytes) {
    Json json;
    json.text(bytes);
    return json.str();
}

} // namespace

TEST_CASE("JSON separates members and values") {
    Json json;
    json.object([&] {
        json.key("none").list([] {});
        json.key("numbers").list([&] {
            json.number(-1);
            json.number(std::uint64_t(18446744073709551615u));
            json.number(0.5, 3);
        });
        json.key("inner").object([&] { json.key("yes").boolean(true); });
        json.key("nothing").nothing();
    });
    CHECK(json.str() == "{\"none\": [], \"numbers\": [-1, 18446744073709551615, 0.500], "
                        "\"inner\": {\"yes\": true}, \"nothing\": null}");
}

TEST_CASE("JSON strings are ASCII") {
    CHECK(text("plain ~") == "\"plain ~\"");
    CHECK(text("a\"b\\c\n\x7f") == "\"a\\\"b\\\\c\\u000a\\u007f\"");
    CHECK(text(std::string_view("\0", 1)) == "\"\\u0000\"");
    CHECK(text("\u00fc\u2028") == "\"\\u00fc\\u2028\"");
    CHECK(text("\U0001f3a0") == "\"\\ud83c\\udfa0\"");
}

TEST_CASE("JSON keeps bytes that are not UTF-8") {
    CHECK(text("a\xff") == "\"a\\udcff\"");
    CHECK(text("\xc3") == "\"\\udcc3\"");
    CHECK(text("\xed\xb2\x80") == "\"\\udced\\udcb2\\udc80\""); // a surrogate, encoded
}
