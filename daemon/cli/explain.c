/*
 * postern explain - the decision about one command: the login step by step, then each rule that was
 * tried.
 */
#include "address.h"
#include "cleanup.h"
#include "cli.h"
#include "explanation.h"
#include "moment.h"
#include "offer.h"
#include "sources.h"
#include "values.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

enum { ID_USER = 1, ID_KEY, ID_FROM, ID_AT, ID_SUBSYSTEM, ID_ENV };

struct arguments {
    const char *user;
    const char *key;
    const char *from;
    int64_t at;
    const char *subsystem;
    /* NAME=VALUE; cut into the two when it is asked for */
    const char *env[ENV_COUNT_MAX];
    size_t n_env;
};

static int take_address(struct cli *cli, const char *value, const char **out)
{
    unsigned char bytes[ADDRESS_LEN];
    if (address_parse(value, bytes) < 0)
        return cli_usage_error(cli, "--from needs a literal IP address");
    *out = value;
    return EX_OK;
}

static int take_env(struct cli *cli, struct arguments *a, const char *value)
{
    const char *equals = strchr(value, '=');
    if (equals == NULL || !is_env_name(value, (size_t)(equals - value)))
        return cli_usage_error(cli, "--env needs NAME=VALUE");
    if (a->n_env == ENV_COUNT_MAX)
        return cli_usage_error(cli, "more than %d variables", ENV_COUNT_MAX);
    a->env[a->n_env++] = value;
    return EX_OK;
}

static int take_option(struct cli *cli, struct arguments *a, int id, const char *value)
{
    switch (id) {
    case ID_USER:
        a->user = value;
        return EX_OK;
    case ID_KEY:
        a->key = value;
        return EX_OK;
    case ID_FROM:
        return take_address(cli, value, &a->from);
    case ID_AT:
        if (moment_parse(value, &a->at) < 0)
            return cli_usage_error(cli, "--at needs a time like 2026-01-31 or 2026-01-31T12:30, "
                                        "in UTC");
        return EX_OK;
    case ID_SUBSYSTEM:
        a->subsystem = value;
        return EX_OK;
    default:
        return take_env(cli, a, value);
    }
}

/* False: the run is over, with cli->status. */
static bool parse(struct cli *cli, struct arguments *a)
{
    const char *value;
    *a = (struct arguments){.from = "127.0.0.1", .at = time(NULL)};
    for (int id; (id = cli_next_option(cli, &value)) != CLI_WORDS;) {
        if (id == CLI_OVER)
            return false;
        cli->status = take_option(cli, a, id, value);
        if (cli->status != EX_OK)
            return false;
    }
    if (a->user == NULL)
        cli->status = cli_usage_error(cli, "--user is needed");
    else if (a->subsystem != NULL && cli->n_words > 0)
        cli->status = cli_usage_error(cli, "a subsystem has no command");
    return cli->status == EX_OK;
}

/* The words as ssh(1) sends them: one line. NULL if there is no memory. */
static char *join_words(const struct cli *cli)
{
    size_t len = 1;
    for (size_t i = 0; i < cli->n_words; i++)
        len += strlen(cli->words[i]) + 1;
    char *line = calloc(1, len);
    char *at = line;
    for (size_t i = 0; line != NULL && i < cli->n_words; i++) {
        if (i > 0)
            *at++ = ' ';
        at = stpcpy(at, cli->words[i]);
    }
    return line;
}

/* Variables as the session would pass them on: those that the tenant accepts. */
struct variables {
    struct pool pool;
    const char *names[ENV_COUNT_MAX];
    const char *values[ENV_COUNT_MAX];
    size_t n;
};

static int accept_variables(const struct arguments *a, const struct tenant *tenant,
                            struct variables *out, struct str_list *refused)
{
    for (size_t i = 0; i < a->n_env; i++) {
        const char *equals = strchr(a->env[i], '=');
        const char *name = pool_strndup(&out->pool, a->env[i], (size_t)(equals - a->env[i]));
        if (name == NULL)
            return -1;
        if (tenant != NULL && strlen(equals + 1) <= ENV_VALUE_MAX &&
            tenant_accepts_env(tenant, name, equals + 1)) {
            out->names[out->n] = name;
            out->values[out->n++] = equals + 1;
        } else if (pool_push_str(&out->pool, refused, a->env[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

static int tell(const struct cli *cli, struct explanation *e)
{
    e->n_steps = steps_of(&e->request->who, &e->decision->login, e->steps);
    int status = EX_OK;
    if (cli->json)
        status = explanation_print_json(e);
    else
        explanation_print(e);
    return status == EX_OK && !e->decision->allowed ? EXIT_NO : status;
}

static int explain(const struct cli *cli, const struct arguments *a, const struct policy *policy,
                   const struct offer *offer)
{
    cleanup_free char *line = join_words(cli);
    const char *command = a->subsystem != NULL ? a->subsystem : line;
    if (line == NULL)
        return EX_OSERR;
    struct decide_request request = {
        .who = {.policy = policy,
                .user = a->user,
                .method = offer->method,
                .blob = offer->blob,
                .blob_len = offer->blob_len,
                .fingerprint = offer->fingerprint,
                .peer_host = a->from,
                .now = a->at},
        .kind = a->subsystem != NULL ? EXEC_SUBSYSTEM
                : cli->n_words > 0   ? EXEC_COMMAND
                                     : EXEC_SHELL,
        .command = command,
        .command_len = strlen(command),
        .exec_id = "explain",
        .local_host = "127.0.0.1",
        .local_port = policy->server.listen[0].port,
    };
    struct login login;
    decide_login(&request.who, &login);
    struct variables variables = {0};
    struct decision decision;
    struct explanation e = {.request = &request, .decision = &decision, .note = offer->note};
    int status = EX_OSERR;
    if (accept_variables(a, login.tenant, &variables, &e.refused_env) == 0) {
        request.env_names = variables.names;
        request.env_values = variables.values;
        request.n_env = variables.n;
        decide(&request, &decision);
        status = tell(cli, &e);
        decision_free(&decision);
    }
    pool_free(&variables.pool);
    return status;
}

static int explain_run(struct cli *cli)
{
    struct arguments a;
    if (!parse(cli, &a))
        return cli->status;
    int status = EX_OK;
    struct policy *policy = sources_load_system(cli, true, &status);
    if (policy == NULL)
        return status;
    struct pool pool = {0};
    struct offer offer;
    status = offer_read(&pool, a.key, &offer);
    if (status == EX_OK)
        status = explain(cli, &a, policy, &offer);
    pool_free(&pool);
    policy_free(policy);
    return status;
}

static const struct cli_option options[] = {
    {"user", "LOGIN", "who logs in", ID_USER, false},
    {"key", "KEY", "a public key or certificate file, or SHA256:...; else there is none", ID_KEY,
     false},
    {"from", "IP", "the client's address; 127.0.0.1 if not given", ID_FROM, false},
    {"at", "TIME", "2026-01-31 or 2026-01-31T12:30, UTC; now if not given", ID_AT, false},
    {"subsystem", "NAME", "ask for a subsystem, not for a command", ID_SUBSYSTEM, false},
    {"env", "NAME=VALUE", "a variable that the client sets", ID_ENV, true},
    {0},
};

const struct cli_command explain_command = {
    .name = "explain",
    .synopsis = "--user LOGIN [--key KEY] [--from IP] [--at TIME] [--env NAME=VALUE]... "
                "[--subsystem NAME] [--] [COMMAND...]",
    .summary = "Show how a command is judged, and why; exit 0 if it is allowed, 1 if not",
    .options = options,
    .stops_at_words = true,
    .run = explain_run,
};
