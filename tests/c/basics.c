/* malloc, free, calloc, realloc and their kin: what they give, keep and clear. */
#include "check.h"

static const size_t SIZES[] = {0,    1,    2,    7,    8,     15,    16,    17,     24,     48,     64,      100,     128,
                               500,  512,  1000, 1024, 1025,  2048,  4095,  4096,   4097,   10000,  16384,   65535,   65536,
                               65537, 100000, 131071, 131072, 131073, 200000, 1 << 20, (1 << 20) + 1, 5 << 20, 17 << 20, 40 << 20};
enum { COUNT = sizeof SIZES / sizeof *SIZES };

static void every_size_is_given_on_a_16_byte_boundary_and_no_two_overlap(void) {
    void *blocks[COUNT][3];
    for (unsigned i = 0; i < COUNT; i++)
        for (unsigned j = 0; j < 3; j++) {
            blocks[i][j] = malloc(SIZES[i]);
            CHECK(blocks[i][j]);
            CHECK(aligned_to(blocks[i][j], 16));
            fill(blocks[i][j], SIZES[i], i * 3 + j);
        }
    for (unsigned i = 0; i < COUNT; i++)
        for (unsigned j = 0; j < 3; j++) {
            CHECK(filled(blocks[i][j], SIZES[i], i * 3 + j));
            free(blocks[i][j]);
        }
}

static void a_block_of_size_zero_is_unique_and_freeable(void) {
    void *a = malloc(0), *b = malloc(0), *c = calloc(0, 8), *d = calloc(8, 0), *e = realloc(NULL, 0);
    CHECK(a && b && c && d && e);
    CHECK(a != b && a != c && a != d && a != e && b != c && b != d && b != e && c != d && c != e && d != e);
    free(a), free(b), free(c), free(d), free(e);
}

static void nothing_may_be_freed(void) {
    free(NULL);
    cfree(NULL);
    free_sized(NULL, 10);
    free_aligned_sized(NULL, 64, 10);
}

static void calloc_clears_what_others_left(void) {
    for (unsigned i = 0; i < COUNT; i++) {
        size_t size = SIZES[i];
        for (int round = 0; round < 5; round++) {
            void *dirty = malloc(size);
            memset(dirty, 0xee, size);
            free(dirty);
            void *clean = calloc(1, size);
            CHECK(clean && all_zero(clean, size));
            memset(clean, 0xee, size);
            free(clean);
        }
    }
    char *array = calloc(1000, 24);
    CHECK(array && all_zero(array, 24000));
    free(array);
}

static void realloc_keeps_what_fits(void) {
    for (unsigned i = 0; i < COUNT; i++)
        for (unsigned j = 0; j < COUNT; j++) {
            if (!SIZES[j] || SIZES[i] + SIZES[j] > 20 << 20) continue;
            size_t kept = SIZES[i] < SIZES[j] ? SIZES[i] : SIZES[j];
            void *block = malloc(SIZES[i]);
            fill(block, SIZES[i], i);
            block = realloc(block, SIZES[j]);
            CHECK(block && aligned_to(block, 16) && filled(block, kept, i));
            CHECK(malloc_usable_size(block) >= SIZES[j]);
            memset(block, 1, SIZES[j]);
            free(block);
        }
}

static void realloc_of_nothing_allocates_and_to_nothing_frees(void) {
    errno = 77;
    void *block = realloc(NULL, 100);
    CHECK(block);
    CHECK(realloc(block, 0) == NULL);
    CHECK(errno == 77);
    block = malloc(100);
    CHECK(reallocarray(block, 0, 8) == NULL);
    CHECK(errno == 77);
    block = malloc(3 << 20);
    CHECK(reallocf(block, 0) == NULL);
    CHECK(errno == 77);
}

static void the_arrays_and_the_bsd_form_resize_too(void) {
    char *block = reallocarray(NULL, 10, 10);
    fill(block, 100, 1);
    block = reallocarray(block, 100, 100);
    CHECK(block && filled(block, 100, 1));
    block = reallocf(block, 100000);
    CHECK(block && filled(block, 100, 1));
    free_sized(block, 100000);
    block = aligned_alloc(256, 512);
    CHECK(block && aligned_to(block, 256));
    free_aligned_sized(block, 256, 512);
    block = malloc(10);
    cfree(block);
}

static void usable_size_covers_the_request_and_may_be_written(void) {
    CHECK(malloc_usable_size(NULL) == 0);
    for (unsigned i = 0; i < COUNT; i++) {
        void *block = malloc(SIZES[i]);
        size_t usable = malloc_usable_size(block);
        CHECK(usable >= SIZES[i]);
        /* A large block may have all the room that an earlier one had there. */
        int is_large = SIZES[i] > 131072;
        CHECK(usable <= SIZES[i] / 2 * (is_large ? 8 : 3) + 65536);
        memset(block, 0x5a, usable);
        CHECK(malloc_good_size(SIZES[i]) >= SIZES[i]);
        CHECK(malloc_good_size(malloc_good_size(SIZES[i])) == malloc_good_size(SIZES[i]));
        CHECK(is_large || usable <= malloc_good_size(SIZES[i]));
        free(block);
    }
}

int main(void) {
    must_run_on_ravelin();
    every_size_is_given_on_a_16_byte_boundary_and_no_two_overlap();
    a_block_of_size_zero_is_unique_and_freeable();
    nothing_may_be_freed();
    calloc_clears_what_others_left();
    realloc_keeps_what_fits();
    realloc_of_nothing_allocates_and_to_nothing_frees();
    the_arrays_and_the_bsd_form_resize_too();
    usable_size_covers_the_request_and_may_be_written();
    return verdict();
}
