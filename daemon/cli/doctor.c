/*
 * postern doctor - what this host can enforce and what it can't, what that means to Postern and its
 * policy, and what to do about it. Looks, and changes nothing.
 */
#include "doctor.h"
#include "cli.h"
#include "doc.h"
#include "policy_files.h"
#include "sources.h"
#include "style.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static const char *const grades[] = {[GRADE_OK] = "ok",
                                     [GRADE_UNKNOWN] = "unknown",
                                     [GRADE_WARNING] = "warning",
                                     [GRADE_PROBLEM] = "problem"};
static const enum style styles[] = {[GRADE_OK] = STYLE_GOOD,
                                    [GRADE_UNKNOWN] = STYLE_FAINT,
                                    [GRADE_WARNING] = STYLE_WARNING,
                                    [GRADE_PROBLEM] = STYLE_ERROR};

static void print_detail(const char *label, const char *text)
{
    if (text[0] != '\0')
        printf("           %s%s%s%s\n", style_begin(stdout, STYLE_FAINT), label, text,
               style_end(stdout));
}

static void print_findings(const struct findings *findings)
{
    const char *area = "";
    for (size_t i = 0; i < findings->n; i++) {
        const struct finding *f = &findings->items[i];
        if (strcmp(area, f->area) != 0)
            printf("%s%s%s%s\n", i > 0 ? "\n" : "", style_begin(stdout, STYLE_HEADING), f->area,
                   style_end(stdout));
        area = f->area;
        printf("  %s%-7s%s  %s\n", style_begin(stdout, styles[f->grade]), grades[f->grade],
               style_end(stdout), f->text);
        print_detail("", f->meaning);
        print_detail("-> ", f->remedy);
    }
    printf("\n%zu ok, %zu unknown, %zu warning%s, %zu problem%s\n",
           findings_count(findings, GRADE_OK), findings_count(findings, GRADE_UNKNOWN),
           findings_count(findings, GRADE_WARNING), plural(findings_count(findings, GRADE_WARNING)),
           findings_count(findings, GRADE_PROBLEM),
           plural(findings_count(findings, GRADE_PROBLEM)));
}

static int print_document(const struct facts *facts, const struct findings *findings)
{
    json_t *doc = doc_new("doctor");
    doc_bool(doc, "ok", findings_count(findings, GRADE_PROBLEM) == 0);
    doc_bool(doc, "root", facts->is_root);
    doc_uint(doc, "problems", findings_count(findings, GRADE_PROBLEM));
    doc_uint(doc, "warnings", findings_count(findings, GRADE_WARNING));
    doc_uint(doc, "unknown", findings_count(findings, GRADE_UNKNOWN));
    json_t *array = doc_array(doc, "findings");
    for (size_t i = 0; i < findings->n; i++) {
        const struct finding *f = &findings->items[i];
        json_t *one = doc_push(array, json_object());
        doc_text(one, "area", f->area);
        doc_text(one, "check", f->check);
        doc_text(one, "grade", grades[f->grade]);
        doc_text(one, "text", f->text);
        doc_text(one, "meaning", f->meaning[0] != '\0' ? f->meaning : NULL);
        doc_text(one, "remedy", f->remedy[0] != '\0' ? f->remedy : NULL);
    }
    return doc_print(doc);
}

static int report(const struct cli *cli, const struct facts *facts)
{
    struct findings findings = {0};
    doctor_judge_kernel(facts, &findings);
    doctor_judge_settings(facts, &findings);
    doctor_judge_host(facts, &findings);
    doctor_judge_server(facts, &findings);
    int status = EX_OK;
    if (findings.failed) {
        fputs("postern: out of memory\n", stderr);
        status = EX_OSERR;
    } else if (cli->json) {
        status = print_document(facts, &findings);
    } else {
        print_findings(&findings);
    }
    if (status == EX_OK && findings_count(&findings, GRADE_PROBLEM) > 0)
        status = EXIT_NO;
    findings_free(&findings);
    return status;
}

/* A policy that is wrong is one finding among others; check says more. */
static struct policy *load(const char *config, struct server_facts *facts)
{
    struct diags diags = {0};
    struct policy_source source = {
        .host = &policy_files_host, .config_path = config, .keep_settings = true};
    facts->config = config;
    if (access(config, R_OK) < 0) {
        facts->config_error = errno;
        return NULL;
    }
    struct policy *policy = policy_load(&source, &diags);
    for (size_t i = 0; i < diags.n; i++)
        facts->policy_errors += diags.items[i].grade == DIAG_ERROR;
    diags_free(&diags);
    return policy;
}

static int doctor_run(struct cli *cli)
{
    static const struct server_config none;
    struct facts facts = {.is_root = geteuid() == 0};
    struct diags limits = {0};
    if (!cli_read_options(cli))
        return cli->status;
    if (cli->n_words > 0)
        return cli_usage_error(cli, "takes no arguments: -f names a configuration");
    facts_look_at_kernel(&facts.kernel);
    facts_look_at_host(&facts.host);
    facts_look_at_process(&facts.process);
    struct policy *policy = load(cli->config != NULL ? cli->config : DEFAULT_CONFIG, &facts.server);
    host_limits_probe(policy != NULL ? &policy->server : &none, &facts.server.host_limits);
    if (policy != NULL) {
        (void)host_limits_judge(policy, &facts.server.host_limits, &limits);
        facts_look_at_server(&facts.server, policy, &limits);
    }
    int status = report(cli, &facts);
    diags_free(&limits);
    policy_free(policy);
    return status;
}

const struct cli_command doctor_command = {
    .name = "doctor",
    .synopsis = "",
    .summary = "Tell what this host can and can't enforce, and what to do about it",
    .run = doctor_run,
};
