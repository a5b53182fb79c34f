#include "split_model.h"

#include "decide.h"
#include "split.h"

#include <stdlib.h>
#include <string.h>

/* What a byte of the line is. */
enum meaning {
    MEANS_BLANK,   /* between words */
    MEANS_NOTHING, /* a quote, or a backslash that quotes: in a word, but not of it */
    MEANS_ITSELF,
};

enum mode { MODE_PLAIN, MODE_SINGLE, MODE_DOUBLE };

static void *checked(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

static void refuse(struct split_model *out, size_t offset, const char *reason)
{
    if (out->reason == NULL) {
        out->reason = reason;
        out->offset = offset;
    }
}

/* The backslash at `i` quotes what follows it. Returns the place of the latter. */
static size_t classify_escape(const char *line, size_t len, size_t i, unsigned char *meaning,
                              struct split_model *out)
{
    meaning[i] = MEANS_NOTHING;
    if (i + 1 == len) {
        refuse(out, i, "backslash with nothing after it");
        return i;
    }
    if (line[i + 1] == '\n')
        refuse(out, i + 1, "escaped newline");
    meaning[i + 1] = MEANS_ITSELF;
    return i + 1;
}

static enum mode classify_plain(const char *line, size_t i, unsigned char *meaning,
                                struct split_model *out)
{
    char c = line[i];
    bool first = i == 0 || meaning[i - 1] == MEANS_BLANK;
    meaning[i] = c == ' ' || c == '\t'   ? MEANS_BLANK
                 : c == '\'' || c == '"' ? MEANS_NOTHING
                                         : MEANS_ITSELF;
    if (memchr("|&;<>()$`*?[\n", c, 13) != NULL || (c == '#' && first))
        refuse(out, i, "unquoted shell character");
    return c == '\'' ? MODE_SINGLE : c == '"' ? MODE_DOUBLE : MODE_PLAIN;
}

static void classify(const char *line, size_t len, unsigned char *meaning, struct split_model *out)
{
    enum mode mode = MODE_PLAIN;
    size_t open = 0;
    for (size_t i = 0; i < len; i++) {
        char c = line[i];
        char close = mode == MODE_SINGLE ? '\'' : '"';
        bool escapes =
            c == '\\' && (mode == MODE_PLAIN || (mode == MODE_DOUBLE && i + 1 < len &&
                                                 memchr("$`\"\\\n", line[i + 1], 5) != NULL));
        if (escapes) {
            i = classify_escape(line, len, i, meaning, out);
        } else if (mode == MODE_PLAIN) {
            mode = classify_plain(line, i, meaning, out);
            open = i;
        } else {
            meaning[i] = c == close ? MEANS_NOTHING : MEANS_ITSELF;
            if (mode == MODE_DOUBLE && (c == '$' || c == '`'))
                refuse(out, i, "in double quotes, unescaped");
            if (c == close)
                mode = MODE_PLAIN;
        }
    }
    if (mode != MODE_PLAIN)
        refuse(out, open, "unbalanced");
}

static void assemble(const char *line, size_t len, const unsigned char *meaning,
                     struct split_model *out)
{
    char *at = out->words;
    for (size_t i = 0; i < len; i++) {
        if (meaning[i] == MEANS_BLANK)
            continue;
        if (out->n_words == SPLIT_WORDS_MAX) {
            if (out->reason == NULL || i <= out->offset) {
                out->reason = "too many words";
                out->offset = i;
            }
            return;
        }
        for (; i < len && meaning[i] != MEANS_BLANK; i++)
            if (meaning[i] == MEANS_ITSELF)
                *at++ = line[i];
        *at++ = '\0';
        out->n_words++;
    }
}

void split_model_run(const char *line, size_t len, struct split_model *out)
{
    *out = (struct split_model){0};
    const char *nul = len == 0 ? NULL : memchr(line, '\0', len);
    if (len > COMMAND_MAX)
        refuse(out, COMMAND_MAX, "command is too long");
    else if (nul != NULL)
        refuse(out, (size_t)(nul - line), "NUL byte");
    if (out->reason != NULL)
        return;
    unsigned char *meaning = checked(calloc(len + 1, 1));
    out->words = checked(calloc(len + 1, 2));
    classify(line, len, meaning, out);
    assemble(line, len, meaning, out);
    free(meaning);
}

void split_model_free(struct split_model *model)
{
    free(model->words);
    *model = (struct split_model){0};
}
