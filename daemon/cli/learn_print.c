#include "learn_print.h"
#include "cleanup.h"
#include "syscalls.h"
#include "text.h"

#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

enum { LINES_MAX = 20, NAMES_MAX = 3 };

#define MIB               ((uint64_t)1 << 20)
#define DEFAULT_TMP       (64 * MIB)
#define DEFAULT_WORKSPACE (1024 * MIB)

const char *learn_describe_end(const struct learn_end *end, char *buf, size_t len)
{
    const struct report *exit = &end->exit;
    if (!end->ended)
        (void)snprintf(buf, len, "ended before it could be asked how");
    else if (exit->signalled)
        (void)snprintf(buf, len, "was killed by SIG%s%s",
                       sigabbrev_np(exit->code) != NULL ? sigabbrev_np(exit->code) : "???",
                       end->interrupted != 0 ? ", as it was told to end" : "");
    else
        (void)snprintf(buf, len, "exited with %d", exit->code);
    return buf;
}

static void print_words(const struct learn_report *r, FILE *to)
{
    char shown[512];
    for (size_t i = 0; r->words[i] != NULL; i++)
        fprintf(to, "%s%s", i > 0 ? " " : "", text_escape_str(shown, sizeof shown, r->words[i]));
}

static void print_head(const struct learn_report *r, FILE *to)
{
    char how[96], shown[512];
    fputs("; Learned from one run of: ", to);
    print_words(r, to);
    fprintf(to, "\n; It ran as uid %u in %s and %s.\n", r->job->uid,
            r->cwd != NULL ? text_escape_str(shown, sizeof shown, r->cwd)
                           : "a directory of its own, its HOME",
            learn_describe_end(r->end, how, sizeof how));
    if (r->end->interrupted != 0)
        fputs("; It was INTERRUPTED: what it would have done later is not here.\n", to);
    if (r->end->incomplete)
        fputs("; INCOMPLETE: memory ran out while it was watched.\n", to);
    fputs("; Read it before you use it: another input may need more, and this may be too much.\n",
          to);
}

static const char *call_name(int nr, char buf[64])
{
    return syscall_name(nr, buf, 64);
}

/* The calls of a word that were made most, the rest as a number. */
static void print_group_use(const struct learn_report *r, const struct learn_word *word, FILE *to)
{
    const struct lesson *lesson = r->lesson;
    const struct policy_group *group = word->group;
    int top[NAMES_MAX];
    size_t n = 0, used = 0;
    char name[64];
    for (size_t i = 0; i < group->n_calls; i++) {
        int nr = group->calls[i];
        if (nr >= SEEN_CALLS_MAX || !lesson->needed[nr])
            continue;
        used++;
        if (lesson->seen->calls[nr].count == 0)
            continue;
        size_t at = n < NAMES_MAX ? n++ : NAMES_MAX;
        for (; at > 0 && lesson->seen->calls[top[at - 1]].count < lesson->seen->calls[nr].count;
             at--)
            if (at < NAMES_MAX)
                top[at] = top[at - 1];
        if (at < NAMES_MAX)
            top[at] = nr;
    }
    fprintf(to, "; %zu of its %zu:", used, group->n_calls);
    for (size_t i = 0; i < n; i++) {
        const struct seen_call *call = &lesson->seen->calls[top[i]];
        fprintf(to, "%s %s %" PRIu64 "x", i > 0 ? "," : "", call_name(top[i], name), call->count);
        if (call->who[0] != '\0')
            fprintf(to, " (%s)", call->who);
    }
    fputs(used > n ? ", ...\n" : "\n", to);
}

static void print_word(const struct learn_report *r, const struct learn_word *word, FILE *to)
{
    char name[64], value[96];
    if (word->group != NULL)
        (void)snprintf(value, sizeof value, "@%s", word->group->name);
    else
        (void)snprintf(value, sizeof value, "%s", call_name(word->nr, name));
    fprintf(to, "allow   = %-22s ", value);
    if (word->group != NULL) {
        print_group_use(r, word, to);
        return;
    }
    const struct seen_call *call = &r->lesson->seen->calls[word->nr];
    if (call->count == 0)
        fputs("; no command can do without\n", to);
    else
        fprintf(to, "; %" PRIu64 "x, first by %s\n", call->count, call->who);
}

static bool has_own_profile(const struct learn_report *r)
{
    return r->lesson->profile.base == NULL || r->lesson->profile.n_words > 0;
}

static void print_profile(const struct learn_report *r, FILE *to)
{
    const struct learn_profile *p = &r->lesson->profile;
    if (!has_own_profile(r))
        return;
    fprintf(to, "\n[seccomp \"%s\"]\n", r->name);
    fprintf(to, "; %zu kinds of system calls are needed. This allows %zu, \"default\" %zu.\n",
            p->n_used, p->n_allowed, r->lesson->n_ordinary);
    if (p->base != NULL) {
        size_t had = p->n_used;
        for (size_t i = 0; i < p->n_words; i++)
            had -= p->words[i].n_used;
        fprintf(to, "extends = %-22s ; has %zu of them\n", p->base->spec.name, had);
    }
    for (size_t i = 0; i < p->n_words; i++)
        print_word(r, &p->words[i], to);
}

/* Calls that were refused here and would be there. */
static void print_refused_calls(const struct learn_report *r, FILE *to)
{
    char name[64];
    for (int nr = 0; nr < SEEN_CALLS_MAX; nr++) {
        const struct seen_call *call = &r->lesson->seen->calls[nr];
        if (call->noted)
            fprintf(to, "; %s was refused, as in every sandbox: %s\n", call_name(nr, name),
                    call->why != NULL ? call->why
                    : strcmp(name, "ptrace") == 0
                        ? "what is being watched can't itself trace"
                        : "it would have gone unseen (programs can do without it)");
        else if (call->count > 0 && !r->lesson->needed[nr])
            fprintf(to, "; %s was tried %" PRIu64 "x by %s, and the kernel refused it: left out\n",
                    call_name(nr, name), call->count, call->who);
    }
}

static void print_amount(const struct learn_unit *unit, FILE *to)
{
    const struct {
        size_t n;
        const char *one, *many;
    } parts[] = {{unit->n_written, "written", "written"},
                 {unit->n_executed, "executed", "executed"},
                 {unit->n_read, "read", "read"}};
    const char *between = "";
    for (size_t i = 0; i < array_len(parts); i++)
        if (parts[i].n > 0) {
            fprintf(to, "%s%zu %s", between, parts[i].n, parts[i].many);
            between = ", ";
        }
}

static void print_unit(const struct learn_unit *unit, FILE *to)
{
    char shown[512];
    fputs("; ", to);
    print_amount(unit, to);
    if (unit->who != NULL && unit->who[0] != '\0')
        fprintf(to, ", first by %s", unit->who);
    fputs(unit->is_link ? "; a symbolic link on the way\n" : "\n", to);
    if (unit->collapsed && unit->write)
        fputs("; several files in it were written, so all of it is given\n", to);
    if (unit->secret != NULL)
        fprintf(to, "; CAUTION: this looks like a secret: %s\n",
                text_escape_str(shown, sizeof shown, unit->secret));
    if (unit->impossible)
        fprintf(to,
                "; can't be given: %s = %s (the place is Postern's own, or the name can't be "
                "written here)\n",
                unit->write ? "write" : "read", text_escape_str(shown, sizeof shown, unit->path));
    else
        fprintf(to, "%s = %s\n", unit->write ? "write" : "read ", unit->path);
}

static void print_looked(const struct learn_units *units, FILE *to)
{
    char shown[512];
    for (size_t i = 0; i < units->n_looked && i < LINES_MAX; i++)
        fprintf(to, "; %s was only looked at, and isn't there in this sandbox\n",
                text_escape_str(shown, sizeof shown, units->looked[i]->path));
    if (units->n_looked > LINES_MAX)
        fprintf(to, "; %zu more directories were only looked at\n", units->n_looked - LINES_MAX);
}

static void print_refusals(const struct seen *seen, FILE *to)
{
    static const char *const what[] = {
        [REFUSED_WRITE] = "could not be written",
        [REFUSED_READ] = "could not be read",
        [REFUSED_ABSENT] = "is on the host and in no sandbox",
    };
    char shown[512];
    for (size_t i = 0; i < seen->n_refusals && i < LINES_MAX; i++) {
        const struct seen_refusal *refusal = &seen->refusals[i];
        fprintf(to, "; %s %s", text_escape_str(shown, sizeof shown, refusal->path),
                what[refusal->kind]);
        if (refusal->kind != REFUSED_ABSENT)
            fprintf(to, ": %s", strerror(refusal->err_num));
        fprintf(to, " (%s)\n", refusal->who);
    }
    if (seen->n_refusals > LINES_MAX || seen->refusals_capped)
        fprintf(to, "; ... and more of that kind\n");
}

static void print_paths(const struct learn_report *r, FILE *to)
{
    const struct learn_units *units = &r->lesson->units;
    for (size_t i = 0; i < units->n; i++)
        print_unit(&units->items[i], to);
    if (r->lesson->seen->paths_capped)
        fprintf(to, "; INCOMPLETE: it used more than %d files; later ones are not here\n",
                SEEN_PATHS_MAX);
    print_looked(units, to);
    print_refusals(r->lesson->seen, to);
}

enum { RULE_TEXT_MAX = PEER_TEXT_MAX + 8 };

/* As a rule of its own; what a connection to no address means is what it has to name. */
static const char *format_rule(const struct seen_peer *peer, char buf[RULE_TEXT_MAX])
{
    static const unsigned char none[sizeof peer->address];
    struct seen_peer named = *peer;
    char address[PEER_TEXT_MAX];
    if (memcmp(peer->address, none, peer->v6 ? 16 : 4) == 0) {
        named.address[0] = peer->v6 ? 0 : 127;
        named.address[peer->v6 ? 15 : 3] = 1;
    }
    (void)snprintf(buf, RULE_TEXT_MAX, "%s:%s", peer->udp ? "udp" : "tcp",
                   peer_format(&named, address));
    return buf;
}

static void print_contact(const struct seen *seen, const struct seen_peer *peer, bool as_rule,
                          FILE *to)
{
    static const char *const why[] = {
        [CONTACT_OWN] = "its own",
        [CONTACT_HOST] = "a service of this host",
        [CONTACT_OUTSIDE] = "outside",
        [CONTACT_SERVED] = "it listened here",
        [CONTACT_UNUSED] = "nothing was sent: how names are looked up",
        [CONTACT_IN_VAIN] = "each time in vain",
    };
    enum learn_contact contact = lesson_contact(seen, peer);
    uint64_t times = peer->udp && peer->sent > 0 ? peer->sent : peer->count;
    char address[PEER_TEXT_MAX], rule[RULE_TEXT_MAX];
    if (as_rule && (contact == CONTACT_OUTSIDE || contact == CONTACT_HOST))
        fprintf(to, "connect = %-24s ; %" PRIu64 "x by %s, %s\n", format_rule(peer, rule), times,
                peer->who, why[contact]);
    else
        fprintf(to, "; connect = %-22s ; %s %" PRIu64 "x by %s, %s\n", peer_format(peer, address),
                peer->udp ? "udp" : "tcp", times, peer->who, why[contact]);
}

static void print_network(const struct learn_report *r, FILE *to)
{
    static const char *const why[] = {
        [NETWORK_NONE] = "nobody was contacted",
        [NETWORK_LOOPBACK] = "it talked to itself alone, on the loopback",
        [NETWORK_HOST] = "it contacted others, and was contacted",
        [NETWORK_EGRESS] = "it contacted others",
    };
    const struct seen *seen = r->lesson->seen;
    fprintf(to, "network = %-22s ; %s\n", r->network_word, why[r->lesson->network]);
    for (size_t i = 0; i < seen->n_peers; i++)
        print_contact(seen, &seen->peers[i], r->lesson->network == NETWORK_EGRESS, to);
    if (seen->peers_capped)
        fprintf(to, "; INCOMPLETE: more than %d addresses\n", SEEN_PEERS_MAX);
}

static void print_size(FILE *to, const char *key, uint64_t bytes, bool in_force)
{
    fprintf(to, "%s%-9s = %" PRIu64 "M", in_force ? "" : "; ", key, bytes / MIB);
}

static uint64_t to_mib(uint64_t bytes)
{
    return (bytes + MIB - 1) / MIB;
}

/* As comments, since one run says little about the next; but not what a default would refuse. */
static void print_limits(const struct learn_report *r, FILE *to)
{
    enum { DEFAULT_TASKS = 256 };
    const struct lesson *l = r->lesson;
    const struct seen_peaks *p = &l->seen->peaks;
    print_size(to, "memory", l->memory, false);
    fprintf(to,
            "  ; seen: %" PRIu64 " MiB of all processes together, shared pages counted for each; "
            "%" PRIu64 " of the largest\n",
            to_mib(p->memory), to_mib(p->largest));
    fprintf(to,
            "%stasks     = %" PRIu64 "  ; seen: %" PRIu64 " at once, %" PRIu64
            " processes in all\n",
            p->tasks > DEFAULT_TASKS / 2 ? "" : "; ", l->tasks, p->tasks, l->seen->processes);
    fprintf(to,
            "; time      = %" PRIu64 "m  ; seen: %" PRIu64 ".%" PRIu64
            " s, some of it the watching's; %" PRIu64 ".%" PRIu64 " s of CPU time\n",
            l->time_ms / 60000, p->wall_ms / 1000, p->wall_ms % 1000 / 100,
            (p->user_ms + p->system_ms) / 1000, (p->user_ms + p->system_ms) % 1000 / 100);
    if (p->tmp > 0) {
        print_size(to, "tmp", l->tmp, p->tmp > DEFAULT_TMP / 2);
        fprintf(to, "  ; seen: %" PRIu64 " MiB\n", to_mib(p->tmp));
    }
    if (p->workspace > 0) {
        print_size(to, "workspace-size", l->workspace, p->workspace > DEFAULT_WORKSPACE / 2);
        fprintf(to, "  ; seen: %" PRIu64 " MiB\n", to_mib(p->workspace));
    }
}

static void print_sandbox(const struct learn_report *r, FILE *to)
{
    const struct lesson *l = r->lesson;
    const char *profile = has_own_profile(r) ? r->name : l->profile.base->spec.name;
    fprintf(to, "\n[sandbox \"%s\"]\n", r->name);
    if (l->base != NULL)
        fprintf(to, "extends = %s\n", l->base->name);
    if (l->base == NULL || strcmp(l->base->seccomp.name, profile) != 0)
        fprintf(to, "seccomp = %s\n", profile);
    print_refused_calls(r, to);
    print_network(r, to);
    if (l->base == NULL)
        fputs("workspace = exec\n", to);
    print_paths(r, to);
    print_limits(r, to);
}

void learn_print_ini(const struct learn_report *report, FILE *to)
{
    print_head(report, to);
    print_profile(report, to);
    print_sandbox(report, to);
}
