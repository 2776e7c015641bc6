/* A library that stops its threads before a fork, as thread pools do, and whose constructor says so before anybody has allocated. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>

enum { THREADS = 4 };
static pthread_t threads[THREADS];
static volatile int running, stop;

static void *work(void *nothing) {
    while (!stop) {
        void *blocks[100];
        for (int i = 0; i < 100; i++) {
            blocks[i] = malloc((size_t)i * 900 + 1);
            ((char *)blocks[i])[0] = 1;
        }
        for (int i = 0; i < 100; i++) free(blocks[i]);
        free(calloc(1, 300000));
    }
    return nothing;
}

void pool_start(void) {
    stop = 0;
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, NULL);
    running = 1;
}

static void pool_stop(void) {
    if (!running) return;
    stop = 1;
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    running = 0;
}

__attribute__((constructor(101))) static void register_early(void) { pthread_atfork(pool_stop, pool_start, NULL); }
