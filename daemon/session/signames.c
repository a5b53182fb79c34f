#include "signames.h"
#include "cleanup.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int signo;
    const char *name;
} rfc_names[] = {
    {SIGABRT, "ABRT"}, {SIGALRM, "ALRM"}, {SIGFPE, "FPE"},   {SIGHUP, "HUP"},   {SIGILL, "ILL"},
    {SIGINT, "INT"},   {SIGKILL, "KILL"}, {SIGPIPE, "PIPE"}, {SIGQUIT, "QUIT"}, {SIGSEGV, "SEGV"},
    {SIGTERM, "TERM"}, {SIGUSR1, "USR1"}, {SIGUSR2, "USR2"},
};

int signame_number(const char *name)
{
    for (size_t i = 0; i < array_len(rfc_names); i++)
        if (strcmp(rfc_names[i].name, name) == 0)
            return rfc_names[i].signo;
    return 0;
}

const char *signame_ssh(int signo, char buf[SIGNAME_MAX])
{
    for (size_t i = 0; i < array_len(rfc_names); i++) {
        if (rfc_names[i].signo == signo) {
            (void)snprintf(buf, SIGNAME_MAX, "%s", rfc_names[i].name);
            return buf;
        }
    }
    const char *local = sigabbrev_np(signo);
    if (local != NULL)
        (void)snprintf(buf, SIGNAME_MAX, "%s@postern", local);
    else if (signo >= SIGRTMIN && signo <= SIGRTMAX)
        (void)snprintf(buf, SIGNAME_MAX, "RTMIN+%d@postern", signo - SIGRTMIN);
    else
        (void)snprintf(buf, SIGNAME_MAX, "%d@postern", signo);
    return buf;
}
