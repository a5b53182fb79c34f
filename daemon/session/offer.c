#include "offer.h"
#include "cleanup.h"

#include <stdbool.h>
#include <string.h>

enum { RSA_BITS_MIN = 2048 };

/* libssh drops what it doesn't know from a list without a word, so each name is tried alone. */
static int set_list(ssh_bind bind, const enum ssh_bind_options_e *options, size_t n,
                    const char *list, struct err *err)
{
    for (const char *at = list; *at != '\0'; at += at[0] == ',') {
        char name[IPC_ID_MAX + 1];
        size_t len = strcspn(at, ",");
        if (len == 0 || len >= sizeof name)
            return err_set(err, 0, "a list of algorithms is malformed");
        memcpy(name, at, len);
        name[len] = '\0';
        if (ssh_bind_options_set(bind, options[0], name) != SSH_OK)
            return err_set(
                err, 0, "this host's libssh has no algorithm '%s': take it out of [server]", name);
        at += len;
    }
    for (size_t i = 0; i < n; i++)
        if (ssh_bind_options_set(bind, options[i], list) != SSH_OK)
            return err_set(err, 0, "libssh does not take our settings: %s", ssh_get_error(bind));
    return 0;
}

static int set_lists(ssh_bind bind, const struct msg_evt_setup *setup, struct err *err)
{
    const struct {
        const char *list;
        size_t n;
        enum ssh_bind_options_e options[2];
    } lists[] = {
        {setup->kex, 1, {SSH_BIND_OPTIONS_KEY_EXCHANGE}},
        {setup->ciphers, 2, {SSH_BIND_OPTIONS_CIPHERS_C_S, SSH_BIND_OPTIONS_CIPHERS_S_C}},
        {setup->macs, 2, {SSH_BIND_OPTIONS_HMAC_C_S, SSH_BIND_OPTIONS_HMAC_S_C}},
        {setup->host_key_algorithms, 1, {SSH_BIND_OPTIONS_HOSTKEY_ALGORITHMS}},
        {setup->user_key_algorithms, 1, {SSH_BIND_OPTIONS_PUBKEY_ACCEPTED_KEY_TYPES}},
    };
    for (size_t i = 0; i < array_len(lists); i++)
        if (set_list(bind, lists[i].options, lists[i].n, lists[i].list, err) < 0)
            return -1;
    return 0;
}

static int set_bind(ssh_bind bind, const struct msg_evt_setup *setup, struct err *err)
{
    bool process_config = false;
    int rsa_min_size = RSA_BITS_MIN;
    if (ssh_bind_options_set(bind, SSH_BIND_OPTIONS_PROCESS_CONFIG, &process_config) != SSH_OK ||
        ssh_bind_options_set(bind, SSH_BIND_OPTIONS_RSA_MIN_SIZE, &rsa_min_size) != SSH_OK)
        return err_set(err, 0, "libssh does not take our settings: %s", ssh_get_error(bind));
    return set_lists(bind, setup, err);
}

static uint32_t seconds_of(uint64_t ms)
{
    return ms == UINT64_MAX ? 0 : (uint32_t)(ms / 1000);
}

int offer_make(struct offer *offer, const struct msg_evt_setup *setup, struct err *err)
{
    *offer = (struct offer){
        .bind = ssh_bind_new(),
        .rekey_bytes = setup->rekey_bytes == UINT64_MAX ? 0 : setup->rekey_bytes,
        .rekey_seconds = seconds_of(setup->rekey_ms),
        .compression = setup->compression,
        .banner = setup->banner[0] != '\0' ? ssh_string_from_char(setup->banner) : NULL};
    if (offer->bind == NULL || (setup->banner[0] != '\0' && offer->banner == NULL))
        return err_set(err, 0, "no memory for the ssh server");
    (void)snprintf(offer->user_keys, sizeof offer->user_keys, "%s", setup->user_key_algorithms);
    return set_bind(offer->bind, setup, err);
}

bool offer_accepts(const struct offer *offer, const char *algorithm)
{
    size_t len = strlen(algorithm);
    for (const char *at = offer->user_keys; *at != '\0'; at += at[0] == ',') {
        size_t n = strcspn(at, ",");
        if (n == len && memcmp(at, algorithm, n) == 0)
            return true;
        at += n;
    }
    return false;
}

/* libssh puts the protocol's before it. */
static int set_version(ssh_bind bind, const char *version, struct err *err)
{
    static const char protocol[] = "SSH-2.0-";
    const size_t n = sizeof protocol - 1;
    if (strncmp(version, protocol, n) != 0 ||
        ssh_bind_options_set(bind, SSH_BIND_OPTIONS_BANNER, version + n) != SSH_OK)
        return err_set(err, 0, "libssh does not take our version: %s", ssh_get_error(bind));
    return 0;
}

ssh_session offer_session(const struct offer *offer, struct err *err)
{
    /* Never "zlib": that one inflates what comes before anybody has logged in. */
    const char *compression = offer->compression ? "none,zlib@openssh.com" : "none";
    ssh_session session = ssh_new();
    if (session == NULL) {
        err_set(err, 0, "no memory for a session");
        return NULL;
    }
    if (ssh_options_set(session, SSH_OPTIONS_COMPRESSION_C_S, compression) != SSH_OK ||
        ssh_options_set(session, SSH_OPTIONS_COMPRESSION_S_C, compression) != SSH_OK ||
        ssh_options_set(session, SSH_OPTIONS_REKEY_DATA, &offer->rekey_bytes) != SSH_OK ||
        ssh_options_set(session, SSH_OPTIONS_REKEY_TIME, &offer->rekey_seconds) != SSH_OK) {
        err_set(err, 0, "libssh does not take our settings: %s", ssh_get_error(session));
        ssh_free(session);
        return NULL;
    }
    ssh_set_auth_methods(session, SSH_AUTH_METHOD_PUBLICKEY);
    ssh_set_blocking(session, 0);
    return session;
}

int offer_connect(const struct offer *offer, ssh_session session, int fd, const char *version,
                  struct err *err)
{
    if (set_version(offer->bind, version, err) < 0)
        return -1;
    if (ssh_bind_accept_fd(offer->bind, session, fd) != SSH_OK)
        return err_set(err, 0, "accept: %s", ssh_get_error(offer->bind));
    return 0;
}

void offer_send_banner(const struct offer *offer, ssh_session session)
{
    /* A client that can't be sent it will not be sent the answer either. */
    if (offer->banner != NULL)
        (void)ssh_send_issue_banner(session, offer->banner);
}
