/*
 * The splitter against sh: what it accepts, a shell reads as the very same words; what it refuses,
 * it refuses for the first reason that the model finds.
 *
 * Only lines that were accepted are given to sh, as the arguments of a function, in an empty
 * directory, with no PATH and letters that spell no builtin: a line that was accepted by mistake
 * runs nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "split.h"
#include "split_model.h"
#include "text.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINES = 20000, LINE_MAX_LEN = 80 };

static uint64_t seed;
static uint64_t random_state;

/* xorshift64*: the same lines for the same seed. */
static size_t pick(size_t n)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (size_t)((random_state * 0x2545f4914f6cdd1dU) >> 33) % n;
}

static const char letters[] = "qzQZ09-=~!{}^%@+,:]_";
static const char high[] = "\x80\x81\x82\x84\x88\xa0\xc3\xa9\xff\xfe\x01\x1b\x7f\r\v\f";
static const char special[] = "|&;<>()$`*?[#\n";
static const char quoting[] = "'\"\\ \t";

static size_t put_from(char *line, const char *set)
{
    line[0] = set[pick(strlen(set))];
    return 1;
}

/* Something in a pair of quotes, or behind a backslash: rarely refused, rarely dull. */
static size_t put_quoted(char *line)
{
    size_t used = 0;
    size_t n = pick(4);
    char quote = pick(2) == 0 ? '\'' : '"';
    if (pick(4) == 0) {
        line[0] = '\\';
        return 1 + put_from(line + 1, pick(2) == 0 ? special : quoting);
    }
    line[used++] = quote;
    for (size_t i = 0; i < n; i++) {
        const char *const sets[] = {letters, high, special, quoting};
        char c = 'q';
        (void)put_from(&c, sets[pick(4)]);
        /* Now and then a backslash alone: whether it quotes depends on what follows. */
        bool must = c == quote || (quote == '"' && strchr("$`", c) != NULL);
        if (must || (quote == '"' && c == '\\' && pick(2) == 0))
            line[used++] = quote == '"' ? '\\' : ' ';
        if (c != quote || quote == '"')
            line[used++] = c;
    }
    line[used++] = quote;
    return used;
}

/* Returns the length. One line in three is of any bytes, the others are likely to be accepted. */
static size_t make_line(char *line)
{
    size_t used = 0;
    size_t n = pick(9);
    bool wild = pick(3) == 0;
    for (size_t i = 0; i < n; i++) {
        switch (pick(wild ? 6 : 4)) {
        case 0:
            used += put_from(line + used, letters);
            break;
        case 1:
            used += put_from(line + used, high);
            break;
        case 2:
            used += put_from(line + used, " \t");
            break;
        case 3:
            used += put_quoted(line + used);
            break;
        case 4:
            used += put_from(line + used, special);
            break;
        default:
            used += put_from(line + used, quoting);
            break;
        }
    }
    return used;
}

static void fail_line(const char *what, const char *line, size_t len)
{
    char shown[256];
    fail_msg("%s: \"%s\" (POSTERN_SEED=%llu)", what, text_escape(shown, sizeof shown, line, len),
             (unsigned long long)seed);
}

struct accepted {
    char line[LINE_MAX_LEN];
    size_t len;
    struct split_model model;
};

/* As the model says; true if it is split. */
static bool check_with_model(struct accepted *a)
{
    struct str_list words;
    struct split_error why = {0};
    split_model_run(a->line, a->len, &a->model);
    if (split_command(a->line, a->len, &words, &why) < 0) {
        if (a->model.reason == NULL || why.offset != a->model.offset ||
            strncmp(why.text, a->model.reason, strlen(a->model.reason)) != 0)
            fail_line(why.text, a->line, a->len);
        return false;
    }
    const char *expected = a->model.words;
    bool same = a->model.reason == NULL && words.n == a->model.n_words;
    for (size_t i = 0; same && i < words.n; i++) {
        same = strcmp(words.items[i], expected) == 0;
        expected += strlen(expected) + 1;
    }
    split_free(&words);
    if (!same)
        fail_line("not split as the model does it", a->line, a->len);
    return true;
}

/* Runs `script` with sh in `dir`; stdout is a pipe that the caller reads. */
static pid_t start_sh(const char *dir, const char *script, int *out)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        /* HOME = ~ makes the one expansion that is not refused stand for itself. */
        static char *const env[] = {(char *)"PATH=/nonexistent", (char *)"HOME=~",
                                    (char *)"LC_ALL=C", NULL};
        const struct rlimit cpu = {60, 60};
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (chdir(dir) < 0 || null < 0 || dup2(null, 0) < 0 || dup2(fds[1], 1) < 0 ||
            setrlimit(RLIMIT_CPU, &cpu) < 0)
            _exit(126);
        execle("/bin/sh", "sh", script, (char *)NULL, env);
        _exit(127);
    }
    close(fds[1]);
    *out = fds[0];
    return pid;
}

static char *read_all(int fd, size_t *len)
{
    size_t cap = 1 << 20;
    char *data = malloc(cap);
    ssize_t n;
    assert_non_null(data);
    *len = 0;
    while ((n = read(fd, data + *len, cap - *len - 1)) > 0) {
        *len += (size_t)n;
        if (cap - *len < 65536) {
            char *larger = realloc(data, cap *= 2);
            assert_non_null(larger);
            data = larger;
        }
    }
    data[*len] = '\0';
    return data;
}

/* What sh printed for each line: how many words, and the words. */
static void compare(const struct accepted *lines, size_t n, const char *data, size_t len)
{
    const char *at = data;
    const char *end = data + len;
    for (size_t i = 0; i < n; i++) {
        const char *word = lines[i].model.words;
        if (at == end || strtoul(at, NULL, 10) != lines[i].model.n_words)
            fail_line("sh reads another number of words", lines[i].line, lines[i].len);
        at += strlen(at) + 1;
        for (size_t k = 0; k < lines[i].model.n_words; k++) {
            if (at >= end || strcmp(at, word) != 0)
                fail_line("sh reads another word", lines[i].line, lines[i].len);
            at += strlen(at) + 1;
            word += strlen(word) + 1;
        }
    }
    assert_ptr_equal(at, end);
}

static void run_sh(const struct accepted *lines, size_t n)
{
    char dir[] = "/tmp/split-sh-XXXXXX";
    char script[64];
    int out;
    size_t len;
    int status;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(script, sizeof script, "%s/script", dir);
    FILE *file = fopen(script, "we");
    assert_non_null(file);
    fputs("p() { printf '%s\\0' $# \"$@\"; }\n", file);
    for (size_t i = 0; i < n; i++) {
        fputs("p ", file);
        fwrite(lines[i].line, 1, lines[i].len, file);
        fputc('\n', file);
    }
    assert_int_equal(fclose(file), 0);
    pid_t pid = start_sh(dir, script, &out);
    char *data = read_all(out, &len);
    close(out);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    unlink(script);
    /* Nothing was made there: no line had anything to say to the shell. */
    assert_int_equal(rmdir(dir), 0);
    compare(lines, n, data, len);
    assert_int_equal(status, 0);
    free(data);
}

static void test_against_sh(void **state)
{
    (void)state;
    size_t n = 0;
    struct accepted *lines = calloc(LINES, sizeof *lines);
    assert_non_null(lines);
    for (size_t i = 0; i < LINES; i++) {
        lines[n].len = make_line(lines[n].line);
        if (check_with_model(&lines[n]))
            n++;
        else
            split_model_free(&lines[n].model);
    }
    /* Enough of both, or the generator says nothing about one of them. */
    assert_true(n > LINES / 4 && n < LINES - LINES / 8);
    run_sh(lines, n);
    for (size_t i = 0; i < n; i++)
        split_model_free(&lines[i].model);
    free(lines);
}

static int set_up(void **state)
{
    (void)state;
    const char *given = getenv("POSTERN_SEED");
    if (given != NULL)
        seed = strtoull(given, NULL, 10);
    else if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        return -1;
    random_state = seed | 1;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_sh),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
