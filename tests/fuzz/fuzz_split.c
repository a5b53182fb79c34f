/* Command lines from hostile bytes: split as the model says, or refused where it says and for its
 * reason; and a word that is quoted again is the same word. */
#include "decide.h"
#include "split.h"
#include "split_model.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In single quotes, with '\'' for each quote inside. */
static char *quote(const char *word)
{
    char *out = malloc(strlen(word) * 4 + 3);
    char *at = out;
    if (out == NULL)
        abort();
    *at++ = '\'';
    for (; *word != '\0'; word++) {
        if (*word == '\'')
            at = stpcpy(at, "'\\''");
        else
            *at++ = *word;
    }
    memcpy(at, "'", 2);
    return out;
}

static void check_word(const char *word)
{
    struct str_list again;
    struct split_error why;
    char *quoted = quote(word);
    if (strlen(quoted) <= COMMAND_MAX) {
        if (split_command(quoted, strlen(quoted), &again, &why) < 0 || again.n != 1 ||
            strcmp(again.items[0], word) != 0)
            abort();
        split_free(&again);
    }
    free(quoted);
}

static void check_words(const struct str_list *words, const struct split_model *model)
{
    const char *expected = model->words;
    if (model->reason != NULL || words->n != model->n_words)
        abort();
    for (size_t i = 0; i < words->n; i++) {
        if (strcmp(words->items[i], expected) != 0)
            abort();
        expected += strlen(expected) + 1;
        check_word(words->items[i]);
    }
}

static void check_refusal(const struct str_list *words, const struct split_error *why,
                          const struct split_model *model)
{
    if (words->items != NULL || words->n != 0 || model->reason == NULL ||
        strncmp(why->text, model->reason, strlen(model->reason)) != 0 ||
        why->offset != model->offset)
        abort();
    for (const char *c = why->text; *c != '\0'; c++)
        if (*c < 0x20 || *c > 0x7e)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str_list words;
    struct split_error why;
    struct split_model model;
    split_model_run((const char *)data, size, &model);
    if (split_command((const char *)data, size, &words, &why) < 0) {
        check_refusal(&words, &why, &model);
    } else {
        check_words(&words, &model);
        split_free(&words);
    }
    split_model_free(&model);
    return 0;
}
