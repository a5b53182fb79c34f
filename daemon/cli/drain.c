/*
 * postern drain, postern resume - the running server takes no new commands, or takes them again.
 */
#include "cli.h"
#include "cleanup.h"
#include "control_client.h"
#include "doc.h"
#include "style.h"
#include "values.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum { ID_SOCKET = 1, ID_WAIT, ID_THEN_STOP, ID_NOTICE, ANSWER_S = 30 };

struct wish {
    struct msg_req_ctl_drain what;
    const char *path;
};

static int take_notice(const struct cli *cli, const char *value, struct wish *out)
{
    struct err err = {0};
    if (value_time(value, false, &out->what.notice_ms, &err) == 0 &&
        out->what.notice_ms <= IPC_NOTICE_MS_MAX)
        return 0;
    if (err.text[0] == '\0')
        err_set(&err, 0, "it is at most 1h");
    (void)cli_usage_error(cli, "--notice: %s", err.text);
    return -1;
}

/* The word behind --wait, if there is one. */
static int take_time(const struct cli *cli, struct wish *out)
{
    struct err err = {0};
    if (cli->n_words == 0)
        return -1;
    if (!out->what.wait || cli->n_words > 1)
        return cli_usage_error(cli, "takes no arguments but the time of --wait");
    if (value_time(cli->words[0], true, &out->what.wait_ms, &err) < 0)
        return cli_usage_error(cli, "%s", err.text);
    return -1;
}

/* Returns -1 to go on, or an exit status. */
static int read_options(struct cli *cli, struct wish *out)
{
    const char *value;
    out->what.wait_ms = UINT64_MAX;
    for (int id; (id = cli_next_option(cli, &value)) != CLI_WORDS;) {
        if (id == CLI_OVER)
            return cli->status;
        if (id == ID_SOCKET)
            out->path = value;
        else if (id == ID_WAIT)
            out->what.wait = true;
        else if (id == ID_NOTICE && take_notice(cli, value, out) < 0)
            return EX_USAGE;
        else if (id == ID_THEN_STOP)
            out->what.then_stop = true;
    }
    return take_time(cli, out);
}

static void print_left(const json_t *left, bool then_stop)
{
    uint64_t execs = item_uint(left, "execs", 0), queued = item_uint(left, "queued", 0);
    bool notice = item_true(left, "notice"), drained = execs + queued == 0 && !notice;
    printf("%s: ", drained ? "drained" : "draining");
    if (notice)
        fputs("commands are still taken, balancers are told", stdout);
    else if (drained)
        fputs("no command runs", stdout);
    else
        printf("%" PRIu64 " command%s still there, %" PRIu64 " queued", execs,
               execs == 1 ? " is" : "s are", queued);
    printf("%s\n", !then_stop ? "" : drained ? "; the server stops" : "; then the server stops");
}

static int print_document(const struct cli *cli, const json_t *answer)
{
    json_t *doc = doc_new(cli->command->name);
    (void)json_object_update(doc, (json_t *)answer);
    return doc_print(doc);
}

static int drain_run(struct cli *cli)
{
    struct wish wish = {.path = NULL};
    struct control_client client;
    int status = read_options(cli, &wish);
    if (status >= 0)
        return status;
    const struct ipc_msg request = {.type = MSG_REQ_CTL_DRAIN, .req_ctl_drain = wish.what};
    json_t *items = json_array();
    status = control_connect(cli, wish.path, &client);
    if (status == EX_OK)
        status = control_ask(&client, &request, wish.what.wait ? 0 : ANSWER_S, items);
    const json_t *left = json_array_get(items, 0);
    if (left != NULL && cli->json)
        (void)print_document(cli, left);
    else if (left != NULL && status == EX_OK)
        print_left(left, wish.what.then_stop);
    (void)control_tell(&client, status);
    control_close(&client);
    json_decref(items);
    return status;
}

static int resume_run(struct cli *cli)
{
    const char *path = NULL;
    if (!cli_only_option(cli, &path))
        return cli->status;
    const struct ipc_msg request = {.type = MSG_REQ_CTL_RESUME};
    json_t *items = json_array();
    int status = control_run(cli, path, &request, ANSWER_S, items);
    const json_t *answer = json_array_get(items, 0);
    if (status == EX_OK && cli->json)
        status = print_document(cli, answer);
    else if (status == EX_OK)
        puts(item_true(answer, "drained") ? "the server takes commands again"
                                          : "the server was not draining");
    json_decref(items);
    return status;
}

static const struct cli_option drain_options[] = {
    {"notice", "TIME", "let balancers know, and take new commands for TIME more", ID_NOTICE, false},
    {"wait", NULL, "return when no command runs any more, or after TIME with exit status 1",
     ID_WAIT, false},
    {"then-stop", NULL, "end the server when no command runs any more", ID_THEN_STOP, false},
    CONTROL_SOCKET_OPTION(ID_SOCKET),
    {0},
};

const struct cli_command drain_command = {
    .name = "drain",
    .synopsis = "[--notice TIME] [--wait [TIME]] [--then-stop]",
    .summary = "Let the running server finish what it has and take no new commands",
    .options = drain_options,
    .run = drain_run,
};

static const struct cli_option resume_options[] = {CONTROL_SOCKET_OPTION(ID_SOCKET), {0}};

const struct cli_command resume_command = {
    .name = "resume",
    .synopsis = "[--socket PATH]",
    .summary = "Let the running server take new commands again",
    .options = resume_options,
    .run = resume_run,
};
