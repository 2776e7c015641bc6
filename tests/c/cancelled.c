/* A thread that was cancelled goes on to its next point of cancellation, and no function of malloc's is one: what first use reads of the system,
 * and all that a large block needs, must not end it, with a lock in hand. */
#include "check.h"
#include <pthread.h>

static int came_through;

static void *allocate_though_cancelled(void *unused) {
    CHECK(pthread_cancel(pthread_self()) == 0);
    for (size_t size = 16; size < (size_t)64 << 20; size *= 3) {
        void *volatile block = malloc(size);
        CHECK(block != NULL);
        block = realloc(block, 2 * size);
        CHECK(block != NULL);
        free(block);
        void *aligned = NULL;
        CHECK(posix_memalign(&aligned, 1 << 18, size) == 0);
        free(aligned);
        block = calloc(3, size);
        CHECK(block != NULL);
        free(block);
    }
    came_through = 1;
    pthread_testcancel();
    return unused;
}

int main(void) {
    pthread_t thread;
    void *result = NULL;
    alarm(60);
    CHECK(pthread_create(&thread, NULL, allocate_though_cancelled, NULL) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(result == PTHREAD_CANCELED);
    CHECK(came_through);
    free(malloc(1 << 20));
    return 0;
}
