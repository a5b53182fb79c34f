/*
 * postern metrics - what the running server has counted, as Prometheus reads it or as JSON.
 */
#include "cleanup.h"
#include "cli.h"
#include "control_client.h"
#include "doc.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum { ID_SOCKET = 1, ANSWER_S = 30, WORD_MAX = 256 };

/* The text of all items, one after the other; what a terminal might obey is not in it. */
static char *join(const json_t *items)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL)
        return NULL;
    for (size_t i = 0; i < json_array_size(items); i++)
        fputs(item_word(json_array_get(items, i), "text"), out);
    if (fclose(out) != 0)
        free_ptr(&text);
    for (char *c = text; c != NULL && *c != '\0'; c++)
        if (*c != '\n' && (*c < ' ' || *c > '~'))
            *c = '?';
    return text;
}

/* NAME="VALUE",…} with escapes, as metrics_text.h writes it. Returns what is behind it. */
static const char *read_labels(const char *at, json_t *labels)
{
    while (*at != '}' && *at != '\0') {
        char name[WORD_MAX], value[WORD_MAX];
        size_t name_len = strcspn(at, "="), n = 0;
        if (name_len >= sizeof name || strncmp(at + name_len, "=\"", 2) != 0)
            return NULL;
        (void)snprintf(name, sizeof name, "%.*s", (int)name_len, at);
        for (at += name_len + 2; *at != '"'; at++) {
            at += *at == '\\';
            if (*at == '\0' || n + 1 == sizeof value)
                return NULL;
            value[n++] = at[-1] == '\\' && *at == 'n' ? '\n' : *at;
        }
        value[n] = '\0';
        doc_text(labels, name, value);
        at += at[1] == ',' ? 2 : 1;
    }
    return *at == '}' ? at + 1 : NULL;
}

/* Returns 0, or -1 if it is no sample. */
static int read_sample(const char *line, json_t *samples)
{
    size_t name_len = strcspn(line, "{ ");
    const char *at = line + name_len;
    json_t *sample = doc_push(samples, json_object());
    json_t *labels = json_object();
    doc_bytes(sample, "name", line, name_len);
    doc_put(sample, "labels", labels);
    if (*at == '{')
        at = read_labels(at + 1, labels);
    if (at == NULL || *at != ' ')
        return -1;
    doc_put(sample, "value",
            strchr(at, '.') != NULL ? json_real(strtod(at + 1, NULL))
                                    : json_integer((json_int_t)strtoull(at + 1, NULL, 10)));
    return 0;
}

/* "# HELP NAME TEXT" begins a metric, "# TYPE NAME TYPE" follows; then come its samples. */
static int read_line(const char *line, json_t *metrics, json_t **metric)
{
    size_t name_len;
    const char *name = line + strlen("# HELP ");
    if (strncmp(line, "# ", 2) != 0)
        return *metric == NULL ? -1 : read_sample(line, json_object_get(*metric, "samples"));
    if (strlen(line) < strlen("# HELP "))
        return -1;
    name_len = strcspn(name, " ");
    const char *rest = name + name_len + (name[name_len] != '\0');
    if (strncmp(line, "# HELP ", 7) == 0) {
        *metric = doc_push(metrics, json_object());
        doc_bytes(*metric, "name", name, name_len);
        doc_text(*metric, "help", rest);
        doc_put(*metric, "samples", json_array());
        return 0;
    }
    if (*metric == NULL || strncmp(line, "# TYPE ", 7) != 0)
        return -1;
    doc_text(*metric, "type", rest);
    return 0;
}

static int print_document(char *text)
{
    json_t *doc = doc_new("metrics");
    json_t *metrics = doc_array(doc, "metrics");
    json_t *metric = NULL;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        if (read_line(line, metrics, &metric) < 0) {
            json_decref(doc);
            fputs("postern: the server's metrics can't be read: it is of another version\n",
                  stderr);
            return EX_PROTOCOL;
        }
    return doc_print(doc);
}

static int metrics_run(struct cli *cli)
{
    const char *path = NULL;
    if (!cli_only_option(cli, &path))
        return cli->status;
    const struct ipc_msg request = {.type = MSG_REQ_CTL_METRICS};
    json_t *items = json_array();
    int status = control_run(cli, path, &request, ANSWER_S, items);
    cleanup_free char *text = status == EX_OK ? join(items) : NULL;
    json_decref(items);
    if (status != EX_OK)
        return status;
    if (text == NULL) {
        fputs("postern: out of memory\n", stderr);
        return EX_OSERR;
    }
    if (cli->json)
        return print_document(text);
    fputs(text, stdout);
    return EX_OK;
}

static const struct cli_option options[] = {CONTROL_SOCKET_OPTION(ID_SOCKET), {0}};

const struct cli_command metrics_command = {
    .name = "metrics",
    .synopsis = "[--socket PATH]",
    .summary = "Print what the running server has counted, in the format of Prometheus",
    .options = options,
    .run = metrics_run,
};
