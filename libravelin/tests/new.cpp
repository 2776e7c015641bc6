// Blocks as C++ allocates them: new-handlers, exceptions, and what becomes of the block that was to be resized.
#include "check.h"

#include <mimalloc.h>
#include <new>

extern "C" void* mi_heap_try_new(mi_heap_t* heap, std::size_t size, bool nothrow);

static int called;
static void give_up() {
    if (++called == 3) std::set_new_handler(nullptr);
}
static void refuse() {
    called++;
    throw 42;
}
static void once() { called++; }

template <class Call>
static bool throws(Call call) {
    try {
        CHECK(call() == nullptr && false);
    } catch (std::bad_alloc&) {
        return true;
    }
    return false;
}

// The handler is called until there is none, then bad_alloc is thrown.
template <class Call>
static bool asks(Call call) {
    called = 0;
    std::set_new_handler(give_up);
    return throws(call) && called == 3;
}

// What the handler throws comes through.
template <class Call>
static bool passes(Call call) {
    called = 0;
    std::set_new_handler(refuse);
    bool passed = false;
    try {
        CHECK(call() == nullptr && false);
    } catch (int number) {
        passed = number == 42;
    }
    std::set_new_handler(nullptr);
    return passed && called == 1;
}

int main() {
    mi_heap_t* heap = mi_heap_new();
    for (std::size_t n = 0; n < 3000000; n = 3 * n + 1) {
        void *p = mi_new(n), *q = mi_new_nothrow(n), *r = mi_new_n(n, 2), *s = mi_heap_alloc_new(heap, n);
        CHECK(p && q && r && s && mi_usable_size(p) >= n && mi_usable_size(r) >= 2 * n);
        fill(p, n, 1);
        p = mi_new_realloc(p, n + 100);
        CHECK(filled(p, n, 1));
        p = mi_new_reallocn(p, n + 100, 2);
        CHECK(filled(p, n, 1));
        mi_free(p);
        mi_free(q);
        mi_free(r);
        mi_free(s);
        mi_free(mi_heap_alloc_new_n(heap, n, 2));
        mi_free(mi_heap_try_new(heap, n, false));
        mi_free(mi_heap_try_new(heap, n, true));
    }
    for (std::size_t a = 1; a <= 1 << 20; a *= 2) {
        void *p = mi_new_aligned(100, a), *q = mi_new_aligned_nothrow(100, a);
        CHECK(p && aligned_to(p, a) && q && aligned_to(q, a));
        mi_free(p);
        mi_free(q);
    }

    void* block = mi_new(100);
    fill(block, 100, 2);
    CHECK(throws([] { return mi_new(too_large); }) && throws([] { return mi_new(too_much); }));
    CHECK(throws([] { return mi_new_aligned(too_much, 64); }) && throws([] { return mi_new_n(too_much, 1); }));
    CHECK(throws([=] { return mi_new_realloc(block, too_much); }));
    CHECK(throws([=] { return mi_new_reallocn(block, too_much, 1); }));
    CHECK(throws([=] { return mi_heap_alloc_new(heap, too_much); }));
    CHECK(throws([=] { return mi_heap_alloc_new_n(heap, too_much, 1); }));
    CHECK(throws([=] { return mi_heap_try_new(heap, too_much, false); }));
    CHECK(throws([] { return mi_heap_alloc_new(nullptr, 10); }));
    CHECK(asks([] { return mi_new(too_much); }) && asks([] { return mi_new_aligned(too_much, 64); }));
    CHECK(asks([] { return mi_new_n(too_much, 1); }) && asks([=] { return mi_new_realloc(block, too_much); }));
    CHECK(asks([=] { return mi_new_reallocn(block, too_much, 1); }));
    CHECK(asks([=] { return mi_heap_alloc_new(heap, too_much); }));
    CHECK(passes([] { return mi_new(too_much); }) && passes([] { return mi_new_aligned(too_much, 64); }));
    CHECK(passes([=] { return mi_new_realloc(block, too_much); }) && passes([] { return mi_new_n(half, 4); }));
    CHECK(passes([=] { return mi_heap_alloc_new(heap, too_much); }));
    CHECK(filled(block, 100, 2));
    // A product that overflows: one round, then null. Without a handler it throws.
    called = 0;
    std::set_new_handler(once);
    CHECK(mi_new_n(half, 4) == nullptr && called == 1 && mi_new_reallocn(block, half, 4) == nullptr && called == 2);
    CHECK(mi_heap_alloc_new_n(heap, half, 4) == nullptr && called == 3);
    std::set_new_handler(nullptr);
    CHECK(throws([] { return mi_new_n(half, 4); }) && throws([=] { return mi_new_reallocn(block, half, 4); }));
    // An alignment that is no power of two cannot be helped by a handler.
    called = 0;
    std::set_new_handler(once);
    volatile std::size_t wrong = 24;
    CHECK(throws([=] { return mi_new_aligned(10, wrong); }) && called == 0);
    CHECK(mi_new_aligned_nothrow(10, wrong) == nullptr && called == 0);
    // The nothrow forms answer null for whatever is thrown.
    std::set_new_handler(refuse);
    CHECK(mi_new_nothrow(too_much) == nullptr && called == 1);
    CHECK(mi_new_aligned_nothrow(too_much, 64) == nullptr && called == 2);
    CHECK(mi_heap_try_new(heap, too_much, true) == nullptr && called == 3);
    std::set_new_handler(nullptr);
    CHECK(mi_new_nothrow(too_much) == nullptr && mi_new_aligned_nothrow(too_much, 64) == nullptr);
    CHECK(filled(block, 100, 2));
    mi_free(block);
    mi_heap_destroy(heap);
    return verdict();
}
