// Text of strangers (names of files, messages, sentences of an image), made fit for a line of a log
// or a terminal.
#pragma once

#include <string>
#include <string_view>

namespace rfork {

// Text stays as it is, in any language; everything else becomes visible: "\n", "\t", "\r", "\\",
// and
// "\x1b" for each byte of
//   - other control characters: those of C0, of C1, and DEL;
//   - what ends a line or turns the direction of writing (U+2028, U+2029, the bidirectional
//   controls),
//     with which one line looks like two, or like another one;
//   - what is not UTF-8 (base/utf8.h).
std::string printable(std::string_view text);

// The same for a sentence whose names have been made printable already: backslashes stay single.
std::string one_line(std::string_view sentence);

// A name in the midst of a line: as it is if it is one plain word, else printable and in quotation
// marks, so that it cannot be taken for the words around it.
std::string quoted(std::string_view name);

} // namespace rfork
