#include "template_file.h"
#include "cleanup.h"
#include "policy_files.h"
#include "problems.h"
#include "style.h"
#include "tenant.h"
#include "tenant_template.h"
#include "text.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const char suffix[] = ".ini";

static int list(const char *dir, struct str_list *names)
{
    struct err err = {0};
    char shown[200];
    if (policy_files_host.list_dir(NULL, dir, suffix, 0, names, &err) == 0 && names->n > 0)
        return EX_OK;
    fprintf(stderr, "postern: %s: %s\n", text_escape_str(shown, sizeof shown, dir),
            err.text[0] != '\0' ? err.text : "no templates are there");
    return EX_NOINPUT;
}

static void free_list(struct str_list *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct str_list){0};
}

const char *template_name(const char *name, char *buf, size_t cap)
{
    const char *slash = strrchr(name, '/');
    const char *base = slash == NULL ? name : slash + 1;
    size_t len = strlen(base);
    size_t n = sizeof suffix - 1;
    bool has_suffix = len > n && strcmp(base + len - n, suffix) == 0;
    char word[NAME_MAX + 1];
    (void)snprintf(word, sizeof word, "%.*s", (int)(has_suffix ? len - n : len), base);
    return text_escape_str(buf, cap, word);
}

static int refuse_name(const char *name)
{
    struct str_list names = {0};
    struct suggestion guess;
    char buf[NAME_MAX + 1];
    if (list(POSTERN_TEMPLATE_DIR, &names) != EX_OK)
        return EX_NOINPUT;
    suggest_begin(&guess, name);
    for (size_t i = 0; i < names.n; i++) {
        names.items[i][strlen(names.items[i]) - (sizeof suffix - 1)] = '\0';
        suggest_try(&guess, names.items[i]);
    }
    int status = problem_no_such("template", name, &guess);
    fputs("There are:", stderr);
    for (size_t i = 0; i < names.n; i++)
        fprintf(stderr, " %s", template_name(names.items[i], buf, sizeof buf));
    fputc('\n', stderr);
    free_list(&names);
    return status;
}

static int read_stream(FILE *file, const char *path, char **text)
{
    char shown[200];
    *text = calloc(1, TEMPLATE_SIZE_MAX + 2);
    if (*text == NULL) {
        fputs("postern: out of memory\n", stderr);
        return EX_OSERR;
    }
    size_t n = fread(*text, 1, TEMPLATE_SIZE_MAX + 1, file);
    if (ferror(file)) {
        problem_no_input(path, errno);
        return EX_NOINPUT;
    }
    if (n <= TEMPLATE_SIZE_MAX && strlen(*text) == n)
        return EX_OK;
    fprintf(stderr, "postern: %s: not a template: %s\n", text_escape_str(shown, sizeof shown, path),
            n > TEMPLATE_SIZE_MAX ? "too long" : "there is a NUL byte in it");
    return EX_DATAERR;
}

static int read_file(const char *path, char **text)
{
    cleanup_file FILE *file = fopen(path, "re");
    if (file != NULL)
        return read_stream(file, path, text);
    problem_no_input(path, errno);
    return EX_NOINPUT;
}

int template_read(const char *name, char **text)
{
    cleanup_free char *path = NULL;
    if (strchr(name, '/') != NULL)
        return read_file(name, text);
    if (asprintf(&path, "%s/%s%s", POSTERN_TEMPLATE_DIR, name, suffix) < 0)
        path = NULL;
    if (path == NULL || access(path, F_OK) < 0)
        return refuse_name(name);
    return read_file(path, text);
}

static int add_row(const char *dir, const char *name, struct table *table, json_t *array)
{
    cleanup_free char *path = NULL;
    cleanup_free char *text = NULL;
    char shown[64], summary[200], escaped[240];
    if (asprintf(&path, "%s/%s", dir, name) < 0)
        path = NULL;
    int status = path == NULL ? EX_OSERR : read_file(path, &text);
    if (status != EX_OK)
        return status;
    template_name(name, shown, sizeof shown);
    tenant_template_summary(text, summary, sizeof summary);
    if (array != NULL) {
        json_t *one = doc_push(array, json_object());
        doc_text(one, "name", shown);
        doc_text(one, "summary", summary);
        doc_text(one, "file", path);
    } else {
        table_add(table, STYLE_PLAIN, "%s", shown);
        table_add(table, STYLE_PLAIN, "%s", text_escape_str(escaped, sizeof escaped, summary));
    }
    return EX_OK;
}

static int templates_run(struct cli *cli)
{
    struct str_list names = {0};
    struct table table = {.columns = 2};
    if (!cli_read_options(cli))
        return cli->status;
    if (cli->n_words > 1)
        return cli_usage_error(cli, "takes one directory");
    const char *dir = cli->n_words > 0 ? cli->words[0] : POSTERN_TEMPLATE_DIR;
    int status = list(dir, &names);
    if (status != EX_OK)
        return status;
    json_t *doc = cli->json ? doc_new(cli->command->name) : NULL;
    json_t *array = doc != NULL ? doc_array(doc, "templates") : NULL;
    for (size_t i = 0; i < names.n && status == EX_OK; i++)
        status = add_row(dir, names.items[i], &table, array);
    free_list(&names);
    int printed = doc != NULL ? doc_print(doc) : table_print(&table, stdout);
    return status != EX_OK ? status : printed;
}

const struct cli_command tenant_templates_command = {
    .name = "tenant templates",
    .synopsis = "[DIRECTORY]",
    .summary = "List what a tenant can be made from",
    .run = templates_run,
};
