#include "journal.h"
#include "cleanup.h"

#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
    MEMBERS_MAX = 64,
    FIELD_NAME_MAX = 64,
    FIELD_EXTRA = FIELD_NAME_MAX + 16, /* of a field besides its value */
    FACILITY = 10,                     /* authpriv, where the log goes */
};

/* Both point into the copy of the line that is decoded in place. */
struct member {
    char *name;
    char *value; /* NULL: null */
    size_t len;
};

struct members {
    struct member items[MEMBERS_MAX];
    size_t n;
};

static int hex(const char *digits)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = digits[i];
        if (!isxdigit((unsigned char)c))
            return -1;
        value = value * 16 + (isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

/* A string of json.h's, decoded over itself: its escapes are \" \\ and \u00XX. Returns what follows
 * it, or NULL. */
static char *take_string(char *at, char **text, size_t *len)
{
    char *to = at + 1;
    if (*at++ != '"')
        return NULL;
    *text = to;
    for (; *at != '"'; at++) {
        if (*at == '\0')
            return NULL;
        bool escaped = *at == '\\';
        at += escaped;
        if (escaped && *at == 'u') {
            int byte = hex(at + 1);
            if (byte < 0 || byte > 0xff)
                return NULL;
            *to++ = (char)byte;
            at += 4;
        } else if (!escaped || *at == '"' || *at == '\\') {
            *to++ = *at;
        } else {
            return NULL;
        }
    }
    *len = (size_t)(to - *text);
    return at + 1;
}

/* Where an array of strings ends; it is shown as it is. */
static char *skip_array(char *at)
{
    bool quoted = false;
    for (at++; *at != '\0'; at++) {
        if (quoted && *at == '\\' && at[1] != '\0')
            at++;
        else if (*at == '"')
            quoted = !quoted;
        else if (!quoted && *at == ']')
            return at + 1;
    }
    return NULL;
}

static char *take_value(char *at, struct member *member)
{
    if (*at == '"')
        return take_string(at, &member->value, &member->len);
    char *end = *at == '[' ? skip_array(at) : at + strcspn(at, ",}");
    if (end == NULL || end == at)
        return NULL;
    member->len = (size_t)(end - at);
    bool is_null = member->len == 4 && memcmp(at, "null", 4) == 0;
    member->value = is_null ? NULL : at;
    return end;
}

/* One flat object; `line` is overwritten. Returns 0, or -1. */
static int read_members(char *line, struct members *out)
{
    char *at = line;
    if (*at != '{')
        return -1;
    do {
        struct member member = {0};
        size_t len = 0;
        at = take_string(at + 1, &member.name, &len);
        if (at == NULL || *at != ':' || len >= FIELD_NAME_MAX - sizeof "POSTERN_" ||
            out->n == MEMBERS_MAX)
            return -1;
        *at = '\0';
        at = take_value(at + 1, &member);
        if (at == NULL)
            return -1;
        /* The decoded name is shorter than what stood there, or the same. */
        member.name[len] = '\0';
        out->items[out->n++] = member;
    } while (*at == ',');
    return *at == '}' ? 0 : -1;
}

static const char *member_of(void *user, const char *name, size_t *len)
{
    const struct members *members = user;
    for (size_t i = 0; i < members->n; i++) {
        if (strcmp(members->items[i].name, name) == 0) {
            *len = members->items[i].len;
            return members->items[i].value;
        }
    }
    return NULL;
}

struct entry {
    char *buf;
    size_t len;
};

static void put(struct entry *entry, const void *data, size_t len)
{
    memcpy(entry->buf + entry->len, data, len);
    entry->len += len;
}

/* What isn't plain text has its length before it, or a newline in it would begin another field. */
static void put_field(struct entry *entry, const char *name, const char *value, size_t len)
{
    bool is_plain = true;
    for (size_t i = 0; i < len; i++)
        is_plain &= (unsigned char)value[i] >= 0x20;
    put(entry, name, strlen(name));
    if (is_plain) {
        put(entry, "=", 1);
    } else {
        uint64_t size = htole64(len);
        put(entry, "\n", 1);
        put(entry, &size, sizeof size);
    }
    put(entry, value, len);
    put(entry, "\n", 1);
}

static void put_text(struct entry *entry, const char *name, const char *value)
{
    put_field(entry, name, value, strlen(value));
}

static void put_number(struct entry *entry, const char *name, int number)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%d", number);
    put_text(entry, name, text);
}

static void put_members(struct entry *entry, const struct members *members)
{
    for (size_t i = 0; i < members->n; i++) {
        const struct member *member = &members->items[i];
        char name[FIELD_NAME_MAX + 1];
        if (member->value == NULL)
            continue;
        (void)snprintf(name, sizeof name, "POSTERN_%s", member->name);
        for (char *c = name; *c != '\0'; c++)
            *c = (char)toupper((unsigned char)*c);
        put_field(entry, name, member->value, member->len);
    }
}

char *journal_encode(enum audit_event event, const char *line, size_t line_len, size_t *len)
{
    const struct audit_event_kind *kind = audit_event_kind(event);
    struct members members = {.n = 0};
    char text[AUDIT_TEXT_MAX];
    cleanup_free char *copy = strndup(line, line_len);
    struct entry entry = {.buf =
                              malloc(line_len + (MEMBERS_MAX + 8) * FIELD_EXTRA + AUDIT_TEXT_MAX)};
    if (copy == NULL || entry.buf == NULL || read_members(copy, &members) < 0) {
        free(entry.buf);
        return NULL;
    }
    put_text(&entry, "MESSAGE", audit_event_text(kind, member_of, &members, text));
    put_text(&entry, "MESSAGE_ID", kind->message_id);
    put_number(&entry, "PRIORITY", kind->priority);
    put_number(&entry, "SYSLOG_FACILITY", FACILITY);
    put_text(&entry, "SYSLOG_IDENTIFIER", "posternd");
    put_members(&entry, &members);
    *len = entry.len;
    return entry.buf;
}

static const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET};

int journal_open(struct err *err)
{
    cleanup_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cleanup_fd int probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || probe < 0)
        return err_set(err, errno, "socket for the journal");
    /* The one that is kept isn't tied to the journald that runs now. */
    if (connect(probe, (const struct sockaddr *)&address, sizeof address) < 0)
        return err_set(err, errno, "audit = journal: %s (does systemd-journald run?)",
                       address.sun_path);
    return steal_fd(&fd);
}

static int send_memfd(int fd, const char *entry, size_t len)
{
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {.buf = {0}};
    struct sockaddr_un to = address;
    struct msghdr msg = {.msg_name = &to,
                         .msg_namelen = sizeof to,
                         .msg_control = control.buf,
                         .msg_controllen = sizeof control.buf};
    struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
    cleanup_fd int memory = memfd_create("postern-audit", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory < 0 || write(memory, entry, len) != (ssize_t)len ||
        fcntl(memory, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return -1;
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof memory);
    memcpy(CMSG_DATA(header), &memory, sizeof memory);
    return sendmsg(fd, &msg, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

int journal_send(int fd, const char *entry, size_t len)
{
    if (sendto(fd, entry, len, MSG_NOSIGNAL, (const struct sockaddr *)&address, sizeof address) >=
        0)
        return 0;
    return errno == EMSGSIZE || errno == ENOBUFS ? send_memfd(fd, entry, len) : -1;
}
