/* What every program here begins with. It prints nothing and exits 0 when all holds; else each line says what did not. */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

#define CHECK(holds)                                                                                      \
    do {                                                                                                  \
        if (!(holds)) {                                                                                   \
            fprintf(stderr, "%s:%d: does not hold: %s (errno %d)\n", __FILE__, __LINE__, #holds, errno); \
            failures++;                                                                                   \
        }                                                                                                 \
    } while (0)

static inline int verdict(void) { return failures ? 1 : 0; }

/* Sizes whose product overflows, and sizes that no machine has. The compiler must not see what they are. */
static volatile size_t half = SIZE_MAX / 2;
static volatile size_t largest = SIZE_MAX;
static volatile size_t too_large = (size_t)PTRDIFF_MAX + 1;
static volatile size_t too_much = (size_t)PTRDIFF_MAX - (1 << 20);

static inline int aligned_to(const void* p, size_t alignment) { return ((uintptr_t)p & (alignment - 1)) == 0; }

static inline int all(const void* p, unsigned char byte, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (((const unsigned char*)p)[i] != byte) return 0;
    return 1;
}

/* The values that a block may have between two calls: written, then looked at. */
static inline void fill(void* p, size_t size, unsigned seed) {
    for (size_t i = 0; i < size; i++) ((unsigned char*)p)[i] = (unsigned char)(i * 7 + seed);
}

static inline int filled(const void* p, size_t size, unsigned seed) {
    for (size_t i = 0; i < size; i++)
        if (((const unsigned char*)p)[i] != (unsigned char)(i * 7 + seed)) return 0;
    return 1;
}

#endif
