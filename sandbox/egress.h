/*
 * egress.h - NETWORK_EGRESS: the host's network, but only to where rules lead.
 *
 * Each exec runs in a cgroup of its own, to which programs are attached that the kernel asks
 * (egress_program.h). They are generated and loaded once per sandbox, and attached before there is
 * a process in the cgroup: no socket of an exec is older than they are. They stay until the cgroup
 * and the last of its sockets are gone, whatever becomes of those who loaded them.
 *
 * What they refuse they tell, as events in a ring that one process may read.
 */
#ifndef POSTERN_SANDBOX_EGRESS_H
#define POSTERN_SANDBOX_EGRESS_H

#include "err.h"
#include "spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What all egress sandboxes of a process share; -1: none. */
struct egress_maps {
    int ring; /* of events; may be handed on to their reader */
    int told; /* how many events of a cgroup */
    int seen; /* which they were */
    int own;  /* addresses of this host */
    uint64_t own_read_ms;
};
#define EGRESS_NO_MAPS                                                                             \
    {                                                                                              \
        .ring = -1, .told = -1, .seen = -1, .own = -1                                              \
    }

/* Makes them. Returns 0, or -1 with err and nothing left behind. */
int egress_maps_make(struct egress_maps *maps, struct err *err);
void egress_maps_close(struct egress_maps *maps);
/* Looks the host's addresses up again, if that was not just done. */
void egress_maps_refresh(struct egress_maps *maps);

/* The loaded programs of one sandbox. */
struct egress;

/* Loads the programs of spec->connects. maps: borrowed until egress_free(), or NULL: nothing is
 * told. Returns 0, or -1 with err naming the program. */
int egress_load(const struct sandbox_spec *spec, struct egress_maps *maps, struct egress **out,
                struct err *err);
void egress_free(struct egress *egress);

/*
 * Attaches them to a cgroup that nothing runs in yet, which then is to be used or removed. Those of
 * cgroups above stay in force as well. Returns 0, or -1 with err.
 */
int egress_attach(const struct egress *egress, int cgroup, struct err *err);

/* Whether the kernel has what this takes and lets the caller use it: 0, or -1 with err. */
int egress_probe(struct err *err);

enum egress_kind {
    EGRESS_REFUSED_CONNECT = 1,
    EGRESS_REFUSED_SEND,   /* a datagram, by its address */
    EGRESS_REFUSED_BIND,   /* to a port of one's own choice */
    EGRESS_REFUSED_SOCKET, /* of this type and protocol */
    EGRESS_REFUSED_PACKET, /* on its way out */
};

/* What a program has refused. */
struct egress_event {
    uint64_t cgroup;   /* whose process, or socket, it was: egress_cgroup_id() */
    uint32_t kind;     /* enum egress_kind */
    uint32_t protocol; /* IPPROTO_… */
    uint32_t port;
    uint32_t detail; /* SOCKET: the type; else 1: an address of this host */
    unsigned char addr[16];
};

/* What events call the cgroup of this directory; 0 if it has no name. */
uint64_t egress_cgroup_id(int cgroup);

/* The reader's side of a ring. */
struct egress_ring;

/* Maps the ring, of which the caller keeps the descriptor: it polls as readable when there is
 * something to take. NULL with err. */
struct egress_ring *egress_ring_open(int ring, struct err *err);
void egress_ring_close(struct egress_ring *ring);

/* Takes the oldest event. Returns false if there is none. */
bool egress_ring_take(struct egress_ring *ring, struct egress_event *out);

#endif
