// Every form of operator new and delete, and what is built on them.
#include "check.h"
#include <algorithm>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

static const size_t SIZES[] = {0, 1, 16, 24, 100, 1000, 1024, 1025, 5000, 70000, 200000, 3 << 20};
static const std::nothrow_t &quiet = std::nothrow;

static void used(void *block, size_t size, size_t align) {
    CHECK(block && aligned_to(block, align) && aligned_to(block, 16));
    CHECK(malloc_usable_size(block) >= size);
    size = std::min(size, size_t{80000});
    fill(block, size, 3);
    CHECK(filled(block, size, 3));
}

static void every_plain_form() {
    for (size_t size : SIZES) {
        void *blocks[] = {operator new(size),        operator new(size),        operator new(size, quiet), operator new[](size),
                          operator new[](size),      operator new[](size, quiet)};
        for (void *block : blocks) used(block, size, 16);
        for (void *&a : blocks)
            for (void *&b : blocks) CHECK(&a == &b || a != b);
        operator delete(blocks[0]);
        operator delete(blocks[1], size);
        operator delete(blocks[2], quiet);
        operator delete[](blocks[3]);
        operator delete[](blocks[4], size);
        operator delete[](blocks[5], quiet);
    }
}

static void every_aligned_form() {
    for (size_t size : SIZES)
        for (size_t align = 1; align <= 1 << 22; align *= 2) {
            std::align_val_t wish{align};
            void *blocks[] = {operator new(size, wish),   operator new(size, wish),   operator new(size, wish, quiet),
                              operator new[](size, wish), operator new[](size, wish), operator new[](size, wish, quiet)};
            for (void *block : blocks) used(block, size, align);
            operator delete(blocks[0], wish);
            operator delete(blocks[1], size, wish);
            operator delete(blocks[2], wish, quiet);
            operator delete[](blocks[3], wish);
            operator delete[](blocks[4], size, wish);
            operator delete[](blocks[5], wish, quiet);
        }
}

static void deleting_nothing_is_nothing() {
    operator delete(nullptr);
    operator delete[](nullptr);
    operator delete(nullptr, quiet);
    operator delete[](nullptr, quiet);
    operator delete(nullptr, size_t{8});
    operator delete[](nullptr, size_t{8});
    std::align_val_t wide{64};
    operator delete(nullptr, wide);
    operator delete[](nullptr, wide);
    operator delete(nullptr, wide, quiet);
    operator delete[](nullptr, wide, quiet);
    operator delete(nullptr, size_t{8}, wide);
    operator delete[](nullptr, size_t{8}, wide);
}

struct alignas(256) Wide {
    char bytes[300];
};

struct Counted {
    static inline thread_local int alive = 0;
    std::string text = std::string(100, 'x');
    Counted() { alive++; }
    ~Counted() { alive--; }
};

struct Bomb {
    std::string text = std::string(1000, 'y');
    explicit Bomb(bool explode) {
        if (explode) throw std::string("a constructor that throws, with a text that is too long to live in the object");
    }
};

// `free` and its kin leave errno alone; so do these, which C code may look at right after.
static void deleting_leaves_errno_alone() {
    for (size_t size : SIZES) {
        void *plain = operator new(size), *array = operator new[](size), *aligned = operator new(size, std::align_val_t{256});
        errno = 4242;
        operator delete(plain, size);
        operator delete[](array);
        operator delete(aligned, size, std::align_val_t{256});
        CHECK(errno == 4242);
    }
}

static void objects_containers_exceptions() {
    std::unique_ptr<Wide[]> wide(new Wide[17]);
    CHECK(aligned_to(wide.get(), 256));
    std::map<int, std::string> map;
    std::unordered_map<std::string, std::vector<int>> table;
    std::list<std::shared_ptr<Counted>> list;
    for (int i = 0; i < 5000; i++) {
        map[i * 7919 % 5000] = std::to_string(i) + std::string(static_cast<size_t>(i % 100), 'z');
        table["key " + std::to_string(i % 300)].push_back(i);
        list.push_back(std::make_shared<Counted>());
        if (i % 3 == 0) list.pop_front();
    }
    CHECK(map.size() == 5000 && table.size() == 300 && Counted::alive == static_cast<int>(list.size()));
    list.clear();
    CHECK(Counted::alive == 0);
    std::vector<std::string> words;
    for (int i = 0; i < 3000; i++) words.push_back(std::string(static_cast<size_t>(i * 37 % 200), 'a' + i % 26));
    std::stable_sort(words.begin(), words.end()); // takes its buffer with nothrow new
    CHECK(std::is_sorted(words.begin(), words.end()));
    for (int i = 0; i < 100; i++) {
        bool caught = false;
        try {
            Bomb *bomb = new Bomb(true);
            delete bomb;
        } catch (const std::string &what) {
            caught = what.size() > 50;
        }
        CHECK(caught);
    }
}

static thread_local std::unique_ptr<Counted> local;
static thread_local std::vector<std::string> more;

static void thread_locals_are_destroyed_in_their_thread() {
    for (int i = 0; i < 50; i++)
        std::thread([] {
            local = std::make_unique<Counted>();
            for (int j = 0; j < 100; j++) more.push_back(std::string(static_cast<size_t>(j * 10), 'q'));
        }).join();
}

static std::map<std::string, std::string> global = {{"before main", std::string(500, 'm')}};
struct Last {
    ~Last() {
        global["after main"] = std::string(5000, 'n');
        delete new std::string(1000, 'o');
    }
};
static Last last;

int main() {
    must_run_on_ravelin();
    every_plain_form();
    every_aligned_form();
    deleting_nothing_is_nothing();
    deleting_leaves_errno_alone();
    objects_containers_exceptions();
    thread_locals_are_destroyed_in_their_thread();
    CHECK(global.size() == 1);
    return verdict();
}
