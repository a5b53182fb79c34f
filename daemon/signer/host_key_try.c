#include "host_key_try.h"
#include "host_key.h"

int host_key_try(void *tries, int fd, const char *name, struct err *err)
{
    struct host_key_tries *all = tries;
    struct host_key key = {0};
    if (host_key_load(fd, name, &key, err) < 0)
        return -1;
    int type = EVP_PKEY_get_base_id(key.key);
    host_key_free(&key);
    for (size_t i = 0; i < all->n; i++)
        if (all->types[i] == type)
            return err_set(err, 0, HOST_KEY_SAME_TYPE, name, all->names[i]);
    if (all->n == HOST_KEYS_MAX)
        return err_set(err, 0, "more than %d host keys", HOST_KEYS_MAX);
    all->names[all->n] = name;
    all->types[all->n++] = type;
    return 0;
}
