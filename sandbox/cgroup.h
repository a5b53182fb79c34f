/*
 * cgroup.h - the files of cgroup v2, one cgroup at a time (cgroups(7); in the kernel's sources
 * Documentation/admin-guide/cgroup-v2.rst).
 *
 * A cgroup is known by a descriptor of its directory, so that no path is walked twice. All
 * functions that can fail return 0, or -1 with err naming the file.
 */
#ifndef POSTERN_SANDBOX_CGROUP_H
#define POSTERN_SANDBOX_CGROUP_H

#include "err.h"
#include "spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The controllers that limits need, as bits. X(enumerator, bit, the kernel's name) */
#define CGROUP_CONTROLLERS(X)                                                                      \
    X(CGROUP_MEMORY, 1, "memory")                                                                  \
    X(CGROUP_PIDS, 2, "pids")                                                                      \
    X(CGROUP_CPU, 4, "cpu")                                                                        \
    X(CGROUP_IO, 8, "io")

enum cgroup_controller {
#define X(name, bit, word) name = (bit),
    CGROUP_CONTROLLERS(X)
#undef X
};
enum { CGROUP_ALL = CGROUP_MEMORY | CGROUP_PIDS | CGROUP_CPU | CGROUP_IO };

enum { CGROUP_NAME_MAX = 128 };

/* What the kernel does not tell, because of its age or for want of the controller. */
#define CGROUP_UNKNOWN UINT64_MAX

/* What the processes of a cgroup have used, all of them together. */
struct cgroup_usage {
    uint64_t memory_peak; /* bytes, with page cache and tmpfs */
    uint64_t tasks_peak;
    uint64_t user_us, system_us, throttled_us;
    uint64_t read_bytes, written_bytes; /* of block devices */
    bool oom_known;                     /* the next two are counted */
    uint64_t oom_kills;     /* processes killed for want of memory, whoever ran out of it */
    uint64_t memory_full;   /* times that the cgroup's own limit of memory was not to be met */
    uint64_t tasks_refused; /* times that there would have been more tasks than allowed */
};

/* Whether a name is harmless as that of a cgroup: letters, digits and "._-", not first a dot. */
bool cgroup_is_name(const char *name);

/* "memory and cpu": writes a list of controllers for a person; returns buf. */
char *cgroup_controller_names(unsigned controllers, char *buf, size_t len);

/* The controllers that this cgroup has and can hand on to those below it. */
int cgroup_controllers(int dir, unsigned *controllers, struct err *err);

/* Hands controllers on. The kernel refuses while there are processes in the cgroup itself. */
int cgroup_enable(int dir, unsigned controllers, struct err *err);

/*
 * Makes the cgroup `name` in `parent` and opens it: *fd (CLOEXEC) is the caller's. *made is false
 * if it was there already; with made == NULL that is an error.
 */
int cgroup_make(int parent, const char *name, bool *made, int *fd, struct err *err);

/*
 * Limits a new cgroup to what one exec may use: those that `controllers` can keep, of those that
 * differ from none. Whatever runs in it is then killed as one when it is out of memory. The count
 * of tasks does not include the sandbox's own worker.
 */
int cgroup_limit_exec(int dir, const struct cgroup_limits *limits, unsigned controllers,
                      struct err *err);

/* Limits what several execs may use together: memory, tasks and cpu, also where there is no limit,
 * so that a former one is lifted. */
int cgroup_limit_total(int dir, const struct cgroup_limits *limits, unsigned controllers,
                       struct err *err);

/* The memory of those alone, which may take long where more is used: the caller waits until that is
 * freed, or what runs there has been killed. */
int cgroup_limit_memory(int dir, uint64_t memory, struct err *err);

/* Whether more memory is used now than that. */
bool cgroup_is_over(int dir, uint64_t memory);

/* Moves a process with all its threads there. */
int cgroup_move(int dir, pid_t pid, struct err *err);

/* Calls visit() for every process that is in the cgroup itself, until it returns non-zero. Returns
 * that, 0 or -1. A process outside of our pid namespace is 0. */
int cgroup_each_process(int dir, int (*visit)(void *user, pid_t pid), void *user, struct err *err);

/* The same for the names of the cgroups right below; visit() may remove them. */
int cgroup_each_child(int dir, int (*visit)(void *user, int dir, const char *name), void *user,
                      struct err *err);

/* Kills all that runs in the cgroup and below. */
int cgroup_kill(int dir, struct err *err);

/* Removes a cgroup that has nothing in it. EBUSY in err: it has. That it isn't there is success. */
int cgroup_remove(int parent, const char *name, struct err *err);

/* What the kernel tells now; what it doesn't is CGROUP_UNKNOWN, or 0 for the counts of events. */
void cgroup_read_usage(int dir, struct cgroup_usage *usage);

/* What is used at this moment, and what CPU time was so far. */
void cgroup_read_now(int dir, uint64_t *memory, uint64_t *cpu_us);

/* How often the limit of this cgroup itself could not be met, not those below; 0 if unknown. */
uint64_t cgroup_memory_full(int dir);

#endif
