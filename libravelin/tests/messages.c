/* Output, errors and deferred frees: who is told what, in which order. */
#include "check.h"

#include <mimalloc.h>

static int codes[16];
static size_t told;
static char text[1 << 16];
static size_t length;
static size_t pieces;
static const char MARK = 'm';

static void hear(int code, void* arg) {
    CHECK(arg == &MARK);
    if (told < 16) codes[told] = code;
    told++;
    /* It may allocate; and what fails here is not told to it. */
    mi_free(mi_malloc(100));
    CHECK(mi_malloc(too_large) == NULL);
}

static void keep(const char* piece, void* arg) {
    CHECK(arg == &MARK);
    size_t n = strlen(piece);
    if (length + n < sizeof text) memcpy(text + length, piece, n + 1);
    length += n;
    pieces++;
    mi_free(mi_malloc(100));
}

static int heard(const int* expected, size_t count) {
    int same = told == count && memcmp(codes, expected, count * sizeof *codes) == 0;
    told = 0;
    return same;
}

static void errors(void) {
    static const int NO_MEMORY[] = {ENOMEM}, TOO_LARGE[] = {EOVERFLOW, EOVERFLOW, ENOMEM};
    mi_register_error(hear, (void*)&MARK);
    CHECK(mi_malloc(too_large) == NULL && heard(TOO_LARGE, 3));
    CHECK(mi_malloc(too_much) == NULL && heard(NO_MEMORY, 1));
    CHECK(mi_zalloc(too_much) == NULL && heard(NO_MEMORY, 1));
    CHECK(mi_malloc_aligned(too_much, 64) == NULL && heard(NO_MEMORY, 1));
    CHECK(mi_posix_memalign((void**)text, 64, too_much) == ENOMEM && heard(NO_MEMORY, 1));
    CHECK(mi_valloc(too_much) == NULL && heard(NO_MEMORY, 1));
    void* p = mi_malloc(10);
    CHECK(mi_realloc(p, too_much) == NULL && heard(NO_MEMORY, 1));
    mi_free(p);
    /* The system's malloc is the same one. */
    CHECK(malloc(too_much) == NULL && heard(NO_MEMORY, 1));
    /* What a program cannot count, or no power of two, is no want of memory: only the debug build tells of it. */
#ifdef DEBUG_BUILD
    static const int MISTAKE[] = {EOVERFLOW};
    const size_t mistakes = 1;
#else
    const int* const MISTAKE = NO_MEMORY;
    const size_t mistakes = 0;
#endif
    volatile size_t wrong = 24;
    CHECK(mi_malloc_aligned(10, wrong) == NULL && heard(MISTAKE, mistakes));
    CHECK(mi_memalign(wrong, 10) == NULL && heard(MISTAKE, mistakes));
    CHECK(mi_calloc(half, 3) == NULL && heard(MISTAKE, mistakes));
    CHECK(mi_reallocarray(NULL, half, 3) == NULL && heard(MISTAKE, mistakes));
    mi_register_error(NULL, NULL);
    CHECK(mi_malloc(too_large) == NULL && told == 0);
}

static void output(void) {
    /* Errors are printed if an option says so, prefix and text apart. */
    mi_register_output(keep, (void*)&MARK);
    length = pieces = 0;
    CHECK(mi_malloc(too_much) == NULL && length == 0);
    mi_option_enable(mi_option_show_errors);
    CHECK(mi_malloc(too_much) == NULL);
    CHECK(strncmp(text, "ravelin: error: unable to allocate memory (", 43) == 0 && pieces == 2);
    mi_option_set(mi_option_max_errors, 2);
    length = 0;
    for (int i = 0; i < 10; i++) CHECK(mi_malloc(too_much) == NULL);
    CHECK(length < 100);
    mi_option_disable(mi_option_show_errors);

    length = 0;
    mi_stats_print(NULL);
    CHECK(strncmp(text, "heap stats:     peak       total       freed     current ", 56) == 0);
    CHECK(strstr(text, "\n committed: ") && strstr(text, "\n   process: user: "));
    size_t printed = length;
    /* mimalloc calls this argument; here nobody does. */
    length = 0;
    mi_stats_print((void*)1);
    CHECK(length > printed / 2);
    mi_register_output(NULL, NULL);
    length = 0;
    mi_stats_print_out(keep, (void*)&MARK);
    CHECK(strncmp(text, "heap stats: ", 12) == 0);
    length = 0;
    mi_thread_stats_print_out(keep, (void*)&MARK);
    CHECK(strncmp(text, "heap stats: ", 12) == 0);
    mi_debug_show_arenas(true, true, true);
    mi_stats_merge();
    mi_stats_reset();
}

static void* put_off[1000];
static size_t waiting;
static unsigned long long last;
static size_t calls, forced;

static void free_some(bool force, unsigned long long heartbeat, void* arg) {
    CHECK(arg == &MARK && (calls == 0 || heartbeat == last + 1));
    last = heartbeat;
    calls++;
    forced += force;
    for (int i = 0; i < 10 && waiting; i++) mi_free(put_off[--waiting]);
    /* A slow path of its own does not come here again. */
    mi_free(mi_malloc(1 << 20));
}

static void deferred(void) {
    while (waiting < 1000) {
        put_off[waiting] = mi_malloc(64);
        CHECK(put_off[waiting] != NULL);
        waiting++;
    }
    mi_register_deferred_free(free_some, (void*)&MARK);
    mi_collect(false);
    CHECK(calls == 1 && forced == 0 && waiting == 990);
    mi_collect(true);
    CHECK(calls == 2 && forced == 1 && waiting == 980);
    for (int i = 0; i < 200; i++) mi_free(mi_malloc(1 << 20));
    CHECK(waiting == 0 && forced == 1 && calls >= 100);
    mi_register_deferred_free(NULL, NULL);
    size_t before = calls;
    mi_collect(true);
    CHECK(calls == before);
}

int main(void) {
    errors();
    output();
    deferred();
    return verdict();
}
