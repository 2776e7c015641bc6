/* glibc's control panel and its second names. */
#include "check.h"

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);
extern void *__libc_valloc(size_t), *__libc_pvalloc(size_t), *__libc_reallocarray(void *, size_t, size_t) __attribute__((weak));
extern void __libc_free(void *), __libc_cfree(void *) __attribute__((weak));
extern int __posix_memalign(void **, size_t, size_t) __attribute__((weak)), __libc_mallopt(int, int);
extern struct mallinfo __libc_mallinfo(void);

static void the_account_follows_what_is_allocated(void) {
    enum { COUNT = 64, SIZE = 1 << 20 };
    void *blocks[COUNT];
    struct mallinfo2 before = mallinfo2();
    for (int i = 0; i < COUNT; i++) memset(blocks[i] = malloc(SIZE), 1, SIZE);
    struct mallinfo2 during = mallinfo2();
    for (int i = 0; i < COUNT; i++) free(blocks[i]);
    struct mallinfo2 after = mallinfo2();
    CHECK(during.uordblks >= before.uordblks + (size_t)COUNT * SIZE);
    CHECK(during.uordblks <= before.uordblks + (size_t)COUNT * SIZE * 3 / 2);
    CHECK(after.uordblks < before.uordblks + SIZE);
    CHECK(during.arena + during.hblkhd >= during.uordblks);
    CHECK(during.arena + during.hblkhd == during.uordblks + during.fordblks);
    CHECK(after.arena + after.hblkhd == after.uordblks + after.fordblks);
}

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static void the_small_account_says_the_same(void) {
    void *block = malloc(10 << 20);
    struct mallinfo2 large = mallinfo2();
    struct mallinfo small = mallinfo(), again = __libc_mallinfo();
    CHECK((size_t)small.uordblks == large.uordblks && small.arena == (int)large.arena);
    CHECK(again.uordblks == small.uordblks);
    free(block);
}

static void the_small_account_stops_at_its_largest_number(void) {
    void *block = malloc((size_t)3 << 30);
    CHECK(block);
    CHECK(mallinfo().uordblks == INT32_MAX);
    CHECK(mallinfo2().uordblks >= (size_t)3 << 30);
    free(block);
}

static void mallopt_takes_what_glibc_takes(void) {
    CHECK(mallopt(M_TRIM_THRESHOLD, 1 << 20) == 1);
    CHECK(mallopt(M_TOP_PAD, 0) == 1);
    CHECK(mallopt(M_MMAP_MAX, 0) == 1);
    CHECK(mallopt(M_ARENA_MAX, 1) == 1);
    CHECK(mallopt(M_PERTURB, 0xff) == 1);
    CHECK(mallopt(M_MMAP_THRESHOLD, 1 << 20) == 1);
    CHECK(mallopt(M_MXFAST, 64) == 1);
    CHECK(mallopt(M_MXFAST, 1000) == 0);
    CHECK(mallopt(M_MMAP_THRESHOLD, 1 << 30) == 0);
    CHECK(__libc_mallopt(M_MXFAST, 1000) == 0);
}

static void trimming_says_whether_it_gave_anything_back(void) {
    enum { COUNT = 512, SIZE = 60000 };
    static void *blocks[COUNT];
    for (int i = 0; i < COUNT; i++) memset(blocks[i] = malloc(SIZE), 1, SIZE);
    for (int i = 0; i < COUNT; i++) free(blocks[i]);
    size_t before = mallinfo2().arena;
    int trimmed = malloc_trim(0);
    size_t after = mallinfo2().arena;
    CHECK(trimmed == (after < before));
    CHECK(malloc_trim(0) == 0);
}

static void statistics_go_to_standard_error(void) {
    char text[65536];
    int ends[2], saved = dup(2);
    CHECK(pipe(ends) == 0 && saved >= 0);
    dup2(ends[1], 2);
    malloc_stats();
    dup2(saved, 2);
    close(ends[1]);
    ssize_t len = read(ends[0], text, sizeof text);
    CHECK(len > 0 && text[len - 1] == '\n');
    close(ends[0]), close(saved);
}

static void the_second_names_are_the_same_allocator(void) {
    free(__libc_malloc(100));
    __libc_free(malloc(100));
    __libc_cfree(malloc(100));
    char *block = __libc_calloc(10, 10);
    CHECK(block && all_zero(block, 100));
    block = realloc(block, 1000);
    block = __libc_realloc(block, 10000);
    block = __libc_reallocarray(block, 100, 10);
    CHECK(block && all_zero(block, 100));
    CHECK(__libc_realloc(block, 0) == NULL);
    block = __libc_memalign(1024, 10);
    CHECK(block && aligned_to(block, 1024));
    free(block);
    block = __libc_valloc(10);
    CHECK(block && aligned_to(block, 4096));
    free(block);
    block = __libc_pvalloc(10);
    CHECK(block && malloc_usable_size(block) >= 4096);
    free(block);
    void *place = NULL;
    CHECK(__posix_memalign(&place, 3, 10) == EINVAL && !place);
    CHECK(__posix_memalign(&place, 64, 10) == 0 && aligned_to(place, 64));
    free(place);
}

#define FAILS(call)                                         \
    do {                                                    \
        errno = 77;                                         \
        CHECK((call) == NULL && errno == ENOMEM);           \
    } while (0)

static void the_second_names_fail_as_the_first_do(void) {
    volatile size_t half = (size_t)1 << 32;
    FAILS(__libc_malloc(TOO_MUCH));
    FAILS(__libc_malloc(SIZE_MAX));
    FAILS(__libc_calloc(TOO_MUCH, 2));
    FAILS(__libc_calloc(half, half));
    FAILS(__libc_realloc(NULL, TOO_MUCH));
    FAILS(__libc_reallocarray(NULL, half, half));
    FAILS(__libc_memalign(64, SIZE_MAX));
    FAILS(__libc_memalign(4096, TOO_MUCH));
    FAILS(__libc_valloc(TOO_MUCH));
    FAILS(__libc_pvalloc(SIZE_MAX - 10));
    FAILS(__libc_pvalloc(TOO_MUCH));
    errno = 77;
    CHECK(__libc_memalign(((size_t)1 << 63) + 1, 16) == NULL && errno == EINVAL);
    char *block = __libc_malloc(100);
    fill(block, 100, 9);
    FAILS(__libc_realloc(block, TOO_MUCH));
    FAILS(__libc_reallocarray(block, half, half));
    CHECK(filled(block, 100, 9));
    errno = 77;
    void *place = &place;
    CHECK(__posix_memalign(&place, 64, TOO_MUCH) == ENOMEM && place == &place);
    CHECK(__posix_memalign(&place, 0, 10) == EINVAL && place == &place);
    __libc_free(block);
    __libc_free(NULL), __libc_cfree(NULL);
    void *zero = __libc_malloc(0), *other = __libc_calloc(0, 8), *third = __libc_realloc(NULL, 0);
    CHECK(zero && other && third && zero != other && zero != third && other != third);
    CHECK(__libc_reallocarray(zero, 0, 8) == NULL);
    __libc_free(other), __libc_cfree(third);
    CHECK(__libc_mallopt(M_ARENA_MAX, 1) == 1);
    CHECK(errno == 77);
}

int main(void) {
    must_run_on_ravelin();
    the_account_follows_what_is_allocated();
    the_small_account_says_the_same();
    the_small_account_stops_at_its_largest_number();
    mallopt_takes_what_glibc_takes();
    trimming_says_whether_it_gave_anything_back();
    statistics_go_to_standard_error();
    the_second_names_are_the_same_allocator();
    the_second_names_fail_as_the_first_do();
    return verdict();
}
