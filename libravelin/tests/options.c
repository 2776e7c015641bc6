/* Options: numbers, defaults, the program's word against the environment's. Run with MIMALLOC_PURGE_DELAY=25,
 * mimalloc_os_tag=250, MIMALLOC_EAGER_COMMIT=off, MIMALLOC_RESERVE_OS_MEMORY=3MiB and MIMALLOC_ARENA_EAGER_COMMIT=junk. */
#include "check.h"

#include <limits.h>
#include <mimalloc.h>

static const long DEFAULTS[] = {0, 0, 0, 0, 2,  1, 0, 0,   -1, 3072, 0,  0, 0,       0,  1,
                                25, 0, 0, 250, 32, 32, 10, 0, 1048576, 10, 1, 1, 0, 400};

int main(void) {
    CHECK(sizeof DEFAULTS / sizeof *DEFAULTS == _mi_option_last && _mi_option_last == 29);
    for (int i = 0; i < _mi_option_last; i++) {
        long value = mi_option_get((mi_option_t)i);
        if (value != DEFAULTS[i]) fprintf(stderr, "option %d is %ld\n", i, value), failures++;
        CHECK(mi_option_is_enabled((mi_option_t)i) == (DEFAULTS[i] != 0));
    }
    /* No such number: 0, and nothing happens. */
    static const int WRONG[] = {-1, _mi_option_last, INT_MAX, INT_MIN};
    for (size_t i = 0; i < 4; i++) {
        mi_option_t option = (mi_option_t)WRONG[i];
        mi_option_set(option, 5);
        mi_option_set_default(option, 5);
        mi_option_enable(option);
        CHECK(mi_option_get(option) == 0 && !mi_option_is_enabled(option) && mi_option_get_size(option) == 0);
    }
    /* A default gives way to the environment, and to what was set before. */
    mi_option_set_default(mi_option_purge_delay, 7);
    CHECK(mi_option_get(mi_option_purge_delay) == 25);
    mi_option_set_default(mi_option_use_numa_nodes, 7);
    CHECK(mi_option_get(mi_option_use_numa_nodes) == 7);
    mi_option_set(mi_option_use_numa_nodes, 8);
    mi_option_set_default(mi_option_use_numa_nodes, 9);
    CHECK(mi_option_get(mi_option_use_numa_nodes) == 8);
    mi_option_set_enabled_default(mi_option_use_numa_nodes, true);
    CHECK(mi_option_get(mi_option_use_numa_nodes) == 8);
    mi_option_set(mi_option_purge_delay, -1);
    CHECK(mi_option_get(mi_option_purge_delay) == -1 && mi_option_is_enabled(mi_option_reset_delay));
    mi_option_enable(mi_option_destroy_on_exit);
    CHECK(mi_option_get(mi_option_destroy_on_exit) == 1);
    mi_option_set_enabled(mi_option_destroy_on_exit, false);
    CHECK(!mi_option_is_enabled(mi_option_destroy_on_exit));
    mi_option_set_enabled(mi_option_destroy_on_exit, true);
    mi_option_disable(mi_option_destroy_on_exit);
    CHECK(mi_option_get(mi_option_destroy_on_exit) == 0);
    mi_option_set_enabled_default(mi_option_deprecated_page_reset, true);
    CHECK(mi_option_get(mi_option_deprecated_page_reset) == 1);
    /* Clamped for one who asks; sizes in bytes. */
    CHECK(mi_option_get_clamp(mi_option_os_tag, 0, 100) == 100 && mi_option_get_clamp(mi_option_os_tag, 300, 400) == 300);
    CHECK(mi_option_get_clamp(mi_option_os_tag, 0, 1000) == 250);
    CHECK(mi_option_get_size(mi_option_arena_reserve) == (size_t)1 << 30);
    CHECK(mi_option_get_size(mi_option_reserve_os_memory) == 3 << 20);
    CHECK(mi_option_get_size(mi_option_max_errors) == 32 && mi_option_get_size(mi_option_purge_delay) == 0);
    mi_option_set(mi_option_reserve_os_memory, -5);
    mi_option_set(mi_option_os_tag, -5);
    CHECK(mi_option_get_size(mi_option_reserve_os_memory) == 0 && mi_option_get_size(mi_option_os_tag) == 0);
    CHECK(mi_option_get(mi_option_os_tag) == -5);
    mi_option_set(mi_option_arena_reserve, 128 * 1024);
    CHECK(mi_option_get(mi_option_arena_reserve) == 128 * 1024);
    CHECK(mi_option_get_size(mi_option_arena_reserve) == (size_t)128 << 20);
    return verdict();
}
