#include "log.h"
#include "nowait.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static const struct {
    const char *name;
    int priority;
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", LOG_ERR},   [LOG_LEVEL_WARNING] = {"warning", LOG_WARNING},
    [LOG_LEVEL_INFO] = {"info", LOG_INFO},    [LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
    [LOG_LEVEL_TRACE] = {"trace", LOG_DEBUG},
};
#define N_LEVELS ((int)(sizeof levels / sizeof *levels))

static bool to_stderr = true;
static bool to_journal; /* standard error is systemd's: it has the time, and wants the level */
static int log_fd = STDERR_FILENO;
static enum log_level threshold = LOG_LEVEL_INFO;

int log_level_parse(const char *name)
{
    for (int i = 0; i < N_LEVELS; i++)
        if (strcmp(levels[i].name, name) == 0)
            return i;
    return -1;
}

const char *log_level_name(enum log_level level)
{
    return levels[(int)level < N_LEVELS ? level : LOG_LEVEL_TRACE].name;
}

/* Connects to the system's log, or leaves log_fd at -1: the next line tries again. */
static void connect_syslog(void)
{
    static const struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&addr, sizeof addr) < 0) {
        close(fd);
        fd = -1;
    }
    log_fd = fd;
}

/* systemd.exec(5) on JOURNAL_STREAM: the device and inode of the socket. */
static bool is_journal(int fd)
{
    char own[64];
    struct stat st;
    const char *stream = getenv("JOURNAL_STREAM");
    if (stream == NULL || fstat(fd, &st) < 0)
        return false;
    int n = snprintf(own, sizeof own, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return n > 0 && (size_t)n < sizeof own && strcmp(own, stream) == 0;
}

void log_open(bool foreground, enum log_level level)
{
    if (log_fd > STDERR_FILENO)
        close(log_fd);
    log_fd = -1;
    to_stderr = foreground;
    to_journal = foreground && is_journal(STDERR_FILENO);
    threshold = level;
    if (foreground)
        log_fd = nowait_open(STDERR_FILENO);
    else
        connect_syslog();
}

void log_set_level(enum log_level level)
{
    threshold = level;
}

enum log_level log_level(void)
{
    return threshold;
}

bool log_enabled(enum log_level level)
{
    return level <= threshold;
}

static int format_stderr(enum log_level level, const char *line, char *out, size_t cap)
{
    struct timeval now;
    struct tm tm;
    char stamp[32] = "";
    if (to_journal)
        return snprintf(out, cap, "<%d>%s\n", levels[level].priority, line);
    gettimeofday(&now, NULL);
    if (localtime_r(&now.tv_sec, &tm) != NULL)
        strftime(stamp, sizeof stamp, "%H:%M:%S", &tm);
    return snprintf(out, cap, "%s.%03ld %-7s %s\n", stamp, (long)now.tv_usec / 1000,
                    log_level_name(level), line);
}

/* RFC 3164, as syslog(3) writes it; that one waits for a syslogd that has stopped reading. */
static int format_syslog(enum log_level level, const char *line, char *out, size_t cap)
{
    time_t now = time(NULL);
    struct tm tm;
    char stamp[32] = "";
    if (localtime_r(&now, &tm) != NULL)
        strftime(stamp, sizeof stamp, "%b %e %H:%M:%S", &tm);
    return snprintf(out, cap, "<%d>%s posternd[%d]: %s", LOG_AUTHPRIV | levels[level].priority,
                    stamp, (int)getpid(), line);
}

/* False if the line is lost. */
static bool put_line(enum log_level level, const char *line)
{
    char out[LOG_LINE_MAX + 128];
    int n = to_stderr ? format_stderr(level, line, out, sizeof out)
                      : format_syslog(level, line, out, sizeof out);
    if (n < 0 || (size_t)n >= sizeof out)
        return false;
    if (log_fd < 0 && !to_stderr)
        connect_syslog();
    if (nowait_write(log_fd, out, (size_t)n) == n)
        return true;
    /* A syslogd that was started anew has a new socket. */
    if (!to_stderr && errno != EAGAIN) {
        if (log_fd >= 0)
            close(log_fd);
        connect_syslog();
        return log_fd >= 0 && nowait_write(log_fd, out, (size_t)n) == n;
    }
    return false;
}

/* A log that can't be written must neither stop nor slow the service: lines are lost, and counted.
 */
static void write_line(enum log_level level, const char *line)
{
    static unsigned long lost;
    char told[64];
    if (lost > 0 && snprintf(told, sizeof told, "%lu log lines were lost", lost) > 0 &&
        put_line(LOG_LEVEL_WARNING, told))
        lost = 0;
    if (lost > 0 || !put_line(level, line))
        lost++;
}

void log_line(enum log_level level, const char *fmt, ...)
{
    if (!log_enabled(level))
        return;
    char raw[LOG_LINE_MAX], line[LOG_LINE_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(raw, sizeof raw, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    log_escape(line, sizeof line, raw, strlen(raw));
    write_line(level, line);
}

void log_escaped(enum log_level level, const char *fmt, ...)
{
    if (!log_enabled(level))
        return;
    char line[LOG_LINE_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    for (char *c = line; *c != '\0'; c++)
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
    write_line(level, line);
}

/* The escaped form of one byte, at most 4 characters. */
static size_t escape_byte(unsigned char c, char out[5])
{
    static const char named[] = "\\\\\nn\rr\tt";
    for (size_t i = 0; i + 1 < sizeof named; i += 2) {
        if (c == (unsigned char)named[i]) {
            out[0] = '\\';
            out[1] = named[i + 1];
            return 2;
        }
    }
    if (c >= 0x20 && c < 0x7f) {
        out[0] = (char)c;
        return 1;
    }
    static const char hex[] = "0123456789abcdef";
    out[0] = '\\';
    out[1] = 'x';
    out[2] = hex[c >> 4];
    out[3] = hex[c & 15];
    return 4;
}

char *log_escape(char *dst, size_t cap, const void *src, size_t len)
{
    static const char more[] = "...";
    const unsigned char *bytes = src;
    size_t used = 0, mark = 0; /* mark: the last place where "..." still fits */
    if (cap == 0)
        return dst;
    for (size_t i = 0; i < len; i++) {
        char one[5];
        size_t n = escape_byte(bytes[i], one);
        if (used + sizeof more <= cap)
            mark = used;
        if (used + n + 1 > cap) {
            used = mark;
            if (used + sizeof more <= cap) {
                memcpy(dst + used, more, sizeof more - 1);
                used += sizeof more - 1;
            }
            break;
        }
        memcpy(dst + used, one, n);
        used += n;
    }
    dst[used] = '\0';
    return dst;
}
