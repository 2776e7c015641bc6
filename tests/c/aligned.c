/* Blocks on a wished boundary. */
#include "check.h"

static const size_t SIZES[] = {0, 1, 8, 24, 100, 1000, 4096, 10000, 70000, 200000, 3 << 20};
enum { COUNT = sizeof SIZES / sizeof *SIZES };

static void every_power_of_two_is_an_alignment(void) {
    for (size_t align = 1; align <= (size_t)1 << 28; align *= 2)
        for (unsigned i = 0; i < COUNT; i++) {
            size_t size = SIZES[i];
            void *a = aligned_alloc(align, size), *b = memalign(align, size), *c = NULL;
            CHECK(a && b && a != b && aligned_to(a, align) && aligned_to(b, align));
            CHECK(align < sizeof(void *) || posix_memalign(&c, align, size) == 0);
            CHECK(align < sizeof(void *) || (c && aligned_to(c, align)));
            fill(a, size, 1), fill(b, size, 2);
            if (c) fill(c, size, 3);
            CHECK(malloc_usable_size(a) >= size);
            CHECK(filled(a, size, 1) && filled(b, size, 2) && (!c || filled(c, size, 3)));
            free(a), free(b), free(c);
        }
}

static void who_frees_may_say_how_the_block_was_asked_for(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t align = 1; align <= (size_t)1 << 28; align *= 2)
        for (unsigned i = 0; i < COUNT; i++) {
            size_t size = SIZES[i];
            void *block = NULL;
            free_aligned_sized(aligned_alloc(align, size), align, size);
            free_aligned_sized(memalign(align | align >> 1, size), align | align >> 1, size);
            if (align >= sizeof(void *)) CHECK(posix_memalign(&block, align, size) == 0);
            free_aligned_sized(block, align, size);
            free_aligned_sized(valloc(size), page, size);
        }
}

static void memalign_rounds_up_to_a_power_of_two(void) {
    static const struct { size_t asked, given; } pairs[] = {{0, 16}, {1, 16}, {3, 16}, {17, 32}, {24, 32}, {48, 64}, {100, 128}, {4097, 8192}, {65537, 131072}};
    for (unsigned i = 0; i < sizeof pairs / sizeof *pairs; i++)
        for (int round = 0; round < 8; round++) {
            void *block = memalign(pairs[i].asked, 40);
            CHECK(block && aligned_to(block, pairs[i].given));
            free(block);
        }
}

static void the_size_need_not_be_a_multiple(void) {
    void *block = aligned_alloc(64, 65);
    CHECK(block && aligned_to(block, 64) && malloc_usable_size(block) >= 65);
    free(block);
}

static void valloc_and_pvalloc_start_an_os_page(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (unsigned i = 0; i < COUNT; i++) {
        void *a = valloc(SIZES[i]), *b = pvalloc(SIZES[i]);
        CHECK(a && b && aligned_to(a, page) && aligned_to(b, page));
        CHECK(malloc_usable_size(a) >= SIZES[i]);
        CHECK(malloc_usable_size(b) >= (SIZES[i] + page - 1) / page * page);
        free(a), free(b);
    }
}

static void realloc_of_an_aligned_block_keeps_its_bytes(void) {
    for (size_t align = 16; align <= 1 << 22; align *= 4)
        for (unsigned i = 1; i < COUNT; i++) {
            void *block = aligned_alloc(align, SIZES[i]);
            fill(block, SIZES[i], 5);
            block = realloc(block, SIZES[i] * 3);
            CHECK(block && filled(block, SIZES[i], 5));
            block = realloc(block, SIZES[i] / 2 + 1);
            CHECK(block && filled(block, SIZES[i] / 2 + 1, 5));
            free(block);
        }
}

static void many_live_ones_do_not_overlap(void) {
    enum { MANY = 600 };
    void *blocks[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        blocks[i] = memalign((size_t)16 << (i % 12), i * 11);
        CHECK(blocks[i] && aligned_to(blocks[i], (size_t)16 << (i % 12)));
        fill(blocks[i], i * 11, i);
    }
    for (unsigned i = 0; i < MANY; i++) {
        CHECK(filled(blocks[i], i * 11, i));
        free(blocks[i]);
    }
}

int main(void) {
    must_run_on_ravelin();
    every_power_of_two_is_an_alignment();
    who_frees_may_say_how_the_block_was_asked_for();
    memalign_rounds_up_to_a_power_of_two();
    the_size_need_not_be_a_multiple();
    valloc_and_pvalloc_start_an_os_page();
    realloc_of_an_aligned_block_keeps_its_bytes();
    many_live_ones_do_not_overlap();
    return verdict();
}
