#include "doc.h"
#include "learn_print.h"
#include "syscalls.h"

#include <string.h>

static void put_end(const struct learn_end *end, json_t *doc)
{
    json_t *exit = json_object();
    doc_put(doc, "exit", exit);
    doc_uint(exit, "code",
             end->ended && !end->exit.signalled ? (uint64_t)end->exit.code : UINT64_MAX);
    doc_text(exit, "signal",
             end->ended && end->exit.signalled ? sigabbrev_np(end->exit.code) : NULL);
    doc_bool(exit, "interrupted", end->interrupted != 0);
}

static void put_calls(const struct lesson *lesson, json_t *doc)
{
    json_t *list = doc_array(doc, "calls");
    for (int nr = 0; nr < SEEN_CALLS_MAX; nr++) {
        const struct seen_call *call = &lesson->seen->calls[nr];
        char name[64];
        if (call->count == 0 && !call->noted)
            continue;
        json_t *one = doc_push(list, json_object());
        doc_text(one, "name", syscall_name(nr, name, sizeof name));
        doc_uint(one, "count", call->count);
        doc_uint(one, "refused", call->refused);
        doc_bool(one, "needed", lesson->needed[nr]);
        doc_text(one, "first", call->who);
    }
}

static void put_profile(const struct lesson *lesson, json_t *doc)
{
    const struct learn_profile *p = &lesson->profile;
    json_t *profile = json_object();
    doc_put(doc, "profile", profile);
    doc_text(profile, "extends", p->base != NULL ? p->base->spec.name : NULL);
    doc_uint(profile, "used", p->n_used);
    doc_uint(profile, "allowed", p->n_allowed);
    json_t *words = doc_array(profile, "allow");
    for (size_t i = 0; i < p->n_words; i++) {
        char name[64], word[96];
        if (p->words[i].group != NULL)
            (void)snprintf(word, sizeof word, "@%s", p->words[i].group->name);
        else
            (void)snprintf(word, sizeof word, "%s",
                           syscall_name(p->words[i].nr, name, sizeof name));
        doc_push_text(words, word);
    }
}

static void put_paths(const struct lesson *lesson, json_t *doc)
{
    json_t *list = doc_array(doc, "paths");
    for (size_t i = 0; i < lesson->units.n; i++) {
        const struct learn_unit *unit = &lesson->units.items[i];
        json_t *one = doc_push(list, json_object());
        doc_text(one, "path", unit->path);
        doc_text(one, "access", unit->write ? "write" : "read");
        doc_bool(one, "possible", !unit->impossible);
        doc_bool(one, "link", unit->is_link);
        doc_uint(one, "read", unit->n_read);
        doc_uint(one, "written", unit->n_written);
        doc_uint(one, "executed", unit->n_executed);
        doc_text(one, "first", unit->who);
        doc_text(one, "secret", unit->secret);
    }
    json_t *looked = doc_array(doc, "looked_at");
    for (size_t i = 0; i < lesson->units.n_looked; i++)
        doc_push_text(looked, lesson->units.looked[i]->path);
}

static void put_refusals(const struct seen *seen, json_t *doc)
{
    static const char *const kinds[] = {
        [REFUSED_WRITE] = "write", [REFUSED_READ] = "read", [REFUSED_ABSENT] = "absent"};
    json_t *list = doc_array(doc, "refused");
    for (size_t i = 0; i < seen->n_refusals; i++) {
        json_t *one = doc_push(list, json_object());
        doc_text(one, "path", seen->refusals[i].path);
        doc_text(one, "kind", kinds[seen->refusals[i].kind]);
        doc_uint(one, "count", seen->refusals[i].count);
    }
}

static void put_contacts(const struct learn_report *r, json_t *doc)
{
    static const char *const kinds[] = {
        [CONTACT_OWN] = "own",       [CONTACT_HOST] = "host",     [CONTACT_OUTSIDE] = "outside",
        [CONTACT_SERVED] = "served", [CONTACT_UNUSED] = "unused", [CONTACT_IN_VAIN] = "in_vain",
    };
    const struct seen *seen = r->lesson->seen;
    doc_text(doc, "network", r->network_word);
    json_t *list = doc_array(doc, "contacts");
    for (size_t i = 0; i < seen->n_peers; i++) {
        const struct seen_peer *peer = &seen->peers[i];
        char address[PEER_TEXT_MAX];
        json_t *one = doc_push(list, json_object());
        doc_text(one, "address", peer_format(peer, address));
        doc_text(one, "protocol", peer->udp ? "udp" : "tcp");
        doc_text(one, "kind", kinds[lesson_contact(seen, peer)]);
        doc_uint(one, "count", peer->count);
        doc_uint(one, "sent", peer->sent);
        doc_uint(one, "failed", peer->failed);
        doc_text(one, "first", peer->who);
    }
}

static void put_limits(const struct lesson *lesson, json_t *doc)
{
    const struct seen_peaks *p = &lesson->seen->peaks;
    const struct {
        const char *name;
        uint64_t value;
    } seen[] = {{"memory", p->memory},       {"largest", p->largest},
                {"tasks", p->tasks},         {"processes", lesson->seen->processes},
                {"wall_ms", p->wall_ms},     {"user_ms", p->user_ms},
                {"system_ms", p->system_ms}, {"tmp", p->tmp},
                {"workspace", p->workspace}},
      set[] = {{"memory", lesson->memory},
               {"tasks", lesson->tasks},
               {"time_ms", lesson->time_ms},
               {"tmp", lesson->tmp},
               {"workspace", lesson->workspace}};
    json_t *object = json_object();
    doc_put(doc, "seen", object);
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++)
        doc_uint(object, seen[i].name, seen[i].value);
    object = json_object();
    doc_put(doc, "suggested", object);
    for (size_t i = 0; i < sizeof set / sizeof *set; i++)
        doc_uint(object, set[i].name, set[i].value);
}

void learn_print_json(const struct learn_report *r, const char *ini, json_t *doc)
{
    const struct seen *seen = r->lesson->seen;
    json_t *words = doc_array(doc, "command");
    for (size_t i = 0; r->words[i] != NULL; i++)
        doc_push_text(words, r->words[i]);
    doc_text(doc, "name", r->name);
    doc_uint(doc, "uid", r->job->uid);
    doc_text(doc, "cwd", r->cwd);
    put_end(r->end, doc);
    doc_bool(doc, "complete", !r->end->incomplete && !seen->paths_capped && !seen->peers_capped);
    put_profile(r->lesson, doc);
    put_calls(r->lesson, doc);
    put_paths(r->lesson, doc);
    put_refusals(seen, doc);
    put_contacts(r, doc);
    put_limits(r->lesson, doc);
    doc_text(doc, "policy", ini);
}
