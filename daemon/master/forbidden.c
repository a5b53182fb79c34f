#include "forbidden.h"
#include "profile.h"
#include "syscall_args.h"

#include <stdio.h>

bool forbidden_find(const struct seccomp_spec *profile, const struct refused_call *call,
                    struct forbidden *out)
{
    *out = (struct forbidden){.call = call, .profile = profile};
    if (call->abi != CALL_NATIVE) {
        out->why = "its process was killed, only native calls are allowed";
        return true;
    }
    const struct seccomp_rule *rule = profile_find_rule(profile, call->nr);
    if (rule == NULL)
        return false;
    if (rule->answer == SECCOMP_ANSWER_ALLOW)
        out->why = profile_always_refused(call, profile_refuses_unix(profile));
    else
        out->rule = rule;
    return out->rule != NULL || out->why != NULL;
}

char *forbidden_describe(const struct forbidden *forbidden, const char *verb,
                         enum explain_level level, char *buf, size_t len)
{
    char call[CALL_TEXT_MAX], reason[384] = "";
    const struct seccomp_rule *rule = forbidden->rule;
    if (level == EXPLAIN_NONE) {
        (void)snprintf(buf, len, "a system call %s", verb);
        return buf;
    }
    if (forbidden->why != NULL)
        (void)snprintf(reason, sizeof reason, " (always: %s)", forbidden->why);
    else if (level == EXPLAIN_RULE && rule->file[0] != '\0')
        (void)snprintf(reason, sizeof reason, " (%s:%u)", rule->file, rule->line);
    (void)snprintf(buf, len, "%s %s by seccomp profile \"%s\"%s",
                   syscall_args_describe(forbidden->call, call, sizeof call), verb,
                   forbidden->profile->name, reason);
    return buf;
}

const char *forbidden_abi_word(enum call_abi abi)
{
    switch (abi) {
    case CALL_32_BIT:
        return "32-bit";
    case CALL_X32:
        return "x32";
    case CALL_NATIVE:
    case CALL_ABIS:
        break;
    }
    return "native";
}
