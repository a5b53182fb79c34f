#include "diag.h"
#include "doc.h"
#include "moment.h"
#include "replay.h"
#include "style.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>

enum { COMMAND_SHOWN_MAX = 160, PLACE_MAX = 256 };

static const char *const flip_names[] = {
#define X(id, name, text) [FLIP_##id] = (name),
    FLIP_KINDS(X)
#undef X
};
static const char *const flip_texts[] = {
#define X(id, name, text) [FLIP_##id] = (text),
    FLIP_KINDS(X)
#undef X
};
static const char *const skip_names[] = {
#define X(id, name, text) [RECORD_SKIP_##id] = (name),
    RECORD_SKIPS(X)
#undef X
};
static const char *const skip_texts[] = {
#define X(id, name, text) [RECORD_SKIP_##id] = (text),
    RECORD_SKIPS(X)
#undef X
};

uint64_t replay_total(const struct replay *replay)
{
    uint64_t total = 0;
    for (size_t i = 0; i < FLIP_KINDS_N; i++)
        total += replay->flips.totals[i];
    return total;
}

bool replay_is_nothing(const struct replay *replay)
{
    uint64_t records = replay->judged;
    for (size_t i = 0; i < RECORD_SKIPS_N; i++)
        records += replay->skipped[i];
    return records == 0 && replay->malformed > 0;
}

static void add_command(struct table *table, const struct flip *flip)
{
    char shown[COMMAND_SHOWN_MAX];
    text_escape(shown, sizeof shown, flip->command, flip->command_len);
    if (flip->exec_kind == EXEC_SHELL)
        table_add(table, STYLE_PLAIN, "(shell)");
    else
        table_add(table, STYLE_PLAIN, "%s\"%s\"",
                  flip->exec_kind == EXEC_SUBSYSTEM ? "subsystem " : "", shown);
}

static void add_change(struct table *table, const struct flip *flip)
{
    char place[PLACE_MAX];
    (void)origin_format(&flip->rule, place, sizeof place);
    if (flip->kind == FLIP_DENY)
        table_note(table, STYLE_PLAIN, "now denied: %s%s%s%s", flip->reason,
                   flip->rule.file != NULL ? " (" : "", flip->rule.file != NULL ? place : "",
                   flip->rule.file != NULL ? ")" : "");
    else if (flip->kind == FLIP_ALLOW)
        table_note(table, STYLE_PLAIN, "now allowed in sandbox %s (%s)", flip->after, place);
    else
        table_note(table, STYLE_PLAIN, "%s -> %s (%s)",
                   flip->before != NULL ? flip->before : "none", flip->after, place);
}

static void add_flip(struct table *table, const struct flip *flip)
{
    char first[MOMENT_TEXT_MAX];
    char last[MOMENT_TEXT_MAX];
    char user[80];
    char tenant[80];
    char exec[80];
    table_add(table, STYLE_PLAIN, "%" PRIu64, flip->count);
    table_add(table, STYLE_PLAIN, "%s", text_escape_str(user, sizeof user, flip->user));
    table_add(table, STYLE_PLAIN, "%s",
              flip->tenant == NULL ? "-" : text_escape_str(tenant, sizeof tenant, flip->tenant));
    table_add(table, STYLE_PLAIN, "%s", moment_format(flip->first, first));
    table_add(table, STYLE_PLAIN, "%s", moment_format(flip->last, last));
    table_add(table, STYLE_PLAIN, "%s", text_escape_str(exec, sizeof exec, flip->exec));
    add_command(table, flip);
    add_change(table, flip);
}

static int print_kind(const struct flips *flips, enum flip_kind kind, size_t *at)
{
    static const char *const columns[] = {"COUNT", "USER", "TENANT", "FIRST",
                                          "LAST",  "EXEC", "COMMAND"};
    struct table table = {.columns = sizeof columns / sizeof *columns};
    printf("%s%s%s: %" PRIu64 "\n", style_begin(stdout, STYLE_HEADING), flip_texts[kind],
           style_end(stdout), flips->totals[kind]);
    for (size_t i = 0; i < table.columns; i++)
        table_add(&table, STYLE_FAINT, "%s", columns[i]);
    for (; *at < flips->n && flips_at(flips, *at)->kind == kind; ++*at)
        add_flip(&table, flips_at(flips, *at));
    int status = table_print(&table, stdout);
    putchar('\n');
    return status;
}

int replay_print(const struct replay *replay)
{
    const struct flips *flips = &replay->flips;
    size_t at = 0;
    int status = EX_OK;
    for (unsigned i = 0; i < FLIP_KINDS_N && status == EX_OK; i++)
        if (flips->totals[i] > 0)
            status = print_kind(flips, (enum flip_kind)i, &at);
    if (flips->more > 0)
        printf("and %" PRIu64 " more, unlike those that are shown\n", flips->more);
    uint64_t total = replay_total(replay);
    printf("%" PRIu64 " judged, %" PRIu64 " differ%s", replay->judged, total,
           total == 1 ? "s" : "");
    const char *separator = " (";
    for (size_t i = 0; i < FLIP_KINDS_N; i++) {
        if (flips->totals[i] == 0)
            continue;
        printf("%s%s: %" PRIu64, separator, flip_texts[i], flips->totals[i]);
        separator = ", ";
    }
    puts(total > 0 ? ")" : "");
    for (size_t i = 0; i < RECORD_SKIPS_N; i++)
        if (replay->skipped[i] > 0)
            printf("%" PRIu64 " skipped: %s\n", replay->skipped[i], skip_texts[i]);
    if (replay->malformed > 0)
        printf("%" PRIu64 " malformed line%s%s\n", replay->malformed,
               replay->malformed == 1 ? "" : "s",
               replay_is_nothing(replay) ? ", and nothing to judge: is this an audit trail?" : "");
    return status;
}

static void put_flip(json_t *list, const struct flip *flip)
{
    static const char *const kinds[] = {
        [EXEC_COMMAND] = "exec", [EXEC_SHELL] = "shell", [EXEC_SUBSYSTEM] = "subsystem"};
    json_t *one = doc_push(list, json_object());
    doc_text(one, "flip", flip_names[flip->kind]);
    doc_uint(one, "count", flip->count);
    doc_text(one, "user", flip->user);
    doc_text(one, "tenant", flip->tenant);
    doc_text(one, "kind", kinds[flip->exec_kind]);
    doc_bytes(one, "command", flip->command, flip->command_len);
    doc_time(one, "first", flip->first);
    doc_time(one, "last", flip->last);
    doc_text(one, "exec", flip->exec);
    doc_text(one, "before", flip->before);
    doc_text(one, "after", flip->after);
    doc_text(one, "reason", flip->reason[0] != '\0' ? flip->reason : NULL);
    doc_place(one, flip->rule.file, flip->rule.line);
}

int replay_print_json(const struct replay *replay)
{
    json_t *doc = doc_new("replay");
    json_t *totals = json_object();
    json_t *skipped = json_object();
    doc_uint(doc, "judged", replay->judged);
    for (size_t i = 0; i < FLIP_KINDS_N; i++)
        doc_uint(totals, flip_names[i], replay->flips.totals[i]);
    doc_put(doc, "flips", totals);
    for (size_t i = 0; i < RECORD_SKIPS_N; i++)
        doc_uint(skipped, skip_names[i], replay->skipped[i]);
    doc_put(doc, "skipped", skipped);
    doc_uint(doc, "malformed", replay->malformed);
    json_t *groups = doc_array(doc, "groups");
    for (size_t i = 0; i < replay->flips.n; i++)
        put_flip(groups, flips_at(&replay->flips, i));
    doc_uint(doc, "more", replay->flips.more);
    return doc_print(doc);
}
