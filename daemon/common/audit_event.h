/*
 * audit_event.h - the kinds of records of the audit trail: the one table that says how each is
 * called, known to the journal and told to people. Documented in postern(7).
 */
#ifndef POSTERN_DAEMON_COMMON_AUDIT_EVENT_H
#define POSTERN_DAEMON_COMMON_AUDIT_EVENT_H

#include <stdbool.h>
#include <stddef.h>

/* Where systemd-journald listens. */
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/*
 * X(enumerator, "event" of the record, MESSAGE_ID of the journal, syslog(3) priority, text)
 *
 * In the text $name stands for a member, "-" if it is null; what is in brackets is left out if a
 * member in it is null, and nothing is nested. None of these begins like a line of sshd's, whose
 * readers would count it twice: it is in the log as well (auth_log.h).
 */
#define AUDIT_EVENTS(X)                                                                            \
    X(AUTH, "auth", "365cd2c3b7074772b7fef41633b3b3b3", 6,                                         \
      "login $result: $user from $client port $port by $method[ $key][ ($key_comment)]"            \
      "[, tenant $tenant][: $reason][ ($rule)]")                                                   \
    X(START, "start", "8fe89d973c64498099e9d439aa4df56f", 6,                                       \
      "$exec of $tenant from $client: $decision[ in sandbox $sandbox][: $reason][ ($rule)]: "      \
      "$kind $command")                                                                            \
    X(REFUSED, "refused", "e53fa586394947f5b2816bf2941606c6", 5,                                   \
      "$exec of $tenant: system call $syscall refused[ by profile $profile][ ($file:$line)]"       \
      "[: $why]")                                                                                  \
    X(BLOCKED, "blocked", "7782f4f43be1489e9cd44ad199f4b058", 5,                                   \
      "$exec of $tenant: network refused: $what $protocol[ to $to][ port $to_port][: $why]"        \
      "[ ($rule)]")                                                                                \
    X(END, "end", "8c3bf6d3ff7c4f55a3055ee10a141106", 6,                                           \
      "$exec of $tenant: $verdict[ $exit][ by signal $signal][: $reason][; $wall_ms ms]"           \
      "[, CPU $user_ms + $system_ms ms][, memory $memory_peak bytes][, in $bytes_in]"              \
      "[, out $bytes_out][, err $bytes_err]")                                                      \
    X(CLOSED, "closed", "77d56bcd325f438ba3a33435fdb68962", 6,                                     \
      "connection $connection of $user from $client port $port over: $reason; $execs commands, "   \
      "$duration_ms ms")                                                                           \
    X(RELOAD, "reload", "cb79401a3ee94377ad67567cd68c33c3", 5,                                     \
      "policy $result: generation $generation[, $tenants tenants][, $keys keys][: $reason]")       \
    X(HANDOVER, "handover", "8a2ce9c7a5a44067af28eae8d6333101", 5,                                 \
      "posternd re-executed: $result, version $version after $from[, $connections connections]"    \
      "[, $execs commands and $waiting that wait are kept][: $reason]")                            \
    X(OPERATOR, "operator", "c10c594d66844a28a2b05d1c55b10807", 5,                                 \
      "$verb by uid $uid (process $pid)[: $exec][: tenant $tenant][: key $key]"                    \
      "[: connection $connection][, $ended ended][, $queued refused][: $reason]")                  \
    X(LOST, "lost", "3833bd58d2e246759b04d07fe9bade76", 4,                                         \
      "$lines records of this trail were lost since $since: $reason")

enum audit_event {
#define X(id, name, message_id, priority, text) AUDIT_##id,
    AUDIT_EVENTS(X)
#undef X
        AUDIT_EVENT_COUNT
};

struct audit_event_kind {
    const char *name;
    const char *message_id; /* sd_id128, 32 hexadecimal digits */
    int priority;
    const char *text;
};

/* That of an event, by number or name; NULL if there is no such one. */
const struct audit_event_kind *audit_event_kind(enum audit_event event);
const struct audit_event_kind *audit_event_named(const char *name);

/* The bytes of a record's member, of a number its digits; NULL if it is null or missing. */
typedef const char *audit_member(void *user, const char *name, size_t *len);

enum { AUDIT_TEXT_MAX = 1536 };

/* The record as one line for people: printable ASCII, cut to fit. Returns buf. */
const char *audit_event_text(const struct audit_event_kind *kind, audit_member *member, void *user,
                             char buf[AUDIT_TEXT_MAX]);

#endif
