/* A program in C with two static libraries written in Rust: this one, and another with the standard library in it. */
#include "check.h"

extern size_t other_rust_works(size_t count);

int main(void) {
    must_run_on_ravelin();
    CHECK(other_rust_works(1000) == 499500);
    return verdict();
}
