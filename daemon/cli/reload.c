/*
 * postern reload - has the running server load its policy anew, and tells what became of it.
 */
#include "cli.h"
#include "cleanup.h"
#include "control_client.h"
#include "doc.h"
#include "problems.h"
#include "style.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum { ID_SOCKET = 1 };

static void print_diag(const json_t *item)
{
    char file[4096], text[600], hint[200];
    bool is_error = strcmp(item_word(item, "grade"), "error") == 0;
    item_show(item, "file", file, sizeof file);
    item_text(item, "text", text, sizeof text);
    item_text(item, "hint", hint, sizeof hint);
    problem_print(stderr, is_error ? DIAG_ERROR : DIAG_WARNING, file,
                  (unsigned)item_uint(item, "line", 0), text, hint);
}

static void print_result(const json_t *items, const json_t *result)
{
    size_t i;
    const json_t *item;
    json_array_foreach(items, i, item) if (item != result) print_diag(item);
    if (item_true(result, "truncated"))
        fputs("postern: there is more than can be shown\n", stderr);
    if (strcmp(item_word(result, "reload"), "loaded") == 0)
        printf("reloaded: generation %" PRIu64 ", %" PRIu64 " tenant%s\n",
               item_uint(result, "generation", 0), item_uint(result, "tenants", 0),
               plural(item_uint(result, "tenants", 0)));
}

/* The result, with the others as its "diagnostics". */
static int print_document(json_t *items, json_t *result, bool ok)
{
    json_t *doc = doc_new("reload");
    doc_bool(doc, "ok", ok);
    (void)json_object_update(doc, result);
    (void)json_array_remove(items, json_array_size(items) - 1);
    doc_put(doc, "diagnostics", json_incref(items));
    return doc_print(doc);
}

static int reload(const struct cli *cli, struct control_client *client, json_t *items)
{
    const struct ipc_msg request = {.type = MSG_REQ_CTL_RELOAD};
    int status = control_ask(client, &request, 0, items);
    size_t n = json_array_size(items);
    if (n == 0)
        return control_tell(client, status);
    json_t *result = json_incref(json_array_get(items, n - 1));
    if (cli->json) {
        int printed = print_document(items, result, status == EX_OK);
        status = status == EX_OK ? printed : status;
    } else {
        print_result(items, result);
        control_tell(client, status);
    }
    json_decref(result);
    return status;
}

static int reload_run(struct cli *cli)
{
    const char *path = NULL;
    if (!cli_only_option(cli, &path))
        return cli->status;
    struct control_client client;
    json_t *items = json_array();
    int status = control_connect(cli, path, &client);
    if (status == EX_OK)
        status = reload(cli, &client, items);
    control_close(&client);
    json_decref(items);
    return status;
}

static const struct cli_option options[] = {CONTROL_SOCKET_OPTION(ID_SOCKET), {0}};

const struct cli_command reload_command = {
    .name = "reload",
    .synopsis = "[--socket PATH]",
    .summary = "Have the running server load its policy anew; exit 0 if it is in force, 1 if not",
    .options = options,
    .run = reload_run,
};
