/*
 * trail_sum.h - what commands have used, added up from the records of their ends, in bounded
 * memory.
 */
#ifndef POSTERN_DAEMON_CLI_TRAIL_SUM_H
#define POSTERN_DAEMON_CLI_TRAIL_SUM_H

#include "pool.h"
#include "strmap.h"

#include <jansson.h>
#include <stdint.h>

/* X(enumerator, word, heading) */
#define SUM_BY(X)                                                                                  \
    X(TENANT, "tenant", "TENANT")                                                                  \
    X(KEY, "key", "KEY")                                                                           \
    X(VERDICT, "verdict", "VERDICT")                                                               \
    X(USER, "user", "USER")                                                                        \
    X(COMMAND, "command", "COMMAND")                                                               \
    X(DAY, "day", "DAY")

enum sum_by {
#define X(id, word, heading) SUM_##id,
    SUM_BY(X)
#undef X
        SUM_BY_COUNT
};

enum {
    SUM_GROUPS_MAX = 10000, /* beyond, all are in "(others)" */
    SUM_NAME_MAX = 160,
};

struct sum_group {
    const char *name; /* NULL: the total */
    uint64_t execs;   /* that were started */
    uint64_t refused;
    uint64_t cpu_ms, wall_ms;
    uint64_t memory_peak; /* bytes */
    uint64_t bytes_in, bytes_out, bytes_err;
};

struct sum_start;

struct trail_sum {
    enum sum_by by;
    struct sum_group *groups;
    size_t n;
    struct sum_group total;
    struct strmap names;
    struct pool pool;
    struct sum_start *starts; /* of SUM_COMMAND: commands of those that have not ended */
};

/* -1 if it is no word of them. */
int trail_sum_parse(const char *word);
const char *trail_sum_word(enum sum_by by);
const char *trail_sum_heading(enum sum_by by);

/* Returns 0, or -1: out of memory. */
int trail_sum_begin(struct trail_sum *sum, enum sum_by by);
void trail_sum_free(struct trail_sum *sum);

/* Has to see every record, those that aren't asked for as well; `counts`: it is. Returns 0, or -1:
 * out of memory. */
int trail_sum_add(struct trail_sum *sum, const json_t *record, bool counts);

/* Days in their order, else those with the most CPU time first. */
void trail_sum_sort(struct trail_sum *sum);

#endif
