/*
 * dlopen LIBRARY ANOTHER - a library opened before the freeze and used after it, another opened
 * after it, the first one closed and opened again.
 */
#include "frozen.h"

#include <dlfcn.h>

static void *symbol(void *library, const char *name) {
    void *address = dlsym(library, name);
    CHECK(address);
    return address;
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    void *first = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!first)
        fprintf(stderr, "%s\n", dlerror());
    CHECK(first);
    int (*call)(int) = (int (*)(int))symbol(first, "plugin_call");
    char *(*text)(void) = (char *(*)(void))symbol(first, "plugin_text");
    CHECK(call(4) == 100126 && call(9) == 100237);
    strcat(text(), ", changed");

    freeze();

    CHECK(call(16) == 100348);
    CHECK(!strcmp(text(), "in the plugin's data, changed"));
    CHECK(*(int *)symbol(first, "plugin_constructed") == 1);
    size_t (*length)(void) = (size_t(*)(void))symbol(first, "plugin_length");
    CHECK(length() == strlen("in the plugin's data, changed"));

    void *second = dlopen(argv[2], RTLD_LAZY | RTLD_LOCAL);
    if (!second)
        fprintf(stderr, "%s\n", dlerror());
    CHECK(second && second != first);
    CHECK(((int (*)(int))symbol(second, "plugin_call"))(4) == 100126);
    CHECK(dlopen(argv[1], RTLD_NOW) == first && dlclose(first) == 0);

    CHECK(dlclose(second) == 0 && dlclose(first) == 0);
    CHECK(!dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD));
    first = dlopen(argv[1], RTLD_NOW);
    CHECK(first);
    call = (int (*)(int))symbol(first, "plugin_call");
    CHECK(call(4) == 100126);
    return success();
}
