#include "control_path.h"
#include "cleanup.h"
#include "ini_file.h"
#include "problems.h"
#include "sources.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

/* Returns the bytes, or NULL with errno. */
static char *read_all(const char *path, size_t *len)
{
    struct stat st;
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return NULL;
    if (!S_ISREG(st.st_mode) || st.st_size > INI_FILE_SIZE_MAX) {
        errno = S_ISREG(st.st_mode) ? EFBIG : EINVAL;
        return NULL;
    }
    char *data = malloc((size_t)st.st_size + 1);
    ssize_t n = data == NULL ? -1 : read(fd, data, (size_t)st.st_size);
    if (n < 0) {
        free(data);
        return NULL;
    }
    *len = (size_t)n;
    return data;
}

static const char *find_value(const struct ini_doc *doc)
{
    const char *value = CONTROL_PATH_DEFAULT;
    for (size_t i = 0; i < doc->n; i++) {
        const struct ini_section *section = &doc->sections[i];
        for (size_t k = 0; k < section->n_entries && strcmp(section->type, "server") == 0; k++)
            if (strcmp(section->entries[k].key, "control") == 0)
                value = section->entries[k].value;
    }
    return value;
}

static int take(const char *config, const char *value, char *path, size_t len)
{
    if (value[0] == '/') {
        (void)snprintf(path, len, "%s", value);
        return EX_OK;
    }
    if (strcmp(value, "none") == 0)
        problem_print(stderr, DIAG_ERROR, config, 0,
                      "the server has no control socket (control = none)", "");
    else
        problem_print(stderr, DIAG_ERROR, config, 0, "'control' is a path or 'none'", "");
    return EX_CONFIG;
}

int control_path_find(const struct cli *cli, char *path, size_t len)
{
    char config[4096];
    struct stat st;
    struct pool pool = {0};
    struct diags diags = {0};
    struct ini_doc doc = {0};
    size_t size = 0;
    const char *given = cli->config != NULL ? cli->config : DEFAULT_CONFIG;
    bool is_dir = stat(given, &st) == 0 && S_ISDIR(st.st_mode);
    (void)snprintf(config, sizeof config, "%s%s", given, is_dir ? "/postern.ini" : "");
    cleanup_free char *data = read_all(config, &size);
    if (data == NULL && cli->config != NULL) {
        problem_no_input(config, errno);
        return EX_NOINPUT;
    }
    if (data == NULL || ini_file_read(&pool, config, data, size, &doc, &diags) < 0)
        doc = (struct ini_doc){0};
    int status = take(config, find_value(&doc), path, len);
    diags_free(&diags);
    pool_free(&pool);
    return status;
}
