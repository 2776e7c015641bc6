/* In a sandbox that kills for any system call but some, libravelin is content with those that its README names. */
#include "check.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* Not in older headers; one number on all machines. */
#define MSEAL 462

static const int ALLOWED[] = {
    SYS_mmap, SYS_munmap, SYS_mprotect, SYS_madvise, SYS_mremap, SYS_futex, SYS_getrandom,
    SYS_openat, SYS_read, SYS_close, SYS_prlimit64, SYS_mincore, MSEAL,
    SYS_gettid, SYS_getpid, SYS_tgkill, SYS_sched_yield, SYS_clock_gettime, SYS_write,
    /* This program's own. */
    SYS_exit_group, SYS_rt_sigreturn,
};
#define COUNT (sizeof ALLOWED / sizeof *ALLOWED)

static void tell(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)context;
    char text[64];
    int len = snprintf(text, sizeof text, "system call %d is not allowed\n", info->si_syscall);
    _exit(write(2, text, (size_t)len) < 0 ? 2 : 1);
}

static void allow_only_those(void) {
    struct sock_filter filter[COUNT + 3];
    struct sock_filter *next = filter;
    *next++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t n = 0; n < COUNT; n++)
        *next++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)ALLOWED[n], (unsigned char)(COUNT - n), 0);
    *next++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
    *next++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {(unsigned short)(next - filter), filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void *use_everything(void *unused) {
    (void)unused;
    allow_only_those();
    for (int round = 0; round < 10; round++) {
        void *volatile blocks[200];
        for (size_t n = 0; n < 200; n++) {
            CHECK((blocks[n] = malloc((size_t)1 << (n % 22))) != NULL);
            memset(blocks[n], 1, (size_t)1 << (n % 22));
        }
        for (size_t n = 0; n < 200; n++) CHECK((blocks[n] = realloc(blocks[n], ((size_t)3 << (n % 22)) / 2)) != NULL);
        for (size_t n = 0; n < 200; n++) free(blocks[n]);
        void *volatile large = calloc(1, 5 << 20);
        CHECK(large != NULL);
        CHECK((large = realloc(large, 60 << 20)) != NULL);
        CHECK((large = realloc(large, 90 << 20)) != NULL);
        CHECK((large = realloc(large, 20 << 20)) != NULL);
        free(large);
        malloc_trim(0);
    }
    _exit(failures);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = tell, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSYS, &action, NULL) == 0);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, use_everything, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    return 1;
}
