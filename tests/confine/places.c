#include "places.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void places_expect_output(const struct sandbox_template *tpl, const char *line, const char *text)
{
    struct outcome out;
    harness_run_shell(tpl, line, &out);
    if (!out.ended || out.exit.signalled || out.exit.code != 0 || strcmp(out.output, text) != 0)
        (void)fprintf(stderr, "%s\n→ %d: %s", line, out.exit.code, out.output);
    CHECK(out.ended && !out.exit.signalled);
    CHECK_INT(out.exit.code, 0);
    CHECK(strcmp(out.output, text) == 0);
}

void places_expect_done(const struct sandbox_template *tpl, const char *line)
{
    places_expect_output(tpl, line, "");
}

void places_expect_refusal(const struct sandbox_spec *spec, const char *text)
{
    struct sandbox_template tpl;
    struct err err;
    CHECK(sandbox_prepare(spec, NULL, &tpl, &err) < 0);
    CHECK(tpl.mnt_ns < 0 && tpl.host_ns < 0 && tpl.kept_in < 0 && tpl.filter == NULL);
    if (strstr(err.text, text) == NULL)
        (void)fprintf(stderr, "%s\n", err.text);
    CHECK(strstr(err.text, text) != NULL);
}

void places_expect_not_started(const struct sandbox_template *tpl, const char *text)
{
    const char *const argv[] = {"true", NULL};
    struct run run;
    struct err err;
    CHECK(!harness_try(tpl, argv, &run, &err));
    if (strstr(err.text, text) == NULL)
        (void)fprintf(stderr, "%s\n", err.text);
    CHECK(strstr(err.text, text) != NULL);
}

struct stat places_look(const char *name)
{
    struct stat st;
    CHECK(fstatat(harness_scratch_fd(), name, &st, AT_SYMLINK_NOFOLLOW) == 0);
    return st;
}

bool places_have(const char *name)
{
    struct stat st;
    return fstatat(harness_scratch_fd(), name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

void places_plant(const char *target, const char *name, uid_t owner)
{
    CHECK(symlinkat(target, harness_scratch_fd(), name) == 0);
    CHECK(fchownat(harness_scratch_fd(), name, owner, owner, AT_SYMLINK_NOFOLLOW) == 0);
}

void places_make_root(const char *root)
{
    char line[2048];
    (void)snprintf(line, sizeof line,
                   "set -e; cd %s; mkdir -p usr/bin usr/lib usr/lib64 etc/sub etc/private opt/full "
                   "mnt var/lib "
                   "var/empty home dev proc tmp/x; "
                   "ln -s usr/bin bin; ln -s usr/lib lib; ln -s usr/lib64 lib64; "
                   "for p in sh cat ls env touch readlink; do cp -L /usr/bin/$p usr/bin/$p; done; "
                   "for l in $(ldd usr/bin/* | grep -o '/[^ ]*' | grep -v : | sort -u); do "
                   "mkdir -p ./$(dirname $l); cp -L $l ./$l; done; "
                   "echo ours > etc/marker; echo deep > etc/sub/file; ln -s marker etc/link; "
                   "echo secret > etc/secret; chmod 600 etc/secret; chmod 700 etc/private; "
                   "echo root:x:0:0::/root:/bin/sh > etc/passwd; echo wrong > etc/hostname; "
                   "ln -s /nowhere etc/resolv.conf; echo kept > opt/full/file; echo top > file; "
                   "echo state > var/lib/state; mkfifo pipe; chmod 755 .",
                   root);
    places_run(line);
}

void places_run(const char *line)
{
    CHECK(system(line) == 0); /* NOLINT(cert-env33-c): our own names */
}
