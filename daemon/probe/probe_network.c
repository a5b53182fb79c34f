/* Network and other means to talk to somebody outside. */
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool has_no_interfaces(const struct property *p, char *why)
{
    (void)p;
    struct if_nameindex *list = if_nameindex();
    bool fine = true;
    for (struct if_nameindex *at = list; fine && at != NULL && at->if_index != 0; at++) {
        struct ifreq request = {0};
        (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", at->if_name);
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0 || (request.ifr_flags & IFF_UP) != 0)
            fine = probe_open(why, "%s is up", at->if_name);
        if (fd >= 0)
            close(fd);
    }
    if (list != NULL)
        if_freenameindex(list);
    return fine;
}

static bool cannot_reach(const struct property *p, char *why)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(22)};
    (void)inet_pton(AF_INET, p->path, &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int rc = fd >= 0 ? connect(fd, (struct sockaddr *)&to, sizeof to) : -1;
    int num = errno;
    if (fd >= 0)
        close(fd);
    /* EPERM: by network = egress. */
    if (rc == 0 || (num != ENETUNREACH && num != EPERM))
        return probe_open(why, "connect to %s: errno %d", p->path, rc == 0 ? 0 : num);
    return true;
}

static bool has_no_family(const struct property *p, char *why)
{
    int fd = socket((int)p->nr, (int)p->args[0] | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return true;
    close(fd);
    return probe_open(why, "a socket was made");
}

static bool cannot_reach_abstract(const struct property *p, char *why)
{
    (void)p;
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    memcpy(to.sun_path + 1, PROBE_ABSTRACT, sizeof PROBE_ABSTRACT - 1);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof PROBE_ABSTRACT);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = connect(fd, (struct sockaddr *)&to, len);
    close(fd);
    return rc < 0 || probe_open(why, "a socket of the host answered");
}

static bool cannot_see_shm(const struct property *p, char *why)
{
    (void)p;
    return shmget(PROBE_SHM_KEY, 0, 0) < 0 || probe_open(why, "a segment of the host was found");
}

static bool cannot_configure(const struct property *p, char *why)
{
    (void)p;
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int rc = ioctl(fd, SIOCSIFFLAGS, &lo);
    close(fd);
    return rc < 0 || probe_open(why, "lo was brought up");
}

static const struct property properties[] = {
    PROPERTY("interfaces", "no network interface is up", has_no_interfaces),
    PROPERTY("configure-network", "nor can one be brought up", cannot_configure),
    PROPERTY("reach-host", "the host can't be reached", cannot_reach, .path = "127.0.0.1"),
    PROPERTY("reach-internet", "nor anybody else", cannot_reach, .path = "192.0.2.1"),
    PROPERTY("abstract-sockets", "abstract sockets of the host can't be reached",
             cannot_reach_abstract),
    PROPERTY("sysv-ipc", "System V IPC of the host isn't seen", cannot_see_shm),
    PROPERTY("vsock", "no sockets to a hypervisor", has_no_family, .nr = AF_VSOCK,
             .args = {SOCK_STREAM}),
    PROPERTY("packet-sockets", "no packet sockets", has_no_family, .nr = AF_PACKET,
             .args = {SOCK_RAW}),
    PROPERTY("raw-sockets", "no raw sockets", has_no_family, .nr = AF_INET, .args = {SOCK_RAW}),
    PROPERTY("kernel-crypto", "no kernel crypto sockets", has_no_family, .nr = AF_ALG,
             .args = {SOCK_SEQPACKET}),
    PROPERTY("bluetooth", "no Bluetooth sockets", has_no_family, .nr = AF_BLUETOOTH,
             .args = {SOCK_RAW}),
    PROPERTY("key-sockets", "no key management sockets", has_no_family, .nr = AF_KEY,
             .args = {SOCK_RAW}),
};

struct property_list probe_network(void)
{
    return (struct property_list){properties, sizeof properties / sizeof *properties, "network"};
}
