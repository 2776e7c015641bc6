// operator new without memory: the new-handler, std::bad_alloc, and null from the nothrow forms.
// With an argument (a part of the library's file name) it also looks at the stack a handler is called on.
#include "check.h"
#include <dlfcn.h>
#include <functional>
#include <new>
#include <string>
#include <thread>
#include <unwind.h>
#include <vector>

static const std::nothrow_t &quiet = std::nothrow;
static const std::align_val_t wide{4096};
static int calls;

static void gives_up_at_the_third() {
    if (++calls == 3) std::set_new_handler(nullptr);
}

struct Own : std::bad_alloc {
    int code;
    explicit Own(int code) : code(code) {}
};

static void throws_its_own() {
    calls++;
    throw Own(42);
}

static void *volatile sink;
static const std::vector<std::function<void()>> THROWING = {
    [] { sink = operator new(TOO_MUCH); },
    [] { sink = operator new[](TOO_MUCH); },
    [] { sink = operator new(TOO_MUCH, wide); },
    [] { sink = operator new[](TOO_MUCH, wide); },
};
static const std::vector<std::function<void *()>> QUIET = {
    [] { return operator new(TOO_MUCH, quiet); },
    [] { return operator new[](TOO_MUCH, quiet); },
    [] { return operator new(TOO_MUCH, wide, quiet); },
    [] { return operator new[](TOO_MUCH, wide, quiet); },
};

// A frame with something to destroy, which every exception must pass.
struct Guard {
    int &count;
    ~Guard() { count++; }
};

template <class Exception> static bool throws(const std::function<void()> &action) {
    int unwound = 0;
    bool caught = false;
    try {
        Guard guard{unwound};
        action();
    } catch (const Exception &) {
        caught = true;
    }
    return caught && unwound == 1;
}

static void without_a_handler_they_throw_or_answer_null() {
    std::set_new_handler(nullptr);
    for (auto &form : THROWING)
        for (int i = 0; i < 100; i++) CHECK(throws<std::bad_alloc>(form));
    for (auto &form : QUIET) {
        errno = 77;
        CHECK(form() == nullptr && errno == ENOMEM);
    }
}

static void the_handler_is_asked_until_there_is_none() {
    for (auto &form : THROWING) {
        calls = 0;
        std::set_new_handler(gives_up_at_the_third);
        CHECK(throws<std::bad_alloc>(form) && calls == 3);
    }
    for (auto &form : QUIET) {
        calls = 0;
        std::set_new_handler(gives_up_at_the_third);
        CHECK(form() == nullptr && calls == 3);
    }
}

static void what_the_handler_throws_comes_through() {
    std::set_new_handler(throws_its_own);
    for (auto &form : THROWING) {
        calls = 0;
        CHECK(throws<Own>(form) && calls == 1);
        CHECK(throws<std::exception>(form) && calls == 2);
    }
    for (auto &form : QUIET) {
        calls = 0;
        CHECK(form() == nullptr && calls == 1);
    }
    std::set_new_handler([] { throw 5; });
    for (auto &form : THROWING) CHECK(throws<int>(form));
    for (auto &form : QUIET) CHECK(form() == nullptr);
    std::set_new_handler(nullptr);
}

static void an_impossible_alignment_asks_no_handler() {
    calls = 0;
    std::set_new_handler(throws_its_own);
    CHECK(throws<std::bad_alloc>([] { sink = operator new(10, std::align_val_t{48}); }));
    CHECK(operator new(10, std::align_val_t{0}, quiet) == nullptr);
    CHECK(calls == 0);
    std::set_new_handler(nullptr);
}

static void threads_throw_at_the_same_time() {
    std::vector<std::thread> threads;
    int good[4] = {};
    for (int i = 0; i < 4; i++)
        threads.emplace_back([&good, i] {
            for (int j = 0; j < 500; j++)
                good[i] += throws<std::bad_alloc>(THROWING[static_cast<size_t>(j % 4)]) && QUIET[static_cast<size_t>(j % 4)]() == nullptr;
        });
    for (auto &thread : threads) thread.join();
    for (int count : good) CHECK(count == 500);
}

static void a_new_expression_of_too_many_throws() {
    volatile size_t many = SIZE_MAX / 4;
    CHECK(throws<std::bad_alloc>([&] { delete[] new std::string[many]; }));
    CHECK(throws<std::bad_alloc>([&] { delete[] new char[TOO_MUCH]; }));
}

static const char *library;
static int frames_of_library, frames;

static _Unwind_Reason_Code look(struct _Unwind_Context *context, void *) {
    Dl_info info;
    frames++;
    if (dladdr(reinterpret_cast<void *>(_Unwind_GetIP(context)), &info) && strstr(info.dli_fname, library)) frames_of_library++;
    return _URC_NO_REASON;
}

// The frame that first tried is gone when a handler runs: only the one that exceptions may cross is left.
static void one_frame_of_the_library_is_below_a_handler() {
    for (auto &form : THROWING) {
        frames = frames_of_library = 0;
        std::set_new_handler([] {
            _Unwind_Backtrace(look, nullptr);
            std::set_new_handler(nullptr);
        });
        CHECK(throws<std::bad_alloc>(form));
        CHECK(frames_of_library == 1);
        CHECK(frames > 4); // on through the caller, to main
    }
}

int main(int count, char **arguments) {
    must_run_on_ravelin();
    without_a_handler_they_throw_or_answer_null();
    the_handler_is_asked_until_there_is_none();
    what_the_handler_throws_comes_through();
    an_impossible_alignment_asks_no_handler();
    threads_throw_at_the_same_time();
    a_new_expression_of_too_many_throws();
    if (count == 2) {
        library = arguments[1];
        one_frame_of_the_library_is_below_a_handler();
    }
    return verdict();
}
