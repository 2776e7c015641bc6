/* Blocks: given, resized, given back, asked about. Null, zero, overflow, errno. */
#include "check.h"

#include <mimalloc.h>

static const size_t SIZES[] = {0,    1,    7,     8,     9,      15,     16,      17,      100,     1000,
                               1024, 1025, 10000, 65536, 131072, 131073, 1000000, 5000000, 40000000};
#define COUNT (sizeof SIZES / sizeof *SIZES)

/* A call that fails: null and ENOMEM. */
#define FAILS(call) (errno = 0, (call) == NULL && errno == ENOMEM)
/* A call that does not fail leaves errno alone. */
#define QUIET(call) (errno = 77, (call), errno == 77)

static void sizes(void) {
    for (size_t i = 0; i < COUNT; i++) {
        size_t n = SIZES[i];
        void *p = mi_malloc(n), *q = mi_malloc(n);
        CHECK(p && q && p != q);
        CHECK(aligned_to(p, n <= 8 ? 8 : 16));
        CHECK(mi_usable_size(p) >= n && mi_malloc_size(p) == mi_usable_size(p));
        CHECK(mi_malloc_usable_size(p) == mi_usable_size(p));
        CHECK(mi_good_size(n) >= n && mi_malloc_good_size(n) == mi_good_size(n));
        /* A large block may lie in the place of a larger one, and keep it. */
        CHECK(n > 131072 || mi_usable_size(p) <= mi_good_size(n));
        CHECK(mi_is_in_heap_region(p));
        fill(p, mi_usable_size(p), 1);
        fill(q, mi_usable_size(q), 2);
        CHECK(filled(p, mi_usable_size(p), 1));
        mi_free(p);
        mi_free_size(q, n);
        if (n <= MI_SMALL_SIZE_MAX) {
            mi_free(p = mi_malloc_small(n));
            CHECK(p && mi_is_in_heap_region(p));
            p = mi_zalloc_small(n);
            CHECK(p && all(p, 0, mi_usable_size(p)));
            mi_free(p);
        }
        p = mi_mallocn(n, 3);
        CHECK(p && mi_usable_size(p) >= 3 * n);
        mi_free(p);
    }
    CHECK(mi_good_size(16) >= 16 && mi_good_size(16) < 48 && mi_good_size(1025) > 1024);
}

static void nothing(void) {
    mi_free(NULL);
    mi_cfree(NULL);
    mi_free_size(NULL, 1);
    mi_free_aligned(NULL, 8);
    mi_free_size_aligned(NULL, 1, 8);
    CHECK(mi_usable_size(NULL) == 0 && mi_malloc_size(NULL) == 0 && mi_malloc_usable_size(NULL) == 0);
    CHECK(mi_expand(NULL, 0) == NULL && mi_expand(NULL, 10) == NULL);
    int local;
    static int global;
    CHECK(!mi_is_in_heap_region(NULL) && !mi_is_in_heap_region(&local) && !mi_is_in_heap_region(&global));
    CHECK(!mi_is_in_heap_region((void*)8) && !mi_is_in_heap_region((void*)UINTPTR_MAX));
    /* Not ours: left alone. */
    mi_cfree(&local);
    mi_cfree(&global);
    void* p = mi_malloc(10);
    CHECK(mi_is_in_heap_region((char*)p + 3));
    mi_cfree(p);
    CHECK(!mi_is_redirected());
}

static void failures_change_nothing(void) {
    CHECK(FAILS(mi_malloc(too_large)) && FAILS(mi_malloc(largest)) && FAILS(mi_malloc(too_much)));
    CHECK(FAILS(mi_zalloc(too_large)) && FAILS(mi_malloc_small(too_large)) && FAILS(mi_zalloc_small(too_large)));
    CHECK(FAILS(mi_calloc(half, 3)) && FAILS(mi_calloc(3, half)) && FAILS(mi_mallocn(half, 3)));
    CHECK(FAILS(mi_calloc(1, too_large)) && FAILS(mi_mallocn(1, too_large)));
    void* p = mi_malloc(100);
    fill(p, 100, 3);
    CHECK(FAILS(mi_realloc(p, too_large)) && FAILS(mi_reallocn(p, half, 3)) && FAILS(mi_rezalloc(p, too_large)));
    CHECK(FAILS(mi_recalloc(p, half, 3)) && FAILS(mi_realloc(NULL, too_large)));
    CHECK(filled(p, 100, 3));
    /* mi_reallocf frees it. */
    CHECK(FAILS(mi_reallocf(p, too_large)) && FAILS(mi_reallocf(NULL, too_large)));
    CHECK(QUIET(mi_free(mi_malloc(10))) && QUIET(mi_free(mi_realloc(mi_zalloc(10), 100000))) && QUIET(mi_collect(true)));
}

static void resizing(void) {
    void* p = mi_realloc(NULL, 10);
    CHECK(p != NULL);
    fill(p, 10, 4);
    /* Up and down over classes and large blocks. */
    size_t old = 10;
    for (size_t i = 0; i < 2 * COUNT; i++) {
        size_t n = i < COUNT ? SIZES[i] : SIZES[2 * COUNT - 1 - i];
        if (n == 0) continue;
        size_t kept = n < old ? n : old;
        p = mi_realloc(p, n);
        CHECK(p && mi_usable_size(p) >= n && filled(p, kept, 4));
        fill(p, n, 4);
        old = n;
    }
    /* In place while it fits and at most half is wasted. */
    p = mi_realloc(p, 1000);
    void* same = mi_realloc(p, mi_usable_size(p));
    CHECK(same == p);
    p = mi_realloc(same, mi_usable_size(same) / 2);
    CHECK(p == same || mi_usable_size(p) < 1000);
    /* Size 0 is a block, whose first byte is 0. */
    *(char*)p = 'x';
    p = mi_realloc(p, 0);
    CHECK(p && *(char*)p == 0);
    mi_free(p);
    mi_free(p = mi_realloc(NULL, 0));
    CHECK(p != NULL);
    p = mi_reallocn(NULL, 10, 10);
    CHECK(p && mi_usable_size(p) >= 100);
    p = mi_reallocf(p, 5000);
    CHECK(p && mi_usable_size(p) >= 5000);
    mi_free(p);
    /* expand keeps the block where it is. */
    p = mi_malloc(100);
    CHECK(mi_expand(p, 100) == p && mi_expand(p, 10) == p && mi_expand(p, 100000) == NULL);
    CHECK(mi_expand(p, mi_usable_size(p)) == p && mi_expand(p, mi_usable_size(p) + 1) == NULL);
    mi_free(p);
}

static void zeros(void) {
    for (size_t i = 0; i < COUNT; i++) {
        size_t n = SIZES[i];
        /* A used block goes before, so that zeros are not there by chance. */
        void* used = mi_malloc(n);
        fill(used, mi_usable_size(used), 5);
        mi_free(used);
        unsigned char* p = mi_zalloc(n);
        CHECK(p && all(p, 0, mi_usable_size(p)));
        mi_free(p);
        p = mi_calloc(n, 1);
        CHECK(p && all(p, 0, mi_usable_size(p)));
        mi_free(p);
        /* Grown step by step, what is added is zero. */
        p = mi_rezalloc(NULL, n);
        CHECK(p && all(p, 0, mi_usable_size(p)));
        memset(p, 6, n);
        unsigned char* q = mi_rezalloc(p, 3 * n + 100);
        CHECK(q && all(q, 6, n) && all(q + n, 0, mi_usable_size(q) - n));
        q = mi_recalloc(q, n + 50, 7);
        CHECK(q && all(q, 6, n) && all(q + n, 0, mi_usable_size(q) - n));
        mi_free(q);
    }
    unsigned char* p = mi_calloc(0, 1000);
    CHECK(p && mi_usable_size(p) <= 16);
    p = mi_recalloc(p, 0, 1000);
    CHECK(p != NULL);
    mi_free(p);
}

int main(void) {
    sizes();
    nothing();
    failures_change_nothing();
    resizing();
    zeros();
    int* numbers = mi_calloc_tp(int, 10);
    numbers = mi_recalloc_tp(numbers, int, 100);
    CHECK(numbers && all(numbers, 0, 100 * sizeof(int)));
    numbers = mi_reallocn_tp(numbers, int, 10);
    mi_free(numbers);
    mi_free(mi_malloc_tp(long));
    mi_free(mi_zalloc_tp(long));
    mi_free(mi_mallocn_tp(long, 4));
    return verdict();
}
