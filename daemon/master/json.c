#include "json.h"

#include <inttypes.h>
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

/* ,"name": — names are ours, so they need no escape. */
static int put_name(struct json *json, const char *name)
{
    char text[80];
    const char *before = json->len == 0 ? "{" : json->buf[json->len - 1] == '{' ? "" : ",";
    int n = snprintf(text, sizeof text, "%s\"%s\":", before, name);
    return n > 0 && (size_t)n < sizeof text ? put(json, text, (size_t)n) : -1;
}

static int put_byte(struct json *json, unsigned char c)
{
    char text[8];
    if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
        text[0] = (char)c;
        return put(json, text, 1);
    }
    int n = snprintf(text, sizeof text, c == '"' || c == '\\' ? "\\%c" : "\\u%04x", c);
    return put(json, text, (size_t)n);
}

static int put_string(struct json *json, const unsigned char *data, size_t len)
{
    int rc = put(json, "\"", 1);
    for (size_t i = 0; rc == 0 && i < len && i < JSON_VALUE_MAX; i++)
        rc = put_byte(json, data[i]);
    if (rc == 0 && len > JSON_VALUE_MAX)
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
    char text[24];
    size_t start = json->len;
    int n = snprintf(text, sizeof text, "%" PRIu64, value);
    int rc = put_name(json, name);
    commit(json, start, rc == 0 ? put(json, text, (size_t)n) : rc);
}

void json_bool(struct json *json, const char *name, bool value)
{
    size_t start = json->len;
    const char *text = value ? "true" : "false";
    int rc = put_name(json, name);
    commit(json, start, rc == 0 ? put(json, text, strlen(text)) : rc);
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
