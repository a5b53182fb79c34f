#include "auth.h"
#include "cleanup.h"
#include "offer.h"
#include "provider.h"
#include "tell.h"

#include <openssl/evp.h>
#include <string.h>

static const struct wire_bytes nothing;

/* The user's name of the first request is the only one that can log in. */
static bool is_same_user(struct session *session, const char *user)
{
    if (strlen(user) >= sizeof session->user)
        return false;
    if (!session->user_known) {
        (void)snprintf(session->user, sizeof session->user, "%s", user);
        session->user_known = true;
    }
    return strcmp(session->user, user) == 0;
}

static void count_failure(struct session *session, const char *method)
{
    /* Every client begins with "none" to learn the methods (RFC 4252 §5.2). */
    if (session->auth_requests == 1 && strcmp(method, "none") == 0)
        return;
    session->auth_failures++;
    if (session->auth_failures >= session->max_auth_tries)
        session_close(session, false, "Too many authentication failures");
}

/* Asks the master. False for a refusal and when the connection is about to end. */
static bool decide(struct session *session, const char *user, const char *method,
                   struct wire_bytes blob, struct wire_bytes signature)
{
    struct err err = {0};
    bool accepted = false;
    if (session->closing || session->authed)
        return false;
    if (++session->auth_requests > AUTH_REQUESTS_MAX) {
        session_close(session, false, "Too many authentication requests");
        return false;
    }
    if (session->auth_requests == 1)
        offer_send_banner(session->offer, session->ssh);
    bool usable = is_same_user(session, user) && strlen(user) <= IPC_USER_MAX;
    /* What can't be accepted is asked all the same, as something that nobody has: it is counted
     * and written down. */
    struct msg_req_auth request = {.user = strlen(user) <= IPC_USER_MAX ? user : "",
                                   .method = method,
                                   .blob = usable ? blob : (struct wire_bytes){0},
                                   .signature =
                                       usable && blob.len > 0 ? signature : (struct wire_bytes){0}};
    if (ask_auth(&session->ask, &request, &accepted, &err) < 0) {
        session_link_lost(session, &err);
        return false;
    }
    bool none = strcmp(method, "none") == 0;
    accepted = accepted && usable && (none || blob.len > 0);
    TELL(LOG_LEVEL_DEBUG, "auth: %s for \"%s\"%s: %s", method, user,
         blob.len == 0       ? ""
         : signature.len > 0 ? ", with a signature"
                             : ", query",
         accepted ? "accepted" : "refused");
    if (!accepted)
        count_failure(session, method);
    return accepted;
}

/* The algorithms of signatures by keys of a type, for those that the master can verify. It gets
 * certificates whole. */
static const struct {
    enum ssh_keytypes_e type;
    const char *algorithm;
} verifiable[] = {
    {SSH_KEYTYPE_ED25519, "ssh-ed25519"},
    {SSH_KEYTYPE_ED25519_CERT01, "ssh-ed25519"},
    {SSH_KEYTYPE_ECDSA_P256, "ecdsa-sha2-nistp256"},
    {SSH_KEYTYPE_ECDSA_P256_CERT01, "ecdsa-sha2-nistp256"},
    {SSH_KEYTYPE_ECDSA_P384, "ecdsa-sha2-nistp384"},
    {SSH_KEYTYPE_ECDSA_P384_CERT01, "ecdsa-sha2-nistp384"},
    {SSH_KEYTYPE_ECDSA_P521, "ecdsa-sha2-nistp521"},
    {SSH_KEYTYPE_ECDSA_P521_CERT01, "ecdsa-sha2-nistp521"},
    {SSH_KEYTYPE_SK_ED25519, "sk-ssh-ed25519@openssh.com"},
    {SSH_KEYTYPE_SK_ECDSA, "sk-ecdsa-sha2-nistp256@openssh.com"},
    {SSH_KEYTYPE_RSA, "rsa-sha2-512"},
    {SSH_KEYTYPE_RSA, "rsa-sha2-256"},
    {SSH_KEYTYPE_RSA_CERT01, "rsa-sha2-512"},
    {SSH_KEYTYPE_RSA_CERT01, "rsa-sha2-256"},
};

/* libssh does not answer signatures by algorithms that are not accepted, so the query for such a
 * key has to be refused, or its client waits for ever. */
static bool is_usable(const struct session *session, ssh_key key)
{
    for (size_t i = 0; i < array_len(verifiable); i++)
        if (verifiable[i].type == ssh_key_type(key) &&
            offer_accepts(session->offer, verifiable[i].algorithm))
            return true;
    return false;
}

static bool is_security_key(ssh_key key)
{
    return ssh_key_type(key) == SSH_KEYTYPE_SK_ED25519 || ssh_key_type(key) == SSH_KEYTYPE_SK_ECDSA;
}

/* The key as in RFC 4253 §6.6, or the whole certificate, in buf[IPC_BLOB_MAX]; length 0 if it can't
 * be had or is too long. */
static size_t export_blob(ssh_key key, unsigned char *buf)
{
    char *text = NULL;
    /* EVP_DecodeBlock() writes whole groups of three. */
    unsigned char decoded[IPC_BLOB_MAX + 3];
    if (ssh_pki_export_pubkey_base64(key, &text) != SSH_OK)
        return 0;
    size_t len = strlen(text), padding = 0;
    while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
        padding++;
    int n = len / 4 * 3 <= sizeof decoded
                ? EVP_DecodeBlock(decoded, (unsigned char *)text, (int)len)
                : -1;
    ssh_string_free_char(text);
    if (n < (int)padding || (size_t)n - padding > IPC_BLOB_MAX)
        return 0;
    memcpy(buf, decoded, (size_t)n - padding);
    return (size_t)n - padding;
}

static void log_in(struct session *session)
{
    session->authed = true;
    session->ask.link.state = STATE_AUTHED;
}

/* Refused by the master but for tenants that ask for no key; then the client is in (RFC 4252
 * §5.2). */
static int on_none(ssh_session ssh, const char *user, void *userdata)
{
    (void)ssh;
    if (!decide(userdata, user, "none", nothing, nothing))
        return SSH_AUTH_DENIED;
    log_in(userdata);
    return SSH_AUTH_SUCCESS;
}

static int on_password(ssh_session ssh, const char *user, const char *password, void *userdata)
{
    (void)ssh;
    (void)password;
    (void)decide(userdata, user, "password", nothing, nothing);
    return SSH_AUTH_DENIED;
}

/* Without this callback libssh would look for Kerberos on its own, with files and all. */
static ssh_string on_gssapi(ssh_session ssh, const char *user, int n_oid, ssh_string *oids,
                            void *userdata)
{
    (void)ssh;
    (void)n_oid;
    (void)oids;
    (void)decide(userdata, user, "gssapi-with-mic", nothing, nothing);
    return NULL;
}

static int on_publickey(ssh_session ssh, const char *user, struct ssh_key_struct *key, char state,
                        void *userdata)
{
    struct session *session = userdata;
    unsigned char blob[IPC_BLOB_MAX] = {0};
    (void)ssh;
    bool is_query = state == SSH_PUBLICKEY_STATE_NONE;
    struct wire_bytes signature =
        is_query ? nothing : provider_take_signature(is_security_key(key));
    size_t len = 0;
    /* One that can't be right must not become a query. */
    if (is_usable(session, key) && (is_query || signature.len > 0))
        len = export_blob(key, blob);
    if (!decide(session, user, "publickey", (struct wire_bytes){blob, len}, signature))
        return SSH_AUTH_DENIED;
    if (!is_query)
        log_in(session);
    /* For a query this makes libssh answer PK_OK. */
    return SSH_AUTH_SUCCESS;
}

void auth_on_other(struct session *session, const char *user, const char *method)
{
    (void)decide(session, user, method, nothing, nothing);
}

void auth_listen(struct session *session)
{
    session->callbacks = (struct ssh_server_callbacks_struct){
        .userdata = session,
        .auth_none_function = on_none,
        .auth_password_function = on_password,
        .auth_pubkey_function = on_publickey,
        .gssapi_select_oid_function = on_gssapi,
    };
    ssh_callbacks_init(&session->callbacks);
    if (ssh_set_server_callbacks(session->ssh, &session->callbacks) != SSH_OK)
        session_close(session, true, "out of memory");
}
