// What the daemons say about themselves: lines on standard error, each with one write(2).
#pragma once

#include <string>
#include <string_view>

namespace rfork {

enum class Level { error = 3, warning = 4, notice = 5, info = 6 };

// Whether `fd` is what systemd has connected to its journal, and not a file or terminal to which
// somebody has turned it since (systemd.exec(5), JOURNAL_STREAM).
bool is_journal(int fd);

// "program: sentence\n"; before it, in the journal, "<5>" or the like, which it takes for the level
// (sd-daemon(3)). Parts of the sentence may come from a stranger: it stays one line (printable.h),
// but words of ours that it imitates are not told apart, so names in it have to be quoted().
void log(std::string_view program, Level level, std::string_view sentence);

} // namespace rfork
