#include "syscall_args.h"
#include "cleanup.h"
#include "syscall_words.h"
#include "syscalls.h"

#include <linux/sched.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

enum form {
    FORM_CODE,     /* one of words, or a hexadecimal number */
    FORM_VALUE,    /* one of words, or a decimal number */
    FORM_FLAGS,    /* words and hexadecimal rest, with | between them */
    FORM_OCTAL,    /* a file mode */
    FORM_TYPE,     /* of a socket: a value and flags */
    FORM_PROTOCOL, /* of a socket: by its family, in the argument before the last */
    FORM_OPTION,   /* of a socket: by its level, in the argument before */
    FORM_QUOTA,    /* a command above the type of quota */
};

struct telling_arg {
    uint8_t index;
    uint8_t form;  /* enum form */
    uint8_t words; /* enum word_set */
    uint32_t mask; /* the bits that tell something; 0: all */
};

enum { NO_WORDS = WORD_SETS_N };

static const struct telling_call {
    int nr;
    struct telling_arg args[TELLING_MAX];
    uint8_t n;
} calls[] = {
#define ONE(call, i, form, set)                                                                    \
    {                                                                                              \
        SYS_##call, {{i, FORM_##form, set, 0}}, 1                                                  \
    }
#define TWO(call, i, form, set, j, form2, set2)                                                    \
    {                                                                                              \
        SYS_##call, {{i, FORM_##form, set, 0}, {j, FORM_##form2, set2, 0}}, 2                      \
    }
#define SOCKET(call)                                                                               \
    {                                                                                              \
        SYS_##call,                                                                                \
            {{0, FORM_VALUE, WORDS_FAMILY, 0},                                                     \
             {1, FORM_TYPE, WORDS_SOCKET_TYPE, 0},                                                 \
             {2, FORM_PROTOCOL, NO_WORDS, 0}},                                                     \
            3                                                                                      \
    }
#define IDS(call, count)                                                                           \
    {                                                                                              \
        SYS_##call,                                                                                \
            {{0, FORM_VALUE, NO_WORDS, 0},                                                         \
             {1, FORM_VALUE, NO_WORDS, 0},                                                         \
             {2, FORM_VALUE, NO_WORDS, 0}},                                                        \
            count                                                                                  \
    }
    /* How a thread shares what with its parent tells little, and its low byte is a signal. */
    {SYS_clone,
     {{0, FORM_FLAGS, WORDS_CLONE,
       CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
           CLONE_NEWNET}},
     1},
    ONE(unshare, 0, FLAGS, WORDS_CLONE),
    ONE(setns, 1, FLAGS, WORDS_CLONE),
    SOCKET(socket),
    SOCKET(socketpair),
    TWO(setsockopt, 1, VALUE, WORDS_SOCKOPT_LEVEL, 2, OPTION, NO_WORDS),
    TWO(getsockopt, 1, VALUE, WORDS_SOCKOPT_LEVEL, 2, OPTION, NO_WORDS),
    ONE(ioctl, 1, CODE, WORDS_IOCTL),
    ONE(fcntl, 1, VALUE, WORDS_FCNTL),
    ONE(prctl, 0, VALUE, WORDS_PRCTL),
    ONE(personality, 0, FLAGS, WORDS_PERSONA),
    TWO(seccomp, 0, VALUE, WORDS_SECCOMP, 1, FLAGS, WORDS_SECCOMP_FLAG),
    ONE(keyctl, 0, VALUE, WORDS_KEYCTL),
    ONE(add_key, 4, VALUE, WORDS_KEYRING),
    ONE(request_key, 3, VALUE, WORDS_KEYRING),
    ONE(bpf, 0, VALUE, WORDS_BPF),
    ONE(ptrace, 0, CODE, WORDS_PTRACE),
    ONE(mount, 3, FLAGS, WORDS_MOUNT),
    ONE(umount2, 1, FLAGS, WORDS_UMOUNT),
    TWO(mmap, 2, FLAGS, WORDS_PROT, 3, FLAGS, WORDS_MAP),
    ONE(mprotect, 2, FLAGS, WORDS_PROT),
    ONE(pkey_mprotect, 2, FLAGS, WORDS_PROT),
    ONE(madvise, 2, VALUE, WORDS_ADVICE),
    ONE(process_madvise, 3, VALUE, WORDS_ADVICE),
    ONE(memfd_create, 1, FLAGS, WORDS_MEMFD),
    ONE(shmget, 2, FLAGS, WORDS_SHM),
    ONE(mknodat, 2, OCTAL, NO_WORDS),
    ONE(fchmod, 1, OCTAL, NO_WORDS),
    ONE(fchmodat, 2, OCTAL, NO_WORDS),
    ONE(quotactl, 0, QUOTA, WORDS_QUOTA),
    ONE(quotactl_fd, 1, QUOTA, WORDS_QUOTA),
    ONE(prlimit64, 1, VALUE, WORDS_RLIMIT),
    ONE(setrlimit, 0, VALUE, WORDS_RLIMIT),
    ONE(clock_settime, 0, VALUE, WORDS_CLOCK),
    ONE(clock_adjtime, 0, VALUE, WORDS_CLOCK),
    ONE(kill, 1, VALUE, WORDS_SIGNAL),
    ONE(tkill, 1, VALUE, WORDS_SIGNAL),
    ONE(tgkill, 2, VALUE, WORDS_SIGNAL),
    ONE(pidfd_send_signal, 1, VALUE, WORDS_SIGNAL),
    ONE(io_uring_register, 1, VALUE, NO_WORDS),
    ONE(syslog, 0, VALUE, NO_WORDS),
    ONE(reboot, 2, CODE, NO_WORDS),
    ONE(fsconfig, 1, VALUE, NO_WORDS),
    IDS(setuid, 1),
    IDS(setgid, 1),
    IDS(setreuid, 2),
    IDS(setregid, 2),
    IDS(setresuid, 3),
    IDS(setresgid, 3),
#if defined(__x86_64__)
    ONE(arch_prctl, 0, CODE, WORDS_ARCH_PRCTL),
    ONE(mknod, 1, OCTAL, NO_WORDS),
    ONE(chmod, 1, OCTAL, NO_WORDS),
    ONE(modify_ldt, 0, VALUE, NO_WORDS),
    ONE(iopl, 0, VALUE, NO_WORDS),
#endif
};

/* A foreign ABI numbers its calls in another way, and all of them are refused for what they are. */
static const struct telling_call *find_call(const struct refused_call *call)
{
    for (size_t i = 0; call->abi == CALL_NATIVE && i < array_len(calls); i++) {
        if (calls[i].nr == call->nr)
            return &calls[i];
    }
    return NULL;
}

static uint32_t get_arg(const struct refused_call *call, const struct telling_arg *arg)
{
    return call->args[arg->index] & (arg->mask != 0 ? arg->mask : UINT32_MAX);
}

void syscall_args_keep(struct refused_call *call, const uint64_t *args)
{
    const struct telling_call *known = find_call(call);
    memset(call->args, 0, sizeof call->args);
    for (size_t i = 0; known != NULL && i < known->n; i++) {
        const struct telling_arg *arg = &known->args[i];
        call->args[arg->index] = (uint32_t)args[arg->index];
        call->args[arg->index] = get_arg(call, arg);
    }
}

static const char *find_word(enum word_set set, uint32_t value)
{
    struct words words = syscall_words(set);
    for (size_t i = 0; i < words.n; i++) {
        if (words.items[i].value == value)
            return words.items[i].name;
    }
    return NULL;
}

static void add(char *text, const char *what)
{
    size_t used = strlen(text);
    int n = snprintf(text + used, TELLING_TEXT_MAX - used, "%s%s", used > 0 ? "|" : "", what);
    if (n < 0 || (size_t)n >= TELLING_TEXT_MAX - used)
        memcpy(text + TELLING_TEXT_MAX - sizeof "...", "...", sizeof "...");
}

static void add_flags(char *text, enum word_set set, uint32_t value)
{
    struct words words = syscall_words(set);
    for (size_t i = 0; i < words.n; i++) {
        if ((value & words.items[i].value) == 0)
            continue;
        add(text, words.items[i].name);
        value &= ~words.items[i].value;
    }
    char rest[16];
    (void)snprintf(rest, sizeof rest, "0x%x", value);
    if (value != 0)
        add(text, rest);
    else if (text[0] == '\0')
        add(text, "0");
}

static void add_value(char *text, enum word_set set, uint32_t value, bool hex)
{
    const char *word = find_word(set, value);
    char number[16];
    if (word == NULL) {
        (void)(hex ? snprintf(number, sizeof number, "0x%x", value)
                   : snprintf(number, sizeof number, "%d", (int)value));
        word = number;
    }
    add(text, word);
}

static enum word_set protocol_words(uint32_t family)
{
    if (family == AF_NETLINK)
        return WORDS_NETLINK;
    return family == AF_INET || family == AF_INET6 ? WORDS_IP_PROTOCOL : NO_WORDS;
}

static void format_arg(const struct refused_call *call, const struct telling_arg *arg, char *text)
{
    enum { TYPE_BITS = 0xf, QUOTA_SHIFT = 8 };
    uint32_t value = get_arg(call, arg);
    text[0] = '\0';
    switch ((enum form)arg->form) {
    case FORM_CODE:
        add_value(text, arg->words, value, true);
        break;
    case FORM_VALUE:
        add_value(text, arg->words, value, false);
        break;
    case FORM_FLAGS:
        add_flags(text, arg->words, value);
        break;
    case FORM_OCTAL:
        (void)snprintf(text, TELLING_TEXT_MAX, "0%o", value);
        break;
    case FORM_TYPE:
        add_value(text, WORDS_SOCKET_TYPE, value & TYPE_BITS, false);
        if ((value & ~(uint32_t)TYPE_BITS) != 0)
            add_flags(text, WORDS_SOCKET_FLAG, value & ~(uint32_t)TYPE_BITS);
        break;
    case FORM_PROTOCOL:
        add_value(text, protocol_words(call->args[0]), value, false);
        break;
    case FORM_OPTION:
        add_value(text, call->args[1] == IPPROTO_TCP ? WORDS_TCP_OPTION : NO_WORDS, value, false);
        break;
    case FORM_QUOTA:
        add_value(text, WORDS_QUOTA, value >> QUOTA_SHIFT, true);
        break;
    }
}

void syscall_args_text(const struct refused_call *call, struct telling_args *out)
{
    const struct telling_call *known = find_call(call);
    *out = (struct telling_args){.n = known != NULL ? known->n : 0};
    for (size_t i = 0; i < out->n; i++)
        format_arg(call, &known->args[i], out->text[i]);
}

static const char *abi_word(enum call_abi abi)
{
    switch (abi) {
    case CALL_32_BIT:
        return "32-bit ";
    case CALL_X32:
        return "x32 ";
    case CALL_NATIVE:
    case CALL_ABIS:
        break;
    }
    return "";
}

char *syscall_args_describe(const struct refused_call *call, char *buf, size_t len)
{
    struct telling_args told;
    char name[64], list[TELLING_MAX * (TELLING_TEXT_MAX + 2) + 3] = "";
    size_t used = 0;
    syscall_args_text(call, &told);
    for (size_t i = 0; i < told.n; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "(" : ", ",
                                 told.text[i]);
    if (told.n > 0)
        (void)snprintf(list + used, sizeof list - used, ")");
    int n = snprintf(buf, len, "%ssystem call %s%s", abi_word(call->abi),
                     syscall_abi_name(call->abi, call->nr, name, sizeof name), list);
    if (n < 0 || ((size_t)n >= len && len < sizeof "..."))
        buf[0] = '\0';
    else if ((size_t)n >= len)
        memcpy(buf + len - sizeof "...", "...", sizeof "...");
    return buf;
}
