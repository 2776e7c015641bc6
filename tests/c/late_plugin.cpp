// A C++ library for a C program: its runtime comes with it, visible to nobody else.
#include "check.h"
#include <memory>
#include <new>
#include <string>

static int calls;

extern "C" int plugin_survives(void) {
    int caught = 0;
    try {
        std::unique_ptr<char[]> block(new char[TOO_MUCH]);
    } catch (const std::bad_alloc &) {
        caught++;
    }
    std::set_new_handler([] {
        if (++calls == 2) std::set_new_handler(nullptr);
    });
    try {
        std::unique_ptr<char[]> block(new char[TOO_MUCH]);
    } catch (const std::bad_alloc &) {
        caught += calls == 2;
    }
    std::set_new_handler([] { throw std::string("own"); });
    try {
        operator delete(operator new(TOO_MUCH, std::align_val_t{64}), std::align_val_t{64});
    } catch (const std::string &) {
        caught++;
    }
    errno = 77;
    caught += operator new(TOO_MUCH, std::nothrow) == nullptr && errno == ENOMEM;
    caught += operator new[](TOO_MUCH, std::align_val_t{64}, std::nothrow) == nullptr;
    std::set_new_handler(nullptr);
    return caught;
}
