// One call at a time.
//
// While one thread freezes the process, another that wants to do the same waits at the door; so in
// a copy it is found there, not with its work half done, and goes in. (The copy's writer opens the
// door in its own memory before that becomes the image.)
#pragma once

#include <cstdint>

namespace rfork::api {

class Turn {
  public:
    static void take();
    static void give_up();
    // Whoever had it is not there any more.
    static void reset();
};

class OwnTurn {
  public:
    OwnTurn() { Turn::take(); }
    ~OwnTurn() { Turn::give_up(); }
    OwnTurn(const OwnTurn&) = delete;
    OwnTurn& operator=(const OwnTurn&) = delete;
};

} // namespace rfork::api
