#include "uid_sources.h"
#include "cleanup.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { ACCOUNTS_SIZE_MAX = 64 << 20 };

static int read_file(struct loader *l, const char *path, size_t max, char **data, size_t *len,
                     struct err *err)
{
    return l->host->read_file(l->host->user, path, max, 0, data, len, err);
}

static int read_record(struct loader *l, struct uid_sources *out)
{
    cleanup_free char *data = NULL;
    size_t len = 0;
    unsigned line = 0;
    struct err err = {0};
    out->path = pool_printf(&l->scratch, "%s/" UID_RECORD_NAME, l->policy->server.state_dir);
    if (out->path == NULL)
        return -1;
    if (read_file(l, out->path, UID_RECORD_SIZE_MAX, &data, &len, &err) < 0) {
        if (err.num == EACCES)
            diag_warn(l->diags, out->path, 0, "be root to see them",
                      "%s: uids are those that the tenants would get on another host", err.text);
        else if (err.num != ENOENT)
            diag_add(l->diags, out->path, 0, NULL, "%s", err.text);
        return 0;
    }
    if (uid_record_read(&out->record, data, len, &line, &err) == 0)
        return 0;
    if (err.num == ENOMEM)
        return -1;
    diag_add(l->diags, out->path, line,
             "restore it from a backup; without it tenants may get the uids of others' files", "%s",
             err.text);
    return 0;
}

/* A file that isn't there says of nobody that there is one. */
static int read_accounts(struct loader *l, const char *path, struct accounts *accounts,
                         int (*add)(struct pool *, struct accounts *, const char *, size_t))
{
    cleanup_free char *data = NULL;
    size_t len = 0;
    struct err err = {0};
    if (read_file(l, path, ACCOUNTS_SIZE_MAX, &data, &len, &err) == 0)
        return add(&l->scratch, accounts, data, len);
    if (err.num != ENOENT)
        diag_warn(l->diags, path, 0, NULL,
                  "%s: whether tenants get uids that stand there is not known", err.text);
    return 0;
}

static void find_own(struct loader *l, struct uid_sources *out)
{
    const struct server_config *s = &l->policy->server;
    uid_t uid;
    /* A server whose user is missing won't start; the policy can be judged all the same. */
    if (s->user != NULL && l->host->find_user(l->host->user, s->user, &uid, NULL, NULL) == 0)
        out->own[out->n_own++] = (struct own_account){"user", uid};
    if (s->policy_owner != 0)
        out->own[out->n_own++] = (struct own_account){"policy-owner", s->policy_owner};
}

const struct own_account *uid_sources_own(const struct uid_sources *sources, uid_t uid)
{
    for (size_t i = 0; i < sources->n_own; i++)
        if (sources->own[i].uid == uid)
            return &sources->own[i];
    return NULL;
}

/* Of the accounts that lie in the range, the first is named. */
static void warn_of_overlap(struct loader *l, const struct account *items, size_t n,
                            const char *what)
{
    const struct server_config *s = &l->policy->server;
    const struct account *first = NULL;
    char name[48];
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        if (items[i].last < s->uid_first || items[i].first > s->uid_last)
            continue;
        found++;
        if (first == NULL)
            first = &items[i];
    }
    if (found == 0)
        return;
    const struct origin *at = &s->uid_range_at;
    diag_warn(l->diags, at->file != NULL ? at->file : l->config_path, at->line,
              "let uid-range be of numbers that nothing else uses",
              "%zu of the %s %s in uid-range (the first is that of '%s', %" PRIu32
              "): no tenant will get one of them",
              found, what, found == 1 ? "lies" : "lie",
              text_escape_str(name, sizeof name, first->name), first->first);
}

int uid_sources_read(struct loader *l, struct uid_sources *out)
{
    struct accounts *accounts = &out->accounts;
    *out = (struct uid_sources){0};
    if (read_record(l, out) < 0 ||
        read_accounts(l, "/etc/passwd", accounts, accounts_add_passwd) < 0 ||
        read_accounts(l, "/etc/group", accounts, accounts_add_group) < 0 ||
        read_accounts(l, "/etc/subuid", accounts, accounts_add_subuid) < 0)
        return -1;
    find_own(l, out);
    warn_of_overlap(l, accounts->users, accounts->n_users, "users of this host");
    warn_of_overlap(l, accounts->groups, accounts->n_groups, "groups of this host");
    warn_of_overlap(l, accounts->subordinates, accounts->n_subordinates, "ranges of /etc/subuid");
    return 0;
}

void uid_sources_free(struct uid_sources *sources)
{
    pool_free(&sources->record.pool);
}
