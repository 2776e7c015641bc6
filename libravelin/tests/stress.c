/* Threads that trade blocks: each allocates, keeps some, takes others' out of a shared board, looks at what they hold, frees them. */
#include "check.h"

#include <mimalloc.h>
#include <pthread.h>
#include <stdatomic.h>

#define THREADS 4
#define PLACES 1000
#define STEPS 60000

static _Atomic(uint64_t*) board[PLACES];

static uint64_t next(uint64_t* state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* A block that says how long it is, and holds the same word all through. */
static uint64_t* make(uint64_t* state) {
    uint64_t dice = next(state);
    size_t words = dice % 100 == 0 ? 2000 + dice % 20000 : 2 + dice % 60;
    uint64_t* block = dice % 3 ? mi_malloc(8 * words) : mi_calloc(words, 8);
    if (!block) abort();
    block[0] = words;
    for (size_t i = 1; i < words; i++) block[i] = words * 0x9e3779b97f4a7c15;
    return block;
}

static int holds(const uint64_t* block) {
    for (size_t i = 1; i < block[0]; i++)
        if (block[i] != block[0] * 0x9e3779b97f4a7c15) return 0;
    return mi_usable_size(block) >= 8 * block[0];
}

static void* trade(void* seed) {
    uint64_t state = (uintptr_t)seed;
    uint64_t* kept[100] = {0};
    int bad = 0;
    for (int step = 0; step < STEPS; step++) {
        uint64_t* block = make(&state);
        uint64_t dice = next(&state);
        if (dice % 4) {
            block = atomic_exchange(&board[dice / 4 % PLACES], block);
        } else {
            uint64_t** place = &kept[dice / 4 % 100];
            uint64_t* old = *place;
            *place = block;
            block = old;
        }
        if (!block) continue;
        bad += !holds(block);
        if (dice % 7 == 0) {
            /* Resized first. */
            size_t words = block[0] / 2 + 2;
            block = mi_realloc(block, 8 * words);
            block[0] = words < block[0] ? words : block[0];
            if (!mi_is_in_heap_region(block)) bad++;
        }
        mi_free(block);
    }
    for (int i = 0; i < 100; i++) mi_free(kept[i]);
    return (void*)(uintptr_t)bad;
}

int main(void) {
    for (int round = 0; round < 3; round++) {
        pthread_t threads[THREADS];
        for (uintptr_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, trade, (void*)(i * 7919 + 1 + round));
        for (int i = 0; i < THREADS; i++) {
            void* bad;
            pthread_join(threads[i], &bad);
            CHECK(bad == NULL);
        }
        mi_collect(round == 1);
    }
    for (int i = 0; i < PLACES; i++) mi_free(board[i]);
    mi_collect(true);
    return verdict();
}
