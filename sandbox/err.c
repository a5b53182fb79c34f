#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, int num, const char *fmt, ...)
{
    if (err == NULL)
        return -1;
    err->num = num;
    err->code = 0;
    err->setting = NULL;
    err->item = 0;
    va_list ap;
    va_start(ap, fmt);
    int used = vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    if (used < 0)
        err->text[0] = '\0';
    size_t len = strlen(err->text);
    if (num != 0)
        (void)snprintf(err->text + len, sizeof err->text - len, ": %s", strerror(num));
    return -1;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
    if (err == NULL)
        return -1;
    char inner[ERR_TEXT_MAX];
    memcpy(inner, err->text, sizeof inner);
    va_list ap;
    va_start(ap, fmt);
    int used = vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    if (used < 0)
        err->text[0] = '\0';
    size_t len = strlen(err->text);
    (void)snprintf(err->text + len, sizeof err->text - len, ": %.*s",
                   (int)(sizeof inner - len > 3 ? sizeof inner - len - 3 : 0), inner);
    return -1;
}

int err_blame(struct err *err, const char *setting, size_t item)
{
    if (err == NULL)
        return -1;
    err->setting = setting;
    err->item = item;
    return -1;
}
