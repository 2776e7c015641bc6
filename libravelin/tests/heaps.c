/* First-class heaps. */
#include "check.h"

#include <mimalloc.h>
#include <pthread.h>
#include <ravelin.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAILS(call) (errno = 0, (call) == NULL && errno == ENOMEM)

static void every_way_to_allocate(void) {
    mi_heap_t* heap = mi_heap_new();
    CHECK(heap != NULL);
    static const size_t SIZES[] = {0, 1, 16, 100, 1024, 5000, 131073, 3000000, 40000000};
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        size_t n = SIZES[i];
        void* p = mi_heap_malloc(heap, n);
        CHECK(p && mi_usable_size(p) >= n && mi_heap_contains_block(heap, p) && mi_heap_check_owned(heap, p));
        fill(p, n, 1);
        p = mi_heap_realloc(heap, p, n + 1);
        CHECK(p && filled(p, n, 1) && mi_heap_contains_block(heap, p));
        mi_free(p);
        p = mi_heap_zalloc(heap, n);
        CHECK(p && all(p, 0, n));
        memset(p, 2, n);
        p = mi_heap_rezalloc(heap, p, 2 * n + 1);
        CHECK(p && all(p, 2, n) && all((char*)p + n, 0, n + 1));
        p = mi_heap_recalloc(heap, p, 3 * n + 1, 2);
        CHECK(p && all(p, 2, n) && all((char*)p + n, 0, 5 * n + 2));
        mi_free(p);
        p = mi_heap_calloc(heap, n, 2);
        CHECK(p && all(p, 0, 2 * n));
        p = mi_heap_reallocn(heap, p, n, 3);
        CHECK(p && all(p, 0, 2 * n));
        p = mi_heap_reallocf(heap, p, n);
        CHECK(p && mi_usable_size(p) >= n);
        mi_free(p);
        mi_free(mi_heap_mallocn(heap, n, 2));
    }
    for (size_t a = 1; a <= (size_t)32 << 20; a *= 8) {
        void* p = mi_heap_malloc_aligned(heap, 100, a);
        CHECK(p && aligned_to(p, a) && mi_heap_contains_block(heap, p));
        p = mi_heap_realloc_aligned(heap, p, 3000, a);
        CHECK(p && aligned_to(p, a < 16 ? 1 : a));
        mi_free(p);
        p = mi_heap_zalloc_aligned(heap, 100, a);
        CHECK(p && aligned_to(p, a) && all(p, 0, 100));
        p = mi_heap_rezalloc_aligned(heap, p, 3000, a);
        CHECK(p && all(p, 0, 3000));
        p = mi_heap_recalloc_aligned(heap, p, 3000, 2, a);
        CHECK(p && all(p, 0, 6000));
        mi_free(p);
        p = mi_heap_calloc_aligned(heap, 10, 100, a);
        CHECK(p && aligned_to(p, a) && all(p, 0, 1000));
        mi_free(p);
        if (a > (size_t)16 << 20 || a <= 8) continue;
        p = mi_heap_malloc_aligned_at(heap, 100, a, 5);
        CHECK(p && aligned_to((char*)p + 5, a) && mi_heap_contains_block(heap, p));
        p = mi_heap_realloc_aligned_at(heap, p, 3000, a, 5);
        CHECK(p && aligned_to((char*)p + 5, a));
        mi_free(p);
        p = mi_heap_zalloc_aligned_at(heap, 100, a, 5);
        CHECK(p && aligned_to((char*)p + 5, a) && all(p, 0, 100));
        p = mi_heap_rezalloc_aligned_at(heap, p, 3000, a, 5);
        CHECK(p && aligned_to((char*)p + 5, a) && all(p, 0, 3000));
        p = mi_heap_recalloc_aligned_at(heap, p, 3000, 2, a, 5);
        CHECK(p && aligned_to((char*)p + 5, a) && all(p, 0, 6000));
        mi_free(p);
        p = mi_heap_calloc_aligned_at(heap, 10, 100, a, 5);
        CHECK(p && aligned_to((char*)p + 5, a) && all(p, 0, 1000));
        mi_free(p);
    }
    char* s = mi_heap_strdup(heap, "text");
    CHECK(s && !strcmp(s, "text") && mi_heap_contains_block(heap, s));
    mi_free(s);
    s = mi_heap_strndup(heap, "text", 2);
    CHECK(s && !strcmp(s, "te"));
    mi_free(s);
    s = mi_heap_realpath(heap, "/usr/.", NULL);
    CHECK(s && !strcmp(s, "/usr") && mi_heap_contains_block(heap, s));
    mi_free(s);
    CHECK(mi_heap_strdup(heap, NULL) == NULL);
    mi_free(mi_heap_malloc_small(heap, 100));
    mi_free(mi_heap_alloc_new(heap, 100));
    mi_free(mi_heap_alloc_new_n(heap, 100, 3));
    mi_free(mi_heap_malloc_tp(heap, int));
    mi_free(mi_heap_zalloc_tp(heap, int));
    mi_free(mi_heap_recalloc_tp(heap, mi_heap_calloc_tp(heap, int, 3), int, 4));
    mi_free(mi_heap_reallocn_tp(heap, mi_heap_mallocn_tp(heap, int, 3), int, 4));

    void* p = mi_heap_malloc(heap, 100);
    fill(p, 100, 3);
    CHECK(FAILS(mi_heap_malloc(heap, too_large)) && FAILS(mi_heap_zalloc(heap, too_much)));
    CHECK(FAILS(mi_heap_calloc(heap, half, 3)) && FAILS(mi_heap_mallocn(heap, half, 3)));
    CHECK(FAILS(mi_heap_realloc(heap, p, too_large)) && FAILS(mi_heap_reallocn(heap, p, half, 3)));
    CHECK(FAILS(mi_heap_recalloc(heap, p, half, 3)) && FAILS(mi_heap_malloc_aligned(heap, too_large, 64)));
    CHECK(filled(p, 100, 3));
    CHECK(FAILS(mi_heap_reallocf(heap, p, too_large)));
    /* The heap that could not be made has no memory. */
    CHECK(FAILS(mi_heap_malloc(NULL, 10)) && FAILS(mi_heap_calloc(NULL, 1, 10)) && FAILS(mi_heap_realloc(NULL, NULL, 1)));
    mi_heap_collect(heap, false);
    mi_heap_collect(heap, true);
    mi_heap_delete(heap);
}

static void ends(void) {
    mi_heap_delete(NULL);
    mi_heap_destroy(NULL);
    mi_heap_collect(NULL, true);
    CHECK(mi_heap_set_default(NULL) == NULL);
    mi_heap_t* backing = mi_heap_get_backing();
    CHECK(backing && mi_heap_get_default() == backing);

    /* Deleted: the blocks live on, in the backing heap. */
    mi_heap_t* heap = mi_heap_new();
    void* blocks[300];
    for (int i = 0; i < 300; i++) {
        blocks[i] = mi_heap_malloc(heap, i < 290 ? 100 : 1 << 20);
        CHECK(blocks[i] != NULL);
        fill(blocks[i], 100, (unsigned)i);
    }
    mi_heap_delete(heap);
    for (int i = 0; i < 300; i++) CHECK(filled(blocks[i], 100, (unsigned)i) && mi_heap_contains_block(backing, blocks[i]));
    for (int i = 0; i < 300; i++) mi_free(blocks[i]);

    /* Destroyed: all of it is freed. */
    rv_stats_t before, between, after;
    mi_collect(true);
    rv_stats_get(&before, sizeof before);
    heap = mi_heap_new();
    for (int i = 0; i < 300; i++) CHECK(mi_heap_zalloc(heap, i < 290 ? 1000 : 1 << 20) != NULL);
    CHECK(mi_heap_malloc(heap, 40 << 20) != NULL);
    rv_stats_get(&between, sizeof between);
    mi_heap_destroy(heap);
    mi_collect(true);
    rv_stats_get(&after, sizeof after);
    CHECK(between.live_blocks >= before.live_blocks + 301);
    CHECK(after.live_blocks <= before.live_blocks && after.live_bytes <= before.live_bytes);

    /* The default. */
    heap = mi_heap_new();
    CHECK(mi_heap_set_default(heap) == backing && mi_heap_get_default() == heap && mi_heap_get_backing() == backing);
    void *p = mi_malloc(100), *q = malloc(100);
    CHECK(mi_heap_contains_block(heap, p) && mi_heap_contains_block(heap, q) && mi_check_owned(p));
    mi_heap_delete(heap);
    CHECK(mi_heap_get_default() == backing && mi_heap_contains_block(backing, p));
    mi_free(p);
    free(q);
    heap = mi_heap_new();
    mi_heap_set_default(heap);
    CHECK(mi_malloc(100) != NULL);
    mi_heap_destroy(heap);
    CHECK(mi_heap_get_default() == backing);
    /* The backing heap is not ended by anything. */
    p = mi_malloc(10);
    mi_heap_delete(backing);
    mi_heap_destroy(backing);
    fill(p, 10, 1);
    CHECK(mi_heap_get_backing() == backing && filled(p, 10, 1));
    mi_free(p);
}

static void what_lies_where(void) {
    mi_heap_t *one = mi_heap_new(), *two = mi_heap_new();
    char *p = mi_heap_malloc(one, 100), *large = mi_heap_malloc(one, 1 << 20), *q = mi_malloc(100);
    CHECK(mi_heap_contains_block(one, p) && !mi_heap_contains_block(two, p) && mi_heap_contains_block(one, large));
    CHECK(!mi_heap_contains_block(one, q) && mi_check_owned(q) && mi_check_owned(q + 5) && !mi_check_owned(p));
    CHECK(mi_heap_check_owned(one, p + 10) && mi_heap_check_owned(one, large + 100000) && !mi_heap_check_owned(two, p));
    if (rv_has_mitigation("free-checks")) CHECK(!mi_heap_contains_block(one, p + 16));
    int local;
    static int global;
    const void* foreign[] = {NULL, &local, &global, (void*)8, (void*)UINTPTR_MAX, (void*)(uintptr_t)0x123456789000};
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        CHECK(!mi_heap_contains_block(one, foreign[i]) && !mi_heap_check_owned(one, foreign[i]) && !mi_check_owned(foreign[i]));
    /* A block of another heap stays there as long as it fits. */
    p = mi_heap_realloc(two, p, 101);
    CHECK(p && mi_heap_contains_block(one, p));
    char* moved = mi_heap_realloc(two, p, 5000);
    CHECK(moved && mi_heap_contains_block(two, moved) && !mi_heap_contains_block(one, moved));
    mi_free(moved);
    p = mi_heap_malloc(one, 100);
    CHECK(!mi_heap_contains_block(NULL, p) && !mi_heap_check_owned(NULL, p));
    mi_free(p);
    CHECK(mi_heap_check_owned(one, p));
    if (rv_has_mitigation("free-checks")) CHECK(!mi_heap_contains_block(one, p));
    mi_free(large);
    mi_free(q);
    mi_heap_destroy(one);
    mi_heap_destroy(two);
}

struct seen {
    size_t areas, blocks, bytes, used;
    void* expected[3];
    int found;
    size_t stop_after;
};

static bool look(const mi_heap_t* heap, const mi_heap_area_t* area, void* block, size_t size, void* arg) {
    struct seen* seen = (struct seen*)arg;
    CHECK(heap && area->blocks && area->reserved >= area->committed && area->full_block_size >= area->block_size);
    if (!block) {
        seen->areas++;
        seen->used += area->used;
    } else {
        seen->blocks++;
        seen->bytes += size;
        for (int i = 0; i < 3; i++) seen->found += block == seen->expected[i];
        CHECK((char*)block >= (char*)area->blocks && size && size <= area->full_block_size);
    }
    return !(seen->stop_after && seen->areas + seen->blocks >= seen->stop_after);
}

static void visits(void) {
    mi_heap_t* heap = mi_heap_new();
    struct seen seen = {0};
    CHECK(!mi_heap_visit_blocks(heap, true, look, &seen) && seen.areas == 0);
    CHECK(!mi_heap_visit_blocks(NULL, true, look, &seen) && !mi_heap_visit_blocks(heap, true, NULL, NULL));
    void* small[500];
    for (int i = 0; i < 500; i++) {
        small[i] = mi_heap_malloc(heap, 64);
        CHECK(small[i] != NULL);
    }
    for (int i = 0; i < 500; i += 2) mi_free(small[i]);
    seen.expected[0] = small[1];
    seen.expected[1] = mi_heap_malloc(heap, 1 << 20);
    seen.expected[2] = mi_heap_malloc(heap, 40 << 20);
    CHECK(mi_heap_visit_blocks(heap, true, look, &seen));
    CHECK(seen.blocks == 252 && seen.found == 3 && seen.used == 252 && seen.areas >= 3 && seen.bytes >= 41 << 20);
    struct seen areas = {0};
    CHECK(mi_heap_visit_blocks(heap, false, look, &areas) && areas.blocks == 0 && areas.areas == seen.areas);
    struct seen stopped = {.stop_after = 2};
    CHECK(!mi_heap_visit_blocks(heap, true, look, &stopped) && stopped.areas + stopped.blocks == 2);
    mi_heap_destroy(heap);
}

static void* free_them(void* given) {
    void** blocks = (void**)given;
    for (int i = 0; i < 1000; i++) mi_free(blocks[i]);
    /* This thread's heaps end with it. */
    mi_heap_t* heap = mi_heap_new();
    void* p = mi_heap_malloc(heap, 100);
    fill(p, 100, 9);
    return p;
}

static void threads(void) {
    for (int round = 0; round < 5; round++) {
        mi_heap_t* heap = mi_heap_new();
        static void* blocks[1000];
        for (int i = 0; i < 1000; i++) blocks[i] = mi_heap_malloc(heap, (size_t)i);
        pthread_t thread;
        pthread_create(&thread, NULL, free_them, blocks);
        if (round % 2) mi_heap_delete(heap);
        void* p;
        pthread_join(thread, &p);
        if (round % 2 == 0) mi_heap_destroy(heap);
        CHECK(filled(p, 100, 9));
        mi_free(p);
    }
}

static mi_heap_t* volatile wrong;
static void use_dead(void) {
    wrong = mi_heap_new();
    mi_heap_delete(wrong);
    if (mi_heap_malloc(wrong, 10)) _exit(4);
}
static void end_twice(void) {
    wrong = mi_heap_new();
    mi_heap_destroy(wrong);
    mi_heap_destroy(wrong);
}
static void allocates(mi_heap_t* heap) { mi_free(mi_heap_malloc(heap, 10)); }
static void aligns(mi_heap_t* heap) { mi_free(mi_heap_zalloc_aligned_at(heap, 10, 64, 5)); }
static void resizes(mi_heap_t* heap) { mi_free(mi_heap_realloc(heap, mi_malloc(100), 100)); }
static void copies(mi_heap_t* heap) { mi_free(mi_heap_strdup(heap, "text")); }
static void deletes(mi_heap_t* heap) { mi_heap_delete(heap); }
static void destroys(mi_heap_t* heap) { mi_heap_destroy(heap); }
static void collects(mi_heap_t* heap) { mi_heap_collect(heap, true); }
static void takes(mi_heap_t* heap) { if (mi_heap_set_default(heap)) _exit(5); }
static void shows(mi_heap_t* heap) { if (mi_heap_visit_blocks(heap, true, look, NULL)) _exit(5); }
static void (*const FOREIGN[])(mi_heap_t*) = {allocates, aligns, resizes, copies, deletes, destroys, collects, takes, shows};
static void (*foreign_deed)(mi_heap_t*);
static void* do_it(void* heap) {
    foreign_deed((mi_heap_t*)heap);
    return NULL;
}
static void use_foreign(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, do_it, mi_heap_new());
    pthread_join(thread, NULL);
}
static void use_nonsense(void) {
    if (mi_heap_malloc((mi_heap_t*)(uintptr_t)0x1234560, 10)) _exit(4);
}
static void free_after_destroy(void) {
    wrong = mi_heap_new();
    void* p = mi_heap_malloc(wrong, 100);
    mi_heap_destroy(wrong);
    mi_free(p);
}

/* Whether a child dies of SIGABRT with these words. */
static int dies(void (*deed)(void), const char* words) {
    int ends[2];
    if (pipe(ends) != 0) return 0;
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        deed();
        _exit(0);
    }
    close(ends[1]);
    char said[1000] = "";
    size_t n = 0;
    ssize_t more;
    while ((more = read(ends[0], said + n, sizeof said - 1 - n)) > 0) n += (size_t)more;
    close(ends[0]);
    int status;
    waitpid(child, &status, 0);
    said[n] = 0;
    if (!strstr(said, words)) fprintf(stderr, "said: %s\n", said);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strstr(said, words);
}

int main(void) {
    every_way_to_allocate();
    ends();
    what_lies_where();
    visits();
    threads();
    CHECK(dies(use_dead, "dead heap"));
    CHECK(dies(end_twice, "dead heap"));
    for (size_t i = 0; i < sizeof FOREIGN / sizeof *FOREIGN; i++) {
        foreign_deed = FOREIGN[i];
        CHECK(dies(use_foreign, "foreign heap"));
    }
    CHECK(dies(use_nonsense, "dead heap"));
    if (rv_has_mitigation("free-checks")) CHECK(dies(free_after_destroy, "double free"));
    return verdict();
}
