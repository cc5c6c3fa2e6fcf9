// One call at a time.
//
// While one thread freezes the process, another that wants to do the same waits at the door; so in
// a copy it is found there, not with its work half done. There it goes in when rfork_landing
// (entry.S) has opened the door, which is when all threads have left the stub.
#pragma once

#include <cstdint>

namespace rfork::api {

class Turn {
  public:
    static void take();
    static void give_up();
    // In a copy that becomes an image.
    static void leave_to_landing();
};

class OwnTurn {
  public:
    OwnTurn() { Turn::take(); }
    ~OwnTurn() { Turn::give_up(); }
    OwnTurn(const OwnTurn&) = delete;
    OwnTurn& operator=(const OwnTurn&) = delete;
};

} // namespace rfork::api
