/* The names that other systems have. */
#include "check.h"

#include <mimalloc.h>
#include <unistd.h>

#define FAILS(call) (errno = 0, (call) == NULL && errno == ENOMEM)

static void posix(void) {
    void *mark = &mark, *p = mark;
    for (size_t a = sizeof(void*); a <= (size_t)1 << 20; a *= 2) {
        CHECK(mi_posix_memalign(&p, a, 100) == 0 && p != mark && aligned_to(p, a));
        mi_free(p);
        CHECK(mi_posix_memalign(&p, a, 0) == 0 && aligned_to(p, a));
        mi_free(p);
    }
    static const size_t WRONG[] = {0, 1, 2, 4, 3, 24, 100, SIZE_MAX};
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        p = mark;
        errno = 77;
        CHECK(mi_posix_memalign(&p, WRONG[i], 32) == EINVAL && p == mark && errno == 77);
    }
    p = mark;
    errno = 77;
    CHECK(mi_posix_memalign(&p, sizeof(void*), largest) == ENOMEM && p == mark && errno == 77);
    CHECK(mi_posix_memalign(&p, sizeof(void*), too_large) == ENOMEM && p == mark && errno == 77);
    CHECK(mi_posix_memalign(NULL, sizeof(void*), 32) == EINVAL);
}

static void others(void) {
    for (size_t a = 1; a <= (size_t)1 << 20; a *= 2) {
        void *p = mi_memalign(a, 33), *q = mi_aligned_alloc(a, 33);
        CHECK(p && aligned_to(p, a) && q && aligned_to(q, a));
        mi_free(p);
        mi_free(q);
    }
    volatile size_t wrong = 24;
    CHECK(mi_memalign(wrong, 8) == NULL && mi_aligned_alloc(wrong, 8) == NULL);
    CHECK(FAILS(mi_memalign(64, too_large)) && FAILS(mi_aligned_alloc(64, too_large)));
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *p = mi_valloc(10), *q = mi_pvalloc(10);
    CHECK(p && aligned_to(p, page) && q && aligned_to(q, page) && mi_usable_size(q) >= page);
    mi_free(p);
    mi_free(q);
    CHECK(FAILS(mi_valloc(too_large)) && FAILS(mi_pvalloc(too_large)) && FAILS(mi_pvalloc(largest)));
}

static void arrays(void) {
    errno = 77;
    void* p = mi_reallocarray(NULL, 0, 16);
    CHECK(p && errno == 77);
    p = mi_reallocarray(p, 100, 10);
    CHECK(p && errno == 77 && mi_usable_size(p) >= 1000);
    fill(p, 1000, 1);
    CHECK(FAILS(mi_reallocarray(p, half, 3)) && FAILS(mi_reallocarray(p, 1, too_large)) && filled(p, 1000, 1));
    void* kept = p;
    errno = 0;
    CHECK(mi_reallocarr(&p, half, 3) == ENOMEM && errno == ENOMEM && p == kept && filled(p, 1000, 1));
    errno = 77;
    CHECK(mi_reallocarr(&p, 100, 1000) == 0 && errno == 77 && filled(p, 1000, 1) && mi_usable_size(p) >= 100000);
    mi_free(p);
    p = NULL;
    CHECK(mi_reallocarr(&p, 10, 10) == 0 && p);
    errno = 0;
    CHECK(mi_reallocarr(NULL, 1, 1) == EINVAL && errno == EINVAL);
    CHECK(mi__expand(p, 50) == p);
    errno = 0;
    CHECK(mi__expand(p, 100000) == NULL && errno == ENOMEM);
    mi_free(p);
    errno = 0;
    CHECK(mi__expand(NULL, 1) == NULL && errno == ENOMEM);
}

int main(void) {
    posix();
    others();
    arrays();
    return verdict();
}
