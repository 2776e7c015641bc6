/* A program that opens the library itself (argv[1]), late, for its own use, and closes it again. */
#include "check.h"
#include <dlfcn.h>
#include <sys/wait.h>

static void *(*allocates)(size_t);
static void (*frees)(void *);
static size_t (*tells)(void *);

static void *works(void *unused) {
    void *blocks[100];
    for (size_t i = 0; i < 100; i++) {
        blocks[i] = allocates(i * 50);
        CHECK(blocks[i] && tells(blocks[i]) >= i * 50);
        fill(blocks[i], i * 50, (unsigned)i);
    }
    for (size_t i = 0; i < 100; i++) {
        CHECK(filled(blocks[i], i * 50, (unsigned)i));
        frees(blocks[i]);
    }
    return unused;
}

static void in_a_thread(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, works, NULL) == 0);
    pthread_join(thread, NULL);
}

int main(int count, char **arguments) {
    CHECK(count == 2);
    void *library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    if (!library) fprintf(stderr, "%s\n", dlerror());
    CHECK(library);
    allocates = (void *(*)(size_t))dlsym(library, "malloc");
    frees = (void (*)(void *))dlsym(library, "free");
    tells = (size_t (*)(void *))dlsym(library, "malloc_usable_size");
    CHECK(allocates && frees && tells && allocates != malloc);
    works(NULL);
    in_a_thread();
    void *kept = allocates(1000);
    CHECK(dlclose(library) == 0);
    frees(kept);
    in_a_thread();
    pid_t child = fork();
    if (child == 0) {
        works(NULL);
        _exit(verdict());
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    return verdict();
}
