#include "self_test_probe.h"
#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif

int probe_load(const char *path, int *out, struct err *err)
{
    struct stat st;
    char again[64];
    cleanup_fd int from = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (from < 0 || fstat(from, &st) < 0)
        return err_set(err, errno, "%s", path);
    cleanup_fd int to = memfd_create("postern-probe", MFD_CLOEXEC | MFD_EXEC);
    if (to < 0 && errno == EINVAL) /* before Linux 6.3 they all can be executed */
        to = memfd_create("postern-probe", MFD_CLOEXEC);
    if (to < 0)
        return err_set(err, errno, "memfd_create (see vm.memfd_noexec)");
    for (off_t left = st.st_size; left > 0;) {
        ssize_t n = sendfile(to, from, NULL, (size_t)left);
        if (n <= 0)
            return err_set(err, n < 0 ? errno : EIO, "%s", path);
        left -= n;
    }
    if (fchmod(to, 0555) < 0)
        return err_set(err, errno, "%s", path);
    /* What can be written to can't be executed. */
    (void)snprintf(again, sizeof again, "/proc/self/fd/%d", to);
    *out = open(again, O_RDONLY | O_CLOEXEC);
    return *out >= 0 ? 0 : err_set(err, errno, "%s", path);
}

void probe_words_free(struct probe_words *words)
{
    for (size_t i = 0; i < words->n_own; i++)
        free(words->own[i]);
}

static void add_word(struct probe_words *words, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void add_word(struct probe_words *words, const char *fmt, ...)
{
    va_list ap;
    char *text = NULL;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0 || words->n == PROBE_WORDS_MAX) {
        if (n >= 0)
            free(text);
        words->failed = true;
        return;
    }
    words->own[words->n_own++] = text;
    words->argv[words->n++] = text;
}

void probe_describe(const struct sandbox_spec *spec, const char *after, struct probe_words *words)
{
    add_word(words, "/proc/self/fd/0");
    add_word(words, "--table");
    add_word(words, "--tmp=%" PRIu64, spec->tmp_size);
    /* Against 0 whatever has no limit is open. */
    add_word(words, "--home=%" PRIu64,
             spec->workspace_size == SPEC_INFINITY ? 0 : spec->workspace_size);
    add_word(words, "--tasks=%" PRIu64, spec->tasks == SPEC_INFINITY ? 0 : spec->tasks);
    for (size_t i = 0; i < spec->n_reads; i++)
        add_word(words, "--read=%s", spec->reads[i].dest);
    for (size_t i = 0; i < spec->n_writes; i++)
        add_word(words, "--write=%s", spec->writes[i].dest);
    for (size_t i = 0; i < spec->n_hides; i++)
        add_word(words, "--hide=%s", spec->hides[i]);
    if (after[0] != '\0')
        add_word(words, "--after=%s", after);
}
