/*
 * program - has a note open under two numbers and freezes itself; the caller tears the note up, and
 * the copy still reads what was in it.
 */
#include "frozen.h"

int main(void) {
    static const char text[] = "bring milk";
    char read_back[sizeof text] = "";
    const int note = open(beside("shopping.note"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(note >= 0);
    CHECK(write(note, text, sizeof text - 1) == sizeof text - 1);
    const int other = dup(note);
    CHECK(other >= 0);
    if (freeze() == PARENT)
        CHECK(ftruncate(note, 0) == 0 && unlink(beside("shopping.note")) == 0);
    else
        CHECK(pread(other, read_back, sizeof read_back, 0) == sizeof text - 1 &&
              strcmp(read_back, text) == 0 && lseek(note, 3, SEEK_SET) == 3 &&
              lseek(other, 0, SEEK_CUR) == 3);
    return success();
}
