#include "cast_read.h"

#include <string.h>

enum { CAST_VERSION = 2, CELLS_MAX = 65535 };

/* A string without NULs, or NULL. */
static const char *text_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    const char *text = json_string_value(value);
    return text != NULL && strlen(text) == json_string_length(value) ? text : NULL;
}

static uint32_t cells_of(const json_t *object, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(object, name));
    return n > 0 && n <= CELLS_MAX ? (uint32_t)n : 0;
}

int cast_read_header(const char *line, size_t len, struct cast_header *out, struct err *err)
{
    *out = (struct cast_header){0};
    json_t *root = json_loadb(line, len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    out->root = root;
    if (json_integer_value(json_object_get(root, "version")) != CAST_VERSION)
        return err_set(err, 0, "this is no recording: its first line is no asciicast v2 header");
    const json_t *ours = json_object_get(root, "postern");
    out->width = cells_of(root, "width");
    out->height = cells_of(root, "height");
    out->timestamp = (int64_t)json_number_value(json_object_get(root, "timestamp"));
    out->command = text_of(root, "command");
    out->exec = text_of(ours, "exec");
    out->tenant = text_of(ours, "tenant");
    out->client = text_of(ours, "client");
    /* What others have recorded is of terminals. */
    out->terminal = !json_is_false(json_object_get(ours, "terminal"));
    return 0;
}

void cast_header_free(struct cast_header *header)
{
    json_decref(header->root);
    *header = (struct cast_header){0};
}

bool cast_read_event(const char *line, size_t len, struct cast_event *out)
{
    *out = (struct cast_event){0};
    json_t *root = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
    const json_t *time = json_array_get(root, 0), *code = json_array_get(root, 1);
    const json_t *text = json_array_get(root, 2);
    out->root = root;
    if (json_array_size(root) != 3 || !json_is_number(time) || json_string_length(code) != 1 ||
        !json_is_string(text))
        return false;
    double seconds = json_number_value(time);
    out->time = seconds > 0 ? seconds < CAST_TIME_MAX ? seconds : CAST_TIME_MAX : 0;
    out->code = json_string_value(code)[0];
    out->text = json_string_value(text);
    out->len = json_string_length(text);
    return true;
}

void cast_event_free(struct cast_event *event)
{
    json_decref(event->root);
    *event = (struct cast_event){0};
}

/* What turns the order of what is shown (UAX #9): the marks U+061C, U+200E and U+200F, and U+202A
 * to U+202E and U+2066 to U+2069. Returns how long it is, or 0. */
static size_t bidi_control(const char *text, size_t len)
{
    const unsigned char *c = (const unsigned char *)text;
    if (len >= 2 && c[0] == 0xd8 && c[1] == 0x9c)
        return 2;
    if (len < 3 || c[0] != 0xe2)
        return 0;
    bool is_mark = c[1] == 0x80 && (c[2] == 0x8e || c[2] == 0x8f);
    bool embeds = c[1] == 0x80 && c[2] >= 0xaa && c[2] <= 0xae;
    bool isolates = c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9;
    return is_mark || embeds || isolates ? 3 : 0;
}

void cast_print_escaped(const char *text, size_t len, FILE *to)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        /* jansson lets nothing through that is no UTF-8. */
        bool is_c1 = c == 0xc2 && i + 1 < len && (unsigned char)text[i + 1] < 0xa0;
        size_t turning = bidi_control(text + i, len - i);
        for (size_t k = 0; k < turning; k++)
            fprintf(to, "\\x%02x", (unsigned char)text[i + k]);
        if (turning > 0)
            i += turning - 1;
        else if (is_c1)
            fprintf(to, "\\x%02x", (unsigned char)text[++i]);
        else if (c == '\r')
            fputs("\\r", to);
        else if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
            fprintf(to, "\\x%02x", c);
        else
            fputc(c, to);
    }
}
