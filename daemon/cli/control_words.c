#include "control_words.h"

#include <stdio.h>
#include <string.h>

enum { LEAST = 8, MOST = 43 };

bool control_key_word(const char *given, char *out, size_t len)
{
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *hash = strncmp(given, "SHA256:", 7) == 0 ? given + 7 : given;
    size_t n = strlen(hash);
    if (n < LEAST || n > MOST || strspn(hash, base64) != n)
        return false;
    int written = snprintf(out, len, "SHA256:%s", hash);
    return written > 0 && (size_t)written < len;
}
