/* Networks by rules: what the programs of a cgroup keep in, from before the first process of an
 * exec until after its last. Where there is no cgroup v2 that could be written, little of it. */
#include "cases.h"
#include "cgroup.h"
#include "cleanup.h"
#include "harness.h"
#include "landlock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

/* A cgroup as the master would make it. */
struct leaf {
    int parent, fd;
    char name[64];
};

static int open_cgroup_root(void)
{
    static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    for (size_t i = 0; i < array_len(places); i++) {
        int fd = open(places[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct statfs fs;
        if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
            return fd;
        close_fd(&fd);
    }
    return -1;
}

/* In a network of our own, where nothing is up unless `up`. False: it can't be tried here. */
static bool begin(struct leaf *leaf, bool up)
{
    struct err err;
    *leaf = (struct leaf){.parent = open_cgroup_root(), .fd = -1};
    (void)snprintf(leaf->name, sizeof leaf->name, "postern-confine-%d", getpid());
    if (leaf->parent < 0 || cgroup_make(leaf->parent, leaf->name, NULL, &leaf->fd, &err) < 0) {
        close_fd(&leaf->parent);
        printf("(no cgroup v2 that could be written) ");
        return false;
    }
    CHECK(unshare(CLONE_NEWNET) == 0);
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(!up || ioctl(fd, SIOCSIFFLAGS, &lo) == 0);
    harness_cgroup(leaf->fd);
    return true;
}

/* As for the next exec. */
static void renew(struct leaf *leaf)
{
    struct err err;
    close_fd(&leaf->fd);
    CHECK(cgroup_remove(leaf->parent, leaf->name, &err) == 0);
    CHECK(cgroup_make(leaf->parent, leaf->name, NULL, &leaf->fd, &err) == 0);
    harness_cgroup(leaf->fd);
}

static void end(struct leaf *leaf)
{
    harness_cgroup(-1);
    close_fd(&leaf->fd);
    CHECK(cgroup_remove(leaf->parent, leaf->name, NULL) == 0);
    close_fd(&leaf->parent);
}

static struct egress_rule rule_for(uint32_t addr, uint16_t port)
{
    struct egress_rule out = {
        .prefix = 128, .first = port, .last = port, .protocols = EGRESS_ANY, .text = "test"};
    uint32_t wire = htonl(addr);
    out.net[10] = out.net[11] = 0xff;
    memcpy(out.net + 12, &wire, sizeof wire);
    return out;
}

static struct sandbox_spec egress_spec(struct egress_rule *rules, size_t n)
{
    struct sandbox_spec spec = harness_spec();
    spec.network = NETWORK_EGRESS;
    spec.seccomp.unix_apart = true;
    spec.connects = rules;
    spec.n_connects = n;
    return spec;
}

/* Somebody who listens on the loopback. */
static int listen_on(uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 8) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static bool connects(const struct sandbox_template *tpl, uint16_t port)
{
    static struct outcome out;
    char line[64];
    (void)snprintf(line, sizeof line, "exec 3<>/dev/tcp/127.0.0.1/%u", port);
    const char *const argv[] = {"bash", "-c", line, NULL};
    harness_run(tpl, argv, &out);
    CHECK(out.ended);
    if (out.exit.code != 0)
        CHECK(strstr(out.output, "Operation not permitted") != NULL);
    return out.exit.code == 0;
}

/* All that a sandbox without a network keeps in, this one does. */
static void holds_every_property(void)
{
    static const char *const probe[] = {TEST_BIN "/postern-probe", NULL};
    static struct outcome out;
    struct leaf leaf;
    if (!begin(&leaf, false))
        return;
    struct sandbox_spec spec = egress_spec(NULL, 0);
    struct sandbox_template tpl = harness_prepare(&spec);
    harness_run(&tpl, probe, &out);
    /* Where Landlock can't keep unix sockets apart, there are none. */
    const char *open = strstr(out.output, "OPEN ");
    bool without_unix = landlock_abi() < LANDLOCK_ABI_SCOPED && open != NULL &&
                        strncmp(open, "OPEN own-sockets", 16) == 0 &&
                        strstr(open + 1, "OPEN ") == NULL;
    if (!out.ended || (out.exit.code != 0 && !without_unix))
        printf("%s", out.output);
    CHECK(out.ended);
    CHECK_INT(out.exit.code, without_unix ? 1 : 0);
    sandbox_template_free(&tpl);
    end(&leaf);
}

static void reaches_what_is_listed(void)
{
    struct leaf leaf;
    if (!begin(&leaf, true))
        return;
    uint16_t port, other;
    cleanup_fd int listener = listen_on(&port), another = listen_on(&other);
    CHECK(listener >= 0 && another >= 0);
    struct egress_rule rules[] = {rule_for(INADDR_LOOPBACK, port)};
    struct sandbox_spec spec = egress_spec(rules, 1);
    struct sandbox_template tpl = harness_prepare(&spec);
    CHECK(connects(&tpl, port));
    renew(&leaf);
    CHECK(!connects(&tpl, other));
    sandbox_template_free(&tpl);
    end(&leaf);
}

/* Rules are of the cgroup, not of whoever has loaded them. */
static void keeps_rules_without_their_loader(void)
{
    static struct outcome out;
    struct leaf leaf;
    if (!begin(&leaf, true))
        return;
    uint16_t port;
    cleanup_fd int listener = listen_on(&port);
    CHECK(listener >= 0);
    char line[96];
    (void)snprintf(line, sizeof line, "read x; exec 3<>/dev/tcp/127.0.0.1/%u", port);
    const char *const argv[] = {"bash", "-c", line, NULL};
    struct sandbox_spec spec = egress_spec(NULL, 0);
    struct sandbox_template tpl = harness_prepare(&spec);
    struct run run = harness_start(&tpl, argv);
    harness_await(&run, REPORT_STARTED);
    sandbox_template_free(&tpl);
    CHECK(write(run.input, "\n", 1) == 1);
    harness_finish(&run, &out);
    CHECK(out.ended && out.exit.code != 0);
    CHECK(strstr(out.output, "Operation not permitted") != NULL);
    end(&leaf);
}

/* The reader hears of the first refusal by the cgroup that it was in. */
static void tells_what_is_refused(void)
{
    struct leaf leaf;
    struct err err;
    struct egress_maps maps;
    struct sandbox_template tpl;
    if (!begin(&leaf, true))
        return;
    CHECK(egress_maps_make(&maps, &err) == 0);
    struct egress_ring *ring = egress_ring_open(maps.ring, &err);
    CHECK(ring != NULL);
    struct sandbox_spec spec = egress_spec(NULL, 0);
    CHECK(sandbox_prepare(&spec, &maps, &tpl, &err) == 0);
    struct egress_event event;
    CHECK(!egress_ring_take(ring, &event));
    CHECK(!connects(&tpl, 9));
    CHECK(egress_ring_take(ring, &event));
    CHECK(event.cgroup == egress_cgroup_id(leaf.fd) && event.cgroup != 0);
    CHECK_INT(event.kind, EGRESS_REFUSED_CONNECT);
    CHECK_INT(event.protocol, IPPROTO_TCP);
    CHECK_INT(event.port, 9);
    CHECK_INT(event.addr[12], 127);
    uint64_t first = event.cgroup;
    renew(&leaf);
    CHECK(!connects(&tpl, 9));
    CHECK(egress_ring_take(ring, &event));
    CHECK(event.cgroup == egress_cgroup_id(leaf.fd) && event.cgroup != first);
    CHECK(!egress_ring_take(ring, &event));
    egress_ring_close(ring);
    sandbox_template_free(&tpl);
    egress_maps_close(&maps);
    end(&leaf);
}

/* No cgroup, or none that takes the programs: no exec. */
static void does_not_start_without_rules(void)
{
    static const char *const argv[] = {"true", NULL};
    struct run run;
    struct err err;
    CHECK(unshare(CLONE_NEWNET) == 0);
    struct sandbox_spec spec = egress_spec(NULL, 0);
    struct sandbox_template tpl = harness_prepare(&spec);
    CHECK(!harness_try(&tpl, argv, &run, &err));
    CHECK(strstr(err.text, "without a cgroup") != NULL);
    cleanup_fd int other = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    harness_cgroup(other);
    CHECK(!harness_try(&tpl, argv, &run, &err));
    CHECK(strstr(err.text, "attach") != NULL);
    CHECK_INT(harness_count_tenant(), 0);
    sandbox_template_free(&tpl);
}

/* Nor a template whose filter doesn't know what it is for, or that may not load programs. */
static void is_not_made_by_halves(void)
{
    struct sandbox_template tpl;
    struct err err = {0};
    struct sandbox_spec spec = egress_spec(NULL, 0);
    spec.seccomp.unix_apart = false;
    CHECK(sandbox_prepare(&spec, NULL, &tpl, &err) < 0);
    spec.seccomp.unix_apart = true;
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(setresuid((uid_t)-1, TEST_UID, (uid_t)-1) == 0);
    CHECK(sandbox_prepare(&spec, NULL, &tpl, &err) < 0);
    CHECK(err.setting != NULL && strcmp(err.setting, "network") == 0);
    CHECK(strstr(err.text, "CONFIG_CGROUP_BPF") != NULL);
}

struct test_list cases_egress(void)
{
    static const struct test_case items[] = {
        {"holds-every-property-with-egress", holds_every_property},
        {"reaches-what-is-listed", reaches_what_is_listed},
        {"keeps-rules-without-their-loader", keeps_rules_without_their_loader},
        {"tells-what-is-refused", tells_what_is_refused},
        {"does-not-start-without-rules", does_not_start_without_rules},
        {"is-not-made-by-halves", is_not_made_by_halves},
    };
    return (struct test_list){items, array_len(items)};
}
