/*
 * postern status - how the running server is.
 */
#include "cli.h"
#include "control_client.h"
#include "doc.h"
#include "show_amount.h"
#include "style.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum { ID_SOCKET = 1, ANSWER_S = 30 };

static void print_reload(const json_t *s)
{
    char reason[600];
    const char *result = item_word(s, "reload");
    if (result[0] == '\0')
        return;
    printf("last reload  %s%s%s %s",
           style_begin(stdout, strcmp(result, "loaded") == 0 ? STYLE_PLAIN : STYLE_WARNING), result,
           strcmp(result, "loaded") == 0 ? "" : style_end(stdout), item_word(s, "reload_at"));
    item_text(s, "reload_reason", reason, sizeof reason);
    printf("%s%s\n", reason[0] != '\0' ? ": " : "", reason);
}

static void print_listeners(const json_t *s)
{
    const json_t *list = json_object_get(s, "listen");
    fputs("listening    ", stdout);
    for (size_t i = 0; i < json_array_size(list); i++)
        printf("%s%s", i > 0 ? ", " : "", json_string_value(json_array_get(list, i)));
    puts(json_array_size(list) == 0 ? "nowhere" : "");
}

static void print_draining(const json_t *s)
{
    const char *since = item_word(s, "draining"), *from = item_word(s, "refuses_from");
    if (since[0] == '\0')
        return;
    printf("draining     since %s: ", since);
    if (strcmp(since, from) == 0)
        fputs("new commands are refused", stdout);
    else
        printf("new commands are refused from %s on", from);
    puts(item_true(s, "then_stop") ? "; stops when no command runs any more" : "");
}

static void print_status(const json_t *s)
{
    char up[AMOUNT_MAX], config[600];
#define N(name) item_uint(s, name, 0)
    const char *state = item_word(s, "state");
    bool serves = strcmp(state, "serving") == 0;
    printf("posternd     %s, process %" PRIu64 ", up %s: %s%s%s\n", item_word(s, "version"),
           N("pid"), amount_time(N("uptime_ms"), up),
           style_begin(stdout, serves ? STYLE_GOOD : STYLE_WARNING), state, style_end(stdout));
    printf("policy       generation %" PRIu64 ", loaded %s%s: %" PRIu64 " tenant%s, %" PRIu64
           " key%s\n",
           N("generation"), item_word(s, "loaded"), item_true(s, "reloading") ? " (reloading)" : "",
           N("tenants"), plural(N("tenants")), N("keys"), plural(N("keys")));
    printf("from         %s\n", item_show(s, "config", config, sizeof config));
    print_reload(s);
    print_listeners(s);
    print_draining(s);
    printf("connections  %" PRIu64 " of at most %" PRIu64 ": %" PRIu64 " logged in, %" PRIu64
           " not yet\n",
           N("connections"), N("max_connections"), N("authenticated"), N("startups"));
    printf("commands     %" PRIu64 " run of at most %" PRIu64 ", %" PRIu64 " queued", N("running"),
           N("max_running"), N("queued"));
    if (N("of_older_generations") > 0)
        printf(", %" PRIu64 " by an older policy", N("of_older_generations"));
    putchar('\n');
    if (N("penalised") > 0)
        printf("penalties    %" PRIu64 " source%s not served: postern ps --penalties\n",
               N("penalised"), N("penalised") == 1 ? " is" : "s are");
#undef N
}

static int print_document(const json_t *s)
{
    json_t *doc = doc_new("status");
    if (json_object_update(doc, (json_t *)s) < 0) {
        json_decref(doc);
        fputs("postern: out of memory\n", stderr);
        return EX_OSERR;
    }
    return doc_print(doc);
}

static int status_run(struct cli *cli)
{
    const char *path = NULL;
    if (!cli_only_option(cli, &path))
        return cli->status;
    const struct ipc_msg request = {.type = MSG_REQ_CTL_STATUS};
    json_t *items = json_array();
    int status = control_run(cli, path, &request, ANSWER_S, items);
    const json_t *answer = json_array_get(items, 0);
    if (status == EX_OK && cli->json)
        status = print_document(answer);
    else if (status == EX_OK)
        print_status(answer);
    json_decref(items);
    return status;
}

static const struct cli_option options[] = {CONTROL_SOCKET_OPTION(ID_SOCKET), {0}};

const struct cli_command status_command = {
    .name = "status",
    .synopsis = "[--socket PATH]",
    .summary = "Tell how the running server is: policy, listeners, connections, commands",
    .options = options,
    .run = status_run,
};
