/*
 * server_build.h - inside server.c: the setters of [server] that say who may connect
 * (server_listen.c), as schema_key.set; their target is a struct server_config.
 */
#ifndef POSTERN_CONFIG_SERVER_BUILD_H
#define POSTERN_CONFIG_SERVER_BUILD_H

#include "schema.h"

int server_set_listen(struct loader *l, void *target, const struct origin *at, const char *value,
                      struct err *err);
int server_set_proxy_from(struct loader *l, void *target, const struct origin *at,
                          const char *value, struct err *err);
int server_set_max_startups(struct loader *l, void *target, const struct origin *at,
                            const char *value, struct err *err);
int server_set_source_exempt(struct loader *l, void *target, const struct origin *at,
                             const char *value, struct err *err);

/* A header that anybody may send tells nothing, and balancers that no port is for are a mistake:
 * complains of either. */
void server_check_proxies(struct loader *l, const struct server_config *s);

#endif
