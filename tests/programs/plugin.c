/* A library for dlopen.c: state of every kind a library can have. Built twice. */
#include <math.h>
#include <string.h>

int plugin_constructed = 0;
static int calls = 1000;
static __thread int thread_calls = 5;
static char text[100] = "in the plugin's data";

__attribute__((constructor)) static void construct(void) {
    plugin_constructed++;
}

int plugin_call(int number) {
    calls++;
    thread_calls++;
    return calls * 100 + thread_calls + (int)(10 * sqrt(number));
}

char *plugin_text(void) {
    return text;
}

size_t plugin_length(void) {
    return strlen(text);
}
