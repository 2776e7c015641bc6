/* Forks a program whose library waits for its threads in a fork handler: they allocate until then, and so nobody may hold what they need. */
#include "check.h"
#include <sys/wait.h>
#include <unistd.h>

void pool_start(void);

int main(void) {
    must_run_on_ravelin();
    alarm(60);
    pool_start();
    for (int i = 0; i < 10; i++) {
        usleep(5000);
        pid_t child = fork();
        if (child == 0) {
            free(malloc(5000));
            _exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    _exit(failures != 0);
}
