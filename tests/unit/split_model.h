/*
 * split_model.h - what split.h promises, written down a second time in another way: the splitter is
 * compared with it by tests and by fuzzing.
 */
#ifndef POSTERN_TESTS_SPLIT_MODEL_H
#define POSTERN_TESTS_SPLIT_MODEL_H

#include <stddef.h>

struct split_model {
    const char *reason; /* NULL: it is split; else how the reason of the refusal begins */
    size_t offset;      /* of what is refused */
    char *words;        /* each with its NUL */
    size_t n_words;
};

/* Aborts when memory runs out. split_model_free() is due. */
void split_model_run(const char *line, size_t len, struct split_model *out);
void split_model_free(struct split_model *model);

#endif
