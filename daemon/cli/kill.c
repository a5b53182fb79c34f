/*
 * postern kill - ends commands and connections of the running server.
 */
#include "cli.h"
#include "control_client.h"
#include "control_words.h"
#include "doc.h"
#include "style.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum { ID_SOCKET = 1, ID_TENANT, ID_KEY, ID_CONNECTION, ID_REASON, ANSWER_S = 30 };

struct wanted {
    struct msg_req_ctl_kill what;
    char key[IPC_ID_MAX + 1];
    const char *path;
    size_t n; /* selectors that are options */
};

struct totals {
    uint64_t ended, ending, queued, connections;
};

static int take(const struct cli *cli, int id, const char *value, struct wanted *out)
{
    if (value[0] == '\0')
        return cli_usage_error(cli, "an empty name says nothing");
    if (strlen(value) > IPC_ID_MAX && id != ID_REASON && id != ID_KEY)
        return cli_usage_error(cli, "there is no name as long as that");
    switch (id) {
    case ID_TENANT:
        out->what.tenant = value;
        break;
    case ID_KEY:
        if (!control_key_word(value, out->key, sizeof out->key))
            return cli_usage_error(cli, CONTROL_KEY_USAGE);
        out->what.key = out->key;
        break;
    case ID_CONNECTION:
        out->what.connection = value;
        break;
    default:
        if (strlen(value) > IPC_REASON_MAX)
            return cli_usage_error(cli, "a reason has at most %d bytes", IPC_REASON_MAX);
        out->what.reason = value;
        return -1;
    }
    out->n++;
    return -1;
}

/* Returns -1 to go on, or an exit status. */
static int read_options(struct cli *cli, struct wanted *out)
{
    const char *value;
    for (int id; (id = cli_next_option(cli, &value)) != CLI_WORDS;) {
        if (id == CLI_OVER)
            return cli->status;
        if (id == ID_SOCKET) {
            out->path = value;
            continue;
        }
        int status = take(cli, id, value, out);
        if (status >= 0)
            return status;
    }
    if (out->n + (cli->n_words > 0) != 1)
        return cli_usage_error(cli, "takes ids of commands, or one of --tenant, --key and "
                                    "--connection");
    for (size_t i = 0; i < cli->n_words; i++)
        if (cli->words[i][0] == '\0' || strlen(cli->words[i]) > IPC_ID_MAX)
            return cli_usage_error(cli, "that is no id of a command");
    return -1;
}

/* One request; 0 or 1 if it went well, something was meant or not. */
static int ask(struct control_client *client, const struct msg_req_ctl_kill *what,
               struct totals *totals)
{
    const struct ipc_msg request = {.type = MSG_REQ_CTL_KILL, .req_ctl_kill = *what};
    json_t *items = json_array();
    int status = control_ask(client, &request, ANSWER_S, items);
    const json_t *counts = json_array_get(items, 0);
    totals->ended += item_uint(counts, "ended", 0);
    totals->ending += item_uint(counts, "ending", 0);
    totals->queued += item_uint(counts, "queued", 0);
    totals->connections += item_uint(counts, "connections", 0);
    json_decref(items);
    return status;
}

static int ask_each(const struct cli *cli, struct control_client *client, struct wanted *wanted,
                    struct totals *totals)
{
    int worst = EX_OK;
    if (cli->n_words == 0)
        return control_tell(client, ask(client, &wanted->what, totals));
    for (size_t i = 0; i < cli->n_words; i++) {
        wanted->what.exec = cli->words[i];
        int status = ask(client, &wanted->what, totals);
        if (status != EX_OK) {
            worst = status;
            char shown[200];
            (void)text_escape_str(shown, sizeof shown, cli->words[i]);
            (void)control_tell_of(client, shown, status);
        }
        if (status > EXIT_NO)
            break;
    }
    return worst;
}

static void print(const struct totals *t)
{
    printf("ended %" PRIu64 " command%s", t->ended, plural(t->ended));
    if (t->ending > 0)
        printf("; %" PRIu64 " %s ending already", t->ending, t->ending == 1 ? "was" : "were");
    if (t->queued > 0)
        printf("; refused %" PRIu64 " that waited", t->queued);
    if (t->connections > 0)
        printf("; closed %" PRIu64 " connection%s", t->connections, plural(t->connections));
    putchar('\n');
}

static int print_document(const struct totals *t)
{
    json_t *doc = doc_new("kill");
    doc_uint(doc, "ended", t->ended);
    doc_uint(doc, "ending", t->ending);
    doc_uint(doc, "queued", t->queued);
    doc_uint(doc, "connections", t->connections);
    return doc_print(doc);
}

static int kill_run(struct cli *cli)
{
    struct wanted wanted = {.path = NULL};
    struct totals totals = {0};
    struct control_client client;
    int status = read_options(cli, &wanted);
    if (status >= 0)
        return status;
    status = control_connect(cli, wanted.path, &client);
    if (status == EX_OK) {
        status = ask_each(cli, &client, &wanted, &totals);
        bool any = totals.ended + totals.ending + totals.queued + totals.connections > 0;
        if (cli->json && status <= EXIT_NO) {
            int printed = print_document(&totals);
            status = printed != EX_OK ? printed : status;
        } else if (any) {
            print(&totals);
        }
    }
    control_close(&client);
    return status;
}

static const struct cli_option options[] = {
    {"tenant", "NAME", "all commands of this tenant", ID_TENANT, false},
    {"key", "FINGERPRINT", "all commands of this key: SHA256:..., or how it begins", ID_KEY, false},
    {"connection", "ID", "this connection, with all of its commands", ID_CONNECTION, false},
    {"reason", "TEXT", "why: clients are told, and the audit trail", ID_REASON, false},
    CONTROL_SOCKET_OPTION(ID_SOCKET),
    {0},
};

const struct cli_command kill_command = {
    .name = "kill",
    .synopsis = "EXEC-ID... | --tenant NAME | --key FINGERPRINT | --connection ID [--reason TEXT]",
    .summary = "End commands of the running server; exit 1 if nothing is meant by that",
    .options = options,
    .run = kill_run,
};
