#include "problems.h"
#include "style.h"
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const char *const grades[] = {[DIAG_ERROR] = "error", [DIAG_WARNING] = "warning"};

void problem_print(FILE *to, enum diag_grade grade, const char *file, unsigned line,
                   const char *text, const char *hint)
{
    char shown[4096];
    enum style style = grade == DIAG_ERROR ? STYLE_ERROR : STYLE_WARNING;
    fputs(text_escape_str(shown, sizeof shown, file), to);
    if (line > 0)
        fprintf(to, ":%u", line);
    fprintf(to, ": %s%s:%s %s", style_begin(to, style), grades[grade], style_end(to), text);
    if (hint[0] != '\0')
        fprintf(to, " (%s)", hint);
    fputc('\n', to);
}

void problem_no_input(const char *path, int num)
{
    char shown[4096];
    fprintf(stderr, "postern: %s: %s\n", text_escape_str(shown, sizeof shown, path), strerror(num));
}

void problems_print(const struct diags *diags)
{
    for (size_t i = 0; i < diags->n; i++) {
        const struct diag *d = &diags->items[i];
        problem_print(stderr, d->grade, d->file, d->line, d->text, d->hint);
    }
    if (diags->truncated || diags->more_warnings)
        fputs("postern: there is more than can be shown\n", stderr);
}

void problems_put(json_t *doc, const struct diags *diags)
{
    json_t *list = doc_array(doc, "diagnostics");
    for (size_t i = 0; i < diags->n; i++) {
        const struct diag *d = &diags->items[i];
        json_t *one = doc_push(list, json_object());
        doc_text(one, "grade", grades[d->grade]);
        doc_place(one, d->file, d->line);
        doc_text(one, "text", d->text);
        doc_text(one, "hint", d->hint[0] != '\0' ? d->hint : NULL);
    }
    doc_bool(doc, "truncated", diags->truncated || diags->more_warnings);
}

size_t problems_count(const struct diags *diags, enum diag_grade grade)
{
    size_t n = 0;
    for (size_t i = 0; i < diags->n; i++)
        n += diags->items[i].grade == grade;
    return n;
}

void problems_unseen(const char *unseen)
{
    if (unseen != NULL)
        fprintf(stderr, "postern: %s\n", unseen);
}

void problems_put_unseen(json_t *doc, const char *unseen)
{
    if (unseen != NULL)
        doc_text(doc, "unseen", unseen);
}

int problems_report(const struct cli *cli, const struct diags *diags, const char *unseen)
{
    if (!cli->json) {
        problems_print(diags);
        problems_unseen(unseen);
        return EX_CONFIG;
    }
    json_t *doc = doc_new(cli->command->name);
    doc_bool(doc, "ok", false);
    problems_put_unseen(doc, unseen);
    problems_put(doc, diags);
    int status = doc_print(doc);
    return status == EX_OK ? EX_CONFIG : status;
}

int problem_no_such(const char *what, const char *name, const struct suggestion *guess)
{
    char shown[80];
    char hint[64];
    suggest_hint(guess, hint, sizeof hint);
    fprintf(stderr, "postern: there is no %s '%s'%s%s\n", what,
            text_escape_str(shown, sizeof shown, name), hint[0] != '\0' ? ": " : "", hint);
    return EX_DATAERR;
}
