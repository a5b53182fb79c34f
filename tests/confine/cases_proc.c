/* What /proc shows, by its mode and by the exec's limits. */
#include "cases.h"
#include "cleanup.h"
#include "harness.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

/* In a sandbox of its own; then back to where the next one can be made. */
static void run(const struct sandbox_spec *spec, const char *const *argv, struct outcome *out)
{
    cleanup_fd int home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    struct sandbox_template tpl = harness_prepare(spec);
    harness_run(&tpl, argv, out);
    CHECK(setns(home, CLONE_NEWNS) == 0);
    if (out->exit.code != 0)
        printf("%s", out->output);
    CHECK(out->ended);
    CHECK_INT(out->exit.code, 0);
    sandbox_template_free(&tpl);
}

static const char *run_in(const struct sandbox_spec *spec, const char *line)
{
    static struct outcome out;
    const char *const argv[] = {"bash", "-c", line, NULL};
    run(spec, argv, &out);
    return out.output;
}

static void expect(const struct sandbox_spec *spec, const char *line, const char *text)
{
    const char *output = run_in(spec, line);
    if (strcmp(output, text) != 0)
        printf("%s printed:\n%s", line, output);
    CHECK(strcmp(output, text) == 0);
}

static void shows_the_limit_of_memory(void)
{
    struct sandbox_spec spec = harness_spec();
    spec.cgroup.memory = 96 << 20;
    spec.cgroup.swap = 0;
    for (enum sandbox_proc mode = PROC_FULL; mode <= PROC_BUILD; mode++) {
        spec.proc = mode;
        expect(&spec, "grep -E '^(Mem|Swap(T|F))' /proc/meminfo",
               "MemTotal:          98304 kB\nMemFree:           98304 kB\n"
               "MemAvailable:      98304 kB\nSwapTotal:             0 kB\n"
               "SwapFree:              0 kB\n");
        expect(&spec, "free -m | awk '/^Mem/ {print $2, $4, $7}'", "96 96 96\n");
        expect(&spec,
               "echo x 2>/dev/null >/proc/meminfo || echo x 2>/dev/null >/run/meminfo || "
               "chmod 666 /run/meminfo 2>/dev/null || echo no",
               "no\n");
    }
}

/* A limit that is larger than the host is none. */
static void shows_no_more_than_there_is(void)
{
    struct sysinfo host;
    char text[64];
    CHECK(sysinfo(&host) == 0);
    (void)snprintf(text, sizeof text, "%llu\n",
                   (unsigned long long)host.totalram * host.mem_unit >> 10);
    struct sandbox_spec spec = harness_spec();
    expect(&spec, "awk '/^MemTotal/ {print $2}' /proc/meminfo", text);
    spec.cgroup.memory = 1ULL << 50;
    expect(&spec, "awk '/^MemTotal/ {print $2}' /proc/meminfo", text);
    spec.proc = PROC_BUILD;
    expect(&spec, "awk '/^(MemTotal|MemFree)/ {print $2}' /proc/meminfo | uniq", text);
}

static void shows_the_limit_of_cpus(void)
{
    struct sandbox_spec spec = harness_spec();
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    const struct {
        uint64_t cpu;
        long n;
    } cases[] = {
        {1, 1}, {50, 1}, {100, 1}, {150, 2}, {200, 2}, {100000, 1000}, {SPEC_INFINITY, online}};
    for (size_t i = 0; i < array_len(cases); i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%ld\n", cases[i].n < online ? cases[i].n : online);
        spec.cgroup.cpu = cases[i].cpu;
        for (enum sandbox_proc mode = PROC_FULL; mode <= PROC_BUILD; mode++) {
            spec.proc = mode;
            expect(&spec, "grep -c '^processor' /proc/cpuinfo", text);
        }
    }
}

/* By name, so that what a kernel adds is seen here. */
static void shows_builds_no_more_than_they_need(void)
{
    struct sandbox_spec spec = harness_spec();
    spec.proc = PROC_BUILD;
    expect(&spec,
           "cd /proc; for f in *; do case $f in [0-9]*) continue;; esac; "
           "if [ -d $f ]; then [ -L $f ] || [ -z \"$(ls -A $f 2>/dev/null)\" ] || echo $f/; "
           "elif [ -L $f ]; then echo $f@; elif (: <$f) 2>/dev/null; then echo $f; fi; done",
           "cpuinfo\nfilesystems\nmeminfo\nmounts@\nsys/\nversion\n");
    expect(&spec,
           "cat /proc/loadavg /proc/stat /proc/vmstat /proc/uptime /proc/cmdline 2>/dev/null; "
           "head -c 5 /proc/self/comm; ls /proc/self/fd | head -1",
           "head\n0\n");
    expect(&spec, "cat /proc/sys/kernel/ostype; nproc >/dev/null", "Linux\n");
}

static void shows_processes_alone(void)
{
    struct sandbox_spec spec = harness_spec();
    spec.proc = PROC_PROCESSES;
    spec.cgroup.memory = 64 << 20;
    spec.cgroup.cpu = 100;
    expect(&spec, "cd /proc; echo [!0-9]*; ls /run", "self thread-self\ngroup\npasswd\n");
    expect(&spec, "cat /dev/fd/0 </dev/null; head -c 5 /proc/self/comm", "head\n");
}

/* Whatever the mode is, the rest of the confinement is the same. */
static void is_confined_in_every_mode(void)
{
    struct sandbox_spec spec = harness_spec();
    for (enum sandbox_proc mode = PROC_FULL; mode <= PROC_PROCESSES; mode++) {
        const char *const argv[] = {TEST_BIN "/postern-probe", NULL};
        static struct outcome out;
        spec.proc = mode;
        run(&spec, argv, &out);
    }
}

static const struct test_case cases[] = {
    {"proc-shows-the-limit-of-memory", shows_the_limit_of_memory},
    {"proc-shows-no-more-than-there-is", shows_no_more_than_there_is},
    {"proc-shows-the-limit-of-cpus", shows_the_limit_of_cpus},
    {"proc-shows-builds-no-more-than-they-need", shows_builds_no_more_than_they_need},
    {"proc-shows-processes-alone", shows_processes_alone},
    {"proc-is-confined-in-every-mode", is_confined_in_every_mode},
};

struct test_list cases_proc(void)
{
    return (struct test_list){cases, array_len(cases)};
}
