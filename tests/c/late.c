/* A C program that loads a C++ library (argv[1]) whose runtime no other library can see. */
#include "check.h"
#include <dlfcn.h>

int main(int count, char **arguments) {
    free(malloc(1));
    must_run_on_ravelin();
    CHECK(count == 2);
    void *library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    if (!library) fprintf(stderr, "%s\n", dlerror());
    CHECK(library && !dlsym(RTLD_DEFAULT, "__cxa_throw"));
    int (*survives)(void) = (int (*)(void))dlsym(library, "plugin_survives");
    CHECK(survives && survives() == 5);
    return verdict();
}
