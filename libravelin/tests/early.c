/* A function for output gets what was written before it came. Run with RAVELIN_VERBOSE=1. */
#include "check.h"

#include <mimalloc.h>

static char text[1 << 16];
static size_t length;

static void keep(const char* piece, void* arg) {
    CHECK(arg == NULL);
    size_t n = strlen(piece);
    if (length + n < sizeof text) memcpy(text + length, piece, n + 1);
    length += n;
}

int main(void) {
    mi_register_output(keep, NULL);
    CHECK(strncmp(text, "ravelin: version ", 17) == 0 && strstr(text, "\nravelin: option verbose: 1 (environment)\n"));
    /* Once. */
    length = 0;
    mi_register_output(keep, NULL);
    CHECK(length == 0);
    mi_option_disable(mi_option_verbose);
    return verdict();
}
