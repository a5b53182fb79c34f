#include "record.h"
#include "moment.h"

#include <stdlib.h>
#include <string.h>

enum { AUDIT_VERSION = 1 };

/* Most lines are no decisions: one look instead of reading them whole. */
static bool may_be_start(const char *line, size_t len)
{
    static const char word[] = "\"start\"";
    return memmem(line, len, word, sizeof word - 1) != NULL;
}

static bool is_whole(const char *line, size_t len)
{
    return len >= 2 && line[0] == '{' && line[len - 1] == '}';
}

/* A string without NULs, or NULL. */
static const char *text_of(const json_t *root, const char *name)
{
    const json_t *value = json_object_get(root, name);
    const char *text = json_string_value(value);
    return text != NULL && strlen(text) == json_string_length(value) ? text : NULL;
}

/* Each byte was written as the code point of its value, and jansson keeps those as UTF-8. */
int record_bytes(const json_t *value, char **out, size_t *out_len)
{
    const unsigned char *text = (const unsigned char *)json_string_value(value);
    size_t len = json_string_length(value);
    if (text == NULL)
        return -1;
    char *bytes = malloc(len + 1);
    if (bytes == NULL)
        return -1;
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned c = text[i];
        if (c >= 0x80) {
            if (c > 0xc3 || i + 1 == len) {
                free(bytes);
                return -1;
            }
            c = (c & 0x03) << 6 | (text[++i] & 0x3f);
        }
        bytes[n++] = (char)c;
    }
    bytes[n] = '\0';
    *out = bytes;
    *out_len = n;
    return 0;
}

static int kind_of(const char *word, enum exec_kind *kind)
{
    static const char *const words[] = {
        [EXEC_COMMAND] = "exec", [EXEC_SHELL] = "shell", [EXEC_SUBSYSTEM] = "subsystem"};
    for (unsigned i = 0; word != NULL && i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i], word) == 0) {
            *kind = (enum exec_kind)i;
            return 0;
        }
    return -1;
}

static bool has(const json_t *root, const char *name)
{
    const json_t *value = json_object_get(root, name);
    return value != NULL && !json_is_null(value) && !json_is_false(value);
}

static bool is_skipped(const json_t *root, enum record_skip *why)
{
    const json_t *version = json_object_get(root, "v");
    if (!json_is_integer(version) || json_integer_value(version) != AUDIT_VERSION)
        *why = RECORD_SKIP_VERSION;
    else if (has(root, "command_cut"))
        *why = RECORD_SKIP_CUT;
    else if (has(root, "truncated"))
        *why = RECORD_SKIP_INCOMPLETE;
    else if (has(root, "limit"))
        *why = RECORD_SKIP_LIMIT;
    else if (!has(root, "tenant") && !has(root, "key"))
        *why = RECORD_SKIP_LOGIN;
    else
        return false;
    return true;
}

/* Returns 0, or -1 if a member is missing or of another type. */
static int fill(struct record *out)
{
    const json_t *root = out->root;
    const char *when = text_of(root, "time");
    const char *decision = text_of(root, "decision");
    out->exec = text_of(root, "exec");
    out->user = text_of(root, "user");
    out->tenant = text_of(root, "tenant");
    out->key = text_of(root, "key");
    out->client = text_of(root, "client");
    out->sandbox = text_of(root, "sandbox");
    if (when == NULL || moment_parse(when, &out->time) < 0 || decision == NULL ||
        out->exec == NULL || out->user == NULL || out->client == NULL ||
        kind_of(text_of(root, "kind"), &out->kind) < 0)
        return -1;
    out->allowed = strcmp(decision, "allow") == 0;
    if (!out->allowed && strcmp(decision, "deny") != 0)
        return -1;
    return record_bytes(json_object_get(root, "command"), &out->command, &out->command_len);
}

json_t *record_load(const char *line, size_t len)
{
    json_t *record = json_loadb(line, len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    if (record != NULL && text_of(record, "event") != NULL && text_of(record, "time") != NULL)
        return record;
    json_decref(record);
    return NULL;
}

enum record_kind record_read(const char *line, size_t len, struct record *out,
                             enum record_skip *why)
{
    *out = (struct record){0};
    if (!may_be_start(line, len))
        return is_whole(line, len) ? RECORD_OTHER : RECORD_MALFORMED;
    out->root = json_loadb(line, len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    const char *event = text_of(out->root, "event");
    if (event == NULL)
        return RECORD_MALFORMED;
    if (strcmp(event, "start") != 0)
        return RECORD_OTHER;
    if (is_skipped(out->root, why))
        return RECORD_SKIPPED;
    return fill(out) < 0 ? RECORD_MALFORMED : RECORD_START;
}

void record_free(struct record *record)
{
    json_decref(record->root);
    free(record->command);
    *record = (struct record){0};
}
