// C++: strings, containers, streams, virtual calls, guards of function-local statics, thread_local,
// and exceptions that are thrown after the resume through frames that were there before it.
#include "frozen.h"

#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <numeric>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <vector>

namespace {

struct Shape {
    virtual ~Shape() = default;
    virtual int corners() const = 0;
};
struct Triangle : Shape {
    int corners() const override { return 3; }
};
struct Square : Shape {
    int corners() const override { return 4; }
};

int constructed = 0, destroyed = 0;

struct Counted {
    Counted() { ++constructed; }
    ~Counted() { ++destroyed; }
    std::string text = "a string that is too long for the small-string optimisation";
};

Counted &once() {
    static Counted counted;
    return counted;
}

Counted &never_before() {
    static Counted counted;
    return counted;
}

thread_local std::string local = "thread-local and longer than what fits into the object itself";

void throw_something(int depth) {
    Counted guard;
    if (depth == 0)
        throw std::out_of_range("thrown at the bottom");
    throw_something(depth - 1);
    CHECK(guard.text.size() > 10);
}

// The freeze happens inside a catch block, inside frames with cleanups, below a handler.
int freeze_within(int depth) {
    Counted guard;
    if (depth > 0)
        return freeze_within(depth - 1) + (guard.text.empty() ? 1 : 0);
    try {
        throw std::runtime_error("in flight during the freeze");
    } catch (const std::runtime_error &e) {
        const int outcome = freeze();
        CHECK(std::string(e.what()) == "in flight during the freeze");
        CHECK(std::current_exception() != nullptr);
        if (outcome >= 0)
            throw std::logic_error("out of the frozen frames: " + std::to_string(outcome));
    }
    return 0;
}

} // namespace

int main() {
    std::vector<std::string> lines;
    std::map<std::string, std::vector<int>> map;
    for (int i = 0; i < 2000; ++i) {
        lines.push_back("line number " + std::to_string(i) + " of two thousand");
        map[lines.back()].assign(std::size_t(i % 50), i);
    }
    std::vector<std::unique_ptr<Shape>> shapes;
    for (int i = 0; i < 100; ++i)
        shapes.push_back(i % 2 ? std::unique_ptr<Shape>(new Triangle) : std::make_unique<Square>());
    std::function<int(int)> closure = [&](int i) { return int(lines[std::size_t(i)].size()); };
    std::ostringstream stream;
    stream << std::hex << 255 << ' ' << 3.25;
    once().text += " and more";
    local += "!";
    try {
        throw_something(5);
    } catch (const std::exception &e) {
        CHECK(typeid(e) == typeid(std::out_of_range));
    }
    CHECK(constructed == 7 && destroyed == 6);

    bool caught = false;
    try {
        freeze_within(4);
    } catch (const std::logic_error &e) {
        caught = std::string(e.what()).rfind("out of the frozen frames", 0) == 0;
    }
    CHECK(caught && constructed == 12 && destroyed == 11);

    int sum = 0;
    for (const auto &shape : shapes)
        sum += shape->corners() + (dynamic_cast<Square *>(shape.get()) ? 1 : 0);
    CHECK(sum == 50 * 3 + 50 * 5);
    CHECK(lines.size() == 2000 && map.size() == 2000);
    for (int i = 0; i < 2000; ++i) {
        const std::string line = "line number " + std::to_string(i) + " of two thousand";
        CHECK(lines[std::size_t(i)] == line && closure(i) == int(line.size()));
        CHECK(map[line] == std::vector<int>(std::size_t(i % 50), i));
    }
    stream << ' ' << 16;
    CHECK(stream.str() == "ff 3.25 10");
    CHECK(once().text.size() > 60 && constructed == 12);
    CHECK(never_before().text.size() > 50 && constructed == 13);
    CHECK(local.back() == '!');
    CHECK(std::regex_match(lines[7], std::regex("line number [0-9]+ of.*")));
    try {
        throw_something(20);
    } catch (const std::out_of_range &e) {
        CHECK(std::string(e.what()) == "thrown at the bottom");
    }
    CHECK(constructed == 34 && destroyed == 32);
    std::istringstream numbers("1 2 3 4");
    CHECK(std::accumulate(std::istream_iterator<int>(numbers), {}, 0) == 10);
    std::cout << "EXIT-SUCCESS" << std::endl;
    return 0;
}
