// A program that replaces the two simplest operators. C++ promises that all other forms without an alignment follow.
#include "check.h"
#include <algorithm>
#include <new>
#include <string>
#include <vector>

static size_t made, ended;
static bool refuse;
static const size_t MARK = 0x5ca1ab1e5ca1ab1e, HEAD = 16;

// Its blocks are not the library's blocks: whoever frees one past this delete is stopped.
void *operator new(size_t size) {
    if (refuse) throw std::bad_alloc();
    char *block = static_cast<char *>(malloc(size + HEAD));
    if (!block) throw std::bad_alloc();
    memcpy(block, &MARK, sizeof MARK);
    made++;
    return block + HEAD;
}

void operator delete(void *block) noexcept {
    if (!block) return;
    char *start = static_cast<char *>(block) - HEAD;
    CHECK(memcmp(start, &MARK, sizeof MARK) == 0);
    memset(start, 0, HEAD);
    free(start);
    ended++;
}

int main() {
    must_run_on_ravelin();
    const std::nothrow_t &quiet = std::nothrow;
    size_t before = made;
    void *blocks[] = {operator new(10), operator new(10, quiet), operator new[](10), operator new[](10, quiet), operator new(10), operator new[](10)};
    CHECK(made == before + 6);
    before = ended;
    operator delete(blocks[0], quiet);
    operator delete(blocks[1]);
    operator delete[](blocks[2], quiet);
    operator delete[](blocks[3]);
    operator delete(blocks[4], size_t{10});
    operator delete[](blocks[5], size_t{10});
    CHECK(ended == before + 6);

    std::vector<std::string> words;
    for (int i = 0; i < 2000; i++) words.push_back(std::string(static_cast<size_t>(i * 31 % 100), 'a' + i % 26));
    std::stable_sort(words.begin(), words.end()); // nothrow new, plain delete
    words.clear();

    // Forms that nobody replaced are the library's, and meet their own kind.
    void *wide = operator new[](100, std::align_val_t{128});
    CHECK(wide && aligned_to(wide, 128));
    operator delete[](wide, std::align_val_t{128});

    refuse = true;
    CHECK(operator new(10, quiet) == nullptr && operator new[](10, quiet) == nullptr);
    bool caught = false;
    try {
        operator delete[](operator new[](10));
    } catch (const std::bad_alloc &) {
        caught = true;
    }
    refuse = false;
    CHECK(caught);
    return verdict();
}
