#include "hostkeys.h"
#include "cleanup.h"
#include "hostkey_file.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

int hostkeys_open(const struct server_config *server, struct hostkeys *keys, struct err *err)
{
    *keys = (struct hostkeys){0};
    for (size_t i = 0; i < server->host_keys.n; i++) {
        const char *path = server->host_keys.items[i];
        if (server->host_keys_defaulted && access(path, F_OK) < 0 && errno == ENOENT)
            continue;
        if (keys->n == IPC_KEYS_MAX) {
            hostkeys_close(keys);
            err_set(err, 0, "more than %d host keys", IPC_KEYS_MAX);
            err->code = EX_CONFIG;
            return -1;
        }
        if (hostkey_file_open(path, &keys->fds[keys->n], err) < 0) {
            hostkeys_close(keys);
            return -1;
        }
        keys->names[keys->n++] = path;
    }
    if (keys->n > 0)
        return 0;
    return hostkey_file_none(err);
}

int hostkeys_check(const struct server_config *server, struct err *err)
{
    struct hostkeys keys;
    if (hostkeys_open(server, &keys, err) < 0)
        return -1;
    hostkeys_close(&keys);
    return 0;
}

void hostkeys_close(struct hostkeys *keys)
{
    for (size_t i = 0; i < keys->n; i++)
        close_fd(&keys->fds[i]);
    keys->n = 0;
}
