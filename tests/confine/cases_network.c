#include "cases.h"

#include "cleanup.h"
#include "harness.h"

#include <string.h>
#include <sys/stat.h>

static const char *const which[] = {"readlink", "/proc/self/ns/net", NULL};

static struct netns_pool pool;

static struct sandbox_template prepare(enum sandbox_network network)
{
    static struct sandbox_spec spec; /* the template borrows it */
    struct err err;
    spec = harness_spec();
    spec.network = network;
    CHECK(netns_pool_open(&pool, &err) == 0);
    harness_networks(&pool);
    return harness_prepare(&spec);
}

static ino_t inode_of(int fd)
{
    struct stat st;
    CHECK(fstat(fd, &st) == 0);
    return st.st_ino;
}

/* "net:[NUMBER]", in a new sandbox. */
static ino_t network_of_next(const struct sandbox_template *tpl)
{
    struct outcome out;
    unsigned long number;
    harness_run(tpl, which, &out);
    CHECK(out.ended && sscanf(out.output, "net:[%lu]", &number) == 1);
    return number;
}

static void is_alone_in_its_network(void)
{
    struct sandbox_template tpl = prepare(NETWORK_NONE);
    struct run first = harness_shell(&tpl, "read line; readlink /proc/self/ns/net");
    ino_t its = inode_of(first.network);
    CHECK(its != inode_of(pool.own));
    CHECK(network_of_next(&tpl) != its);
    struct outcome out;
    char expected[64];
    (void)snprintf(expected, sizeof expected, "net:[%lu]\n", (unsigned long)its);
    harness_finish(&first, &out);
    CHECK(strcmp(out.output, expected) == 0);
    sandbox_template_free(&tpl);
}

static void follows_its_own_user_alone(void)
{
    struct sandbox_template tpl = prepare(NETWORK_NONE);
    struct err err;
    ino_t its = network_of_next(&tpl);
    CHECK(network_of_next(&tpl) == its);
    cleanup_fd int other = -1, same = -1;
    CHECK(netns_enter(&pool, TEST_UID + 1, &other, &err) == 0);
    CHECK(inode_of(other) != its);
    CHECK(netns_enter(&pool, TEST_UID, &same, &err) == 0);
    CHECK(inode_of(same) == its);
    sandbox_template_free(&tpl);
}

/* What listens belongs to those that live in it. */
static void leaves_no_socket(void)
{
    static const char listen[] =
        "perl -MSocket -e 'socket(S,AF_UNIX,SOCK_STREAM,0) && bind(S,pack_sockaddr_un(\"\\0left\"))"
        " && listen(S,1) or die; fork or sleep 60'; grep -c left /proc/net/unix";
    struct sandbox_template tpl = prepare(NETWORK_NONE);
    struct outcome out;
    harness_run_shell(&tpl, listen, &out);
    CHECK(strcmp(out.output, "1\n") == 0);
    harness_run_shell(&tpl, "readlink /proc/self/ns/net; grep -c left /proc/net/unix", &out);
    CHECK(strstr(out.output, "]\n0\n") != NULL);
    CHECK(pool.n_idle == 1);
    sandbox_template_free(&tpl);
}

static void has_a_new_loopback(void)
{
    struct sandbox_template tpl = prepare(NETWORK_LOOPBACK);
    ino_t own = inode_of(pool.own);
    CHECK(network_of_next(&tpl) != own && network_of_next(&tpl) != own);
    CHECK(pool.n_idle == 0 && pool.current == pool.own);
    sandbox_template_free(&tpl);
}

static void keeps_few_networks(void)
{
    int fds[NETNS_IDLE_MAX + 2];
    struct err err;
    CHECK(netns_pool_open(&pool, &err) == 0);
    for (size_t i = 0; i < array_len(fds); i++)
        CHECK(netns_enter(&pool, TEST_UID, &fds[i], &err) == 0);
    ino_t first = inode_of(fds[0]), last = inode_of(fds[array_len(fds) - 1]);
    for (size_t i = 0; i < array_len(fds); i++)
        netns_give_back(&pool, TEST_UID, fds[i]);
    CHECK(pool.n_idle == NETNS_IDLE_MAX);
    for (size_t i = 0; i < pool.n_idle; i++)
        CHECK(inode_of(pool.idle[i].fd) != first);
    int fd;
    CHECK(netns_enter(&pool, TEST_UID, &fd, &err) == 0 && inode_of(fd) == last);
    CHECK(netns_leave(&pool, &err) == 0 && pool.current == pool.own);
    netns_give_back(&pool, TEST_UID, fd);
    netns_pool_close(&pool);
}

struct test_list cases_network(void)
{
    static const struct test_case items[] = {
        {"is-alone-in-its-network", is_alone_in_its_network},
        {"follows-its-own-user-alone-into-a-network", follows_its_own_user_alone},
        {"leaves-no-socket-in-its-network", leaves_no_socket},
        {"has-a-new-loopback", has_a_new_loopback},
        {"keeps-few-networks", keeps_few_networks},
    };
    return (struct test_list){items, array_len(items)};
}
