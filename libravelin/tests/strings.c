/* Strings in blocks of the allocator's, and variables of the environment. */
#include "check.h"

#include <limits.h>
#include <mimalloc.h>

int main(void) {
    char* s = mi_strdup("hello");
    CHECK(s && strcmp(s, "hello") == 0 && mi_is_in_heap_region(s));
    mi_free(s);
    s = mi_strdup("");
    CHECK(s && *s == 0);
    mi_free(s);
    static const struct {
        size_t most;
        const char* copy;
    } CUT[] = {{0, ""}, {1, "h"}, {4, "hell"}, {5, "hello"}, {6, "hello"}, {SIZE_MAX, "hello"}};
    for (size_t i = 0; i < sizeof CUT / sizeof *CUT; i++) {
        s = mi_strndup("hello", CUT[i].most);
        CHECK(s && strcmp(s, CUT[i].copy) == 0);
        mi_free(s);
    }
    /* Not ended within what may be read. */
    static const char OPEN[3] = {'a', 'b', 'c'};
    s = mi_strndup(OPEN, 3);
    CHECK(s && strcmp(s, "abc") == 0);
    mi_free(s);
    CHECK(mi_strdup(NULL) == NULL && mi_strndup(NULL, 5) == NULL && mi_wcsdup(NULL) == NULL && mi_mbsdup(NULL) == NULL);

    static const unsigned short WIDE[] = {'w', 0x20ac, 'x', 0};
    unsigned short* w = mi_wcsdup(WIDE);
    CHECK(w && memcmp(w, WIDE, sizeof WIDE) == 0);
    mi_free(w);
    unsigned char* m = mi_mbsdup((const unsigned char*)"\xe2\x82\xac");
    CHECK(m && strcmp((char*)m, "\xe2\x82\xac") == 0);
    mi_free(m);

    static char place[PATH_MAX + 1];
    s = mi_realpath("/usr/../usr/.", NULL);
    CHECK(s && strcmp(s, "/usr") == 0 && mi_is_in_heap_region(s));
    mi_free(s);
    CHECK(mi_realpath("/usr/.", place) == place && strcmp(place, "/usr") == 0);
    errno = 0;
    CHECK(mi_realpath("/does/not/exist", NULL) == NULL && errno == ENOENT);
    errno = 0;
    CHECK(mi_realpath(NULL, NULL) == NULL && errno == EINVAL);

    setenv("RV_TEST", "value", 1);
    unsetenv("RV_UNSET");
    char* value = place;
    size_t size = 99;
    CHECK(mi_dupenv_s(&value, &size, "RV_TEST") == 0 && value && strcmp(value, "value") == 0 && size == 5);
    mi_free(value);
    CHECK(mi_dupenv_s(&value, NULL, "RV_TEST") == 0 && value && strcmp(value, "value") == 0);
    mi_free(value);
    CHECK(mi_dupenv_s(&value, &size, "RV_UNSET") == 0 && value == NULL && size == 0);
    CHECK(mi_dupenv_s(NULL, &size, "RV_TEST") == EINVAL && mi_dupenv_s(&value, &size, NULL) == EINVAL);
    unsigned short* wide = w;
    CHECK(mi_wdupenv_s(&wide, &size, WIDE) == EINVAL && wide == NULL);
    CHECK(mi_wdupenv_s(NULL, NULL, NULL) == EINVAL);
    return verdict();
}
