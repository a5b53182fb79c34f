#include "json.h"

#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 4, TAIL = sizeof ",\"truncated\":true}\n" + DEPTH_MAX };

static int put(struct json *json, const char *text, size_t len)
{
    if (json->full || len > sizeof json->buf - TAIL - json->len)
        return -1;
    memcpy(json->buf + json->len, text, len);
    json->len += len;
    return 0;
}

static int put_text(struct json *json, const char *text)
{
    return put(json, text, strlen(text));
}

/* ,"name": — names are ours, so they need no escape. Each record has dozens of them. */
static int put_name(struct json *json, const char *name)
{
    int rc = 0;
    if (json->len == 0)
        rc = put(json, "{", 1);
    else if (json->buf[json->len - 1] != '{')
        rc = put(json, ",", 1);
    rc = rc == 0 ? put(json, "\"", 1) : rc;
    rc = rc == 0 ? put_text(json, name) : rc;
    return rc == 0 ? put(json, "\":", 2) : rc;
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static int put_escaped(struct json *json, unsigned char c)
{
    char text[8];
    int n = snprintf(text, sizeof text, c == '"' || c == '\\' ? "\\%c" : "\\u%04x", c);
    return put(json, text, (size_t)n);
}

/* As much of it as is plain goes in one piece, one byte if none is. */
static int put_some(struct json *json, const unsigned char *data, size_t len, size_t *n)
{
    for (*n = 0; *n < len && is_plain(data[*n]);)
        ++*n;
    if (*n > 0)
        return put(json, (const char *)data, *n);
    *n = 1;
    return put_escaped(json, data[0]);
}

static int put_string(struct json *json, const unsigned char *data, size_t len)
{
    const size_t shown = len < JSON_VALUE_MAX ? len : JSON_VALUE_MAX;
    int rc = put(json, "\"", 1);
    for (size_t at = 0, n; rc == 0 && at < shown; at += n)
        rc = put_some(json, data + at, shown - at, &n);
    if (rc == 0 && len > shown)
        rc = put(json, "...", 3);
    return rc == 0 ? put(json, "\"", 1) : -1;
}

/* A member is there whole or not at all. */
static void commit(struct json *json, size_t start, int rc)
{
    if (rc == 0)
        return;
    json->len = start;
    json->full = 1;
}

void json_bytes(struct json *json, const char *name, const void *data, size_t len)
{
    size_t start = json->len;
    int rc = put_name(json, name);
    commit(json, start, rc == 0 ? put_string(json, data, len) : rc);
}

void json_str(struct json *json, const char *name, const char *value)
{
    size_t start = json->len;
    if (value != NULL) {
        json_bytes(json, name, value, strlen(value));
        return;
    }
    int rc = put_name(json, name);
    commit(json, start, rc == 0 ? put(json, "null", 4) : rc);
}

void json_texts(struct json *json, const char *name, const char *const *values, size_t n)
{
    size_t start = json->len;
    int rc = put_name(json, name);
    rc = rc == 0 ? put(json, "[", 1) : rc;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = i > 0 ? put(json, ",", 1) : 0;
        rc = rc == 0 ? put_string(json, (const unsigned char *)values[i], strlen(values[i])) : rc;
    }
    commit(json, start, rc == 0 ? put(json, "]", 1) : rc);
}

void json_uint(struct json *json, const char *name, uint64_t value)
{
    char digits[20];
    size_t start = json->len, at = sizeof digits;
    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    int rc = put_name(json, name);
    commit(json, start, rc == 0 ? put(json, digits + at, sizeof digits - at) : rc);
}

void json_bool(struct json *json, const char *name, bool value)
{
    size_t start = json->len;
    int rc = put_name(json, name);
    commit(json, start, rc == 0 ? put_text(json, value ? "true" : "false") : rc);
}

void json_open(struct json *json, const char *name)
{
    size_t start = json->len;
    int rc = put_name(json, name);
    rc = rc == 0 && json->depth < DEPTH_MAX ? put(json, "{", 1) : -1;
    json->depth += rc == 0;
    commit(json, start, rc);
}

/* There is room: TAIL. One that did not fit has not been opened, and nothing after it fits. */
void json_close(struct json *json)
{
    if (json->depth == 0)
        return;
    json->depth--;
    json->buf[json->len++] = '}';
}

size_t json_end(struct json *json)
{
    const char *tail = json->full ? ",\"truncated\":true}\n" : "}\n";
    size_t len = strlen(tail);
    memcpy(json->buf + json->len, tail, len);
    json->len += len;
    return json->len;
}
