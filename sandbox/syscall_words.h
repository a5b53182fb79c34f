/*
 * syscall_words.h - the names of values that system calls take. Private to sandbox/.
 */
#ifndef POSTERN_SANDBOX_SYSCALL_WORDS_H
#define POSTERN_SANDBOX_SYSCALL_WORDS_H

#include <stddef.h>
#include <stdint.h>

struct word {
    uint32_t value;
    const char *name;
};

struct words {
    const struct word *items;
    size_t n;
};

/* X(enumerator, variable) */
#define WORD_SETS(X)                                                                               \
    X(WORDS_ADVICE, advice)                                                                        \
    X(WORDS_ARCH_PRCTL, arch_prctls)                                                               \
    X(WORDS_BPF, bpf_commands)                                                                     \
    X(WORDS_CLOCK, clocks)                                                                         \
    X(WORDS_CLONE, clone_flags)                                                                    \
    X(WORDS_FAMILY, families)                                                                      \
    X(WORDS_FCNTL, fcntls)                                                                         \
    X(WORDS_IOCTL, ioctls)                                                                         \
    X(WORDS_IP_PROTOCOL, ip_protocols)                                                             \
    X(WORDS_KEYCTL, keyctls)                                                                       \
    X(WORDS_KEYRING, keyrings)                                                                     \
    X(WORDS_MAP, map_flags)                                                                        \
    X(WORDS_MEMFD, memfd_flags)                                                                    \
    X(WORDS_MOUNT, mount_flags)                                                                    \
    X(WORDS_NETLINK, netlink_protocols)                                                            \
    X(WORDS_PERSONA, personas)                                                                     \
    X(WORDS_PRCTL, prctls)                                                                         \
    X(WORDS_PROT, protections)                                                                     \
    X(WORDS_PTRACE, ptrace_requests)                                                               \
    X(WORDS_QUOTA, quota_commands)                                                                 \
    X(WORDS_RLIMIT, rlimits)                                                                       \
    X(WORDS_SECCOMP, seccomp_operations)                                                           \
    X(WORDS_SECCOMP_FLAG, seccomp_flags)                                                           \
    X(WORDS_SHM, shm_flags)                                                                        \
    X(WORDS_SIGNAL, signals)                                                                       \
    X(WORDS_SOCKET_FLAG, socket_flags)                                                             \
    X(WORDS_SOCKET_TYPE, socket_types)                                                             \
    X(WORDS_SOCKOPT_LEVEL, sockopt_levels)                                                         \
    X(WORDS_TCP_OPTION, tcp_options)                                                               \
    X(WORDS_UMOUNT, umount_flags)

enum word_set {
#define X(name, variable) name,
    WORD_SETS(X)
#undef X
        WORD_SETS_N
};

struct words syscall_words(enum word_set set);

#endif
