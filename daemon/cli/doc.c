#include "doc.h"
#include "cleanup.h"
#include "moment.h"

#include <string.h>
#include <sysexits.h>

static bool failed;

static json_t *noted(json_t *value)
{
    failed |= value == NULL;
    return value;
}

json_t *doc_new(const char *kind)
{
    json_t *doc = noted(json_object());
    doc_uint(doc, "v", DOC_VERSION);
    doc_text(doc, "kind", kind);
    return doc;
}

void doc_put(json_t *object, const char *name, json_t *value)
{
    failed |= json_object_set_new(object, name, value) < 0;
}

static json_t *from_bytes(const unsigned char *data, size_t len)
{
    cleanup_free char *text = malloc(2 * len + 1);
    size_t n = 0;
    for (size_t i = 0; text != NULL && i < len; i++) {
        if (data[i] >= 0x80) {
            text[n++] = (char)(0xc0 | data[i] >> 6);
            text[n++] = (char)(0x80 | (data[i] & 0x3f));
        } else {
            text[n++] = (char)data[i];
        }
    }
    return noted(text == NULL ? NULL : json_stringn_nocheck(text, n));
}

void doc_bytes(json_t *object, const char *name, const void *data, size_t len)
{
    doc_put(object, name, from_bytes(data, len));
}

void doc_text(json_t *object, const char *name, const char *text)
{
    if (text == NULL)
        doc_put(object, name, json_null());
    else
        doc_bytes(object, name, text, strlen(text));
}

void doc_uint(json_t *object, const char *name, uint64_t number)
{
    doc_put(object, name,
            number > INT64_MAX ? json_null() : noted(json_integer((json_int_t)number)));
}

void doc_bool(json_t *object, const char *name, bool value)
{
    doc_put(object, name, json_boolean(value));
}

void doc_place(json_t *object, const char *file, unsigned line)
{
    bool known = file != NULL && file[0] != '\0';
    doc_text(object, "file", known ? file : NULL);
    doc_uint(object, "line", known && line > 0 ? line : UINT64_MAX);
}

void doc_time(json_t *object, const char *name, int64_t seconds)
{
    char text[MOMENT_TEXT_MAX];
    doc_text(object, name, moment_format(seconds, text));
}

json_t *doc_array(json_t *object, const char *name)
{
    json_t *array = noted(json_array());
    if (json_object_set_new(object, name, array) == 0)
        return array;
    failed = true;
    return NULL;
}

void doc_vector(json_t *object, const char *name, char *const *vector)
{
    if (vector == NULL) {
        doc_put(object, name, json_null());
        return;
    }
    json_t *array = doc_array(object, name);
    for (; *vector != NULL; vector++)
        doc_push_text(array, *vector);
}

json_t *doc_push(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) == 0)
        return value;
    failed = true;
    return NULL;
}

void doc_push_text(json_t *array, const char *text)
{
    doc_push(array, from_bytes((const unsigned char *)text, strlen(text)));
}

int doc_print(json_t *doc)
{
    if (!failed)
        failed = json_dumpf(doc, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) < 0 && !ferror(stdout);
    json_decref(doc);
    if (failed) {
        fputs("postern: out of memory\n", stderr);
        return EX_OSERR;
    }
    putchar('\n');
    return EX_OK;
}
