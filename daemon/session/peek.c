#include "peek.h"
#include "cleanup.h"

#include <dlfcn.h>
#include <libssh/libssh.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The shape of a request that nobody has read on is: length, name, want-reply. */
enum { SEEN_MAX = 3 };

struct seen {
    uint32_t len; /* of the field; kept are the first PEEK_TEXT_MAX bytes of it at most */
    unsigned char data[PEEK_TEXT_MAX];
};

static uint32_t (*own)(ssh_buffer buffer, void *data, uint32_t len);
static struct seen ring[SEEN_MAX];
static unsigned newest;

int peek_start(void)
{
    void *found = dlsym(RTLD_NEXT, "ssh_buffer_get_data");
    /* A plain conversion between the two kinds of pointers is none that C knows. */
    _Static_assert(sizeof found == sizeof own, "POSIX says so");
    memcpy(&own, &found, sizeof own);
    return own != NULL ? 0 : -1;
}

uint32_t ssh_buffer_get_data(ssh_buffer buffer, void *data, uint32_t requestedlen)
{
    if (own == NULL && peek_start() < 0)
        return 0;
    uint32_t got = own(buffer, data, requestedlen);
    if (got == 0 && requestedlen > 0)
        return got;
    newest = (newest + 1) % SEEN_MAX;
    struct seen *seen = &ring[newest];
    seen->len = got;
    if (got > 0)
        memcpy(seen->data, data, got < PEEK_TEXT_MAX ? got : PEEK_TEXT_MAX);
    return got;
}

/* The field that was read so many fields ago. */
static const struct seen *ago(unsigned fields)
{
    return &ring[(newest + SEEN_MAX - fields) % SEEN_MAX];
}

/* True if `text` is a whole string whose length was read right before it. */
static bool is_string(const struct seen *length, const struct seen *text)
{
    const unsigned char *d = length->data;
    uint32_t len = (uint32_t)d[0] << 24 | (uint32_t)d[1] << 16 | (uint32_t)d[2] << 8 | d[3];
    return length->len == 4 && text->len == len && len <= PEEK_TEXT_MAX;
}

const char *peek_request_name(char buf[PEEK_NAME_MAX])
{
    const struct seen *name = ago(1);
    buf[0] = '\0';
    if (ago(0)->len != 1 || !is_string(ago(2), name) || name->len >= PEEK_NAME_MAX)
        return buf;
    memcpy(buf, name->data, name->len);
    buf[name->len] = '\0';
    return buf;
}

size_t peek_last_string(const unsigned char **data)
{
    *data = ago(0)->data;
    return is_string(ago(1), ago(0)) ? ago(0)->len : 0;
}
