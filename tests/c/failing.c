/* What a call that cannot be served leaves behind: null, ENOMEM, and everything else as it was. */
#include "check.h"
#include <sys/mman.h>
#include <sys/resource.h>

#define FAILS(call)              \
    do {                         \
        errno = 77;              \
        CHECK((call) == NULL);   \
        CHECK(errno == ENOMEM);  \
    } while (0)

static void a_size_above_the_largest_difference_of_pointers_is_refused(void) {
    for (size_t back = 0; back < 100; back++) {
        volatile size_t size = SIZE_MAX - back;
        FAILS(malloc(size));
        FAILS(calloc(1, size));
        FAILS(calloc(size, 1));
        FAILS(realloc(NULL, size));
        FAILS(memalign(64, size));
        FAILS(aligned_alloc(4096, size));
        FAILS(valloc(size));
        FAILS(pvalloc(size));
    }
    volatile size_t size = (size_t)PTRDIFF_MAX + 1;
    FAILS(malloc(size));
    FAILS(calloc(1, size));
    FAILS(memalign(64, size));
    FAILS(pvalloc(size));
    FAILS(malloc(TOO_MUCH));
    FAILS(calloc(TOO_MUCH, 1));
    FAILS(aligned_alloc(16, TOO_MUCH));
    FAILS(memalign(1 << 21, TOO_MUCH));
}

static void a_product_that_overflows_is_refused(void) {
    volatile size_t half = (size_t)1 << 32;
    FAILS(calloc(half, half));
    FAILS(calloc(half + 1, half));
    FAILS(calloc(SIZE_MAX, 2));
    FAILS(calloc(SIZE_MAX / 16 + 2, 16));
    FAILS(reallocarray(NULL, half, half));
    FAILS(reallocarray(NULL, SIZE_MAX / 48 + 1, 48));
}

static void a_realloc_that_fails_leaves_the_block(void) {
    static const size_t sizes[] = {1, 100, 5000, 200000, 3 << 20};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *block = malloc(sizes[i]);
        fill(block, sizes[i], i);
        FAILS(realloc(block, SIZE_MAX));
        FAILS(realloc(block, (size_t)PTRDIFF_MAX + 1));
        FAILS(realloc(block, TOO_MUCH));
        FAILS(reallocarray(block, SIZE_MAX / 2, 3));
        CHECK(filled(block, sizes[i], i));
        free(block);
    }
}

static void reallocf_that_fails_frees_the_block(void) {
    size_t before = mallinfo2().uordblks;
    void *block = malloc(8 << 20);
    CHECK(mallinfo2().uordblks >= before + (8 << 20));
    FAILS(reallocf(block, TOO_MUCH));
    CHECK(mallinfo2().uordblks < before + (8 << 20));
    FAILS(reallocf(NULL, TOO_MUCH));
}

static void posix_memalign_tells_by_its_result_and_touches_nothing(void) {
    static const size_t bad[] = {0, 1, 2, 3, 4, 5, 7, 9, 12, 24, 40, 48, 100, 4095, SIZE_MAX, ((size_t)1 << 63) + 8};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        void *place = &place;
        errno = 77;
        CHECK(posix_memalign(&place, bad[i], 100) == EINVAL);
        CHECK(place == &place && errno == 77);
    }
    static const size_t large[] = {SIZE_MAX, SIZE_MAX - 4096, (size_t)PTRDIFF_MAX + 1, (size_t)PTRDIFF_MAX - 8192};
    for (unsigned i = 0; i < sizeof large / sizeof *large; i++)
        for (size_t align = 8; align <= 1 << 20; align *= 2) {
            void *place = &place;
            errno = 77;
            CHECK(posix_memalign(&place, align, large[i]) == ENOMEM);
            CHECK(place == &place && errno == 77);
        }
    void *place = &place;
    CHECK(posix_memalign(&place, (size_t)1 << 62, 100) == ENOMEM);
    CHECK(posix_memalign(&place, (size_t)1 << 63, SIZE_MAX) == ENOMEM);
    CHECK(place == &place);
}

static void an_alignment_that_no_standard_allows_is_refused(void) {
    static const size_t bad[] = {0, 3, 5, 6, 7, 24, 48, 4095, SIZE_MAX};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        errno = 77;
        CHECK(aligned_alloc(bad[i], 96) == NULL && errno == EINVAL);
    }
    errno = 77;
    CHECK(memalign(((size_t)1 << 63) + 1, 16) == NULL && errno == EINVAL);
    FAILS(aligned_alloc((size_t)1 << 62, 16));
    FAILS(memalign(((size_t)1 << 61) + 1, 16));
}

/* A call that is served has no business in errno, and free not even then. */
static void success_leaves_errno_alone(void) {
    static const size_t sizes[] = {0, 1, 40, 1024, 1025, 9000, 100000, 140000, 1 << 20, 20 << 20, 70 << 20};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int round = 0; round < 20; round++) {
            void *place;
            errno = 4242;
            void *a = malloc(sizes[i]), *b = calloc(1, sizes[i]), *c = realloc(malloc(10), sizes[i] + 1), *d = memalign(4096, sizes[i]);
            CHECK(a && b && c && d && errno == 4242);
            CHECK(posix_memalign(&place, 64, sizes[i]) == 0 && errno == 4242);
            CHECK(malloc_usable_size(a) >= sizes[i] && errno == 4242);
            free(a), free(b), cfree(c), free(d), free(place);
            CHECK(errno == 4242);
        }
        malloc_trim(0);
    }
}

static void *frees_for_others(void *blocks) {
    errno = 4242;
    for (int i = 0; i < 2000; i++) free(((void **)blocks)[i]);
    CHECK(errno == 4242);
    return NULL;
}

static void free_by_another_thread_leaves_errno_alone(void) {
    static void *blocks[2000];
    for (int i = 0; i < 2000; i++) blocks[i] = malloc((size_t)i * 90);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, frees_for_others, blocks) == 0);
    pthread_join(thread, NULL);
    errno = 4242;
    for (int i = 0; i < 2000; i++) blocks[i] = malloc((size_t)i * 90);
    for (int i = 0; i < 2000; i++) free(blocks[i]);
    CHECK(errno == 4242);
}

/* Last: it takes the address space away. */
static void an_exhausted_process_is_told_and_recovers(void) {
    enum { COUNT = 1 << 14 };
    static void *blocks[COUNT];
    struct rlimit limit = {(rlim_t)1 << 30, (rlim_t)1 << 30};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    /* An emulator of user programs applies no limits. */
    void *probe = mmap(NULL, (size_t)2 << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (probe != MAP_FAILED) return;
    for (int round = 0; round < 3; round++) {
        int got = 0;
        errno = 77;
        while (got < COUNT && (blocks[got] = malloc(1 << 20))) got++;
        CHECK(got < COUNT && errno == ENOMEM);
        FAILS(malloc((size_t)3 << 30));
        FAILS(calloc(3, 1 << 30));
        errno = 4242;
        for (int i = 0; i < got; i++) free(blocks[i]);
        CHECK(errno == 4242);
        void *again = malloc(1 << 20);
        CHECK(again);
        free(again);
    }
}

int main(void) {
    must_run_on_ravelin();
    a_size_above_the_largest_difference_of_pointers_is_refused();
    a_product_that_overflows_is_refused();
    a_realloc_that_fails_leaves_the_block();
    reallocf_that_fails_frees_the_block();
    posix_memalign_tells_by_its_result_and_touches_nothing();
    an_alignment_that_no_standard_allows_is_refused();
    success_leaves_errno_alone();
    free_by_another_thread_leaves_errno_alone();
    an_exhausted_process_is_told_and_recovers();
    return verdict();
}
