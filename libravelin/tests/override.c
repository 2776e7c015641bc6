/* mimalloc-override.h: calls of the C library become calls of the allocator. Microsoft's names, too. */
#include "check.h"

#include <limits.h>
#include <wchar.h>

#include <mimalloc-override.h>

int main(void) {
    char* p = malloc(10);
    CHECK(mi_is_in_heap_region(p));
    p = realloc(p, 100);
    p = reallocf(p, 200);
    p = reallocarray(p, 3, 100);
    CHECK(reallocarr(&p, 4, 100) == 0 && malloc_usable_size(p) >= 400 && malloc_size(p) == _msize(p));
    CHECK(_expand(p, 100) == p);
    free(p);
    p = calloc(10, 10);
    CHECK(all(p, 0, 100));
    p = _recalloc(p, 20, 10);
    CHECK(all(p, 0, 200));
    cfree(p);
    p = strdup("text");
    CHECK(strcmp(p, "text") == 0);
    free(p);
    p = strndup("text", 2);
    CHECK(strcmp(p, "te") == 0);
    free(p);
    p = _strdup("text");
    free(p);
    p = realpath("/", NULL);
    CHECK(strcmp(p, "/") == 0);
    free(p);
    void* q = NULL;
    CHECK(posix_memalign(&q, 64, 10) == 0 && aligned_to(q, 64));
    free(q);
    CHECK(_posix_memalign(&q, 64, 10) == 0 && aligned_to(q, 64));
    free(q);
    free(memalign(64, 10));
    free(aligned_alloc(64, 64));
    free(valloc(10));
    free(pvalloc(10));
    CHECK(malloc_good_size(10) >= 10);
    q = _aligned_malloc(100, 64);
    CHECK(aligned_to(q, 64) && _aligned_msize(q, 64, 0) >= 100);
    q = _aligned_realloc(q, 1000, 64);
    q = _aligned_recalloc(q, 1000, 2, 64);
    CHECK(aligned_to(q, 64));
    _aligned_free(q);
    q = _aligned_offset_malloc(100, 64, 4);
    q = _aligned_offset_realloc(q, 200, 64, 4);
    q = _aligned_offset_recalloc(q, 200, 2, 64, 4);
    CHECK(aligned_to((char*)q + 4, 64));
    _aligned_free(q);
    char* value;
    size_t size;
    CHECK(_dupenv_s(&value, &size, "PATH") == 0 && value && size > 0);
    free(value);
    unsigned short* wide;
    CHECK(_wdupenv_s(&wide, &size, L"PATH") == EINVAL);
    unsigned char* bytes = _mbsdup((const unsigned char*)"b");
    free(bytes);
    return verdict();
}
