/* Memory is there from before the first constructor until after the last destructor, in every thread. */
#include "check.h"

static void *early;
static pthread_key_t first, second;
static int rounds, from_second;

static void churn(void) {
    void *blocks[64];
    for (unsigned i = 0; i < 64; i++) {
        blocks[i] = malloc(i * i * 9);
        CHECK(blocks[i]);
        fill(blocks[i], i * i * 9, i);
    }
    for (unsigned i = 0; i < 64; i++) {
        CHECK(filled(blocks[i], i * i * 9, i));
        free(blocks[i]);
    }
}

__attribute__((constructor(101))) static void before_other_constructors(void) {
    must_run_on_ravelin();
    churn();
    early = malloc(1000);
    fill(early, 1000, 9);
}

__attribute__((constructor)) static void in_a_constructor(void) {
    CHECK(filled(early, 1000, 9));
    churn();
}

__attribute__((destructor)) static void in_a_destructor(void) {
    churn();
    CHECK(filled(early, 1000, 9));
    free(early);
    /* The exit code is decided by now. */
    if (failures) _exit(1);
}

static void at_exit(void) { churn(); }

/* Re-arms itself for every round that POSIX grants: the heap of a thread must outlive its other destructors. */
static void at_thread_end(void *block) {
    churn();
    free(block);
    rounds++;
    pthread_setspecific(first, malloc(77));
}

static void at_thread_end_too(void *block) {
    free(block);
    churn();
    from_second++;
}

static void *with_keys(void *unused) {
    pthread_setspecific(first, malloc(50));
    pthread_setspecific(second, malloc(60000));
    churn();
    return unused;
}

/* The first that the thread allocates, it allocates here: in the round that its value counts down to. */
static pthread_key_t late;

static void begins_at_the_end(void *left) {
    if (left > (void *)1) {
        pthread_setspecific(late, (char *)left - 1);
        return;
    }
    churn();
}

static void *with_a_late_key(void *left) {
    pthread_setspecific(late, left);
    return NULL;
}

static void *only_frees(void *block) {
    free(block);
    return NULL;
}

static void *leaves_blocks_behind(void *unused) {
    (void)unused;
    void **blocks = malloc(500 * sizeof *blocks);
    for (unsigned i = 0; i < 500; i++) fill(blocks[i] = malloc(i * 20), i * 20, i);
    return blocks;
}

static void *run(void *(*body)(void *), void *argument) {
    pthread_t thread;
    void *result = NULL;
    CHECK(pthread_create(&thread, NULL, body, argument) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    return result;
}

int main(void) {
    CHECK(filled(early, 1000, 9));
    CHECK(atexit(at_exit) == 0);

    CHECK(pthread_key_create(&first, at_thread_end) == 0 && pthread_key_create(&second, at_thread_end_too) == 0);
    for (int i = 0; i < 20; i++) run(with_keys, NULL);
    CHECK(rounds >= 20 && from_second == 20);

    CHECK(pthread_key_create(&late, begins_at_the_end) == 0);
    size_t before = mallinfo2().arena;
    for (uintptr_t i = 0; i < 200; i++) run(with_a_late_key, (void *)(i % 2 + 1));
    /* A heap that were lost with each thread would keep a page of each class that it has used. */
    CHECK(mallinfo2().arena < before + (16 << 20));

    for (int i = 0; i < 200; i++) run(only_frees, malloc((size_t)i * 500));

    for (int i = 0; i < 20; i++) {
        void **blocks = run(leaves_blocks_behind, NULL);
        for (unsigned j = 0; j < 500; j++) {
            CHECK(filled(blocks[j], j * 20, j));
            free(blocks[j]);
        }
        free(blocks);
    }
    return verdict();
}
