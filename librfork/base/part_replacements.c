/*
 * Functions of the outside libraries that librfork replaces when it takes parts of their static
 * archives (CMakeLists.txt).
 *
 * libelf keeps its last error in a thread-local variable compiled for executables, which a shared
 * library cannot contain; here one variable for all threads is enough, since the number only goes
 * into a sentence.
 *
 * libsodium's MAC needs four helpers, and the files they are in would bring in all of its start-up
 * code, its random generators and a stream cipher. The MAC functions reach sodium_misuse() only
 * with lengths that no caller of ours can pass; they compare 32 bytes, for which libsodium has a
 * constant-time function in a file of its own; and librfork makes no keys.
 */
#include <sodium/crypto_verify_32.h>
#include <stdlib.h>
#include <string.h>

void __libelf_seterrno(int value);
int elf_errno(void);
void sodium_misuse(void);
void sodium_memzero(void* data, size_t size);
int sodium_memcmp(const void* a, const void* b, size_t size);
void randombytes_buf(void* data, size_t size);

static int last_elf_error;

void __libelf_seterrno(int value) {
    last_elf_error = value;
}

int elf_errno(void) {
    int value = last_elf_error;
    last_elf_error = 0;
    return value;
}

void sodium_misuse(void) {
    abort();
}

void sodium_memzero(void* data, size_t size) {
    explicit_bzero(data, size);
}

int sodium_memcmp(const void* a, const void* b, size_t size) {
    if (size != crypto_verify_32_BYTES)
        sodium_misuse();
    return crypto_verify_32(a, b);
}

void randombytes_buf(void* data, size_t size) {
    (void)data;
    (void)size;
    abort();
}
