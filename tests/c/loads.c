/* A program that loads and unloads a user of malloc (argv[1]) again and again, and trades blocks with it. */
#include "check.h"
#include <dlfcn.h>

static const char *path;

static void *load_trade_unload(void *rounds) {
    for (intptr_t i = 0; i < (intptr_t)rounds; i++) {
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        CHECK(library);
        if (!library) break;
        char *(*makes)(size_t) = (char *(*)(size_t))dlsym(library, "plugin_makes");
        void (*frees)(void *) = (void (*)(void *))dlsym(library, "plugin_frees");
        CHECK(makes && frees);
        char *kept[20];
        for (size_t j = 0; j < 20; j++) kept[j] = makes(j * 1000 + 1);
        for (size_t j = 0; j < 20; j++) frees(malloc(j * 3000));
        CHECK(dlclose(library) == 0);
        /* The library is gone, its blocks are not. */
        for (size_t j = 0; j < 20; j++) {
            CHECK(kept[j] && kept[j][j * 1000] == 42 && all_zero(kept[j], j * 1000));
            free(kept[j]);
        }
    }
    return NULL;
}

int main(int count, char **arguments) {
    must_run_on_ravelin();
    CHECK(count == 2);
    path = arguments[1];
    load_trade_unload((void *)100);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, load_trade_unload, (void *)50) == 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    return verdict();
}
