/*
 * bench_policy CONFIG [COUNT] - how long logins and decisions take under a policy.
 *
 * Prints one line for each kind of request: its name, and the median and the 99th percentile in
 * nanoseconds. Tenants and keys are picked at random, so that caches are as cold as in real life.
 */
#include "cleanup.h"
#include "decide.h"
#include "policy_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A tenant and one of its keys that may be asked for. */
struct who {
    const struct tenant *tenant;
    const struct policy_key *key;
};

struct crowd {
    struct who *items;
    size_t n;
};

struct bench {
    const struct policy *policy;
    size_t count;
    uint64_t *times;
    uint64_t random;
};

/* Of the processor: what else runs on this machine isn't the policy's fault. */
static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static uint64_t next_random(struct bench *b)
{
    b->random ^= b->random << 13;
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;
    return b->random;
}

static int compare_times(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void report(struct bench *b, const char *name)
{
    qsort(b->times, b->count, sizeof *b->times, compare_times);
    printf("%s\t%" PRIu64 "\t%" PRIu64 "\n", name, b->times[b->count / 2],
           b->times[b->count / 100 * 99]);
}

static void die(const char *text)
{
    fprintf(stderr, "bench_policy: %s\n", text);
    exit(1);
}

static struct decide_request request_of(const struct bench *b, const struct who *who,
                                        const char *command)
{
    return (struct decide_request){
        .who = {.policy = b->policy,
                .user = who->tenant->user,
                .method = AUTH_PUBLICKEY,
                .blob = who->key->blob,
                .blob_len = who->key->blob_len,
                .peer_host = "10.1.2.3",
                .now = (int64_t)1 << 31},
        .kind = EXEC_COMMAND,
        .command = command,
        .command_len = strlen(command),
        .exec_id = "bench-1",
        .peer_port = 40000,
        .local_host = "192.0.2.1",
        .local_port = 22,
    };
}

/* Times decisions for members of the crowd, all of which must come out as expected. */
static void bench_decide(struct bench *b, const char *name, const struct crowd *crowd,
                         const char *command, bool expect)
{
    if (crowd->n == 0)
        die("the policy has no tenant of a kind");
    for (size_t i = 0; i < b->count; i++) {
        const struct who *who = &crowd->items[next_random(b) % crowd->n];
        struct decide_request request = request_of(b, who, command);
        struct decision decision;
        uint64_t begin = now_ns();
        decide(&request, &decision);
        b->times[i] = now_ns() - begin;
        if (decision.allowed != expect) {
            fprintf(stderr, "%s: tenant %s: %s\n", name, who->tenant->name, decision.reason);
            exit(1);
        }
        decision_free(&decision);
    }
    report(b, name);
}

static void bench_login(struct bench *b, const char *name, const struct crowd *crowd, bool known)
{
    for (size_t i = 0; i < b->count; i++) {
        const struct who *who = &crowd->items[next_random(b) % crowd->n];
        unsigned char blob[51] = "";
        struct login_request request = request_of(b, who, "").who;
        struct login login;
        if (!known) {
            uint64_t random = next_random(b);
            memcpy(blob, &random, sizeof random);
            request.blob = blob;
            request.blob_len = sizeof blob;
        }
        uint64_t begin = now_ns();
        decide_login(&request, &login);
        b->times[i] = now_ns() - begin;
        if (login.accepted != known)
            die("a login came out wrong");
    }
    report(b, name);
}

static bool has_shell(const struct tenant *t)
{
    return t->shell_line != NULL;
}

static bool has_templates(const struct tenant *t)
{
    return t->n_templates > 0;
}

static bool is_git(const struct tenant *t)
{
    return t->n_templates > 0 && strncmp(t->templates[0].text, "git-upload-pack", 15) == 0;
}

static bool has_many_templates(const struct tenant *t)
{
    return t->n_templates > 10;
}

static struct crowd gather(const struct policy *policy, bool (*is_one)(const struct tenant *))
{
    struct crowd crowd = {0};
    size_t n = 0;
    for (size_t i = 0; i < policy->n_tenants; i++)
        n += policy->tenants[i].n_keys;
    crowd.items = calloc(n + 1, sizeof *crowd.items);
    if (crowd.items == NULL)
        die("out of memory");
    for (size_t i = 0; i < policy->n_tenants; i++)
        for (size_t k = 0; k < policy->tenants[i].n_keys; k++)
            if (is_one(&policy->tenants[i]))
                crowd.items[crowd.n++] =
                    (struct who){&policy->tenants[i], &policy->tenants[i].keys[k]};
    return crowd;
}

static void run(struct bench *b)
{
    struct crowd shell = gather(b->policy, has_shell);
    struct crowd git = gather(b->policy, is_git);
    struct crowd many = gather(b->policy, has_many_templates);
    struct crowd any = gather(b->policy, has_templates);
    bench_login(b, "login-known", &any, true);
    bench_login(b, "login-unknown", &any, false);
    bench_decide(b, "shell", &shell, "make -j4 test", true);
    bench_decide(b, "first-template", &git, "git-upload-pack '/srv/git/project/x.git'", true);
    bench_decide(b, "last-template", &many, "report weekly 7", true);
    bench_decide(b, "no-template", &many, "rm -rf /srv/git/project/x.git", false);
    free(shell.items);
    free(git.items);
    free(many.items);
    free(any.items);
}

int main(int argc, char **argv)
{
    struct diags diags;
    if (argc < 2)
        die("usage: bench_policy CONFIG [COUNT]");
    struct policy_source source = {.host = &policy_files_host, .config_path = argv[1]};
    uint64_t begin = now_ns();
    struct policy *policy = policy_load(&source, &diags);
    uint64_t loaded = now_ns();
    if (policy == NULL) {
        char line[1024] = "the policy can't be loaded";
        if (diags.n > 0)
            diag_format(&diags.items[0], line, sizeof line);
        die(line);
    }
    diags_free(&diags);
    struct bench b = {.policy = policy, .count = 100000, .random = 88172645463325252U};
    if (argc > 2)
        b.count = (size_t)strtoul(argv[2], NULL, 10);
    b.times = calloc(b.count + 1, sizeof *b.times);
    if (b.times == NULL || b.count < 100)
        die("COUNT is out of range");
    printf("load\t%" PRIu64 "\t%" PRIu64 "\n", loaded - begin, loaded - begin);
    run(&b);
    free(b.times);
    begin = now_ns();
    policy_free(policy);
    printf("free\t%" PRIu64 "\t%" PRIu64 "\n", now_ns() - begin, now_ns() - begin);
    return 0;
}
