/*
 * postern ps - what runs on the server, who is connected, who is not served.
 */
#include "cli.h"
#include "control_client.h"
#include "control_words.h"
#include "doc.h"
#include "proc_usage.h"
#include "ps_table.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum { ID_SOCKET = 1, ID_TENANT, ID_KEY, ID_CONNECTIONS, ID_PENALTIES, ID_WIDE, ANSWER_S = 30 };

struct asked {
    struct msg_req_ctl_ps what;
    char key[IPC_ID_MAX + 1];
    const char *path;
    bool connections, penalties, wide;
};

/* Returns -1 to go on, or an exit status. */
static int read_options(struct cli *cli, struct asked *out)
{
    const char *value;
    for (int id; (id = cli_next_option(cli, &value)) != CLI_WORDS;) {
        switch (id) {
        case CLI_OVER:
            return cli->status;
        case ID_SOCKET:
            out->path = value;
            break;
        case ID_TENANT:
            if (strlen(value) > IPC_TENANT_MAX)
                return cli_usage_error(cli, "that is no name of a tenant");
            out->what.tenant = value;
            break;
        case ID_KEY:
            if (!control_key_word(value, out->key, sizeof out->key))
                return cli_usage_error(cli, CONTROL_KEY_USAGE);
            out->what.key = out->key;
            break;
        case ID_CONNECTIONS:
            out->connections = true;
            break;
        case ID_PENALTIES:
            out->penalties = true;
            break;
        default:
            out->wide = true;
            break;
        }
    }
    if (cli->n_words > 0)
        return cli_usage_error(cli, "takes no arguments; --tenant NAME lists those of a tenant");
    if (out->connections && out->penalties)
        return cli_usage_error(cli, "--connections or --penalties, not both");
    if (out->penalties && (out->what.tenant != NULL || out->what.key != NULL))
        return cli_usage_error(cli, "penalties are of addresses, not of tenants or keys");
    out->what.list = out->penalties     ? CTL_PENALTIES
                     : out->connections ? CTL_CONNECTIONS
                                        : CTL_EXECS;
    return -1;
}

static int print_document(const struct asked *asked, json_t *items)
{
    json_t *doc = doc_new("ps");
    doc_put(doc,
            asked->penalties     ? "penalties"
            : asked->connections ? "connections"
                                 : "execs",
            json_incref(items));
    return doc_print(doc);
}

static int print_table(const struct asked *asked, const json_t *items)
{
    if (asked->penalties)
        return ps_print_penalties(items);
    if (asked->connections)
        return ps_print_connections(items, ps_terminal_width(), asked->wide);
    return ps_print_execs(items, ps_terminal_width(), asked->wide);
}

static int ps_run(struct cli *cli)
{
    struct asked asked = {.path = NULL};
    int status = read_options(cli, &asked);
    if (status >= 0)
        return status;
    const struct ipc_msg request = {.type = MSG_REQ_CTL_PS, .req_ctl_ps = asked.what};
    json_t *items = json_array();
    status = control_run(cli, asked.path, &request, ANSWER_S, items);
    if (status == EX_OK)
        proc_usage_fill(items);
    if (status == EX_OK)
        status = cli->json ? print_document(&asked, items) : print_table(&asked, items);
    json_decref(items);
    return status;
}

static const struct cli_option options[] = {
    {"tenant", "NAME", "only what is this tenant's", ID_TENANT, false},
    {"key", "FINGERPRINT", "only of this key: SHA256:..., or how it begins", ID_KEY, false},
    {"connections", NULL, "list connections instead of commands", ID_CONNECTIONS, false},
    {"penalties", NULL, "list addresses that have been trouble, see SOURCES in postern.ini(5)",
     ID_PENALTIES, false},
    {"wide", NULL, "print everything, whatever the width of the terminal", ID_WIDE, false},
    CONTROL_SOCKET_OPTION(ID_SOCKET),
    {0},
};

const struct cli_command ps_command = {
    .name = "ps",
    .synopsis = "[--tenant NAME] [--key FINGERPRINT] [--connections | --penalties] [--wide]",
    .summary = "List what runs on the server",
    .options = options,
    .run = ps_run,
};
