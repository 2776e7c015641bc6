/* A C program that reaches C++'s operators where there is no C++ runtime. Its last act is one that nobody can survive. */
#include "check.h"
#include <dlfcn.h>
#include <signal.h>

int main(void) {
    free(malloc(1));
    must_run_on_ravelin();
    /* By name, so that one program serves preloaded and linked: the compiler of C knows no such functions. */
    void *(*plain)(size_t) = (void *(*)(size_t))dlsym(RTLD_DEFAULT, "_Znwm");
    void *(*quiet)(size_t, const void *) = (void *(*)(size_t, const void *))dlsym(RTLD_DEFAULT, "_ZnwmRKSt9nothrow_t");
    void (*gives)(void *, size_t) = (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "_ZdlPvm");
    CHECK(plain && quiet && gives);
    CHECK(!dlsym(RTLD_DEFAULT, "__cxa_throw"));
    void *a = plain(100), *b = quiet(100, NULL);
    CHECK(a && b);
    gives(a, 100), gives(b, 100);
    errno = 77;
    CHECK(quiet(TOO_MUCH, NULL) == NULL && errno == ENOMEM);
    if (failures) return 1;
    plain(TOO_MUCH);
    CHECK(!"operator new came back");
    return 1;
}
