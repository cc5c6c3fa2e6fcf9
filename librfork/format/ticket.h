// The ticket of a copy: a name in the user's directory of the spool that can be renamed once.
//
//   rfork.<id>                             nobody has decided yet; of a single copy it is the image
//   rfork.<id>.run.<attempt>.<host>.<pid>  a stub has won: the copy runs, or ran
//   rfork.<id>.ack.<attempt>.<host>.<pid>  the caller knows it, and has returned PARENT
//   rfork.<id>.back                        given up: no copy runs, nor will
//
// <attempt> is 32 hexadecimal digits, random, new for each stub; <host> and <pid> are information
// for people: they repeat. docs/protocol.md has the proof. Shared with freestanding code.
//
// Whoever starts an image for the caller passes
//
//   RFORK_TICKET="<status fd>,<attempt>,<path of the ticket>"
//
// in its environment, where each of the first two may be "-": nobody listens, and the stub chooses
// the attempt. Without it the ticket is where the image itself says (state/ticket).
#pragma once

namespace rfork::image {

inline constexpr char ticket_variable[] = "RFORK_TICKET";
inline constexpr char ticket_prefix[] = "rfork.";
inline constexpr char running_mark[] = ".run.";
inline constexpr char acknowledged_mark[] = ".ack.";
inline constexpr char given_up_mark[] = ".back";

inline constexpr unsigned id_digits = 32;
inline constexpr unsigned max_directory = 1023; // bytes, of the path of the ticket's directory

} // namespace rfork::image
