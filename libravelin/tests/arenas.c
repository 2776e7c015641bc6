/* Arenas: reserved, brought, exclusive, full, wrong. */
#include "check.h"

#include <mimalloc.h>
#include <sys/mman.h>

#define MiB ((size_t)1 << 20)

static char* map_aligned(size_t size) {
    char* p = mmap(NULL, size + 32 * MiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return NULL;
    return (char*)(((uintptr_t)p + 32 * MiB - 1) & ~(uintptr_t)(32 * MiB - 1));
}

static void reserved(void) {
    CHECK(mi_reserve_os_memory(64 * MiB, false, false) == 0 && mi_reserve_os_memory(1, true, true) == 0);
    mi_arena_id_t id = -1;
    CHECK(mi_reserve_os_memory_ex(33 * MiB, false, false, true, &id) == 0 && id > 0);
    size_t size = 0;
    char* start = mi_arena_area(id, &size);
    CHECK(start && size == 64 * MiB && mi_arena_area(id, NULL) == start);
    CHECK(mi_arena_area(0, &size) == NULL && size == 0);
    size = 1;
    CHECK(mi_arena_area(12345, &size) == NULL && size == 0);
    id = 1;
    CHECK(mi_reserve_os_memory_ex(too_much, false, false, false, &id) == ENOMEM && id <= 0);
    CHECK(mi_reserve_os_memory(largest, false, false) == ENOMEM);
    id = 1;
    CHECK(mi_reserve_os_memory(0, false, false) == ENOMEM);
    CHECK(mi_reserve_os_memory_ex(0, false, false, true, &id) == ENOMEM && id <= 0);
    /* Who does not want to know the arena need not. */
    CHECK(mi_reserve_os_memory_ex(1, false, false, false, NULL) == 0);
}

static void exclusive(void) {
    mi_arena_id_t id;
    CHECK(mi_reserve_os_memory_ex(64 * MiB, true, false, true, &id) == 0);
    size_t size;
    char* start = mi_arena_area(id, &size);
    mi_heap_t* heap = mi_heap_new_in_arena(id);
    CHECK(heap != NULL);
    /* All of it lies there, and nothing of others. */
    size_t count = 0;
    char* p;
    while ((p = mi_heap_malloc(heap, 100000)) != NULL) {
        CHECK(p >= start && p + 100000 <= start + size);
        if (++count > 1000) break;
    }
    CHECK(count > 300 && count < 700);
    CHECK(mi_heap_malloc(heap, 1 << 20) == NULL);
    p = mi_malloc(100000);
    CHECK(p && !(p >= start && p < start + size));
    mi_free(p);
    mi_heap_destroy(heap);
    heap = mi_heap_new_in_arena(id);
    p = mi_heap_malloc(heap, 1 << 20);
    CHECK(p && p >= start && p + (1 << 20) <= start + size);
    mi_heap_destroy(heap);
}

#define FAILS(call) (errno = 0, (call) == NULL && errno == ENOMEM)

/* An arena that there is not has no memory: so every function can be seen without. */
static void without_memory(void) {
    mi_heap_t* heap = mi_heap_new_in_arena(54321);
    CHECK(FAILS(mi_heap_malloc(heap, 10)) && FAILS(mi_heap_zalloc(heap, 10)) && FAILS(mi_heap_malloc_small(heap, 10)));
    CHECK(FAILS(mi_heap_calloc(heap, 1, 10)) && FAILS(mi_heap_mallocn(heap, 1, 10)) && FAILS(mi_heap_malloc(heap, 1 << 20)));
    CHECK(FAILS(mi_heap_malloc_aligned(heap, 10, 64)) && FAILS(mi_heap_zalloc_aligned(heap, 10, 64)));
    CHECK(FAILS(mi_heap_calloc_aligned(heap, 1, 10, 64)) && FAILS(mi_heap_malloc_aligned_at(heap, 10, 64, 5)));
    CHECK(FAILS(mi_heap_zalloc_aligned_at(heap, 10, 64, 5)) && FAILS(mi_heap_calloc_aligned_at(heap, 1, 10, 64, 5)));
    CHECK(FAILS(mi_heap_strdup(heap, "text")) && FAILS(mi_heap_strndup(heap, "text", 2)));
    CHECK(FAILS(mi_heap_realpath(heap, "/usr", NULL)));
    /* What cannot grow stays as it is. */
    char* p = mi_malloc(100);
    fill(p, 100, 1);
    CHECK(FAILS(mi_heap_realloc(heap, p, 5000)) && FAILS(mi_heap_reallocn(heap, p, 50, 100)));
    CHECK(FAILS(mi_heap_rezalloc(heap, p, 5000)) && FAILS(mi_heap_recalloc(heap, p, 50, 100)));
    CHECK(FAILS(mi_heap_realloc_aligned(heap, p, 5000, 64)) && FAILS(mi_heap_rezalloc_aligned(heap, p, 5000, 64)));
    CHECK(FAILS(mi_heap_recalloc_aligned(heap, p, 50, 100, 64)) && FAILS(mi_heap_realloc_aligned_at(heap, p, 5000, 64, 5)));
    CHECK(FAILS(mi_heap_rezalloc_aligned_at(heap, p, 5000, 64, 5)));
    CHECK(FAILS(mi_heap_recalloc_aligned_at(heap, p, 50, 100, 64, 5)) && filled(p, 100, 1));
    CHECK(FAILS(mi_heap_reallocf(heap, p, 5000)));
    /* The same without a heap's name. */
    mi_heap_t* backing = mi_heap_set_default(heap);
    char *text = (char*)1, place[4097];
    size_t size = 9;
    int code = mi_dupenv_s(&text, &size, "PATH");
    void* aligned = place;
    int aligned_code = mi_posix_memalign(&aligned, 64, 10);
    int failed = FAILS(mi_malloc(10)) && FAILS(mi_strdup("text")) && FAILS(mi_strndup("text", 2)) && FAILS(mi_realpath("/usr", NULL));
    int in_place = mi_realpath("/usr", place) == place;
    static const unsigned short WIDE[] = {'w', 0};
    int copies = FAILS(mi_wcsdup(WIDE)) && FAILS(mi_mbsdup((const unsigned char*)"m")) && FAILS(mi_valloc(1)) && FAILS(mi_pvalloc(1));
    void* array = NULL;
    int array_code = mi_reallocarr(&array, 1, 10);
    mi_heap_set_default(backing);
    CHECK(code == ENOMEM && text == NULL && size == 0 && aligned_code == ENOMEM && aligned == place);
    CHECK(failed && in_place && copies && array_code == ENOMEM && array == NULL);
    mi_heap_delete(heap);
}

static void brought(void) {
    char* start = map_aligned(96 * MiB);
    CHECK(start != NULL);
    mi_arena_id_t id = 0;
    CHECK(!mi_manage_os_memory(start, 31 * MiB, true, false, true, -1));
    CHECK(!mi_manage_os_memory(start + 4096, 64 * MiB, true, false, true, -1));
    CHECK(!mi_manage_os_memory(NULL, 64 * MiB, true, false, true, -1));
    /* Memory that is not there. */
    CHECK(!mi_manage_os_memory((void*)(uintptr_t)(64 * MiB), 64 * MiB, true, false, true, -1));
    CHECK(mi_manage_os_memory_ex(start, 70 * MiB, true, false, true, -1, true, &id) && id > 0);
    size_t size;
    CHECK(mi_arena_area(id, &size) == start && size == 64 * MiB);
    /* Twice: no. */
    CHECK(!mi_manage_os_memory_ex(start, 64 * MiB, true, false, true, -1, true, &id));
    start = map_aligned(64 * MiB);
    memset(start, 0xaa, 64 * MiB);
    CHECK(mi_manage_os_memory_ex(start, 64 * MiB, true, false, false, -1, true, &id));
    mi_heap_t* heap = mi_heap_new_in_arena(id);
    /* What the caller wrote there is not taken for zero. */
    for (size_t n = 16; n <= 4 * MiB; n *= 4) {
        char* p = mi_heap_zalloc(heap, n);
        CHECK(p && p >= start && p + n <= start + 64 * MiB && all(p, 0, n));
        fill(p, n, 1);
        mi_free(p);
        p = mi_heap_zalloc(heap, n);
        CHECK(p && all(p, 0, n));
    }
    mi_heap_destroy(heap);
    CHECK(mi_manage_os_memory(map_aligned(32 * MiB), 32 * MiB, true, true, true, 0));
}

static void huge(void) {
    /* Most machines have none to give: none, or a whole one. */
    CHECK(mi_reserve_huge_os_pages_at(0, -1, 100) == 0);
    int result = mi_reserve_huge_os_pages_at(1, -1, 100);
    CHECK(result == 0 || result == ENOMEM);
    mi_arena_id_t id = 7;
    result = mi_reserve_huge_os_pages_at_ex(1, 0, 100, true, &id);
    CHECK((result == 0 && id > 0) || (result == ENOMEM && id <= 0));
    CHECK(mi_reserve_huge_os_pages_interleave(0, 0, 100) == 0);
    result = mi_reserve_huge_os_pages_interleave(1, 1, 100);
    CHECK(result == 0 || result == ENOMEM);
    size_t got = 99;
    CHECK(mi_reserve_huge_os_pages(0, 0.1, &got) == 0 && got == 0);
    result = mi_reserve_huge_os_pages(1, 0.1, &got);
    CHECK((result == 0 && got == 1) || (result == ENOMEM && got == 0));
}

int main(void) {
    reserved();
    exclusive();
    without_memory();
    brought();
    huge();
    mi_debug_show_arenas(true, true, true);
    return verdict();
}
