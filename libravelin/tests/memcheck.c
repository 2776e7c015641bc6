/* Misuses, one a run, named by the argument: what memcheck must say of each stands in xtask/src/memcheck.rs. */
#include <mimalloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What was read goes here, so that it is read. */
static volatile char sink;

static void behind(void) {
    char* block = malloc(24);
    memset(block, 1, 24);
    sink = block[24];
    free(block);
}

static void before(void) {
    /* The neighbour is as large: before each block lies another one's end. */
    char* blocks[8];
    for (int i = 0; i < 8; i++) blocks[i] = memset(malloc(24), 1, 24);
    for (int i = 0; i < 8; i++) sink = blocks[i][-1];
    for (int i = 0; i < 8; i++) free(blocks[i]);
}

static void before_first(void) {
    /* Before a page's first block lies the page before, or a guard: then this is the last that the program does. */
    char* block = malloc(24);
    for (int i = 0; i < 100000 && (uintptr_t)block % 65536 != 0; i++) block = malloc(24);
    if ((uintptr_t)block % 65536 == 0) sink = block[-1];
}

static void after_free(void) {
    char* block = mi_malloc(1000);
    block[5] = 1;
    mi_free(block);
    block[5] = 2;
}

static void after_realloc(void) {
    char* block = memset(malloc(1000), 1, 1000);
    char* moved = realloc(block, 100000);
    sink = moved[999];
    sink = block[999];
    free(moved);
}

static void behind_shrunk(void) {
    char* block = memset(mi_malloc(2000), 1, 2000);
    block = mi_realloc(block, 1900);
    sink = block[1899];
    sink = block[1900];
    mi_free(block);
}

static void after_destroy(void) {
    mi_heap_t* heap = mi_heap_new();
    char* small = mi_heap_zalloc(heap, 100);
    char* large = mi_heap_zalloc(heap, 3000000);
    sink = small[99];
    sink = large[2999999];
    mi_heap_destroy(heap);
    sink = small[99];
}

static void unwritten(void) {
    char* block = malloc(64);
    if (block[3] == 7) sink = 1;
    free(block);
}

static void twice(void) {
    void* block = malloc(50);
    free(block);
    free(block);
}

static void lost(void) {
    for (int i = 0; i < 50; i++) {
        char* block = malloc(777);
        block[0] = 1;
    }
}

/* No misuse: memory that is zero, grown where it stands and elsewhere, off its granule, of a heap that is deleted. */
static void nothing(void) {
    char* zeros = mi_calloc(10, 10);
    for (size_t size = 100; size < 8000000; size += size / 2) {
        zeros = mi_rezalloc(zeros, size);
        if (zeros[size - 1] != 0 || zeros[size / 2] != 0) sink = 1;
    }
    mi_free(zeros);
    char* crooked = mi_zalloc_aligned_at(100, 64, 5);
    if (crooked[0] != 0 || crooked[99] != 0) sink = 1;
    mi_free(crooked);
    mi_heap_t* heap = mi_heap_new();
    char* kept = memset(mi_heap_malloc(heap, 100), 1, 100);
    mi_heap_delete(heap);
    if (kept[99] != 1) sink = 1;
    kept = mi_realloc(kept, 0);
    if (kept[0] != 0) sink = 1;
    mi_free(kept);
    free(strdup("a copy"));
    mi_collect(true);
}

static const struct {
    const char* name;
    void (*play)(void);
} misuses[] = {
    {"behind", behind},       {"before", before},       {"before-first", before_first}, {"after-free", after_free},
    {"after-realloc", after_realloc}, {"behind-shrunk", behind_shrunk}, {"after-destroy", after_destroy},
    {"unwritten", unwritten}, {"twice", twice}, {"lost", lost}, {"nothing", nothing},
};

int main(int count, char** arguments) {
    for (size_t i = 0; count == 2 && i < sizeof misuses / sizeof *misuses; i++)
        if (strcmp(arguments[1], misuses[i].name) == 0) {
            misuses[i].play();
            return 0;
        }
    return 2;
}
