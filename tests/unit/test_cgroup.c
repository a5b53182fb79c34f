/* The files of cgroup v2, in a tree of plain files: what is written where, and what is made of what
 * is read. And which limits of a policy a host can't keep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cgroup.h"
#include "diag.h"
#include "host_limits.h"
#include "policy_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct tree {
    char path[64];
    int dir;
};

static int make_tree(void **state)
{
    static struct tree tree;
    (void)snprintf(tree.path, sizeof tree.path, "/tmp/postern-unit-cgroup.XXXXXX");
    if (mkdtemp(tree.path) == NULL)
        return -1;
    tree.dir = open(tree.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = &tree;
    return tree.dir < 0 ? -1 : 0;
}

/* Two levels are all that the tests make. */
static int remove_tree(void **state)
{
    struct tree *tree = *state;
    DIR *dir = fdopendir(tree->dir);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)unlinkat(dirfd(dir), entry->d_name, entry->d_type == DT_DIR ? AT_REMOVEDIR : 0);
    closedir(dir);
    return rmdir(tree->path);
}

static void put_file(const struct tree *tree, const char *name, const char *text)
{
    int fd = openat(tree->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void assert_file(const struct tree *tree, const char *name, const char *text)
{
    char got[256] = "";
    int fd = openat(tree->dir, name, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, got, sizeof got - 1), strlen(text));
    close(fd);
    assert_string_equal(got, text);
}

static const char *const files[] = {"memory.max", "memory.high",      "memory.swap.max",
                                    "pids.max",   "memory.oom.group", "cpu.max",
                                    "cpu.weight", "io.weight"};

static void put_limit_files(const struct tree *tree)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        put_file(tree, files[i], "");
}

static const struct cgroup_limits everything = {.memory = 2ULL << 30,
                                                .memory_high = 1ULL << 30,
                                                .swap = 0,
                                                .tasks = 512,
                                                .cpu = 250,
                                                .cpu_weight = 50,
                                                .io_weight = 7};
static const struct cgroup_limits nothing = {.memory = SPEC_INFINITY,
                                             .memory_high = SPEC_INFINITY,
                                             .swap = SPEC_INFINITY,
                                             .tasks = SPEC_INFINITY,
                                             .cpu = SPEC_INFINITY};

static void test_limit_exec(void **state)
{
    const struct tree *tree = *state;
    struct err err = {0};
    put_limit_files(tree);
    assert_int_equal(cgroup_limit_exec(tree->dir, &everything, CGROUP_ALL, &err), 0);
    assert_file(tree, "memory.max", "2147483648");
    assert_file(tree, "memory.high", "1073741824");
    assert_file(tree, "memory.swap.max", "0");
    assert_file(tree, "memory.oom.group", "1");
    assert_file(tree, "pids.max", "513");
    assert_file(tree, "cpu.max", "250000 100000");
    assert_file(tree, "cpu.weight", "50");
    assert_file(tree, "io.weight", "default 7");
}

static void test_no_limits(void **state)
{
    const struct tree *tree = *state;
    struct err err = {0};
    put_limit_files(tree);
    assert_int_equal(cgroup_limit_exec(tree->dir, &nothing, CGROUP_ALL, &err), 0);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        assert_file(tree, files[i], strcmp(files[i], "memory.oom.group") == 0 ? "1" : "");
}

/* A controller that isn't there has no files: nothing of it may be tried. */
static void test_only_what_controllers_keep(void **state)
{
    const struct tree *tree = *state;
    struct err err = {0};
    put_file(tree, "pids.max", "");
    assert_int_equal(cgroup_limit_exec(tree->dir, &everything, CGROUP_PIDS, &err), 0);
    assert_file(tree, "pids.max", "513");
    assert_int_equal(cgroup_limit_exec(tree->dir, &everything, 0, &err), 0);
}

static void test_each_failure_is_told(void **state)
{
    const struct tree *tree = *state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct err err = {0};
        put_limit_files(tree);
        assert_int_equal(unlinkat(tree->dir, files[i], 0), 0);
        assert_int_equal(cgroup_limit_exec(tree->dir, &everything, CGROUP_ALL, &err), -1);
        assert_int_equal(err.num, ENOENT);
        assert_memory_equal(err.text, files[i], strlen(files[i]));
    }
}

static void test_a_link_is_no_file(void **state)
{
    const struct tree *tree = *state;
    struct err err = {0};
    put_file(tree, "elsewhere", "");
    assert_int_equal(symlinkat("elsewhere", tree->dir, "pids.max"), 0);
    assert_int_equal(cgroup_limit_exec(tree->dir, &everything, CGROUP_PIDS, &err), -1);
    assert_int_equal(err.num, ELOOP);
    assert_file(tree, "elsewhere", "");
}

static void test_bfq(void **state)
{
    const struct tree *tree = *state;
    struct err err = {0};
    struct cgroup_limits limits = nothing;
    limits.io_weight = 10000;
    put_file(tree, "io.bfq.weight", "");
    assert_int_equal(cgroup_limit_exec(tree->dir, &limits, CGROUP_IO, &err), 0);
    assert_file(tree, "io.bfq.weight", "1000");
    put_file(tree, "io.weight", "");
    assert_int_equal(cgroup_limit_exec(tree->dir, &limits, CGROUP_IO, &err), 0);
    assert_file(tree, "io.weight", "default 10000");
}

static void test_limit_total(void **state)
{
    const struct tree *tree = *state;
    struct err err = {0};
    put_limit_files(tree);
    assert_int_equal(cgroup_limit_total(tree->dir, &everything, CGROUP_ALL, &err), 0);
    assert_file(tree, "memory.max", "2147483648");
    assert_file(tree, "pids.max", "512");
    assert_file(tree, "cpu.max", "250000 100000");
    assert_file(tree, "memory.swap.max", "");
    assert_file(tree, "memory.oom.group", "");
    /* A new policy may lift them. */
    put_limit_files(tree);
    assert_int_equal(cgroup_limit_total(tree->dir, &nothing, CGROUP_ALL, &err), 0);
    assert_file(tree, "memory.max", "max");
    assert_file(tree, "pids.max", "max");
    assert_file(tree, "cpu.max", "max 100000");
    assert_int_equal(unlinkat(tree->dir, "cpu.max", 0), 0);
    assert_int_equal(cgroup_limit_total(tree->dir, &nothing, CGROUP_ALL, &err), -1);
}

static void test_controllers(void **state)
{
    const struct tree *tree = *state;
    struct err err = {0};
    unsigned got = 0;
    assert_int_equal(cgroup_controllers(tree->dir, &got, &err), -1);
    assert_string_equal(err.text, "cgroup.controllers: No such file or directory");
    put_file(tree, "cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma\n");
    assert_int_equal(cgroup_controllers(tree->dir, &got, &err), 0);
    assert_int_equal(got, CGROUP_ALL);
    put_file(tree, "cgroup.controllers", "cpuset hugetlb io2 xpids\n");
    assert_int_equal(cgroup_controllers(tree->dir, &got, &err), 0);
    assert_int_equal(got, 0);
    put_file(tree, "cgroup.controllers", "pids");
    assert_int_equal(cgroup_controllers(tree->dir, &got, &err), 0);
    assert_int_equal(got, CGROUP_PIDS);

    put_file(tree, "cgroup.subtree_control", "");
    assert_int_equal(cgroup_enable(tree->dir, 0, &err), 0);
    assert_file(tree, "cgroup.subtree_control", "");
    assert_int_equal(cgroup_enable(tree->dir, CGROUP_ALL, &err), 0);
    assert_file(tree, "cgroup.subtree_control", "+memory +pids +cpu +io");
    assert_int_equal(unlinkat(tree->dir, "cgroup.subtree_control", 0), 0);
    assert_int_equal(cgroup_enable(tree->dir, CGROUP_ALL, &err), -1);
}

static void test_names(void **state)
{
    (void)state;
    char buf[64], longest[CGROUP_NAME_MAX + 1];
    assert_true(cgroup_is_name("tenant-a.b_C"));
    assert_true(cgroup_is_name("abc123-4.5"));
    static const char *const bad[] = {"", ".", "..", ".x", "a/b", "a b", "a\nb", "\xc3\xa4", "a:b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(cgroup_is_name(bad[i]));
    memset(longest, 'x', sizeof longest);
    longest[CGROUP_NAME_MAX - 1] = '\0';
    assert_true(cgroup_is_name(longest));
    longest[CGROUP_NAME_MAX - 1] = 'x';
    longest[CGROUP_NAME_MAX] = '\0';
    assert_false(cgroup_is_name(longest));

    assert_string_equal(cgroup_controller_names(0, buf, sizeof buf), "none");
    assert_string_equal(cgroup_controller_names(CGROUP_CPU, buf, sizeof buf), "cpu");
    assert_string_equal(cgroup_controller_names(CGROUP_CPU | CGROUP_IO, buf, sizeof buf),
                        "cpu and io");
    assert_string_equal(cgroup_controller_names(CGROUP_ALL, buf, sizeof buf),
                        "memory, pids, cpu and io");
}

static void test_make_and_remove(void **state)
{
    const struct tree *tree = *state;
    struct err err = {0};
    int fd = -1;
    bool made = false;
    assert_int_equal(cgroup_make(tree->dir, "../x", NULL, &fd, &err), -1);
    assert_int_equal(fd, -1);
    assert_int_equal(cgroup_make(tree->dir, "leaf", NULL, &fd, &err), 0);
    close(fd);
    assert_int_equal(cgroup_make(tree->dir, "leaf", NULL, &fd, &err), -1);
    assert_int_equal(err.num, EEXIST);
    assert_int_equal(cgroup_make(tree->dir, "leaf", &made, &fd, &err), 0);
    assert_false(made);
    assert_int_equal(mkdirat(fd, "busy", 0755), 0);
    assert_int_equal(cgroup_remove(tree->dir, "leaf", &err), -1);
    assert_int_equal(cgroup_remove(fd, "busy", &err), 0);
    close(fd);
    assert_int_equal(cgroup_remove(tree->dir, "leaf", &err), 0);
    assert_int_equal(cgroup_remove(tree->dir, "leaf", &err), 0);
    assert_int_equal(cgroup_make(tree->dir, "leaf", &made, &fd, &err), 0);
    assert_true(made);
    close(fd);
    assert_int_equal(symlinkat("/", tree->dir, "link"), 0);
    assert_int_equal(cgroup_make(tree->dir, "link", &made, &fd, &err), -1);
}

static int collect(void *user, pid_t pid)
{
    int *pids = user;
    pids[++pids[0]] = pid;
    return pid == 99 ? 7 : 0;
}

static int count(void *user, int dir, const char *name)
{
    (void)dir;
    assert_string_equal(name, "below");
    return ++*(int *)user > 1 ? 5 : 0;
}

static void test_each(void **state)
{
    const struct tree *tree = *state;
    struct err err = {0};
    int pids[8] = {0}, n = 0;
    assert_int_equal(cgroup_each_process(tree->dir, collect, pids, &err), -1);
    put_file(tree, "cgroup.procs", "1\n4194304\n0\n");
    assert_int_equal(cgroup_each_process(tree->dir, collect, pids, &err), 0);
    assert_int_equal(pids[0], 3);
    assert_int_equal(pids[2], 4194304);
    put_file(tree, "cgroup.procs", "99\n1\n");
    assert_int_equal(cgroup_each_process(tree->dir, collect, pids, &err), 7);
    assert_int_equal(pids[0], 4);
    assert_int_equal(mkdirat(tree->dir, "below", 0755), 0);
    assert_int_equal(cgroup_each_child(tree->dir, count, &n, &err), 0);
    assert_int_equal(cgroup_each_child(tree->dir, count, &n, &err), 5);
    assert_int_equal(n, 2);
}

static void test_move_and_kill(void **state)
{
    const struct tree *tree = *state;
    struct err err = {0};
    put_file(tree, "cgroup.procs", "");
    assert_int_equal(cgroup_move(tree->dir, 4711, &err), 0);
    assert_file(tree, "cgroup.procs", "4711");
    assert_int_equal(cgroup_kill(tree->dir, &err), -1);
    assert_string_equal(err.text, "cgroup.kill: No such file or directory");
    put_file(tree, "cgroup.kill", "");
    assert_int_equal(cgroup_kill(tree->dir, &err), 0);
    assert_file(tree, "cgroup.kill", "1");
}

static void assert_unknown(const struct cgroup_usage *usage)
{
    const uint64_t values[] = {usage->memory_peak,  usage->tasks_peak,   usage->user_us,
                               usage->system_us,    usage->throttled_us, usage->read_bytes,
                               usage->written_bytes};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_true(values[i] == CGROUP_UNKNOWN);
    assert_int_equal(usage->oom_kills + usage->memory_full + usage->tasks_refused, 0);
}

static void test_usage(void **state)
{
    const struct tree *tree = *state;
    struct cgroup_usage usage;
    cgroup_read_usage(tree->dir, &usage);
    assert_unknown(&usage);
    put_file(tree, "memory.peak", "123456789\n");
    put_file(tree, "pids.peak", "4\n");
    put_file(tree, "cpu.stat",
             "usage_usec 30\nuser_usec 10\nsystem_usec 20\nnr_periods 1\n"
             "nr_throttled 1\nthrottled_usec 5000\n");
    put_file(tree, "io.stat",
             "8:0 rbytes=4096 wbytes=1 rios=1 wios=1 dbytes=0 dios=0\n"
             "253:16 rbytes=100 wbytes=2 rios=9 wios=9 dbytes=7 dios=0\n");
    put_file(tree, "memory.events", "low 0\nhigh 1\nmax 2\noom 3\noom_kill 4\noom_group_kill 1\n");
    put_file(tree, "memory.events.local", "low 0\nhigh 1\nmax 2\noom 6\noom_kill 0\n");
    put_file(tree, "pids.events", "max 5\n");
    cgroup_read_usage(tree->dir, &usage);
    assert_int_equal(usage.memory_peak, 123456789);
    assert_int_equal(usage.tasks_peak, 3);
    assert_int_equal(usage.user_us, 10);
    assert_int_equal(usage.system_us, 20);
    assert_int_equal(usage.throttled_us, 5000);
    assert_int_equal(usage.read_bytes, 4196);
    assert_int_equal(usage.written_bytes, 3);
    assert_int_equal(usage.oom_kills, 4);
    assert_int_equal(usage.memory_full, 3);
    assert_int_equal(usage.tasks_refused, 5);
    assert_int_equal(cgroup_memory_full(tree->dir), 6);
}

static void test_usage_that_is_not_as_expected(void **state)
{
    const struct tree *tree = *state;
    struct cgroup_usage usage;
    put_file(tree, "memory.peak", "max\n");
    put_file(tree, "pids.peak", "");
    put_file(tree, "cpu.stat",
             "user_usec\nsystem_usec x\nthrottled_usec 99999999999999999999999\n");
    put_file(tree, "memory.events", "oom_kill -1\noom 1x\n");
    put_file(tree, "pids.events", "maximum 5\n");
    cgroup_read_usage(tree->dir, &usage);
    assert_unknown(&usage);
    /* No device has been used yet. */
    put_file(tree, "io.stat", "");
    /* The last line may have been cut off. */
    put_file(tree, "cpu.stat", "user_usec 1\nsystem_usec 12");
    put_file(tree, "pids.peak", "0\n");
    cgroup_read_usage(tree->dir, &usage);
    assert_int_equal(usage.read_bytes, 0);
    assert_int_equal(usage.written_bytes, 0);
    assert_int_equal(usage.user_us, 1);
    assert_true(usage.system_us == CGROUP_UNKNOWN);
    assert_int_equal(usage.tasks_peak, 0);
}

static void test_usage_at_this_moment(void **state)
{
    const struct tree *tree = *state;
    uint64_t memory = 0, cpu_us = 0;
    cgroup_read_now(tree->dir, &memory, &cpu_us);
    assert_true(memory == CGROUP_UNKNOWN && cpu_us == CGROUP_UNKNOWN);
    put_file(tree, "memory.current", "4096\n");
    put_file(tree, "cpu.stat", "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n");
    cgroup_read_now(tree->dir, &memory, &cpu_us);
    assert_int_equal(memory, 4096);
    assert_int_equal(cpu_us, 1500);
    put_file(tree, "memory.current", "max\n");
    put_file(tree, "cpu.stat", "usage_usec -1\n");
    cgroup_read_now(tree->dir, &memory, &cpu_us);
    assert_true(memory == CGROUP_UNKNOWN && cpu_us == CGROUP_UNKNOWN);
}

/* A policy of two sandboxes, the second of which has inherited, and one tenant. */
static struct policy *example(void)
{
    static char names[][8] = {"ci", "child", "acme"};
    static struct sandbox_spec sandboxes[2];
    static struct tenant tenants[1];
    static struct policy policy;
    sandboxes[0] = (struct sandbox_spec){
        .name = names[0], .file = "/p/ci.ini", .line = 3, .cgroup = everything};
    sandboxes[1] =
        (struct sandbox_spec){.name = names[1], .file = "/p/ci.ini", .line = 9, .cgroup = nothing};
    sandboxes[1].cgroup.memory = everything.memory;
    tenants[0] = (struct tenant){
        .name = names[2], .origin = {"/p/t.ini", 1}, .total = {SPEC_INFINITY, .cpu = 100}};
    policy = (struct policy){
        .sandboxes = sandboxes, .n_sandboxes = 2, .tenants = tenants, .n_tenants = 1};
    return &policy;
}

static void assert_diag(const struct diag *diag, const char *text)
{
    char line[1024];
    diag_format(diag, line, sizeof line);
    assert_string_equal(line, text);
}

static void test_judge_all_kept(void **state)
{
    (void)state;
    const struct host_limits host = {.controllers = CGROUP_ALL};
    struct diags diags = {0};
    assert_int_equal(host_limits_judge(example(), &host, &diags), 0);
    assert_int_equal(diags.n, 0);
    diags_free(&diags);
}

static void test_judge_required(void **state)
{
    (void)state;
    const struct host_limits host = {
        .controllers = CGROUP_MEMORY | CGROUP_PIDS, .why = "there is none", .remedy = "get one"};
    struct diags diags = {0};
    assert_int_equal(host_limits_judge(example(), &host, &diags), 4);
    assert_int_equal(diags.n, 4);
    assert_diag(&diags.items[0],
                "/p/ci.ini:3: error: cpu of sandbox 'ci' needs the cpu controller of cgroup v2: "
                "there is none (get one; or set limits = best-effort in [server])");
    assert_diag(&diags.items[2],
                "/p/ci.ini:3: error: io-weight of sandbox 'ci' needs the io controller of cgroup "
                "v2: there is none (get one; or set limits = best-effort in [server])");
    assert_diag(&diags.items[3],
                "/p/t.ini:1: error: cpu-total of tenant 'acme' needs the cpu controller of cgroup "
                "v2: there is none (get one; or set limits = best-effort in [server])");
    diags_free(&diags);
}

/* Nothing stands in for a cgroup of its own. */
static void test_judge_egress(void **state)
{
    (void)state;
    struct host_limits host = {
        .controllers = CGROUP_ALL, .no_cgroup = true, .why = "there is none", .remedy = "get one"};
    struct diags diags = {0};
    struct policy *policy = example();
    policy->server.limits = LIMITS_BEST_EFFORT;
    policy->sandboxes[1].network = NETWORK_EGRESS;
    assert_int_equal(host_limits_judge(policy, &host, &diags), 1);
    assert_int_equal(diags.n, 1);
    assert_diag(&diags.items[0],
                "/p/ci.ini:9: error: network = egress of sandbox 'child' needs a cgroup for each "
                "command: there is none (get one)");
    assert_int_equal(host_limits_judge_egress(policy, &host, &diags), 1);
    host.no_cgroup = false;
    host.controllers = 0; /* without any it will do */
    assert_int_equal(host_limits_judge_egress(policy, &host, &diags), 0);
    diags_free(&diags);
}

static void test_judge_best_effort(void **state)
{
    (void)state;
    const struct host_limits host = {.controllers = CGROUP_CPU | CGROUP_IO, .why = "there is none"};
    struct diags diags = {0};
    struct policy *policy = example();
    policy->server.limits = LIMITS_BEST_EFFORT;
    assert_int_equal(host_limits_judge(policy, &host, &diags), 0);
    assert_int_equal(diags.n, 3);
    assert_diag(&diags.items[0],
                "/p/ci.ini:3: warning: memory of sandbox 'ci' is kept for the private memory of "
                "each process alone: there is none");
    assert_diag(&diags.items[1],
                "/p/ci.ini:3: warning: memory-high of sandbox 'ci' is not kept: there is none");
    assert_diag(&diags.items[2],
                "/p/ci.ini:9: warning: memory of sandbox 'child' is kept for the private memory of "
                "each process alone: there is none");
    diags_free(&diags);
}

static void judge_without_limits(void *user, const struct policy *policy, struct diags *diags)
{
    const struct host_limits host = {.why = "there is none", .remedy = "get one"};
    size_t *n_errors = user;
    *n_errors = host_limits_judge(policy, &host, diags);
}

/* The place is that of the setting, wherever it was inherited from, and each is told once; beside
 * what is wrong with the rest, and not where the limit itself is in error. */
static void test_judge_places(void **state)
{
    (void)state;
    size_t n_errors = 0;
    fixture_reset();
    fixture_add_text("/p/policy.d/a.ini", "[sandbox \"ci\"]\nbogus = 1\nmemory = 2G\n"
                                          "[sandbox \"child\"]\nextends = ci\nmemory-high = 1Q\n"
                                          "[tenant \"acme\"]\nextends = none\n"
                                          "[defaults]\ncpu-total = 100%\n");
    fixture_judge(judge_without_limits, &n_errors);
    assert_problems(
        "/p/policy.d/a.ini:2: error: unknown key 'bogus' in [sandbox]\n"
        "/p/policy.d/a.ini:3: error: memory of sandbox 'ci' needs the memory controller of cgroup "
        "v2: there is none (get one; or set limits = best-effort in [server])\n"
        "/p/policy.d/a.ini:6: error: '1Q' is not a size such as 512K, 64M or 2G, nor 'infinity'\n"
        "/p/policy.d/a.ini:8: error: extends: there is no tenant 'none' (define it: [tenant "
        "\"none\"])\n"
        "/p/policy.d/a.ini:10: error: cpu-total of tenant 'acme' needs the cpu controller of "
        "cgroup v2: there is none (get one; or set limits = best-effort in [server])\n");
    assert_int_equal(n_errors, 2);
}

static void test_probe(void **state)
{
    (void)state;
    char missing[] = "/sys/no/such/place", wrong[] = "/tmp";
    struct server_config config = {.cgroup = missing};
    struct host_limits limits;
    host_limits_probe(&config, &limits);
    assert_int_equal(limits.controllers, 0);
    assert_string_equal(limits.why, "/sys/no/such: No such file or directory");
    assert_true(limits.no_cgroup);
    config.cgroup = wrong;
    host_limits_probe(&config, &limits);
    assert_string_equal(limits.why, "/tmp is not in a cgroup v2 file system");
    limits = (struct host_limits){.controllers = CGROUP_ALL};
    host_limits_explain(&limits, "/x");
    assert_string_equal(limits.why, "");
    limits.controllers = CGROUP_ALL & ~(unsigned)CGROUP_IO;
    host_limits_explain(&limits, "/x\n");
    assert_string_equal(limits.why, "the cgroup /x\\x0a has no io controller");
}

#define ON_TREE(test) cmocka_unit_test_setup_teardown(test, make_tree, remove_tree)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_TREE(test_limit_exec),
        ON_TREE(test_no_limits),
        ON_TREE(test_only_what_controllers_keep),
        ON_TREE(test_each_failure_is_told),
        ON_TREE(test_a_link_is_no_file),
        ON_TREE(test_bfq),
        ON_TREE(test_limit_total),
        ON_TREE(test_controllers),
        cmocka_unit_test(test_names),
        ON_TREE(test_make_and_remove),
        ON_TREE(test_each),
        ON_TREE(test_move_and_kill),
        ON_TREE(test_usage),
        ON_TREE(test_usage_that_is_not_as_expected),
        ON_TREE(test_usage_at_this_moment),
        cmocka_unit_test(test_judge_all_kept),
        cmocka_unit_test(test_judge_required),
        cmocka_unit_test(test_judge_egress),
        cmocka_unit_test(test_judge_best_effort),
        cmocka_unit_test(test_judge_places),
        cmocka_unit_test(test_probe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
