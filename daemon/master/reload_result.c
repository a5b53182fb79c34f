#include "reload_result.h"

#include <stdio.h>

void reload_result_keep(struct reload_result *result, struct diags *diags)
{
    diags_free(&result->diags);
    result->diags = *diags;
    *diags = (struct diags){0};
}

void reload_result_set(struct reload_result *result, const char *reason, size_t n_errors)
{
    result->known = true;
    result->loaded = reason == NULL;
    result->at = time(NULL);
    result->n_errors = n_errors;
    (void)snprintf(result->reason, sizeof result->reason, "%s", reason != NULL ? reason : "");
}

void reload_result_free(struct reload_result *result)
{
    diags_free(&result->diags);
}
