/* The process as a whole. */
#include "check.h"

#include <mimalloc.h>
#include <pthread.h>

static void* live(void* given) {
    mi_thread_init();
    void* p = mi_malloc(100);
    CHECK(p != NULL);
    mi_free(given);
    mi_thread_done();
    mi_thread_done();
    /* It goes on. */
    mi_free(mi_malloc(10));
    return p;
}

int main(void) {
    CHECK(mi_version() == MI_MALLOC_VERSION && MI_MALLOC_VERSION == 217);
    mi_process_init();
    mi_process_init();
    mi_thread_init();
    void* block = mi_malloc(8 << 20);
    CHECK(block != NULL);
    memset(block, 1, 8 << 20);
    size_t figures[8];
    memset(figures, 0xff, sizeof figures);
    mi_process_info(&figures[0], &figures[1], &figures[2], &figures[3], &figures[4], &figures[5], &figures[6], &figures[7]);
    CHECK(figures[0] < 1000000 && figures[1] < 1000000 && figures[2] < 1000000 && figures[7] < 1000000);
    CHECK(figures[3] >= 8 << 20 && figures[4] >= 8 << 20 && figures[5] >= 8 << 20 && figures[6] >= figures[5]);
    mi_process_info(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
    size_t elapsed = SIZE_MAX;
    mi_process_info(&elapsed, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
    CHECK(elapsed < 1000000);
    mi_free(block);
    mi_collect(true);
    size_t commit = SIZE_MAX;
    mi_process_info(NULL, NULL, NULL, NULL, NULL, &commit, NULL, NULL);
    CHECK(commit < figures[5]);

    for (int i = 0; i < 8; i++) {
        pthread_t thread;
        void* p = mi_malloc(50);
        CHECK(pthread_create(&thread, NULL, live, p) == 0);
        CHECK(pthread_join(thread, &p) == 0);
        mi_free(p);
    }
    return verdict();
}
