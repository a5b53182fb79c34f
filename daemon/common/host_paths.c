#include "cleanup.h"
#include "host_judge.h"
#include "text.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { SHOWN = 200 };

/* Whether there is certainly nothing of use; what we may not look at may be there. */
static bool is_missing(const char *path, bool is_dir)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return errno != EACCES && errno != EPERM;
    errno = ENOTDIR;
    return is_dir && !S_ISDIR(st.st_mode);
}

static void judge_path(const struct sandbox_spec *spec, const char *key, size_t item,
                       const char *path, struct diags *diags)
{
    char shown[SHOWN], text[ERR_TEXT_MAX];
    if (!is_missing(path, strcmp(key, "root") == 0))
        return;
    struct origin at = sandbox_place(spec, key, item);
    (void)snprintf(text, sizeof text, "%s = %s: %s", key,
                   text_escape_str(shown, sizeof shown, path), strerror(errno));
    host_judge_add(diags, spec, &at, NULL, text);
}

/* Kept workspaces are made in a directory that must be there. */
static void judge_workspace(const struct sandbox_spec *spec, struct diags *diags)
{
    char above[PATH_MAX], shown[SHOWN], quoted[SHOWN], text[ERR_TEXT_MAX], hint[SHOWN];
    const char *path = spec->workspace_path;
    const char *slash = strrchr(path, '/');
    int len = slash == path ? 1 : (int)(slash - path);
    if (snprintf(above, sizeof above, "%.*s", len, path) >= PATH_MAX || !is_missing(above, true))
        return;
    struct origin at = sandbox_place(spec, "workspace", 0);
    text_escape_str(shown, sizeof shown, path);
    text_escape_str(quoted, sizeof quoted, above);
    (void)snprintf(text, sizeof text, "workspace = %s: %s: %s", shown, quoted, strerror(errno));
    (void)snprintf(hint, sizeof hint, "make it, as root's: mkdir -p %.*s", 150, quoted);
    host_judge_add(diags, spec, &at, hint, text);
}

void host_paths_judge(const struct policy *policy, struct diags *diags)
{
    for (size_t i = 0; i < policy->n_sandboxes; i++) {
        const struct sandbox_spec *spec = &policy->sandboxes[i];
        if (spec->root != NULL)
            judge_path(spec, "root", 0, spec->root, diags);
        for (size_t k = 0; k < spec->n_reads; k++)
            judge_path(spec, "read", k, spec->reads[k].source, diags);
        for (size_t k = 0; k < spec->n_writes; k++)
            judge_path(spec, "write", k, spec->writes[k].source, diags);
        if (spec->workspace == WORKSPACE_KEPT)
            judge_workspace(spec, diags);
    }
}
