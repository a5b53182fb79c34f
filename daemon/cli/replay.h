/*
 * replay.h - what `postern replay` found, to be told.
 */
#ifndef POSTERN_DAEMON_CLI_REPLAY_H
#define POSTERN_DAEMON_CLI_REPLAY_H

#include "flips.h"
#include "record.h"

#include <stdbool.h>

struct replay {
    uint64_t judged;
    uint64_t skipped[RECORD_SKIPS_N];
    uint64_t malformed;
    struct flips flips; /* sorted */
};

uint64_t replay_total(const struct replay *replay);
/* Whether lines were read and none of them is a record: the wrong file. */
bool replay_is_nothing(const struct replay *replay);

/* Both return an exit status, EX_OK or EX_OSERR. */
int replay_print(const struct replay *replay);
int replay_print_json(const struct replay *replay);

#endif
