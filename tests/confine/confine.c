/*
 * confine.c - real sandboxes from the outside: what comes in, what is reported, and what is left
 * when one ends. Needs root. Each test is a process of its own, since it moves into the template's
 * mount namespace as the spawner does.
 */
#include "cases.h"
#include "harness.h"
#include "probe.h"

#include <errno.h>
#include <ftw.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_SKIPPED = 77, TEST_SECONDS = 300, MOUNTS_MAX = 1 << 16 };

static void read_mounts(char *buf, size_t size)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    CHECK(file != NULL);
    size_t n = fread(buf, 1, size - 1, file);
    buf[n] = '\0';
    (void)fclose(file);
}

/* Things of the host that a sandbox must not reach; they last as long as this process. */
static int make_bait(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    memcpy(name.sun_path + 1, PROBE_ABSTRACT, sizeof PROBE_ABSTRACT - 1);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof PROBE_ABSTRACT);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    /* If the name is taken, another run of this test offers the same bait. */
    CHECK(bind(fd, (struct sockaddr *)&name, len) == 0 ? listen(fd, 8) == 0 : errno == EADDRINUSE);
    int shm = shmget(PROBE_SHM_KEY, 4096, IPC_CREAT | 0666);
    CHECK(shm >= 0);
    return shm;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static void remove_tree(const char *path)
{
    CHECK(nftw(path, remove_entry, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0);
}

static bool run_case(const struct test_case *test)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(TEST_SECONDS);
        test->run();
        harness_exit(0);
    }
    int status = 0;
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    bool passed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    /* Whatever the test did not wait for is to be gone soon after it. */
    size_t left = harness_count_tenant();
    for (int i = 0; left > 0 && i < 100; i++) {
        (void)usleep(50000);
        left = harness_count_tenant();
    }
    if (left > 0)
        printf("%zu processes are left\n", left);
    printf("%s %s\n", passed && left == 0 ? "ok" : "FAILED", test->name);
    return passed && left == 0;
}

int main(int argc, char **argv)
{
    static char before[MOUNTS_MAX], after[MOUNTS_MAX];
    if (argc < 3) {
        (void)fprintf(stderr, "usage: confine PROGRAM-DIRECTORY SECCOMP-DIRECTORY [TEST…]\n");
        return 2;
    }
    if (geteuid() != 0) {
        printf("skipped: making sandboxes needs root\n");
        return EXIT_SKIPPED;
    }
    char scratch[] = "/tmp/confine.XXXXXX";
    CHECK(mkdtemp(scratch) != NULL && chmod(scratch, 0755) == 0);
    harness_init(argv[1], argv[2], scratch);
    const struct test_list lists[] = {cases_life(),    cases_layers(),     cases_places(),
                                      cases_changes(), cases_workspaces(), cases_network(),
                                      cases_egress(),  cases_proc()};
    size_t failed = 0, tried = 0;
    int shm = make_bait();
    read_mounts(before, sizeof before);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (size_t j = 0; j < lists[i].n; j++) {
            bool asked = argc == 3;
            for (int k = 3; k < argc; k++)
                asked = asked || strcmp(argv[k], lists[i].items[j].name) == 0;
            if (asked) {
                tried++;
                failed += !run_case(&lists[i].items[j]);
            }
        }
    }
    (void)shmctl(shm, IPC_RMID, NULL);
    remove_tree(scratch);
    read_mounts(after, sizeof after);
    if (strcmp(before, after) != 0) {
        printf("FAILED the host's mount table has changed\n");
        failed++;
    }
    printf("%zu tests, %zu failed\n", tried, failed);
    return failed == 0 && tried > 0 ? 0 : 1;
}
