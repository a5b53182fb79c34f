#include "offer.h"
#include "cleanup.h"
#include "key_blob.h"
#include "key_file.h"
#include "policy_files.h"
#include "problems.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

enum { SHOWN_MAX = 200 };

static const char *shown(const char *path)
{
    static char buf[SHOWN_MAX];
    return text_escape_str(buf, sizeof buf, path);
}

/* Reads a file that may be anything. Returns an exit status. */
static int read_key_file(const char *path, char **data, size_t *len)
{
    cleanup_file FILE *file = fopen(path, "re");
    struct stat st;
    if (file == NULL) {
        problem_no_input(path, errno);
        return EX_NOINPUT;
    }
    if (fstat(fileno(file), &st) == 0 && S_ISDIR(st.st_mode)) {
        problem_no_input(path, EISDIR);
        return EX_NOINPUT;
    }
    *data = malloc(KEY_FILE_SIZE_MAX + 1);
    if (*data == NULL)
        return EX_OSERR;
    *len = fread(*data, 1, KEY_FILE_SIZE_MAX + 1, file);
    if (*len <= KEY_FILE_SIZE_MAX)
        return EX_OK;
    fprintf(stderr, "postern: %s: longer than %d bytes\n", shown(path), KEY_FILE_SIZE_MAX);
    return EX_DATAERR;
}

/* Whether a word of the line says that a public key is meant: then it holds no secret. */
static bool is_public_line(const char *line, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = 0;
        while (i + n < len && line[i + n] != ' ' && line[i + n] != '\t')
            n++;
        if (n > 0 && (is_key_type(line + i, n) || is_certificate_type(line + i, n)))
            return true;
        i += n + 1;
    }
    return false;
}

static bool is_blank_line(const char *line, size_t len)
{
    size_t i = 0;
    while (i < len && (line[i] == ' ' || line[i] == '\t' || line[i] == '\r'))
        i++;
    return i == len || line[i] == '#';
}

/* A line of a .pub file, or one of an authorized_keys file with options. */
static int parse_line(struct pool *pool, const char *line, size_t len, struct offer *out,
                      struct err *err)
{
    struct policy_key key = {0};
    struct err as_entry = {0};
    if (key_offer_parse(pool, line, len, &out->blob, &out->blob_len, err) == 0)
        return 0;
    if (key_line_parse(pool, &policy_files_host, line, len, &key, &as_entry) != 1)
        return -1;
    out->blob = key.blob;
    out->blob_len = key.blob_len;
    return 0;
}

static int take_line(struct pool *pool, const char *path, unsigned number, const char *line,
                     size_t len, struct offer *out)
{
    struct err err = {0};
    if (!is_public_line(line, len))
        err_set(&err, 0, "this is no public key");
    else if (parse_line(pool, line, len, out, &err) == 0)
        return EX_OK;
    fprintf(stderr, "postern: %s:%u: %s\n", shown(path), number, err.text);
    return EX_DATAERR;
}

/* The first key of the text. */
static int take_text(struct pool *pool, const char *path, const char *data, size_t len,
                     struct offer *out)
{
    unsigned number = 0;
    size_t keys = 0;
    for (size_t pos = 0; pos < len;) {
        const char *end = memchr(data + pos, '\n', len - pos);
        size_t n = end == NULL ? len - pos : (size_t)(end - data) - pos;
        const char *line = data + pos;
        pos += n + 1;
        number++;
        if (n > 0 && line[n - 1] == '\r')
            n--;
        if (is_blank_line(line, n))
            continue;
        int status = keys++ == 0 ? take_line(pool, path, number, line, n, out) : EX_OK;
        if (status != EX_OK)
            return status;
    }
    if (keys == 0) {
        fprintf(stderr, "postern: %s: no key in this file\n", shown(path));
        return EX_DATAERR;
    }
    if (keys > 1)
        (void)snprintf(out->note, sizeof out->note, "%s holds %zu keys: this is about the first",
                       shown(path), keys);
    return EX_OK;
}

static int read_file(struct pool *pool, const char *path, struct offer *out);

/* ssh(1) takes the private file's name, so it is given here too. */
static int read_public_half(struct pool *pool, const char *path, struct offer *out)
{
    cleanup_free char *public = NULL;
    if (asprintf(&public, "%s.pub", path) < 0) {
        public = NULL;
        return EX_OSERR;
    }
    if (access(public, F_OK) < 0) {
        fprintf(stderr,
                "postern: %s: this is a private key, and there is no .pub beside it; "
                "ssh-keygen -y -f FILE prints the public half\n",
                shown(path));
        return EX_DATAERR;
    }
    int status = read_file(pool, public, out);
    if (status == EX_OK && out->note[0] == '\0')
        (void)snprintf(out->note, sizeof out->note,
                       "%s is a private key: its public half beside it was read", shown(path));
    return status;
}

static int read_file(struct pool *pool, const char *path, struct offer *out)
{
    cleanup_free char *data = NULL;
    size_t len = 0;
    int status = read_key_file(path, &data, &len);
    if (status == EX_OSERR)
        fputs("postern: out of memory\n", stderr);
    if (status != EX_OK)
        return status;
    size_t n = strlen(path);
    bool is_pub = n > 4 && strcmp(path + n - 4, ".pub") == 0;
    if (!key_text_is_private(data, len))
        status = take_text(pool, path, data, len, out);
    else if (!is_pub)
        status = read_public_half(pool, path, out);
    else {
        fprintf(stderr, "postern: %s: this is a private key\n", shown(path));
        status = EX_DATAERR;
    }
    explicit_bzero(data, len);
    return status;
}

int offer_read(struct pool *pool, const char *key, struct offer *out)
{
    *out = (struct offer){.method = AUTH_NONE};
    if (key == NULL)
        return EX_OK;
    out->method = AUTH_PUBLICKEY;
    if (strncmp(key, "SHA256:", 7) != 0)
        return read_file(pool, key, out);
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (strlen(key) != 7 + 43 || strspn(key + 7, alphabet) != 43) {
        fprintf(stderr,
                "postern: '%s' is no fingerprint: it is SHA256: and 43 characters, as "
                "ssh-keygen -l prints it\n",
                shown(key));
        return EX_DATAERR;
    }
    out->fingerprint = key;
    return EX_OK;
}
