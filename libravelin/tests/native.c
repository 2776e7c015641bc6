/* What ravelin.h has and mimalloc.h does not. */
#include "check.h"

#include <ravelin.h>

static char text[1 << 16];
static size_t length;

static void keep(const char* piece, void* arg) {
    (void)arg;
    size_t n = strlen(piece);
    if (length + n < sizeof text) memcpy(text + length, piece, n + 1);
    length += n;
}

int main(void) {
    CHECK(rv_version() == RV_MIMALLOC_VERSION && strchr(rv_version_string(), '.'));
    const char* build = rv_build_name();
    CHECK(!strcmp(build, "fast") || !strcmp(build, "hardened") || !strcmp(build, "paranoid") || !strcmp(build, "custom"));
    CHECK(rv_has_mitigation("free-checks") == (strcmp(build, "fast") != 0));
    CHECK(!rv_has_mitigation("nonsense") && !rv_has_mitigation("") && !rv_has_mitigation(NULL));

    char* p = rv_malloc(1000);
    CHECK(p && rv_is_live(p) && !rv_is_live(NULL) && !rv_is_live(&p) && rv_is_in_heap_region(p + 5));
    if (rv_has_mitigation("free-checks")) CHECK(!rv_is_live(p + 16));
    rv_corruption_t found = {NULL, 0, NULL};
    CHECK(rv_check_heap(&found) == 0 && found.what == NULL && rv_check_heap(NULL) == 0);

    /* Data stay apart from what may hold pointers: no segment of 32 MiB has both. */
    char* data = rv_malloc_data(100);
    char* zeros = rv_calloc_data(10, 10);
    CHECK(data && zeros && zeros[99] == 0 && rv_is_live(data));
    if (rv_has_mitigation("partition")) CHECK((uintptr_t)data >> 25 == (uintptr_t)zeros >> 25 && (uintptr_t)data >> 25 != (uintptr_t)p >> 25);
    data = rv_realloc(data, 5000);
    if (rv_has_mitigation("partition")) CHECK(data && (uintptr_t)data >> 25 == (uintptr_t)zeros >> 25);
    rv_free(data);
    rv_free(zeros);
    errno = 0;
    volatile size_t most = (size_t)-1; /* no constant that the compiler could object to */
    CHECK(!rv_calloc_data(most, 2) && errno == ENOMEM);

    rv_stats_t before, after;
    memset(&before, 0xff, sizeof before);
    CHECK(rv_stats_get(&before, sizeof before) == sizeof before && rv_stats_get(NULL, 0) == sizeof before);
    void* blocks[50];
    for (int i = 0; i < 50; i++) blocks[i] = rv_malloc(100000);
    rv_stats_get(&after, sizeof after);
    CHECK(after.live_blocks >= before.live_blocks + 50 && after.live_bytes >= before.live_bytes + 5000000);
    CHECK(after.committed >= after.live_bytes && after.reserved >= after.committed && after.threads >= 1);
    CHECK(after.peak_live_bytes >= after.live_bytes && after.segments >= 1 && after.arenas >= 1 && after.pages >= 1);
    for (int i = 0; i < 50; i++) rv_free(blocks[i]);
    /* A shorter struct of an older program. */
    memset(&before, 0x5a, sizeof before);
    rv_stats_get(&before, 2 * sizeof(uint64_t));
    CHECK(before.live_blocks == 0x5a5a5a5a5a5a5a5a && before.live_bytes != before.live_blocks);

    size_t count = rv_stats_classes(NULL, 0);
    rv_class_stats_t* classes = rv_calloc_tp(rv_class_stats_t, count);
    CHECK(count > 10 && rv_stats_classes(classes, count) == count && classes[0].block_size == 16);
    uint64_t blocks_of_class = 0;
    for (size_t i = 0; i < count; i++) {
        CHECK(classes[i].bytes == classes[i].blocks * classes[i].block_size);
        if (classes[i].block_size >= 1000 && !blocks_of_class) blocks_of_class = classes[i].blocks;
    }
    CHECK(blocks_of_class >= 1);
    rv_free(classes);

    rv_stats_json(keep, NULL);
    CHECK(strncmp(text, "{\"ravelin\": \"", 13) == 0 && strstr(text, "\"live_bytes\": ") && text[length - 2] == '}');
    length = 0;
    rv_stats_table(keep, NULL);
    CHECK(strncmp(text, "ravelin: statistics of process ", 31) == 0 && strstr(text, "\nlive blocks "));
    rv_free(p);
    return verdict();
}
