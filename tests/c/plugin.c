/* A library that a program loads and unloads: it allocates in its constructor, its functions and its destructor. */
#include "check.h"

static char *held;

__attribute__((constructor)) static void loaded(void) { held = strdup("held from the constructor to the destructor"); }

__attribute__((destructor)) static void unloaded(void) {
    void *block = malloc(100000);
    free(block);
    free(held);
}

char *plugin_makes(size_t size) {
    char *block = calloc(1, size);
    if (block) block[size - 1] = 42;
    return block;
}

void plugin_frees(void *block) { free(block); }
