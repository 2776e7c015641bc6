// Blocks that go back by another operator, or with another size: each alone must end the process. Without an argument: pairs that are right.
#include "check.h"
#include <cstdio>
#include <initializer_list>
#include <new>

extern "C" void free_sized(void *block, size_t size) __attribute__((weak));
extern "C" void free_aligned_sized(void *block, size_t align, size_t size) __attribute__((weak));

static void pairs_that_are_right() {
    for (size_t size : {size_t{1}, size_t{40}, size_t{1000}, size_t{200000}}) {
        ::operator delete(::operator new(size));
        ::operator delete(::operator new(size), size);
        ::operator delete[](::operator new[](size));
        ::operator delete[](::operator new[](size), size);
        ::operator delete(::operator new(size, std::align_val_t{64}), size, std::align_val_t{64});
        ::operator delete[](::operator new[](size, std::align_val_t{64}), size, std::align_val_t{64});
        ::operator delete(::operator new(size, std::nothrow), std::nothrow);
        ::operator delete[](::operator new[](size, std::nothrow), std::nothrow);
        // What a C++ library linked into a program may do, with its own operators on one side.
        ::operator delete(malloc(size));
        ::operator delete[](malloc(size));
        free(::operator new(size));
        free(::operator new[](size));
    }
}

int main(int count, char **arguments) {
    if (count < 2) {
        pairs_that_are_right();
        return 0;
    }
    void *one = ::operator new(40), *many = ::operator new[](40), *plain = malloc(40);
    void *aligned = ::operator new[](40, std::align_val_t{64}), *of_c = aligned_alloc(64, 40);
    const char which = arguments[1][0];
    void *guilty = which == 'b' || which == 'e' ? many : which == 'c' ? aligned : which == 'f' ? plain : which >= 'g' ? of_c : one;
    printf("%p\n", guilty);
    fflush(stdout);
    switch (which) {
    case 'a': ::operator delete[](one); break;
    case 'b': ::operator delete(many); break;
    case 'c': ::operator delete(aligned, std::align_val_t{64}); break;
    case 'd': ::operator delete(one, size_t{48}); break;
    case 'e': ::operator delete[](many, size_t{32}); break;
    case 'f': free_sized(plain, 41); break;
    case 'g': free_aligned_sized(of_c, 256, 40); break;
    case 'h': free_aligned_sized(of_c, 64, 41); break;
    case 'i': free_aligned_sized(of_c, SIZE_MAX, SIZE_MAX); break;
    }
    puts("NOT CAUGHT");
    return 0;
}
