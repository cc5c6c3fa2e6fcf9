#include "format/records/monitor.h"
#include "stub/stub.h"

namespace rfork::stub {

// Used when the program is about to run: announce() in stub/announce.cc.
void restore_monitor(Stub&, const image::RecordHeader&) {}

} // namespace rfork::stub
