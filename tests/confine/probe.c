/*
 * probe.c - run inside a sandbox, it asks for what it must not have. One line a property, "ok NAME"
 * or "OPEN NAME: what was possible"; status 0 only if all hold. With --list it names them, with
 * names it tries those alone.
 */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

static bool try_property(const struct property *property)
{
    char why[WHY_MAX] = "";
    bool holds = property->holds(property, why);
    if (holds)
        printf("ok %s\n", property->name);
    else
        printf("OPEN %s: %s\n", property->name, why);
    return holds;
}

int main(int argc, char **argv)
{
    const struct property_list lists[] = {probe_process(), probe_files(),     probe_proc(),
                                          probe_kernel(),  probe_arguments(), probe_network()};
    bool list_only = argc > 1 && strcmp(argv[1], "--list") == 0;
    size_t tried = 0, held = 0;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (size_t j = 0; j < lists[i].n; j++) {
            const struct property *property = &lists[i].items[j];
            if (list_only) {
                printf("%s: %s\n", property->name, property->text);
            } else if (is_asked_for(property, argv + 1)) {
                tried++;
                held += try_property(property);
            }
        }
    }
    return list_only || (tried > 0 && held == tried) ? 0 : 1;
}
