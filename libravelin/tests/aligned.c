/* Blocks on a wished boundary, with and without an offset. */
#include "check.h"

#include <mimalloc.h>

#define KiB ((size_t)1024)
#define MiB (KiB * KiB)
#define FAILS(call) (errno = 0, (call) == NULL && errno == ENOMEM)

static const size_t SIZES[] = {0, 1, 8, 16, 24, 100, 1000, 4096, 70000, 200000};
#define COUNT (sizeof SIZES / sizeof *SIZES)

static void every_alignment(void) {
    for (size_t a = 1; a <= 256 * MiB; a *= 2) {
        for (size_t i = 0; i < COUNT; i++) {
            size_t n = SIZES[i];
            if (a > MiB && i % 3) continue;
            void *p = mi_malloc_aligned(n, a), *q = mi_zalloc_aligned(n, a);
            CHECK(p && aligned_to(p, a) && mi_usable_size(p) >= n);
            CHECK(q && aligned_to(q, a) && mi_usable_size(q) >= n && all(q, 0, n) && p != q);
            fill(p, n, 1);
            CHECK(all(q, 0, n));
            mi_free_aligned(p, a);
            mi_free_size_aligned(q, n, a);
            p = mi_calloc_aligned(n, 2, a);
            CHECK(p && aligned_to(p, a) && all(p, 0, 2 * n));
            mi_free(p);
        }
    }
    /* An alignment that no machine has memory for, but that is a power of two: no crash. */
    mi_free(mi_malloc_aligned(10, (size_t)1 << 40));
}

static void resizing(void) {
    for (size_t a = 16; a <= MiB; a *= 8) {
        unsigned char* p = mi_realloc_aligned(NULL, 10, a);
        CHECK(p && aligned_to(p, a));
        fill(p, 10, 2);
        size_t old = 10;
        for (size_t n = 50; n < 3 * MiB; n *= 5) {
            p = mi_realloc_aligned(p, n, a);
            CHECK(p && aligned_to(p, a) && filled(p, old, 2));
            fill(p, n, 2);
            old = n;
        }
        p = mi_realloc_aligned(p, 10, a);
        CHECK(p && aligned_to(p, a) && filled(p, 10, 2));
        mi_free(p);
        p = mi_rezalloc_aligned(NULL, 100, a);
        CHECK(p && all(p, 0, 100));
        memset(p, 3, 100);
        p = mi_rezalloc_aligned(p, 100000, a);
        CHECK(p && aligned_to(p, a) && all(p, 3, 100) && all(p + 100, 0, 100000 - 100));
        p = mi_recalloc_aligned(p, 100000, 2, a);
        CHECK(p && aligned_to(p, a) && all(p, 3, 100) && all(p + 100, 0, 200000 - 100));
        p = mi_aligned_recalloc(p, 100000, 3, a);
        CHECK(p && aligned_to(p, a) && all(p, 3, 100) && all(p + 100, 0, 300000 - 100));
        mi_free(p);
    }
    /* In place if it fits, is aligned and wastes at most half. */
    void* p = mi_malloc_aligned(1000, 64);
    void* q = mi_realloc_aligned(p, mi_usable_size(p) - 1, 64);
    CHECK(q == p);
    /* A block that does not lie on the boundary: what it misses it by is the offset. */
    for (int i = 0; i < 20; i++) {
        char* r = mi_malloc(100);
        size_t missed = (uintptr_t)r % 4096;
        r = mi_realloc_aligned(r, 5000, 4096);
        CHECK(r && aligned_to(r + missed, 4096));
        mi_free(r);
    }
    /* 8 and less, even 0 and 3, is no alignment. */
    for (size_t a = 0; a <= 8; a++) {
        q = mi_realloc_aligned(q, 100 * (a + 1), a);
        CHECK(q != NULL);
        q = mi_rezalloc_aligned(q, 100 * (a + 1), a);
        CHECK(q != NULL);
    }
    mi_free(q);
}

static void failing(void) {
    static const size_t WRONG[] = {0, 3, 12, 48, 100, SIZE_MAX};
    void* p = mi_malloc_aligned(100, 64);
    fill(p, 100, 4);
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        volatile size_t a = WRONG[i];
        CHECK(mi_malloc_aligned(10, a) == NULL && mi_zalloc_aligned(10, a) == NULL && mi_calloc_aligned(1, 10, a) == NULL);
        CHECK(mi_malloc_aligned_at(10, a, 4) == NULL && mi_zalloc_aligned_at(10, a, 4) == NULL);
        CHECK(mi_calloc_aligned_at(1, 10, a, 4) == NULL);
        if (a > 8) CHECK(mi_realloc_aligned(p, 200, a) == NULL && mi_rezalloc_aligned(p, 200, a) == NULL);
        if (a > 8) CHECK(mi_realloc_aligned_at(p, 200, a, 4) == NULL);
    }
    CHECK(FAILS(mi_malloc_aligned(too_large, 64)) && FAILS(mi_zalloc_aligned(too_large, 64)));
    CHECK(FAILS(mi_calloc_aligned(half, 3, 64)) && FAILS(mi_recalloc_aligned(p, half, 3, 64)));
    CHECK(FAILS(mi_realloc_aligned(p, too_large, 64)) && FAILS(mi_rezalloc_aligned(p, too_large, 64)));
    CHECK(FAILS(mi_aligned_recalloc(p, half, 3, 64)) && FAILS(mi_aligned_offset_recalloc(p, half, 3, 64, 8)));
    CHECK(FAILS(mi_malloc_aligned_at(too_large, 64, 8)) && FAILS(mi_malloc_aligned_at(largest, 64, 8)));
    CHECK(FAILS(mi_calloc_aligned_at(half, 3, 64, 8)) && FAILS(mi_recalloc_aligned_at(p, half, 3, 64, 8)));
    CHECK(filled(p, 100, 4));
    mi_free(p);
    /* Above 16 MiB with an offset. */
    CHECK(mi_malloc_aligned_at(10, 32 * MiB, 8) == NULL);
    p = mi_malloc_aligned_at(10, 32 * MiB, 0);
    CHECK(p && aligned_to(p, 32 * MiB));
    mi_free(p);
}

static int lies(const void* p, size_t a, size_t offset) { return aligned_to((const char*)p + offset, a); }
/* When a block is resized, 8 and less is no alignment. */
static int lies_still(const void* p, size_t a, size_t offset) { return a <= 8 || lies(p, a, offset); }

static void every_offset(void) {
    for (size_t a = 1; a <= 16 * MiB; a *= 4) {
        for (size_t offset = 0; offset < 70; offset += a > 4096 ? 13 : 1) {
            size_t n = 5 * offset + 3;
            unsigned char *p = mi_malloc_aligned_at(n, a, offset), *q = mi_zalloc_aligned_at(n, a, offset);
            CHECK(p && lies(p, a, offset) && mi_usable_size(p) >= n);
            CHECK(q && lies(q, a, offset) && mi_usable_size(q) >= n && all(q, 0, n));
            fill(p, mi_usable_size(p), 5);
            CHECK(all(q, 0, n) && filled(p, mi_usable_size(p), 5));
            unsigned char* r = mi_realloc_aligned_at(p, 4 * n + 1000, a, offset);
            CHECK(r && lies_still(r, a, offset) && filled(r, n, 5));
            memset(q, 6, n);
            q = mi_rezalloc_aligned_at(q, 4 * n + 1000, a, offset);
            CHECK(q && lies_still(q, a, offset) && all(q, 6, n) && all(q + n, 0, 3 * n + 1000));
            q = mi_recalloc_aligned_at(q, 5 * n + 1000, 2, a, offset);
            CHECK(q && lies_still(q, a, offset) && all(q, 6, n) && all(q + n, 0, 9 * n + 2000));
            q = mi_aligned_offset_recalloc(q, 6 * n + 1000, 2, a, offset);
            CHECK(q && lies_still(q, a, offset) && all(q, 6, n));
            mi_free(r);
            mi_free(q);
            p = mi_calloc_aligned_at(n, 2, a, offset);
            CHECK(p && lies(p, a, offset) && all(p, 0, 2 * n));
            mi_free(p);
        }
    }
    /* Offsets beyond the block, and huge ones. */
    static const size_t FAR[] = {4096, 4097, 65536, 65537, 1000003};
    for (size_t i = 0; i < sizeof FAR / sizeof *FAR; i++) {
        void* p = mi_malloc_aligned_at(100, 4096, FAR[i]);
        CHECK(p && lies(p, 4096, FAR[i]));
        fill(p, 100, 7);
        mi_free(p);
        p = mi_malloc_aligned_at(FAR[i] + 100, 4096, FAR[i]);
        CHECK(p && lies(p, 4096, FAR[i]));
        fill(p, FAR[i] + 100, 7);
        mi_free(p);
    }
}

int main(void) {
    every_alignment();
    resizing();
    failing();
    every_offset();
    return verdict();
}
