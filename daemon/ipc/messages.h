/*
 * messages.h - every message between Postern's processes, in one table.
 *
 * A link joins the master to a session, to the zygote, to a spawner, to a signer or to a client of
 * the control socket. The table says for each message who may send it, in which state of the link,
 * and how many descriptors ride along; whatever isn't in it ends the link. One SOCK_SEQPACKET
 * datagram is one message: u32 type, then the fields in order (wire.h).
 */
#ifndef POSTERN_DAEMON_IPC_MESSAGES_H
#define POSTERN_DAEMON_IPC_MESSAGES_H

#include "err.h"
#include "wire.h"

#include <stdbool.h>
#include <stdint.h>

enum ipc_link { LINK_SESSION, LINK_ZYGOTE, LINK_SPAWNER, LINK_SIGNER, LINK_CONTROL };
enum ipc_sender { FROM_MASTER, FROM_PEER };

/* States, as bits. A session link goes PREAUTH → AUTHED; the others go STARTING → READY. */
enum ipc_state { STATE_PREAUTH = 1, STATE_AUTHED = 2, STATE_STARTING = 4, STATE_READY = 8 };
enum { STATE_SESSION_ANY = STATE_PREAUTH | STATE_AUTHED };

enum {
    IPC_FDS_MAX = 16,
    IPC_DATAGRAM_MAX = 256 * 1024,
    IPC_COMMAND_MAX = 65536,
    IPC_ENV_MAX = 65536, /* bytes of all names or all values of one exec */
    IPC_ENV_NAME_MAX = 256,
    IPC_ENV_VALUE_MAX = 4096,
    IPC_USER_MAX = 256,
    IPC_BLOB_MAX = 8192,
    IPC_LINE_MAX = 1024,
    IPC_RECEIPT_MAX = 2048,
    IPC_MODES_MAX = 1024,
    IPC_TERM_MAX = 64,
    IPC_HOST_MAX = 64,
    IPC_ID_MAX = 64,
    IPC_KEYS_MAX = 8,
    IPC_KEYS_SIZE = 32 * 1024, /* bytes of all public host keys */
    IPC_HASH_MAX = 64,
    IPC_EXCHANGE_MAX = 65536, /* of what a key exchange hashes: versions, offers, keys */
    IPC_SIGNATURE_MAX = 4096,
    IPC_ALGORITHMS_MAX = 1024,
    IPC_BANNER_MAX = 8192,
    IPC_ITEM_MAX = 32 * 1024, /* bytes of one item of an answer on the control socket */
    IPC_TENANT_MAX = 64,
    IPC_REASON_MAX = 200,
    IPC_NOTICE_MS_MAX = 60 * 60 * 1000, /* of a drain */
};

/* Every connection's begins with this: neither a version nor whose package it is. */
#define IPC_VERSION "SSH-2.0-Postern"

/* Authentication requests of any kind on one connection, queries that succeed too. */
enum { AUTH_REQUESTS_MAX = 64 };

/* Signals that are passed on, of one exec; the session drops what a client sends beyond. */
enum { SIGNALS_MAX = 20, SIGNALS_MS = 1000 };

/* What the control socket lists. */
enum ctl_list { CTL_EXECS, CTL_CONNECTIONS, CTL_PENALTIES };

/* The limits that a session watches for the master. */
enum over { OVER_IDLE, OVER_OUTPUT };

/* Bytes of one recording, whatever a policy says. */
enum { RECORD_FILE_MAX = 1 << 30 };

/* What has become of an exec's recording: all of it is there, or all up to its bound, or something
 * is missing that should be there. */
enum recorded { RECORDED_NOT, RECORDED_WHOLE, RECORDED_FULL, RECORDED_INCOMPLETE };

/* Fields: F(kind, name, bound); kinds are u8, u32, u64, str, bytes and strv. */

/* Everything a session must know, before anything else on its link. `version` is the line that it
 * begins with (RFC 4253 §4.2); record_max: bytes that no file of a recording can grow beyond, by
 * the kernel's word. */
#define FIELDS_EVT_START(F)                                                                        \
    F(str, conn_id, IPC_ID_MAX)                                                                    \
    F(str, version, IPC_ID_MAX)                                                                    \
    F(str, peer_host, IPC_HOST_MAX)                                                                \
    F(u32, peer_port, 65535)                                                                       \
    F(u8, log_level, 255)                                                                          \
    F(u32, max_channels, UINT32_MAX)                                                               \
    F(u32, max_auth_tries, UINT32_MAX)                                                             \
    F(u64, record_max, UINT64_MAX)

/* One authentication request as libssh reports it. blob is the public key (RFC 4253 §6.6), empty
 * for other methods; signature is what the client has sent, and libssh has not judged, as proof
 * that it holds the key: an SSH signature (RFC 4253 §6.6). Without one it is a query (RFC 4252
 * §7). */
#define FIELDS_REQ_AUTH(F)                                                                         \
    F(str, user, IPC_USER_MAX)                                                                     \
    F(str, method, IPC_ID_MAX)                                                                     \
    F(bytes, blob, IPC_BLOB_MAX)                                                                   \
    F(bytes, signature, IPC_SIGNATURE_MAX)
#define FIELDS_ANS_AUTH(F) F(u8, accepted, 1)

/* The exchange hash of a key exchange (RFC 4253 §8), which the master makes itself of all that is
 * to be hashed, is to be signed with host key number `key`, in the order of EVT_SETUP, by
 * `algorithm`, a name of RFC 4253 §6.6. `digest_len` is the hash's. The first one is the session
 * id. */
#define FIELDS_REQ_SIGN(F)                                                                         \
    F(u32, key, IPC_KEYS_MAX - 1)                                                                  \
    F(str, algorithm, IPC_ID_MAX)                                                                  \
    F(bytes, exchange, IPC_EXCHANGE_MAX)                                                           \
    F(u8, digest_len, IPC_HASH_MAX)
/* In libcrypto's form: an ECDSA signature is DER. */
#define FIELDS_ANS_SIGN(F) F(bytes, signature, IPC_SIGNATURE_MAX)

#define FIELDS_REQ_ENV(F)                                                                          \
    F(u32, channel, UINT32_MAX)                                                                    \
    F(str, name, IPC_ENV_NAME_MAX)                                                                 \
    F(str, value, IPC_ENV_VALUE_MAX)
#define FIELDS_ANS_ENV(F)                                                                          \
    F(u32, channel, UINT32_MAX)                                                                    \
    F(u8, accepted, 1)

/* Whether a channel may have a terminal; if not, `text` is why, for the client. */
#define FIELDS_REQ_TERMINAL(F) F(u32, channel, UINT32_MAX)
#define FIELDS_ANS_TERMINAL(F)                                                                     \
    F(u32, channel, UINT32_MAX)                                                                    \
    F(u8, accepted, 1)                                                                             \
    F(str, text, IPC_LINE_MAX)

/* A client's terminal, where there is one: its size and its modes as RFC 4254 §8 encodes them. */
#define FIELDS_TERMINAL(F)                                                                         \
    F(u8, terminal, 1)                                                                             \
    F(u32, columns, UINT16_MAX)                                                                    \
    F(u32, rows, UINT16_MAX)                                                                       \
    F(u32, x_pixels, UINT16_MAX)                                                                   \
    F(u32, y_pixels, UINT16_MAX)                                                                   \
    F(bytes, modes, IPC_MODES_MAX)

/* kind is an enum exec_kind; truncated: the client sent more than IPC_COMMAND_MAX bytes. term is
 * the client's name for its terminal. */
#define FIELDS_REQ_EXEC(F)                                                                         \
    F(u32, channel, UINT32_MAX)                                                                    \
    F(u8, kind, 2)                                                                                 \
    F(bytes, command, IPC_COMMAND_MAX)                                                             \
    F(u8, truncated, 1)                                                                            \
    FIELDS_TERMINAL(F)                                                                             \
    F(str, term, IPC_TERM_MAX)                                                                     \
    F(strv, env_names, IPC_ENV_MAX)                                                                \
    F(strv, env_values, IPC_ENV_MAX)
/* Allowed: three fds, the session's ends of stdin, stdout and stderr, or with `terminal` none,
 * since EVT_TERMINAL brings it; one more if `recorded`, a file that the session writes what the
 * command prints to, by record_room bytes at most (recording.h); the session says EVT_OVER when no
 * byte was moved for idle_ms, and when more than output_max were written (UINT64_MAX: no limit);
 * `text`, if not empty, is what it tells the client warn_ms before idle_ms is over. Denied: `text`
 * is the line for the client's stderr (no newline), `status` its exit-status, or the
 * number of a signal if `signalled`, and `receipt` as in
 * EVT_EXIT. */
#define FIELDS_ANS_EXEC(F)                                                                         \
    F(u32, channel, UINT32_MAX)                                                                    \
    F(u8, allowed, 1)                                                                              \
    F(str, exec_id, IPC_ID_MAX)                                                                    \
    F(str, text, IPC_LINE_MAX)                                                                     \
    F(u8, signalled, 1)                                                                            \
    F(u32, status, 255)                                                                            \
    F(u8, terminal, 1)                                                                             \
    F(u8, recorded, 1)                                                                             \
    F(u64, record_room, UINT64_MAX)                                                                \
    F(u64, idle_ms, UINT64_MAX)                                                                    \
    F(u64, warn_ms, UINT64_MAX)                                                                    \
    F(u64, output_max, UINT64_MAX)                                                                 \
    F(str, receipt, IPC_RECEIPT_MAX)

/* The outer side of the exec's terminal, twice: to be written to and to be read from. */
#define FIELDS_EVT_TERMINAL(F) F(u32, channel, UINT32_MAX)

/* A line for the client's stderr while the exec waits for its turn or runs. */
#define FIELDS_EVT_NOTE(F)                                                                         \
    F(u32, channel, UINT32_MAX)                                                                    \
    F(str, text, IPC_LINE_MAX)

/* The exec ended: after all output come `text` (if not empty) on stderr, then exit-status `code`
 * or, if signalled, exit-signal for signal number `code`. over: an EVT_OVER was heard before; one
 * that crosses this message is answered by another EVT_EXIT, which counts. cut: somebody may hold
 * its pipes open for ever, so that all output is what is there now. receipt: if not empty, a JSON
 * object but for its end, which the session writes after everything else, with what it carried. */
#define FIELDS_EVT_EXIT(F)                                                                         \
    F(u32, channel, UINT32_MAX)                                                                    \
    F(u8, signalled, 1)                                                                            \
    F(u32, code, 255)                                                                              \
    F(u8, core, 1)                                                                                 \
    F(u8, over, 1)                                                                                 \
    F(u8, cut, 1)                                                                                  \
    F(str, text, IPC_LINE_MAX)                                                                     \
    F(str, receipt, IPC_RECEIPT_MAX)

/* End the connection; `text` is the reason for the client (SSH_MSG_DISCONNECT). */
#define FIELDS_EVT_CLOSE(F) F(str, text, IPC_LINE_MAX)

/* The client is gone or has closed the channel: nobody reads this exec any more. */
#define FIELDS_EVT_GONE(F) F(u32, channel, UINT32_MAX)

/* An exec is over a limit that the session watches: an enum over. Said once at most. */
#define FIELDS_EVT_OVER(F)                                                                         \
    F(u32, channel, UINT32_MAX)                                                                    \
    F(u8, limit, OVER_OUTPUT)

/* The client wants the command to get a signal (RFC 4254 §6.9); more than SIGNALS_MAX per
 * SIGNALS_MS of one exec are no client's doing. */
#define FIELDS_EVT_SIGNAL(F)                                                                       \
    F(u32, channel, UINT32_MAX)                                                                    \
    F(u8, signo, 64)

/* The session has finished with a channel that had an exec: the payload bytes it carried, and an
 * enum recorded. */
#define FIELDS_EVT_DONE(F)                                                                         \
    F(u32, channel, UINT32_MAX)                                                                    \
    F(u64, bytes_in, UINT64_MAX)                                                                   \
    F(u64, bytes_out, UINT64_MAX)                                                                  \
    F(u64, bytes_err, UINT64_MAX)                                                                  \
    F(u8, recorded, RECORDED_INCOMPLETE)

/* A line for the log; level is an enum log_level. */
#define FIELDS_EVT_LOG(F)                                                                          \
    F(u8, level, 255)                                                                              \
    F(str, text, IPC_LINE_MAX)

/* First message to the zygote; host_keys are public keys (RFC 4253 §6.6), one string after the
 * other. The lists of algorithms have commas between names; rekey_ms is a number of milliseconds
 * and as rekey_bytes UINT64_MAX where there is no limit. banner is what SSH_MSG_USERAUTH_BANNER
 * says (RFC 4252 §5.4); "": nothing. */
#define FIELDS_EVT_SETUP(F)                                                                        \
    F(u32, uid, UINT32_MAX)                                                                        \
    F(u32, gid, UINT32_MAX)                                                                        \
    F(u8, log_level, 255)                                                                          \
    F(bytes, host_keys, IPC_KEYS_SIZE)                                                             \
    F(str, kex, IPC_ALGORITHMS_MAX)                                                                \
    F(str, ciphers, IPC_ALGORITHMS_MAX)                                                            \
    F(str, macs, IPC_ALGORITHMS_MAX)                                                               \
    F(str, host_key_algorithms, IPC_ALGORITHMS_MAX)                                                \
    F(str, user_key_algorithms, IPC_ALGORITHMS_MAX)                                                \
    F(u64, rekey_bytes, UINT64_MAX)                                                                \
    F(u64, rekey_ms, UINT64_MAX)                                                                   \
    F(u8, compression, 1)                                                                          \
    F(str, banner, IPC_BANNER_MAX)

#define FIELDS_EVT_READY(F)  F(u8, unused, 0)
#define FIELDS_EVT_FAILED(F) F(str, text, IPC_LINE_MAX)

/* A connection to serve; fds: the accepted socket, the new session's end of its link. */
#define FIELDS_REQ_ACCEPT(F) F(u64, conn, UINT64_MAX)
/* fd: a pidfd of the session process, if ok. */
#define FIELDS_ANS_ACCEPT(F)                                                                       \
    F(u64, conn, UINT64_MAX)                                                                       \
    F(u8, ok, 1)
/* A session process has ended: by signal number `signo`, or with exit status `status`. */
#define FIELDS_EVT_DIED(F)                                                                         \
    F(u64, conn, UINT64_MAX)                                                                       \
    F(u32, signo, 255)                                                                             \
    F(u32, status, 255)

/* Make a sandbox for an exec; fds: the worker's report end, where it finds its order (order.h);
 * then, if `cgroup`, the directory of its cgroup, whose limits these controllers keep (cgroup.h);
 * and, if `shared`, last the workspace that the execs of its connection share. memory: what it may
 * use, in bytes, UINT64_MAX: any. */
#define FIELDS_REQ_SPAWN(F)                                                                        \
    F(u64, exec, UINT64_MAX)                                                                       \
    F(u32, tenant, UINT32_MAX)                                                                     \
    F(u32, sandbox, UINT32_MAX)                                                                    \
    FIELDS_TERMINAL(F)                                                                             \
    F(u8, shared, 1)                                                                               \
    F(u8, cgroup, 1)                                                                               \
    F(u32, controllers, UINT32_MAX)                                                                \
    F(u64, memory, UINT64_MAX)
/* fds: a pidfd of the worker, if ok, else text and err_num say why; with `terminal`, the outer side
 * of it; and, if `shared`, a workspace to be shared that was made for this exec, since none came
 * with it. */
#define FIELDS_ANS_SPAWN(F)                                                                        \
    F(u64, exec, UINT64_MAX)                                                                       \
    F(u8, ok, 1)                                                                                   \
    F(u8, terminal, 1)                                                                             \
    F(u8, shared, 1)                                                                               \
    F(u32, err_num, 4095)                                                                          \
    F(str, text, IPC_LINE_MAX)

/* First message to a signer; fds are the host key files, opened for reading. */
#define FIELDS_EVT_KEYS(F)                                                                         \
    F(u32, uid, UINT32_MAX)                                                                        \
    F(u32, gid, UINT32_MAX)                                                                        \
    F(strv, key_names, IPC_LINE_MAX *IPC_KEYS_MAX)
/* It holds these keys, in that order: public keys as in EVT_SETUP. */
#define FIELDS_SIGNER_READY(F) F(bytes, host_keys, IPC_KEYS_SIZE)

/* As REQ_SIGN, of a connection, with the hash. A connection has one at a time. */
#define FIELDS_REQ_SIGN_FOR(F)                                                                     \
    F(u64, conn, UINT64_MAX)                                                                       \
    F(u32, key, IPC_KEYS_MAX - 1)                                                                  \
    F(str, algorithm, IPC_ID_MAX)                                                                  \
    F(bytes, hash, IPC_HASH_MAX)
/* No bytes: it could not be made. */
#define FIELDS_ANS_SIGN_FOR(F)                                                                     \
    F(u64, conn, UINT64_MAX)                                                                       \
    F(bytes, signature, IPC_SIGNATURE_MAX)

/*
 * The control socket. The master speaks first: its version, and whether the client may change
 * anything (admin) or only look; or CTL_END, if it is refused. Then come requests, one at a time:
 * to each any number of CTL_ITEMs, then one CTL_END. A master that closes the link does so after a
 * CTL_END.
 */
#define FIELDS_CTL_WELCOME(F)                                                                      \
    F(str, version, IPC_ID_MAX)                                                                    \
    F(u8, admin, 1)
#define FIELDS_REQ_CTL_STATUS(F) F(u8, unused, 0)
/* list is an enum ctl_list; only what is of this tenant and this key (the fingerprint or its
 * beginning); "": of any. */
#define FIELDS_REQ_CTL_PS(F)                                                                       \
    F(u8, list, CTL_PENALTIES)                                                                     \
    F(str, tenant, IPC_TENANT_MAX)                                                                 \
    F(str, key, IPC_ID_MAX)
/* Ends what runs or waits and fits all that is not "": the id of an exec, its tenant, its key (the
 * fingerprint or its beginning), its connection, which ends too. reason: for the client. */
#define FIELDS_REQ_CTL_KILL(F)                                                                     \
    F(str, exec, IPC_ID_MAX)                                                                       \
    F(str, tenant, IPC_TENANT_MAX)                                                                 \
    F(str, key, IPC_ID_MAX)                                                                        \
    F(str, connection, IPC_ID_MAX)                                                                 \
    F(str, reason, IPC_REASON_MAX)
/* wait: answered when nothing runs any more, or wait_ms later (UINT64_MAX: whenever that is).
 * notice_ms: for how long commands are still taken. */
#define FIELDS_REQ_CTL_DRAIN(F)                                                                    \
    F(u8, wait, 1)                                                                                 \
    F(u64, wait_ms, UINT64_MAX)                                                                    \
    F(u64, notice_ms, IPC_NOTICE_MS_MAX)                                                           \
    F(u8, then_stop, 1)
#define FIELDS_REQ_CTL_RESUME(F) F(u8, unused, 0)
/* Answered when it is known what became of it. */
#define FIELDS_REQ_CTL_RELOAD(F) F(u8, unused, 0)
/* Each item has a part of the text, whole lines. */
#define FIELDS_REQ_CTL_METRICS(F) F(u8, unused, 0)
/* One JSON object. */
#define FIELDS_CTL_ITEM(F) F(bytes, text, IPC_ITEM_MAX)
/* code is an exit status; `text` says why it is not 0, for people. */
#define FIELDS_CTL_END(F)                                                                          \
    F(u8, code, 255)                                                                               \
    F(str, text, IPC_LINE_MAX)

/* X(enumerator, name, link, sender, states, least fds, most fds) */
#define IPC_MESSAGES(X)                                                                            \
    X(EVT_START, evt_start, LINK_SESSION, FROM_MASTER, STATE_PREAUTH, 0, 0)                        \
    X(REQ_AUTH, req_auth, LINK_SESSION, FROM_PEER, STATE_PREAUTH, 0, 0)                            \
    X(ANS_AUTH, ans_auth, LINK_SESSION, FROM_MASTER, STATE_SESSION_ANY, 0, 0)                      \
    X(REQ_SIGN, req_sign, LINK_SESSION, FROM_PEER, STATE_SESSION_ANY, 0, 0)                        \
    X(ANS_SIGN, ans_sign, LINK_SESSION, FROM_MASTER, STATE_SESSION_ANY, 0, 0)                      \
    X(REQ_ENV, req_env, LINK_SESSION, FROM_PEER, STATE_AUTHED, 0, 0)                               \
    X(ANS_ENV, ans_env, LINK_SESSION, FROM_MASTER, STATE_AUTHED, 0, 0)                             \
    X(REQ_TERMINAL, req_terminal, LINK_SESSION, FROM_PEER, STATE_AUTHED, 0, 0)                     \
    X(ANS_TERMINAL, ans_terminal, LINK_SESSION, FROM_MASTER, STATE_AUTHED, 0, 0)                   \
    X(REQ_EXEC, req_exec, LINK_SESSION, FROM_PEER, STATE_AUTHED, 0, 0)                             \
    X(ANS_EXEC, ans_exec, LINK_SESSION, FROM_MASTER, STATE_AUTHED, 0, 4)                           \
    X(EVT_TERMINAL, evt_terminal, LINK_SESSION, FROM_MASTER, STATE_AUTHED, 2, 2)                   \
    X(EVT_NOTE, evt_note, LINK_SESSION, FROM_MASTER, STATE_AUTHED, 0, 0)                           \
    X(EVT_EXIT, evt_exit, LINK_SESSION, FROM_MASTER, STATE_AUTHED, 0, 0)                           \
    X(EVT_CLOSE, evt_close, LINK_SESSION, FROM_MASTER, STATE_SESSION_ANY, 0, 0)                    \
    X(EVT_GONE, evt_gone, LINK_SESSION, FROM_PEER, STATE_AUTHED, 0, 0)                             \
    X(EVT_OVER, evt_over, LINK_SESSION, FROM_PEER, STATE_AUTHED, 0, 0)                             \
    X(EVT_SIGNAL, evt_signal, LINK_SESSION, FROM_PEER, STATE_AUTHED, 0, 0)                         \
    X(EVT_DONE, evt_done, LINK_SESSION, FROM_PEER, STATE_AUTHED, 0, 0)                             \
    X(EVT_LOG, evt_log, LINK_SESSION, FROM_PEER, STATE_SESSION_ANY, 0, 0)                          \
    X(EVT_SETUP, evt_setup, LINK_ZYGOTE, FROM_MASTER, STATE_STARTING, 0, 0)                        \
    X(ZYGOTE_READY, zygote_ready, LINK_ZYGOTE, FROM_PEER, STATE_STARTING, 0, 0)                    \
    X(ZYGOTE_FAILED, zygote_failed, LINK_ZYGOTE, FROM_PEER, STATE_STARTING, 0, 0)                  \
    X(REQ_ACCEPT, req_accept, LINK_ZYGOTE, FROM_MASTER, STATE_READY, 2, 2)                         \
    X(ANS_ACCEPT, ans_accept, LINK_ZYGOTE, FROM_PEER, STATE_READY, 0, 1)                           \
    X(EVT_DIED, evt_died, LINK_ZYGOTE, FROM_PEER, STATE_READY, 0, 0)                               \
    X(SPAWNER_READY, spawner_ready, LINK_SPAWNER, FROM_PEER, STATE_STARTING, 0, 1)                 \
    X(SPAWNER_FAILED, spawner_failed, LINK_SPAWNER, FROM_PEER, STATE_STARTING, 0, 0)               \
    X(REQ_SPAWN, req_spawn, LINK_SPAWNER, FROM_MASTER, STATE_READY, 1, 3)                          \
    X(ANS_SPAWN, ans_spawn, LINK_SPAWNER, FROM_PEER, STATE_READY, 0, 3)                            \
    X(EVT_KEYS, evt_keys, LINK_SIGNER, FROM_MASTER, STATE_STARTING, 1, IPC_KEYS_MAX)               \
    X(SIGNER_READY, signer_ready, LINK_SIGNER, FROM_PEER, STATE_STARTING, 0, 0)                    \
    X(SIGNER_FAILED, signer_failed, LINK_SIGNER, FROM_PEER, STATE_STARTING, 0, 0)                  \
    X(REQ_SIGN_FOR, req_sign_for, LINK_SIGNER, FROM_MASTER, STATE_READY, 0, 0)                     \
    X(ANS_SIGN_FOR, ans_sign_for, LINK_SIGNER, FROM_PEER, STATE_READY, 0, 0)                       \
    X(CTL_WELCOME, ctl_welcome, LINK_CONTROL, FROM_MASTER, STATE_READY, 0, 0)                      \
    X(REQ_CTL_STATUS, req_ctl_status, LINK_CONTROL, FROM_PEER, STATE_READY, 0, 0)                  \
    X(REQ_CTL_PS, req_ctl_ps, LINK_CONTROL, FROM_PEER, STATE_READY, 0, 0)                          \
    X(REQ_CTL_KILL, req_ctl_kill, LINK_CONTROL, FROM_PEER, STATE_READY, 0, 0)                      \
    X(REQ_CTL_DRAIN, req_ctl_drain, LINK_CONTROL, FROM_PEER, STATE_READY, 0, 0)                    \
    X(REQ_CTL_RESUME, req_ctl_resume, LINK_CONTROL, FROM_PEER, STATE_READY, 0, 0)                  \
    X(REQ_CTL_RELOAD, req_ctl_reload, LINK_CONTROL, FROM_PEER, STATE_READY, 0, 0)                  \
    X(REQ_CTL_METRICS, req_ctl_metrics, LINK_CONTROL, FROM_PEER, STATE_READY, 0, 0)                \
    X(CTL_ITEM, ctl_item, LINK_CONTROL, FROM_MASTER, STATE_READY, 0, 0)                            \
    X(CTL_END, ctl_end, LINK_CONTROL, FROM_MASTER, STATE_READY, 0, 0)

#define FIELDS_ZYGOTE_READY  FIELDS_EVT_READY
#define FIELDS_ZYGOTE_FAILED FIELDS_EVT_FAILED
/* fd: the ring of what egress sandboxes were refused (egress.h), if there are any. */
#define FIELDS_SPAWNER_READY  FIELDS_EVT_READY
#define FIELDS_SPAWNER_FAILED FIELDS_EVT_FAILED
#define FIELDS_SIGNER_FAILED  FIELDS_EVT_FAILED

enum msg_type {
    MSG_NONE = 0,
#define X(type, ...) MSG_##type,
    IPC_MESSAGES(X)
#undef X
        MSG_COUNT
};

typedef uint8_t ipc_u8;
typedef uint32_t ipc_u32;
typedef uint64_t ipc_u64;
typedef const char *ipc_str;
typedef struct wire_bytes ipc_bytes;
typedef struct wire_strv ipc_strv;

#define FIELD(kind, name, bound) ipc_##kind name;
#define X(type, name, ...)                                                                         \
    struct msg_##name {                                                                            \
        FIELDS_##type(FIELD)                                                                       \
    };
IPC_MESSAGES(X)
#undef X
#undef FIELD

/* One message. Strings and bytes point into the buffer that it was decoded from. */
struct ipc_msg {
    enum msg_type type;
    union {
#define X(type, name, ...) struct msg_##name name;
        IPC_MESSAGES(X)
#undef X
    };
};

/* "REQ_AUTH", or "?" for a number that is no message. */
const char *msg_name(unsigned type);

/*
 * A number that is another one whenever anything of the table is, but for the control socket's:
 * what one program has begun with its sessions, zygotes, spawners and signers, another one with the
 * same number can go on with.
 */
uint64_t msg_protocol(void);

/* Encodes into buf[cap]; returns the length, or 0 if a field is over its bound or buf too small. */
size_t msg_encode(const struct ipc_msg *msg, unsigned char *buf, size_t cap);

/*
 * Decodes one datagram that came with n_fds descriptors. Refuses an unknown type, one that `sender`
 * may not send on `link` in `state`, a wrong number of descriptors, a field out of bounds and bytes
 * left over. Returns 0, or -1 with err.
 */
int msg_decode(const unsigned char *buf, size_t len, size_t n_fds, enum ipc_link link,
               enum ipc_sender sender, enum ipc_state state, struct ipc_msg *out, struct err *err);

#endif
