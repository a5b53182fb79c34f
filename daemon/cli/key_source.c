#include "key_source.h"
#include "cleanup.h"
#include "policy_files.h"
#include "problems.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

enum { SHOWN_MAX = 400 };

static const char *shown(const char *path)
{
    static char buf[SHOWN_MAX];
    return text_escape_str(buf, sizeof buf, strcmp(path, "-") == 0 ? "standard input" : path);
}

static int read_stream(FILE *file, const char *path, char **data, size_t *len)
{
    struct stat st;
    if (fstat(fileno(file), &st) == 0 && S_ISDIR(st.st_mode)) {
        problem_no_input(path, EISDIR);
        return EX_NOINPUT;
    }
    *data = malloc(KEY_FILE_SIZE_MAX + 1);
    if (*data == NULL) {
        fputs("postern: out of memory\n", stderr);
        return EX_OSERR;
    }
    *len = fread(*data, 1, KEY_FILE_SIZE_MAX + 1, file);
    if (ferror(file)) {
        problem_no_input(path, errno);
        return EX_NOINPUT;
    }
    if (*len <= KEY_FILE_SIZE_MAX)
        return EX_OK;
    fprintf(stderr, "postern: %s: longer than %d bytes\n", shown(path), KEY_FILE_SIZE_MAX);
    return EX_DATAERR;
}

static int read_path(const char *path, char **data, size_t *len)
{
    if (strcmp(path, "-") == 0)
        return read_stream(stdin, path, data, len);
    cleanup_file FILE *file = fopen(path, "re");
    if (file == NULL) {
        problem_no_input(path, errno);
        return EX_NOINPUT;
    }
    return read_stream(file, path, data, len);
}

static int refuse_private(const char *path)
{
    char public[SHOWN_MAX];
    struct stat st;
    bool is_file = strcmp(path, "-") != 0;
    bool there = is_file && snprintf(public, sizeof public, "%s.pub", path) < SHOWN_MAX &&
                 stat(public, &st) == 0;
    fprintf(stderr, "postern: %s: this is a private key, which stays with its owner alone; ",
            shown(path));
    if (there)
        fprintf(stderr, "the public half is %s\n", shown(public));
    else
        fputs("ssh-keygen -y -f FILE prints the public half\n", stderr);
    return EX_DATAERR;
}

/* As other systems end their lines. */
static size_t without_returns(char *data, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        if (data[i] != '\r' || (i + 1 < len && data[i + 1] != '\n'))
            data[n++] = data[i];
    return n;
}

static int take(struct pool *pool, const char *path, const char *data, size_t len,
                const struct key_wish *wish, struct key_source *out)
{
    struct key_file file = {0};
    struct diags diags = {0};
    struct err err = {0};
    char name[SHOWN_MAX];
    text_escape_str(name, sizeof name, strcmp(path, "-") == 0 ? "standard input" : path);
    int rc =
        key_file_parse(pool, &policy_files_host, pool_strdup(pool, name), data, len, &file, &diags);
    int status = EX_OK;
    if (diags.n > 0) {
        problems_print(&diags);
        status = EX_DATAERR;
    } else if (rc == 0 && file.n == 0) {
        fprintf(stderr,
                "postern: %s: there is no key in it; a key's line begins with its type: "
                "ssh-ed25519 AAAA...\n",
                shown(path));
        status = EX_DATAERR;
    } else if (rc < 0 ||
               pool_push_array(pool, (void *)&out->keys, &out->n, file.keys, file.n,
                               sizeof *file.keys) < 0 ||
               key_text_add(&out->text, data, len, wish, &err) < 0) {
        fputs("postern: out of memory\n", stderr);
        status = EX_OSERR;
    }
    diags_free(&diags);
    return status;
}

int key_source_add(struct pool *pool, const char *path, const struct key_wish *wish,
                   struct key_source *out)
{
    cleanup_free char *data = NULL;
    size_t len = 0;
    bool is_stdin = strcmp(path, "-") == 0;
    if (is_stdin && out->used_stdin) {
        fputs("postern: standard input can be named once\n", stderr);
        return EX_USAGE;
    }
    out->used_stdin = out->used_stdin || is_stdin;
    int status = read_path(path, &data, &len);
    if (status == EX_OK && key_text_is_private(data, len))
        status = refuse_private(path);
    else if (status == EX_OK)
        status = take(pool, path, data, without_returns(data, len), wish, out);
    if (data != NULL)
        explicit_bzero(data, len);
    return status;
}
