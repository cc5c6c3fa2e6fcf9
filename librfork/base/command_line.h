// How all our programs answer --help, --version and wrong usage.
#pragma once

#include <CLI/CLI.hpp>

#include <cstdio>
#include <string>

namespace rfork {

inline constexpr int wrong_usage = 2; // the exit status

// CLI11 complains of what is missing before it looks at what is there and makes no sense, so that a
// mistyped command is told that a command is required.
inline std::string usage_trouble(const CLI::App& app, const CLI::App& command,
                                 const CLI::ParseError& error) {
    const auto strange = app.remaining(true);
    bool more_telling = dynamic_cast<const CLI::RequiredError*>(&error) ||
                        dynamic_cast<const CLI::ExtrasError*>(&error);
    if (!more_telling || strange.empty())
        return error.what();
    const std::string& word = strange.front();
    if (word.starts_with('-'))
        return "there is no option " + word;
    bool expects_command = &app == &command && !app.get_subcommands(nullptr).empty();
    return expects_command ? "there is no command " + word : word + " is one argument too many";
}

// The exit status for what CLI::App::parse() has thrown, after it has been said.
inline int answer(const CLI::App& app, const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) // --help, --version
        return app.exit(error);
    const auto commands = app.get_subcommands();
    const CLI::App& command = commands.empty() ? app : *commands.front();
    const std::string help =
        app.get_name() + (&command == &app ? "" : " " + command.get_name()) + " --help";
    std::fprintf(stderr, "%s: wrong usage: %s: see %s\n", app.get_name().c_str(),
                 usage_trouble(app, command, error).c_str(), help.c_str());
    return wrong_usage;
}

} // namespace rfork
