// A program that replaces the forms for arrays, and those with an alignment, but not the simplest ones.
#include "check.h"
#include <new>

static size_t arrays, wide, ended;
static bool refuse;

static void *take(size_t size, size_t align, size_t &count) {
    if (refuse) throw std::bad_alloc();
    count++;
    char *block = static_cast<char *>(aligned_alloc(align, size + align));
    if (!block) throw std::bad_alloc();
    return block + align;
}

static void give(void *block, size_t align) {
    ended++;
    free(static_cast<char *>(block) - align);
}

void *operator new[](size_t size) { return take(size, 16, arrays); }
void operator delete[](void *block) noexcept { give(block, 16); }
void *operator new(size_t size, std::align_val_t) { return take(size, 64, wide); }
void operator delete(void *block, std::align_val_t) noexcept { give(block, 64); }

int main() {
    must_run_on_ravelin();
    const std::nothrow_t &quiet = std::nothrow;
    const std::align_val_t wish{64};
    operator delete[](operator new[](10));
    operator delete[](operator new[](10, quiet), quiet);
    operator delete[](operator new[](10), size_t{10});
    CHECK(arrays == 3 && ended == 3);
    operator delete(operator new(10, wish), wish);
    operator delete(operator new(10, wish, quiet), wish, quiet);
    operator delete(operator new(10, wish), size_t{10}, wish);
    operator delete[](operator new[](10, wish), wish);
    operator delete[](operator new[](10, wish, quiet), wish, quiet);
    operator delete[](operator new[](10, wish), size_t{10}, wish);
    CHECK(wide == 6 && ended == 9);
    operator delete(operator new(10));
    operator delete(operator new(10, quiet), size_t{10});
    CHECK(arrays == 3 && wide == 6 && ended == 9);
    refuse = true;
    CHECK(operator new[](10, quiet) == nullptr);
    CHECK(operator new(10, wish, quiet) == nullptr);
    CHECK(operator new[](10, wish, quiet) == nullptr);
    return verdict();
}
