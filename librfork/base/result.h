// Results as values: either what was asked for, or an Error that a person can act on.
//
// Nothing in librfork throws or exits. A function that can fail returns Result<T>; its Error
// carries the errno for the program and a sentence (what failed, why, what to do) for the human.
#pragma once

#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace rfork {

struct Error {
    int code = 0;         // an errno value
    std::string sentence; // "what: why: what to do", without the program's name in front
};

// The kernel's words for an errno value; static text, safe in a copy made by raw clone().
inline std::string_view errno_text(int code) {
    const char* text = strerrordesc_np(code);
    return text ? text : "unknown error";
}

// "what: why" for a failed system call.
inline Error system_error(int code, std::string_view what) {
    return {code, std::string(what) + ": " + std::string(errno_text(code))};
}

// "what: why: what to do" for a failed system call whose remedy we know.
inline Error system_error(int code, std::string_view what, std::string_view remedy) {
    return {code,
            std::string(what) + ": " + std::string(errno_text(code)) + ": " + std::string(remedy)};
}

template <class T>
class [[nodiscard]] Result {
  public:
    Result(T value) : value_(std::move(value)) {}
    Result(Error error) : error_(std::move(error)) {}

    explicit operator bool() const { return value_.has_value(); }
    T& operator*() { return *value_; }
    const T& operator*() const { return *value_; }
    T* operator->() { return &*value_; }
    const T* operator->() const { return &*value_; }
    const Error& error() const { return error_; }
    Error& error() { return error_; }

  private:
    std::optional<T> value_;
    Error error_;
};

template <>
class [[nodiscard]] Result<void> {
  public:
    Result() = default;
    Result(Error error) : error_(std::move(error)), failed_(true) {}

    explicit operator bool() const { return !failed_; }
    const Error& error() const { return error_; }
    Error& error() { return error_; }

  private:
    Error error_;
    bool failed_ = false;
};

} // namespace rfork
