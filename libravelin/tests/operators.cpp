// mimalloc-new-delete.h: the operators of a program.
#include "check.h"

#include <memory>
#include <string>
#include <vector>

#include <mimalloc-new-delete.h>

struct alignas(64) Wide {
    char bytes[200];
};

int main() {
    std::unique_ptr<int> one(new int(1));
    std::unique_ptr<int[]> many(new int[1000]);
    CHECK(mi_is_in_heap_region(one.get()) && mi_is_in_heap_region(many.get()));
    std::vector<std::string> names(100, "a name that is longer than a short string");
    CHECK(mi_is_in_heap_region(names[50].data()));
    int* p = new (std::nothrow) int;
    CHECK(p && mi_is_in_heap_region(p));
    delete p;
    char* volatile none = new (std::nothrow) char[too_much];
    CHECK(none == nullptr);
#if defined(__cpp_aligned_new)
    Wide *wide = new Wide, *row = new Wide[10], *quiet = new (std::nothrow) Wide;
    CHECK(aligned_to(wide, 64) && aligned_to(row, 64) && aligned_to(quiet, 64) && mi_is_in_heap_region(row));
    delete wide;
    delete[] row;
    delete quiet;
#endif
    bool thrown = false;
    try {
        none = new char[too_much];
    } catch (std::bad_alloc&) {
        thrown = true;
    }
    CHECK(thrown);
    return verdict();
}
