#include "learn_settings.h"
#include "cleanup.h"
#include "learn_paths.h"
#include "sources.h"
#include "style.h"
#include "text.h"
#include "values.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

int learn_fail(int status, const char *fmt, ...)
{
    va_list ap;
    fprintf(stderr, "postern learn: %serror:%s ", style_begin(stderr, STYLE_ERROR),
            style_end(stderr));
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return status;
}

static int add_env(struct learn *learn, const char *value)
{
    char shown[64];
    size_t len = strcspn(value, "=");
    if (value[len] != '=' || !is_env_name(value, len))
        return cli_usage_error(learn->cli, "--env is NAME=VALUE, not '%s'",
                               text_escape_str(shown, sizeof shown, value));
    if (learn->n_env == LEARN_ENV_MAX)
        return cli_usage_error(learn->cli, "more than %d --env", LEARN_ENV_MAX);
    learn->env[learn->n_env++] = value;
    return EX_OK;
}

static int read_options(struct learn *learn)
{
    const char *value;
    for (int id; (id = cli_next_option(learn->cli, &value)) != CLI_WORDS;) {
        if (id == CLI_OVER)
            return learn->cli->status;
        if (id == LEARN_NAME)
            learn->name = value;
        else if (id == LEARN_OUTPUT)
            learn->output = value;
        else if (id == LEARN_FROM_SANDBOX)
            learn->from = value;
        else if (id == LEARN_USER)
            learn->user = value;
        else if (id == LEARN_CWD)
            learn->cwd = value;
        else if (id == LEARN_ENV && add_env(learn, value) != EX_OK)
            return EX_USAGE;
    }
    if (learn->cli->n_words == 0)
        return cli_usage_error(learn->cli, "needs a command, after --");
    return -1;
}

/* After the program, as far as its name can be one of a section. */
static int choose_name(struct learn *learn)
{
    struct err err;
    if (learn->name != NULL)
        return value_name(learn->name, &err) == 0
                   ? EX_OK
                   : cli_usage_error(learn->cli, "--name: %s", err.text);
    const char *slash = strrchr(learn->cli->words[0], '/');
    const char *from = slash != NULL ? slash + 1 : learn->cli->words[0];
    size_t n = 0;
    for (; *from != '\0' && n < 24; from++)
        if (is_name(from, 1) || (n > 0 && strchr("._-", *from) != NULL))
            learn->own_name[n++] = *from;
    if (n == 0 || !is_name(learn->own_name, n))
        (void)snprintf(learn->own_name, sizeof learn->own_name, "learned");
    learn->name = learn->own_name;
    return EX_OK;
}

/* What is there already must not be replaced by pasting. */
static void avoid_known_names(struct learn *learn)
{
    for (size_t i = 0; learn->name == learn->own_name && i < learn->policy->n_profiles; i++)
        if (strcmp(learn->policy->profiles[i].spec.name, learn->name) == 0) {
            size_t len = strlen(learn->own_name);
            (void)snprintf(learn->own_name + len, sizeof learn->own_name - len, "-learn");
            return;
        }
}

static int choose_user(struct learn *learn)
{
    uint64_t number = 0;
    struct err err;
    char shown[64];
    const struct passwd *user;
    /* The last of those that tenants get, and so far nobody's. */
    learn->uid = learn->gid = learn->policy->server.uid_last;
    (void)snprintf(learn->user_name, sizeof learn->user_name, "learn");
    if (learn->user == NULL)
        return EX_OK;
    if (value_uint(learn->user, 1, 0xfffffffeU, &number, &err) == 0) {
        learn->uid = learn->gid = (uid_t)number;
        return EX_OK;
    }
    user = getpwnam(learn->user);
    if (user == NULL)
        return learn_fail(EX_NOUSER, "there is no user '%s' on this host",
                          text_escape_str(shown, sizeof shown, learn->user));
    if (user->pw_uid == 0 || user->pw_gid == 0)
        return learn_fail(EX_USAGE, "no sandbox runs anything as root; name another --user");
    learn->uid = user->pw_uid;
    learn->gid = user->pw_gid;
    (void)snprintf(learn->user_name, sizeof learn->user_name, "%s", user->pw_name);
    return EX_OK;
}

/* Without a policy to begin from, one that has errors elsewhere is no hindrance. */
static struct policy *load(struct learn *learn, int *status)
{
    if (learn->from != NULL)
        return sources_load_system(learn->cli, false, status);
    struct sources sources = {0};
    struct policy *policy = NULL;
    const char *config = learn->cli->config;
    if (config == NULL && access(DEFAULT_CONFIG, F_OK) == 0)
        config = DEFAULT_CONFIG;
    sources.config = config != NULL ? strdup(config) : NULL;
    sources.paths = calloc(1, sizeof *sources.paths);
    *status = EX_OSERR;
    if (sources.paths != NULL && (config == NULL || sources.config != NULL))
        policy = sources_load(learn->cli, &sources, false, NULL, status);
    sources_free(&sources);
    return policy;
}

static int choose_base(struct learn *learn)
{
    const char *wanted = learn->from != NULL ? learn->from : "default";
    const struct policy *policy = learn->policy;
    char shown[64];
    for (size_t i = 0; i < policy->n_profiles; i++)
        if (strcmp(policy->profiles[i].spec.name, "default") == 0)
            learn->ordinary = &policy->profiles[i].spec;
    if (learn->ordinary == NULL)
        return learn_fail(EX_CONFIG, "there is no seccomp profile \"default\" in %s",
                          policy->server.seccomp_dir);
    for (size_t i = 0; i < policy->n_sandboxes; i++)
        if (strcmp(policy->sandboxes[i].name, wanted) == 0) {
            learn->base = policy->sandboxes[i];
            learn->extends = learn->from != NULL ? &policy->sandboxes[i] : NULL;
            if (learn->from == NULL)
                learn->base.workspace = WORKSPACE_EXEC;
            return EX_OK;
        }
    return learn_fail(EX_DATAERR, "there is no sandbox \"%s\"",
                      text_escape_str(shown, sizeof shown, wanted));
}

/* Places that every sandbox makes anew: what is in the host's is not there. */
static int check_cwd(const struct learn *learn)
{
    char shown[256];
    struct stat st;
    if (learn->cwd == NULL)
        return EX_OK;
    text_escape_str(shown, sizeof shown, learn->cwd);
    if (learn->cwd[0] != '/')
        return cli_usage_error(learn->cli, "--cwd is an absolute path, not '%s'", shown);
    if (stat(learn->cwd, &st) < 0 || !S_ISDIR(st.st_mode))
        return learn_fail(EX_NOINPUT, "%s is no directory", shown);
    if (!path_can_be_bound(learn->cwd) && !path_is_within(learn->cwd, "/usr"))
        return learn_fail(
            EX_USAGE,
            "%s is a place that every sandbox has for itself; move what is there, to /srv "
            "for example",
            shown);
    return EX_OK;
}

static int open_output(struct learn *learn)
{
    if (learn->output == NULL)
        return EX_OK;
    learn->output_fd = open(learn->output, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
    char shown[256];
    return learn->output_fd >= 0
               ? EX_OK
               : learn_fail(EX_CANTCREAT, "%s: %s",
                            text_escape_str(shown, sizeof shown, learn->output), strerror(errno));
}

static int take_from_policy(struct learn *learn)
{
    int status = EX_OK;
    learn->policy = load(learn, &status);
    if (learn->policy == NULL)
        return status;
    avoid_known_names(learn);
    status = choose_base(learn);
    if (status == EX_OK)
        status = choose_user(learn);
    return status;
}

int learn_settings_read(struct cli *cli, struct learn *out)
{
    *out = (struct learn){.cli = cli, .output_fd = -1};
    int status = read_options(out);
    if (status >= 0)
        return status;
    if (geteuid() != 0)
        return learn_fail(EX_NOPERM, "making sandboxes needs root");
    status = choose_name(out);
    if (status == EX_OK)
        status = check_cwd(out);
    if (status == EX_OK)
        status = take_from_policy(out);
    if (status == EX_OK)
        status = open_output(out);
    return status == EX_OK ? -1 : status;
}

void learn_settings_free(struct learn *learn)
{
    close_fd(&learn->output_fd);
    policy_free(learn->policy);
    learn->policy = NULL;
}
