/* A misuse ends the process in the guilty call, after the program's functions were told. Run for builds with free-checks. */
#include "check.h"

#include <fcntl.h>
#include <mimalloc.h>
#include <ravelin.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static int report_pipe[2];

static void told(int code, void* arg) {
    (void)arg;
    if (write(report_pipe[1], &code, sizeof code) < 0) _exit(3);
}

static void hook(const rv_report_t* report, void* arg) {
    (void)arg;
    char line[200];
    int n = snprintf(line, sizeof line, "%s|%s|%d|", report->kind, report->operation, report->error);
    if (write(report_pipe[1], line, (size_t)n) < 0) _exit(3);
}

/* What a child tells before it dies of SIGABRT. */
static int dies(void (*deed)(void), const char* words, int code) {
    if (pipe(report_pipe) != 0) return 0;
    pid_t child = fork();
    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        dup2(nowhere, 2);
        mi_register_error(told, NULL);
        rv_set_report_hook(hook, NULL);
        deed();
        _exit(0);
    }
    close(report_pipe[1]);
    char said[400];
    ssize_t n = 0, more;
    while ((more = read(report_pipe[0], said + n, sizeof said - (size_t)n)) > 0) n += more;
    close(report_pipe[0]);
    int status;
    waitpid(child, &status, 0);
    char line[200];
    int length = snprintf(line, sizeof line, "%s|%d|", words, code);
    int as_said = n == length + (ssize_t)sizeof code && memcmp(said, line, (size_t)length) == 0 &&
                  memcmp(said + length, &code, sizeof code) == 0;
    if (!as_said) fprintf(stderr, "said: %.*s\n", (int)n, said);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && as_said;
}

static void* volatile block;

static void free_twice(void) {
    block = mi_malloc(100);
    mi_free(block);
    mi_free(block);
}
static void free_inside(void) {
    block = mi_malloc(100);
    mi_free((char*)block + 16);
}
static void free_misaligned(void) {
    block = mi_malloc(100);
    mi_free((char*)block + 1);
}
static void free_foreign(void) {
    static int global;
    block = &global;
    mi_free((void*)((uintptr_t)block & ~(uintptr_t)15));
}
static void realloc_freed(void) {
    block = mi_malloc(100);
    mi_free(block);
    block = mi_realloc(block, 1000);
}
static void size_of_freed(void) {
    block = mi_malloc(100);
    mi_free(block);
    if (mi_usable_size(block) == 0) _exit(4);
}
static void free_large_twice(void) {
    block = mi_malloc(1 << 20);
    mi_free(block);
    mi_free(block);
}
static void free_across_names(void) {
    block = malloc(100);
    free(block);
    rv_free(block);
}
static void overflow(void) {
    block = mi_malloc(100);
    ((char*)block)[100] ^= 1;
    mi_free(block);
}
static void overflow_then_resize(void) {
    block = mi_malloc(100);
    ((char*)block)[101] ^= 1;
    block = mi_realloc(block, 1000);
}

int main(void) {
    if (!rv_has_mitigation("free-checks")) return 0;
    CHECK(dies(free_twice, "double free|free", EAGAIN));
    CHECK(dies(free_inside, "invalid free (interior pointer)|free", EINVAL));
    CHECK(dies(free_misaligned, "invalid free (misaligned pointer)|free", EINVAL));
    CHECK(dies(free_foreign, "invalid free (foreign pointer)|free", EINVAL));
    CHECK(dies(realloc_freed, "use after free|realloc", EFAULT));
    CHECK(dies(size_of_freed, "use after free|usable_size", EFAULT));
    CHECK(dies(free_large_twice, "double free|free", EAGAIN));
    CHECK(dies(free_across_names, "double free|free", EAGAIN));
    if (rv_has_mitigation("canaries")) {
        CHECK(dies(overflow, "buffer overflow|free", EFAULT));
        CHECK(dies(overflow_then_resize, "buffer overflow|realloc", EFAULT));
    }
    return verdict();
}
