// std::pmr over a heap (C++17).
#include "check.h"

#include <map>
#include <memory_resource>
#include <string>
#include <vector>

#include <ravelin.h>

int main() {
    const void* block;
    {
        rv_heap_resource resource;
        std::pmr::vector<std::pmr::string> names(&resource);
        for (int i = 0; i < 1000; i++) names.emplace_back("a name that is longer than a short string " + std::to_string(i));
        CHECK(rv_heap_contains_block(resource.heap(), names.data()) && names[999].size() > 40);
        block = names.data();
        std::pmr::map<int, int> squares(&resource);
        for (int i = 0; i < 1000; i++) squares[i] = i * i;
        CHECK(squares[30] == 900);
        void* p = resource.allocate(100, 4096);
        CHECK(aligned_to(p, 4096));
        resource.deallocate(p, 100, 4096);
        // Not given back: it goes with the heap.
        CHECK(resource.allocate(1000) != nullptr && resource.is_equal(resource));
        rv_heap_resource borrowing(rv_heap_get_backing());
        CHECK(!resource.is_equal(borrowing));
        bool thrown = false;
        try {
            CHECK(borrowing.allocate(too_much) == nullptr);
        } catch (std::bad_alloc&) {
            thrown = true;
        }
        CHECK(thrown);
    }
    if (rv_has_mitigation("free-checks")) CHECK(!rv_is_live(block));
    return verdict();
}
