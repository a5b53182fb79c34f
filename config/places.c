#include "places.h"

#include <string.h>

struct origin *places_new(struct loader *l, const struct schema *schema,
                          const struct origin *inherited)
{
    struct origin *places = pool_alloc(l->pool, schema->n_keys * sizeof *places);
    for (size_t i = 0; places != NULL && inherited != NULL && i < schema->n_keys; i++)
        if (!schema->keys[i].personal)
            places[i] = inherited[i];
    return places;
}

static struct origin find(const struct schema *schema, const struct origin *places, const char *key,
                          const struct origin *section)
{
    for (size_t i = 0; places != NULL && i < schema->n_keys; i++)
        if (strcmp(schema->keys[i].name, key) == 0 && places[i].file != NULL)
            return places[i];
    return *section;
}

struct origin server_place(const struct policy *policy, const char *key)
{
    return find(&server_schema, policy->server.places, key, &policy->server.origin);
}

struct origin tenant_place(const struct tenant *tenant, const char *key)
{
    return find(&tenant_schema, tenant->places, key, &tenant->origin);
}

struct origin sandbox_place(const struct sandbox_spec *spec, const char *key, size_t item)
{
    const struct origin section = {spec->file, spec->line};
    const struct sandbox_places *places = spec->places;
    if (places == NULL)
        return section;
    const struct place_list *list = strcmp(key, "read") == 0    ? &places->reads
                                    : strcmp(key, "write") == 0 ? &places->writes
                                    : strcmp(key, "hide") == 0  ? &places->hides
                                                                : NULL;
    if (list != NULL)
        return item < list->n ? list->items[item] : section;
    return find(&sandbox_schema, places->keys, key, &section);
}
