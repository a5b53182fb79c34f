#include "session_log.h"
#include "log.h"

enum { LINES_PER_SECOND = 50, LINES_PER_SECOND_TRACE = 20000 };

void session_log_on_evt_log(struct connection *connection, const struct msg_evt_log *msg)
{
    uint64_t second = loop_now_ms() / 1000;
    if (second != connection->log_second) {
        if (connection->log_dropped > 0)
            log_line(LOG_LEVEL_WARNING, "%s: %u log lines dropped", connection->id,
                     connection->log_dropped);
        connection->log_second = second;
        connection->log_dropped = 0;
        connection->log_tokens[0] = LINES_PER_SECOND;
        connection->log_tokens[1] =
            log_enabled(LOG_LEVEL_TRACE) ? LINES_PER_SECOND_TRACE : LINES_PER_SECOND;
    }
    enum log_level level = msg->level <= LOG_LEVEL_TRACE ? msg->level : LOG_LEVEL_TRACE;
    /* A peer must not be able to shout. */
    if (level < LOG_LEVEL_INFO)
        level = LOG_LEVEL_INFO;
    unsigned *tokens = &connection->log_tokens[level > LOG_LEVEL_INFO];
    if (*tokens == 0) {
        connection->log_dropped++;
        return;
    }
    --*tokens;
    log_line(level, "%s: %s", connection->id, msg->text);
}
