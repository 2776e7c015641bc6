/* What every program here begins with. It prints nothing and exits 0 when all holds; else each line says what did not. */
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif
/* Not in glibc's headers. */
size_t malloc_good_size(size_t size) __attribute__((weak));
void *reallocf(void *block, size_t size) __attribute__((weak));
void cfree(void *block) __attribute__((weak));
void free_sized(void *block, size_t size) __attribute__((weak));
void free_aligned_sized(void *block, size_t align, size_t size) __attribute__((weak));
#ifdef __cplusplus
}
#endif

static int failures;

static inline void fail(const char *file, int line, const char *what) {
    char text[512];
    int len = snprintf(text, sizeof text, "%s:%d: does not hold: %s (errno %d)\n", file, line, what, errno);
    failures++;
    if (write(2, text, (size_t)len) < 0) _exit(2);
}

#define CHECK(holds)                                        \
    do {                                                    \
        if (!(holds)) fail(__FILE__, __LINE__, #holds);     \
    } while (0)

/* The library is there, and is asked. */
static inline void must_run_on_ravelin(void) {
    if (!malloc_good_size) {
        CHECK(!"this program runs without the library");
        _exit(3);
    }
}

static inline int verdict(void) { return failures ? 1 : 0; }

static inline int aligned_to(const void *block, size_t align) { return (uintptr_t)block % align == 0; }

static inline void fill(void *block, size_t size, unsigned seed) {
    unsigned char *bytes = (unsigned char *)block;
    for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)(i * 7 + seed);
}

static inline int filled(const void *block, size_t size, unsigned seed) {
    const unsigned char *bytes = (const unsigned char *)block;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != (unsigned char)(i * 7 + seed)) return 0;
    return 1;
}

static inline int all_zero(const void *block, size_t size) {
    const unsigned char *bytes = (const unsigned char *)block;
    for (size_t i = 0; i < size; i++)
        if (bytes[i]) return 0;
    return 1;
}

/* A size that no machine has, but that is a legal one. */
static const volatile size_t TOO_MUCH = (size_t)PTRDIFF_MAX - (1 << 20);
