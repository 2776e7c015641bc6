// A program that needs nothing of the C++ runtime but a catch: linked statically, the runtime's own thrower is left out.
#include "check.h"
#include <new>

int main() {
    must_run_on_ravelin();
    bool caught = false;
    try {
        void *volatile block = operator new(TOO_MUCH);
        (void)block;
    } catch (const std::bad_alloc &error) {
        caught = strstr(error.what(), "bad_alloc") != nullptr;
    }
    CHECK(caught);
    void *block = operator new(TOO_MUCH, std::nothrow);
    CHECK(block == nullptr);
    return verdict();
}
