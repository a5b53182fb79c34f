#include "trail_show.h"
#include "record.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 64 };

/* What a member's text is kept in until the next one is asked for. */
struct members {
    const json_t *record;
    char *bytes;
    char number[24];
};

static const char *member_of(void *user, const char *name, size_t *len)
{
    struct members *members = user;
    const json_t *value = json_object_get(members->record, name);
    free(members->bytes);
    members->bytes = NULL;
    if (json_is_string(value))
        return record_bytes(value, &members->bytes, len) == 0 ? members->bytes : NULL;
    if (!json_is_integer(value))
        return NULL;
    *len = (size_t)snprintf(members->number, sizeof members->number, "%" JSON_INTEGER_FORMAT,
                            json_integer_value(value));
    return members->number;
}

const char *trail_line(const json_t *record, char buf[TRAIL_LINE_MAX])
{
    struct members members = {.record = record};
    char when[SHOWN], text[AUDIT_TEXT_MAX], event[SHOWN];
    const char *time = json_string_value(json_object_get(record, "time"));
    const char *name = json_string_value(json_object_get(record, "event"));
    const struct audit_event_kind *kind = audit_event_named(name != NULL ? name : "");
    text_escape_str(when, sizeof when, time != NULL ? time : "-");
    if (kind != NULL)
        audit_event_text(kind, member_of, &members, text);
    else
        (void)snprintf(text, sizeof text, "event %s, which this version doesn't know",
                       text_escape_str(event, sizeof event, name != NULL ? name : "-"));
    (void)snprintf(buf, TRAIL_LINE_MAX, "%s %s", when, text);
    free(members.bytes);
    return buf;
}

static bool is_printable(const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (line[i] < 0x20 || line[i] > 0x7e)
            return false;
    return true;
}

/* As it would be if the server had written it: nothing else gets to a terminal. */
static void print_anew(const json_t *record)
{
    char *text = json_dumps(record, JSON_COMPACT | JSON_ENSURE_ASCII);
    for (const char *c = text; c != NULL && *c != '\0'; c++) {
        if (*c == 0x7f)
            fputs("\\u007f", stdout);
        else
            putchar(*c);
    }
    if (text != NULL)
        putchar('\n');
    free(text);
}

void trail_print(const json_t *record, const char *line, size_t len, bool raw)
{
    char buf[TRAIL_LINE_MAX];
    if (!raw)
        puts(trail_line(record, buf));
    else if (is_printable(line, len))
        printf("%.*s\n", (int)len, line);
    else
        print_anew(record);
}
