/*
 * postern-probe - run inside a sandbox, it asks for what it must not have. One line a property, "ok
 * NAME", "OPEN NAME: what was possible" or "untried NAME: why"; status 0 only if all hold. With
 * --list it names them, with names it tries those alone.
 *
 * With --table, which `postern self-test` gives, before the names: the options of read_option() say
 * what the policy has; each property is announced by "try NAME" and told as fields parted by tabs:
 * result, group, name, number of the system call that it asks for (-1: none), text, reason.
 */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As tests/confine has it. */
struct probe_settings probe_settings = {.tmp = 64 << 20, .home = 64 << 20, .tasks = 256};

static bool could_not_try;
static const char *after; /* nothing is tried before this has gone by; or NULL */

bool probe_untried(char *why, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (vsnprintf(why, WHY_MAX, fmt, ap) < 0)
        why[0] = '\0';
    va_end(ap);
    could_not_try = true;
    return false;
}

bool probe_open(char *why, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (vsnprintf(why, WHY_MAX, fmt, ap) < 0)
        why[0] = '\0';
    va_end(ap);
    return false;
}

const char *probe_status(const char *key, char *buf, size_t len)
{
    buf[0] = '\0';
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    size_t key_len = strlen(key);
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, key, key_len) == 0 && line[key_len] == ':') {
            line[strcspn(line, "\n")] = '\0';
            const char *value = line + key_len + 1;
            (void)snprintf(buf, len, "%s", value + strspn(value, " \t"));
        }
    }
    if (file != NULL)
        (void)fclose(file);
    return buf;
}

bool probe_opens(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool is_asked_for(const struct property *property, char *const *names)
{
    if (*names == NULL)
        return true;
    while (*names != NULL && strcmp(*names, property->name) != 0)
        names++;
    return *names != NULL;
}

static bool add_place(struct probe_places *places, const char *path)
{
    if (places->n == PLACES_MAX)
        return false;
    places->paths[places->n++] = path;
    return true;
}

static bool read_option(const char *option)
{
    const char *value = strchr(option, '=');
    if (value == NULL)
        return false;
    size_t len = (size_t)(value++ - option);
    const struct {
        const char *name;
        struct probe_places *places;
        uint64_t *number;
    } known[] = {
        {"--read", &probe_settings.reads, NULL}, {"--write", &probe_settings.writes, NULL},
        {"--hide", &probe_settings.hides, NULL}, {"--tmp", NULL, &probe_settings.tmp},
        {"--home", NULL, &probe_settings.home},  {"--tasks", NULL, &probe_settings.tasks},
    };
    if (strncmp(option, "--after=", strlen("--after=")) == 0)
        after = value;
    if (after == value)
        return true;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strlen(known[i].name) != len || strncmp(option, known[i].name, len) != 0)
            continue;
        if (known[i].places != NULL)
            return add_place(known[i].places, value);
        *known[i].number = strtoull(value, NULL, 10);
        return true;
    }
    return false;
}

static const char *group_of(const struct property_list *list, const struct property *property)
{
    return strncmp(property->name, "limit-", 6) == 0 ? "limits" : list->group;
}

/* What holds the fields apart can't be in one. */
static const char *without_tabs(char *text)
{
    for (char *at = text; *at != '\0'; at++)
        if (*at == '\t' || *at == '\n')
            *at = ' ';
    return text;
}

static bool try_property(const struct property_list *list, const struct property *property)
{
    char why[WHY_MAX] = "";
    if (probe_settings.of_server) {
        printf("try %s\n", property->name);
        (void)fflush(stdout);
    }
    could_not_try = false;
    bool holds = property->holds(property, why);
    const char *result = holds ? "ok" : could_not_try ? "untried" : "OPEN";
    if (probe_settings.of_server)
        printf("%s\t%s\t%s\t%ld\t%s\t%s\n", result, group_of(list, property), property->name,
               property->holds == probe_is_refused ? property->nr : -1L, property->text,
               without_tabs(why));
    else if (holds)
        printf("ok %s\n", property->name);
    else
        printf("%s %s: %s\n", result, property->name, why);
    return holds;
}

int main(int argc, char **argv)
{
    bool list_only = argc > 1 && strcmp(argv[1], "--list") == 0;
    int first = 1;
    probe_settings.of_server = argc > 1 && strcmp(argv[1], "--table") == 0;
    if (probe_settings.of_server)
        for (first = 2; first < argc && argv[first][0] == '-'; first++)
            if (!read_option(argv[first]))
                return 2;
    const struct property_list lists[] = {probe_process(), probe_files(),  probe_places(),
                                          probe_proc(),    probe_kernel(), probe_arguments(),
                                          probe_network()};
    size_t tried = 0, held = 0;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (size_t j = 0; j < lists[i].n; j++) {
            const struct property *property = &lists[i].items[j];
            if (list_only) {
                printf("%s: %s\n", property->name, property->text);
            } else if (after != NULL) {
                after = strcmp(after, property->name) == 0 ? NULL : after;
            } else if (is_asked_for(property, argv + first) &&
                       !(probe_settings.of_server && property->of_tests)) {
                tried++;
                held += try_property(&lists[i], property);
            }
        }
    }
    return list_only || (tried > 0 && held == tried) ? 0 : 1;
}
