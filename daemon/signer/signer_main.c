#include "signer_main.h"
#include "cleanup.h"
#include "confine.h"
#include "host_key.h"
#include "ipc.h"

#include <errno.h>
#include <malloc.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

enum { LINK_FD = 3 };

struct signer {
    struct ipc link;
    struct host_key keys[IPC_KEYS_MAX];
    size_t n_keys;
};

static struct ipc_in in;

/* The master judges what a terminal's or a service manager's signals mean; we end with our link. */
static void set_signals(void)
{
    static const int ignored[] = {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR2};
    sigset_t none;
    for (int signo = 1; signo < SIGRTMIN; signo++)
        (void)signal(signo, SIG_DFL);
    for (size_t i = 0; i < array_len(ignored); i++)
        (void)signal(ignored[i], SIG_IGN);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * Neither swapped nor dumped, where the system lets us: all that is there now and all that comes
 * until the keys have been read and used once. The heap is told to keep what it has got, so that
 * later signatures are made in the same pages.
 */
static void lock_memory(void)
{
    (void)mallopt(M_TRIM_THRESHOLD, INT32_MAX);
    (void)mallopt(M_MMAP_THRESHOLD, INT32_MAX);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
}

/* Once we are nobody, growing would fail under a limit of no locked memory at all. */
static void stop_locking(void)
{
    (void)mlockall(MCL_CURRENT | MCL_ONFAULT);
}

/* Two of a type could not both be offered. */
static const char *find_same_type(const struct signer *signer, const char *const *names,
                                  const struct host_key *key)
{
    for (size_t i = 0; i < signer->n_keys; i++)
        if (EVP_PKEY_get_base_id(signer->keys[i].key) == EVP_PKEY_get_base_id(key->key))
            return names[i];
    return NULL;
}

static int load_keys(struct signer *signer, struct err *err)
{
    const char *names[IPC_KEYS_MAX + 1];
    const struct msg_evt_keys *setup = &in.msg.evt_keys;
    if (setup->key_names.count != in.n_fds ||
        wire_strv_split(setup->key_names, names, array_len(names)) < 0)
        return err_set(err, 0, "%zu host keys, %u names", in.n_fds, setup->key_names.count);
    for (size_t i = 0; i < in.n_fds; i++) {
        struct host_key *key = &signer->keys[signer->n_keys];
        if (host_key_load(in.fds[i], names[i], key, err) < 0)
            return -1;
        const char *other = find_same_type(signer, names, key);
        if (other != NULL)
            return err_set(err, 0, HOST_KEY_SAME_TYPE, names[i], other);
        signer->n_keys++;
    }
    return 0;
}

static int install_filter(struct err *err)
{
#ifdef POSTERN_SANITIZE
    /* A sanitizer's own system calls are not ours to list. */
    (void)err;
    return 0;
#else
    /* The link, memory, random numbers for signatures, the end. */
    static const int calls[] = {
        SCMP_SYS(recvmsg),    SCMP_SYS(sendmsg),         SCMP_SYS(close),
        SCMP_SYS(brk),        SCMP_SYS(munmap),          SCMP_SYS(mremap),
        SCMP_SYS(getrandom),  SCMP_SYS(getpid),          SCMP_SYS(clock_gettime),
        SCMP_SYS(time),       SCMP_SYS(gettimeofday),    SCMP_SYS(rt_sigreturn),
        SCMP_SYS(exit_group), SCMP_SYS(restart_syscall),
    };
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (ctx == NULL)
        return err_set(err, 0, "seccomp_init");
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < array_len(calls); i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
    if (rc == 0)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
                              SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
    if (rc == 0)
        rc = seccomp_load(ctx);
    seccomp_release(ctx);
    return rc == 0 ? 0 : err_set(err, -rc, "load the system call filter");
#endif
}

/* Top to bottom: first the files, then giving everything up. */
static int set_up(struct signer *signer, struct err *err)
{
    uid_t uid = in.msg.evt_keys.uid;
    gid_t gid = in.msg.evt_keys.gid;
    if (load_keys(signer, err) < 0)
        return -1;
    ipc_drop_fds(&in);
    stop_locking();
    if (confine_enter(uid, gid, 0, err) < 0)
        return err_wrap(err, "confine the signer");
#ifndef POSTERN_SANITIZE
    /* stderr is the operator's; from here on only the master speaks there. */
    if (dup2(STDIN_FILENO, STDERR_FILENO) < 0)
        return err_set(err, errno, "close stderr");
#endif
    return install_filter(err);
}

static int say_ready(struct signer *signer, struct err *err)
{
    static unsigned char blobs[IPC_KEYS_SIZE];
    struct wire_writer w = {.buf = blobs, .cap = sizeof blobs};
    for (size_t i = 0; i < signer->n_keys; i++)
        wire_put_bytes(&w, (struct wire_bytes){signer->keys[i].blob, signer->keys[i].blob_len});
    struct ipc_msg ready = {.type = MSG_SIGNER_READY,
                            .signer_ready = {.host_keys = {.data = blobs, .len = w.len}}};
    if (w.overflow || ipc_send(&signer->link, &ready, NULL, 0, true, err) != IPC_OK)
        return -1;
    signer->link.state = STATE_READY;
    return 0;
}

static int say_failed(struct signer *signer, const struct err *err)
{
    struct ipc_msg msg = {.type = MSG_SIGNER_FAILED, .signer_failed = {.text = err->text}};
    (void)ipc_send(&signer->link, &msg, NULL, 0, true, NULL);
    return EXIT_FAILURE;
}

static int sign(struct signer *signer, struct err *err)
{
    unsigned char signature[IPC_SIGNATURE_MAX];
    size_t len = sizeof signature;
    const struct msg_req_sign_for *req = &in.msg.req_sign_for;
    if (req->key >= signer->n_keys ||
        host_key_sign(&signer->keys[req->key], req->algorithm, req->hash.data, req->hash.len,
                      signature, &len) < 0)
        len = 0;
    struct ipc_msg answer = {
        .type = MSG_ANS_SIGN_FOR,
        .ans_sign_for = {.conn = req->conn, .signature = {.data = signature, .len = len}}};
    return ipc_send(&signer->link, &answer, NULL, 0, true, err) == IPC_OK ? 0 : -1;
}

static int serve(struct signer *signer, struct err *err)
{
    while (true) {
        switch (ipc_recv(&signer->link, &in, true, err)) {
        case IPC_EOF:
            return 0;
        case IPC_OK:
            if (sign(signer, err) < 0)
                return -1;
            break;
        default:
            return -1;
        }
    }
}

int signer_main(void)
{
    static struct signer signer = {
        .link = {.fd = LINK_FD, .link = LINK_SIGNER, .self = FROM_PEER, .state = STATE_STARTING}};
    struct err err = {0};
    (void)prctl(PR_SET_NAME, SIGNER_NAME);
    set_signals();
    lock_memory();
    if (clearenv() != 0 || ipc_recv(&signer.link, &in, true, &err) != IPC_OK) {
        (void)dprintf(STDERR_FILENO, SIGNER_NAME " is started by posternd, not by hand.\n");
        return EXIT_FAILURE;
    }
    if (set_up(&signer, &err) < 0)
        return say_failed(&signer, &err);
    int rc = say_ready(&signer, &err) < 0 ? -1 : serve(&signer, &err);
    for (size_t i = 0; i < signer.n_keys; i++)
        host_key_free(&signer.keys[i]);
    /* What libraries do at an end is nothing that the filter knows of. */
    _exit(rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}
