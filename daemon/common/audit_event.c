#include "audit_event.h"
#include "cleanup.h"
#include "text.h"

#include <string.h>

enum {
    NAME_MAX_LEN = 32,
    SHOWN_MAX = 256, /* of one member */
};

static const struct audit_event_kind kinds[] = {
#define X(id, event, id128, level, words)                                                          \
    [AUDIT_##id] = {.name = (event), .message_id = (id128), .priority = (level), .text = (words)},
    AUDIT_EVENTS(X)
#undef X
};

const struct audit_event_kind *audit_event_kind(enum audit_event event)
{
    return (size_t)event < array_len(kinds) ? &kinds[event] : NULL;
}

const struct audit_event_kind *audit_event_named(const char *name)
{
    for (size_t i = 0; i < array_len(kinds); i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

struct writing {
    audit_member *member;
    void *user;
    char *buf;
    size_t len;
    bool is_missing; /* a member since the last bracket */
};

static void put(struct writing *w, const char *text, size_t len)
{
    size_t room = AUDIT_TEXT_MAX - 1 - w->len;
    size_t n = len < room ? len : room;
    memcpy(w->buf + w->len, text, n);
    w->len += n;
}

/* Returns what follows the name. */
static const char *put_member(struct writing *w, const char *at)
{
    char name[NAME_MAX_LEN], shown[SHOWN_MAX];
    size_t n = strspn(at, "abcdefghijklmnopqrstuvwxyz_"), len = 0;
    if (n >= sizeof name)
        return at + n;
    memcpy(name, at, n);
    name[n] = '\0';
    const char *value = w->member(w->user, name, &len);
    w->is_missing |= value == NULL;
    if (value == NULL) {
        put(w, "-", 1);
    } else {
        text_escape(shown, sizeof shown, value, len);
        put(w, shown, strlen(shown));
    }
    return at + n;
}

const char *audit_event_text(const struct audit_event_kind *kind, audit_member *member, void *user,
                             char buf[AUDIT_TEXT_MAX])
{
    struct writing w = {.member = member, .user = user, .buf = buf};
    size_t mark = 0;
    for (const char *at = kind->text; *at != '\0';) {
        char c = *at++;
        if (c == '$') {
            at = put_member(&w, at);
        } else if (c == '[') {
            mark = w.len;
            w.is_missing = false;
        } else if (c == ']') {
            w.len = w.is_missing ? mark : w.len;
        } else {
            put(&w, &c, 1);
        }
    }
    buf[w.len] = '\0';
    return buf;
}
