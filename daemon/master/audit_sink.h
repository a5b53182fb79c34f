/*
 * audit_sink.h - where the lines of the audit trail go: the places of [server] audit =, all of
 * which get each line, and what it means for execs that one of them doesn't take any.
 */
#ifndef POSTERN_DAEMON_MASTER_AUDIT_SINK_H
#define POSTERN_DAEMON_MASTER_AUDIT_SINK_H

#include "json.h"
#include "loop.h"
#include "policy.h"
#include "trail.h"

struct server;

/* Of one generation; that of the current one is written. */
struct audit_sink {
    struct trail trails[AUDIT_PLACES_MAX];
    size_t n;
    bool failing[AUDIT_PLACES_MAX]; /* said so in the log; */
    bool stale[AUDIT_PLACES_MAX];   /* the same */
};

/* Opens all places; `config` is borrowed for the sink's life. Returns 0, or -1 with err and a
 * sysexits code. audit_sink_close() either way. */
int audit_sink_open(struct audit_sink *sink, const struct server_config *config, struct err *err);
/* Says in the log how many lines are lost with it. */
void audit_sink_close(struct audit_sink *sink);

/* For a handover (state.h). */
struct state;
void audit_sink_carry(struct state *state, struct audit_sink *sink,
                      const struct server_config *config);

/* What the old one holds for places that the new one has, too, is the new one's. */
void audit_sink_hand_on(struct audit_sink *from, struct audit_sink *to);

/*
 * Writes a record, which is ended here, to the trail of the policy that is in force. `matters`: it
 * is held for longer than others where it can't be written, and tried again until it is. False if
 * some place could not even hold it: there it is lost.
 */
bool audit_sink_write(struct server *server, enum audit_event event, struct json *json,
                      bool matters);

/* Whether a command may start as far as the audit trail is concerned: everything is written, or the
 * policy says that it need not be (audit-mode). */
bool audit_sink_lets_start(struct server *server);

/* Begins a record: version, time and event. */
void audit_sink_begin(struct json *json, enum audit_event event);

#endif
