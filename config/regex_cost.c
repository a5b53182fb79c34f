#include "regex_cost.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_MAX = 2000, REPEAT_MAX = 500, COST_MAX = 2000, DEPTH_MAX = 64 };

/* How large the expression is with its repetitions written out. */
struct cost {
    unsigned long groups[DEPTH_MAX + 1]; /* of each group that is open, so far */
    size_t depth;
    unsigned long last; /* of what a repetition would repeat */
};

static void add(struct cost *cost, unsigned long more)
{
    cost->groups[cost->depth] += more;
    cost->last = more;
}

static void repeat(struct cost *cost, unsigned long times)
{
    unsigned long before = cost->last;
    if (times > 1)
        add(cost, before * (times - 1));
    cost->last = before * (times > 1 ? times : 1);
}

static bool open_group(struct cost *cost)
{
    if (cost->depth == DEPTH_MAX)
        return false;
    cost->groups[++cost->depth] = 1;
    cost->last = 1;
    return true;
}

/* One that was never opened is regcomp's to judge. */
static void close_group(struct cost *cost)
{
    if (cost->depth == 0)
        return;
    unsigned long whole = cost->groups[cost->depth--];
    add(cost, whole);
}

/* The ']' that ends a bracket expression at `at`, or the end of the text. */
static const char *skip_bracket(const char *at)
{
    at += at[1] == '^' ? 2 : 1;
    if (*at == ']')
        at++;
    while (*at != '\0' && *at != ']') {
        if (at[0] == '[' && at[1] != '\0' && strchr(".:=", at[1]) != NULL) {
            const char close[] = {at[1], ']', '\0'};
            const char *end = strstr(at + 2, close);
            at = end == NULL ? at + 1 : end + 1;
        }
        at++;
    }
    return at;
}

/* "{n}", "{n,}" or "{n,m}": how many copies that is; 0: no such thing. */
static unsigned long count_interval(const char *at)
{
    char *end;
    if (at[1] != ',' && (at[1] < '0' || at[1] > '9'))
        return 0;
    unsigned long from = at[1] == ',' ? 0 : strtoul(at + 1, NULL, 10);
    const char *comma = at + 1 + strspn(at + 1, "0123456789");
    if (*comma != ',')
        return from > 0 ? from : 1;
    unsigned long to = strtoul(comma + 1, &end, 10);
    if (end == comma + 1)
        to = from + 1;
    unsigned long most = to > from ? to : from;
    return most > 0 ? most : 1;
}

const char *regex_cost_problem(const char *pattern)
{
    struct cost cost = {.last = 1};
    if (strlen(pattern) > LENGTH_MAX)
        return "too long";
    for (const char *c = pattern; *c != '\0'; c++) {
        unsigned long times = 0;
        if (c[0] == '\\' && c[1] >= '1' && c[1] <= '9')
            return "back-references are not supported";
        if (*c == '(' && !open_group(&cost))
            return "nested too deeply";
        if (*c == ')')
            close_group(&cost);
        else if (*c == '+')
            repeat(&cost, 2); /* x+ is compiled as xx* */
        else if (*c == '{' && (times = count_interval(c)) > 0)
            repeat(&cost, times);
        else if (strchr("(*?", *c) == NULL)
            add(&cost, 1);
        if (times > REPEAT_MAX || cost.groups[cost.depth] > COST_MAX)
            return "repeats too often";
        if (times > 0)
            c += strcspn(c, "}");
        else if (*c == '[')
            c = skip_bracket(c);
        else if (*c == '\\')
            c++;
        if (*c == '\0')
            break; /* it doesn't end as it should; regcomp will say so */
    }
    return NULL;
}
