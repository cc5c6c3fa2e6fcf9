// Offsets that assembly needs; each is checked against its structure by a static_assert where the
// structure is used (stub/main.cc, api/session.cc).
#define HEADER_WINDOW_FRAMES 136

#define SESSION_REGISTERS 0
#define SESSION_STACK_TOP 216
#define SESSION_XSTATE 4096
#define SESSION_USES_XSAVE 224

#define REG_R15 0
#define REG_R14 8
#define REG_R13 16
#define REG_R12 24
#define REG_RBP 32
#define REG_RBX 40
#define REG_RIP 128
#define REG_EFLAGS 144
#define REG_RSP 152
