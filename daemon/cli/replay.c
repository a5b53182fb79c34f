/*
 * postern replay - the decisions of an audit trail, taken again under a candidate policy: what
 * would change, before it does.
 */
#include "replay.h"
#include "cli.h"
#include "judge.h"
#include "policy_files.h"
#include "problems.h"
#include "sources.h"
#include "trail_reader.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

enum { ID_AGAINST = 1 };
enum { AGAINST_MAX = 256 };

static int take_record(struct replay *replay, const struct judge *judge,
                       const struct record *record)
{
    struct flip flip;
    switch (judge_record(judge, record, &flip)) {
    case JUDGE_SAME:
        replay->judged++;
        break;
    case JUDGE_DIFFERS:
        replay->judged++;
        return flips_add(&replay->flips, &flip);
    case JUDGE_CERTIFICATE:
        replay->skipped[RECORD_SKIP_CERTIFICATE]++;
        break;
    }
    return 0;
}

static int take_line(struct replay *replay, const struct judge *judge, const char *line, size_t len)
{
    struct record record;
    enum record_skip why = RECORD_SKIPS_N;
    int rc = 0;
    switch (record_read(line, len, &record, &why)) {
    case RECORD_START:
        rc = take_record(replay, judge, &record);
        break;
    case RECORD_SKIPPED:
        replay->skipped[why]++;
        break;
    case RECORD_MALFORMED:
        replay->malformed++;
        break;
    case RECORD_OTHER:
        break;
    }
    record_free(&record);
    return rc < 0 ? EX_OSERR : EX_OK;
}

static int read_lines(struct replay *replay, const struct judge *judge, struct lines *lines,
                      const char *path)
{
    const char *line;
    size_t len;
    int status = EX_OK;
    while (status == EX_OK) {
        switch (lines_next(lines, &line, &len)) {
        case LINES_ONE:
            status = take_line(replay, judge, line, len);
            break;
        case LINES_TOO_LONG:
            replay->malformed++;
            break;
        case LINES_FAILED:
            problem_no_input(path, errno);
            return EX_IOERR;
        case LINES_END:
            return EX_OK;
        }
    }
    return status;
}

static int read_trail(struct replay *replay, const struct judge *judge, const char *path)
{
    struct trail_reader reader;
    int status = trail_reader_open(&reader, path);
    if (status == EX_OK)
        status = read_lines(replay, judge, &reader.lines, reader.name);
    int closed = trail_reader_close(&reader);
    return status == EX_OK ? closed : status;
}

static int replay_trails(const struct cli *cli, const struct policy *policy)
{
    struct replay replay = {0};
    struct judge judge = {0};
    int status = EX_OSERR;
    if (flips_begin(&replay.flips, policy_files_host.sha256) == 0 &&
        judge_begin(&judge, policy) == 0)
        status = EX_OK;
    for (size_t i = 0; i < cli->n_words && status == EX_OK; i++)
        status = read_trail(&replay, &judge, cli->words[i]);
    if (status == EX_OK) {
        flips_sort(&replay.flips);
        status = cli->json ? replay_print_json(&replay) : replay_print(&replay);
        if (status == EX_OK && replay_is_nothing(&replay))
            status = EX_DATAERR;
        if (status == EX_OK && replay_total(&replay) > 0)
            status = EXIT_NO;
    } else if (status == EX_OSERR) {
        fputs("postern: out of memory\n", stderr);
    }
    judge_free(&judge);
    flips_free(&replay.flips);
    return status;
}

static int replay_run(struct cli *cli)
{
    const char *value;
    char *against[AGAINST_MAX];
    size_t n = 0;
    for (int id; (id = cli_next_option(cli, &value)) != CLI_WORDS;) {
        if (id == CLI_OVER)
            return cli->status;
        if (n == AGAINST_MAX)
            return cli_usage_error(cli, "more than %d times --against", AGAINST_MAX);
        against[n++] = (char *)value; /* ID_AGAINST: there is no other */
    }
    if (n == 0)
        return cli_usage_error(cli, "--against is needed: the policy to try");
    if (cli->n_words == 0)
        return cli_usage_error(cli, "which audit trail? - is standard input");
    struct sources sources;
    struct policy *policy = NULL;
    int status = sources_find(cli, against, n, &sources);
    if (status == EX_OK)
        policy = sources_load(cli, &sources, false, NULL, &status);
    sources_free(&sources);
    if (policy == NULL)
        return status;
    status = replay_trails(cli, policy);
    policy_free(policy);
    return status;
}

static const struct cli_option options[] = {
    {"against", "POLICY", "the policy to try: what postern check takes", ID_AGAINST, true},
    {0},
};

const struct cli_command replay_command = {
    .name = "replay",
    .synopsis = "--against POLICY AUDIT.LOG...",
    .summary = "Judge recorded commands by another policy; exit 0 if nothing differs, 1 if it does",
    .options = options,
    .run = replay_run,
};
