#include "uid_record.h"
#include "cleanup.h"
#include "diag.h"
#include "values.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char first_line[] = "uids 1";
static const char last_line[] = "end";

static const char *const kinds[] = {"auto", "fixed"};

enum { UID_TEXT_MAX = 16, LINE_LEN_MAX = 80 };

static const struct uid_claim *find(const struct uid_record *record, const struct strmap *map,
                                    const char *key)
{
    size_t at = 0;
    return strmap_get(map, key, &at) ? &record->claims[at] : NULL;
}

const struct uid_claim *uid_record_by_uid(const struct uid_record *record, uid_t uid)
{
    char key[UID_TEXT_MAX];
    (void)snprintf(key, sizeof key, "%" PRIu32, uid);
    return find(record, &record->by_uid, key);
}

const struct uid_claim *uid_record_by_name(const struct uid_record *record, const char *name)
{
    return find(record, &record->autos, name);
}

static int put(struct uid_record *record, const struct uid_claim *claim)
{
    struct pool *pool = &record->pool;
    struct uid_claim copy = *claim;
    size_t at = record->n;
    copy.name = pool_strdup(pool, claim->name);
    const char *key = pool_printf(pool, "%" PRIu32, claim->uid);
    if (copy.name == NULL || key == NULL ||
        pool_push(pool, (void *)&record->claims, &record->n, &copy, sizeof copy) < 0 ||
        strmap_put(pool, &record->by_uid, key, at) < 0)
        return -1;
    return claim->fixed ? 0 : strmap_put(pool, &record->autos, copy.name, at);
}

int uid_record_add(struct uid_record *record, const struct uid_claim *claim, struct err *err)
{
    const struct uid_claim *same = uid_record_by_uid(record, claim->uid);
    const struct uid_claim *found = claim->fixed ? NULL : uid_record_by_name(record, claim->name);
    if (same != NULL && strcmp(same->name, claim->name) != 0)
        return err_set(err, 0, "uid %" PRIu32 " is that of tenant '%s', not of '%s'", claim->uid,
                       same->name, claim->name);
    if (found != NULL && found != same)
        return err_set(err, 0, "tenant '%s' has uid %" PRIu32 ", not %" PRIu32, claim->name,
                       found->uid, claim->uid);
    if (same != NULL)
        return 0;
    return put(record, claim) < 0 ? err_no_memory(err) : 0;
}

/* "KIND UID NAME", which is cut up. */
static int read_claim(char *line, struct uid_claim *claim, struct err *err)
{
    char *state = NULL;
    const char *kind = strtok_r(line, " ", &state);
    const char *number = strtok_r(NULL, " ", &state);
    size_t which = 0;
    uint64_t uid = 0;
    claim->name = strtok_r(NULL, " ", &state);
    if (claim->name == NULL || strtok_r(NULL, " ", &state) != NULL)
        return err_set(err, 0, "not 'auto UID NAME', 'fixed UID NAME' or 'end'");
    if (value_choice(kind, kinds, array_len(kinds), &which, err) < 0 ||
        value_uint(number, 1, UINT32_MAX - 2, &uid, err) < 0 || value_name(claim->name, err) < 0)
        return -1;
    claim->uid = (uid_t)uid;
    claim->fixed = which == 1;
    return 0;
}

static int add_line(struct uid_record *record, char *line, struct err *err)
{
    struct uid_claim claim = {0};
    if (read_claim(line, &claim, err) < 0)
        return -1;
    size_t before = record->n;
    if (uid_record_add(record, &claim, err) < 0)
        return -1;
    return record->n > before ? 0 : err_set(err, 0, "this uid stands here twice");
}

/* The next line without its end; *len is what is left. False: there is no whole line any more. */
static bool next_line(const char **data, size_t *len, char line[LINE_LEN_MAX])
{
    const char *end = memchr(*data, '\n', *len);
    size_t size = end == NULL ? LINE_LEN_MAX : (size_t)(end - *data);
    if (size >= LINE_LEN_MAX || memchr(*data, '\0', size) != NULL)
        return false;
    memcpy(line, *data, size);
    line[size] = '\0';
    *len -= size + 1;
    *data = end + 1;
    return true;
}

int uid_record_read(struct uid_record *record, const char *data, size_t len, unsigned *line,
                    struct err *err)
{
    char text[LINE_LEN_MAX];
    bool begun = false, ended = false;
    *line = 0;
    while (len > 0) {
        ++*line;
        if (!next_line(&data, &len, text))
            return err_set(err, 0, "this line is cut off or too long");
        if (text[0] == '#')
            continue;
        if (ended)
            return err_set(err, 0, "there is more after 'end'");
        if (!begun && strcmp(text, first_line) != 0)
            return err_set(err, 0, "it does not begin with '%s'", first_line);
        ended = strcmp(text, last_line) == 0;
        if (begun && !ended && add_line(record, text, err) < 0)
            return -1;
        begun = true;
    }
    *line = 0;
    return ended ? 0 : err_set(err, 0, "it is cut off: its last line is not 'end'");
}

char *uid_record_format(const struct uid_record *record, size_t *len)
{
    char *text = NULL;
    FILE *file = open_memstream(&text, len);
    if (file == NULL)
        return NULL;
    fprintf(file,
            "# Written by posternd: which uid is whose, see state-dir in postern.ini(5).\n%s\n",
            first_line);
    for (size_t i = 0; i < record->n; i++)
        fprintf(file, "%s %" PRIu32 " %s\n", kinds[record->claims[i].fixed], record->claims[i].uid,
                record->claims[i].name);
    fprintf(file, "%s\n", last_line);
    bool failed = ferror(file) != 0;
    if (fclose(file) == 0 && !failed)
        return text;
    free(text);
    return NULL;
}
