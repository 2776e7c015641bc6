// Allocators for the containers of C++11 and newer.
#include "check.h"

#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include <mimalloc.h>
#include <ravelin.h>

#ifndef MI_HAS_HEAP_STL_ALLOCATOR
#error "no heap allocators"
#endif

template <class Allocator>
static void holds_things(const Allocator& allocator) {
    using Traits = std::allocator_traits<Allocator>;
    typename Traits::template rebind_alloc<int> of_int(allocator);
    std::vector<int, typename Traits::template rebind_alloc<int>> numbers(of_int);
    for (int i = 0; i < 10000; i++) numbers.push_back(i);
    CHECK(numbers[9999] == 9999 && mi_is_in_heap_region(numbers.data()));
    auto copy = numbers;
    CHECK(copy == numbers && copy.get_allocator() == numbers.get_allocator());
    decltype(numbers) other(of_int);
    other = std::move(copy);
    std::swap(other, numbers);
    CHECK(other.size() == 10000 && numbers.size() == 10000);
    std::list<std::string, typename Traits::template rebind_alloc<std::string>> names(of_int);
    for (int i = 0; i < 100; i++) names.emplace_back(std::to_string(i));
    CHECK(names.size() == 100 && names.back() == "99");
    using Pair = std::pair<const int, int>;
    std::map<int, int, std::less<int>, typename Traits::template rebind_alloc<Pair>> squares{std::less<int>(), of_int};
    for (int i = 0; i < 1000; i++) squares[i] = i * i;
    CHECK(squares[30] == 900);
    for (int i = 0; i < 1000; i += 2) squares.erase(i);
    CHECK(squares.size() == 500);
    auto shared = std::allocate_shared<int>(of_int, 7);
    CHECK(*shared == 7);
}

static void plain() {
    mi_stl_allocator<int> one;
    mi_stl_allocator<double> two(one);
    CHECK(one == mi_stl_allocator<int>(two) && !(one != two) && one.max_size() > 1000000);
    static_assert(std::allocator_traits<mi_stl_allocator<int>>::is_always_equal::value, "all are equal");
    holds_things(one);
    int* p = one.allocate(10);
    CHECK(mi_usable_size(p) >= 10 * sizeof(int) && one.address(*p) == p);
    one.deallocate(p, 10);
    bool thrown = false;
    try {
        int* none = one.allocate(too_much / sizeof(int));
        CHECK(none == nullptr);
    } catch (std::bad_alloc&) {
        thrown = true;
    }
    CHECK(thrown);
}

template <template <class> class Allocator>
static void over_a_heap(bool frees) {
    Allocator<int> own, borrowed(mi_heap_get_backing()), copy(own);
    CHECK(own == copy && own != borrowed && own.is_equal(copy) && Allocator<double>(own) == own);
    static_assert(!std::allocator_traits<Allocator<int>>::is_always_equal::value, "each has its heap");
    holds_things(own);
    holds_things(borrowed);
    own.collect(true);
    Allocator<int> assigned;
    assigned = own;
    CHECK(assigned == own);
    int* p = own.allocate(1000);
    CHECK(p && rv_is_live(p));
    own.deallocate(p, 1000);
    if (rv_has_mitigation("free-checks")) CHECK(rv_is_live(p) == !frees);
}

static void destroyed_with_the_last_copy() {
    int* block;
    {
        std::vector<int, mi_heap_destroy_stl_allocator<int>> outer;
        {
            mi_heap_destroy_stl_allocator<int> allocator;
            std::vector<int, mi_heap_destroy_stl_allocator<int>> inner(1000, 1, allocator);
            outer = inner;
            block = outer.data();
        }
        CHECK(outer[999] == 1 && rv_is_live(block));
    }
    if (rv_has_mitigation("free-checks")) CHECK(!rv_is_live(block));
}

int main() {
    plain();
    over_a_heap<mi_heap_stl_allocator>(true);
    over_a_heap<mi_heap_destroy_stl_allocator>(false);
    destroyed_with_the_last_copy();
    holds_things(rv_stl_allocator<int>());
    holds_things(rv_heap_stl_allocator<int>());
    holds_things(rv_heap_destroy_stl_allocator<int>());
    return verdict();
}
