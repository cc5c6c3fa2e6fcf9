#include "format/records/personality.h"
#include "stub/stub.h"

#include <asm/unistd.h>

namespace rfork::stub {

void restore_personality(Stub& stub, const image::RecordHeader& header) {
    const auto& record = as<kinds::PersonalityRecord>(header);
    if (long r = arch::syscall(__NR_personality, record.persona); r < 0)
        fail(stub, int(-r), "cannot restore the program's execution domain (personality)");
}

} // namespace rfork::stub
