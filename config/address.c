#include "address.h"
#include "diag.h"
#include "pool.h"
#include "text.h"
#include "values.h"

#include <arpa/inet.h>
#include <string.h>

enum { MAPPED_BITS = 96, ADDRESS_TEXT_MAX = 64 };

static const unsigned char mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static int parse_family(const char *text, unsigned char out[ADDRESS_LEN], unsigned *bits)
{
    *bits = 128;
    if (inet_pton(AF_INET6, text, out) == 1)
        return 0;
    memcpy(out, mapped, sizeof mapped);
    *bits = 32;
    return inet_pton(AF_INET, text, out + sizeof mapped) == 1 ? 0 : -1;
}

/* Whether it can be shown as it is: addresses are. */
static bool is_zone(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

int address_parse(const char *text, unsigned char out[ADDRESS_LEN])
{
    char copy[ADDRESS_TEXT_MAX];
    unsigned bits;
    size_t len = strcspn(text, "%");
    if (len >= sizeof copy || !is_zone(text + len))
        return -1;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return parse_family(copy, out, &bits);
}

static int parse_prefix(const char *shown, const char *bits, unsigned width,
                        unsigned char net[ADDRESS_LEN], unsigned *prefix, struct err *err)
{
    uint64_t n = width;
    if (bits != NULL && value_uint(bits, 0, width, &n, err) < 0)
        return err_wrap(err, "prefix");
    *prefix = (unsigned)n + 128 - width;
    unsigned char begin[ADDRESS_LEN];
    char right[INET6_ADDRSTRLEN] = "";
    memcpy(begin, net, sizeof begin);
    for (unsigned i = *prefix; i < 128; i++)
        begin[i / 8] = (unsigned char)(begin[i / 8] & ~(0x80U >> i % 8));
    if (memcmp(begin, net, sizeof begin) == 0)
        return 0;
    (void)inet_ntop(width == 32 ? AF_INET : AF_INET6, begin + (128 - width) / 8, right,
                    sizeof right);
    return err_set(err, 0, "'%s' has bits beyond its prefix (its network is %s/%u)", shown, right,
                   (unsigned)n);
}

int address_network(const char *word, size_t len, unsigned char net[ADDRESS_LEN], unsigned *prefix,
                    struct err *err)
{
    char text[ADDRESS_TEXT_MAX];
    char shown[ADDRESS_TEXT_MAX * 2];
    unsigned width;
    text_escape(shown, sizeof shown, word, len);
    if (len >= sizeof text)
        return err_set(err, 0, "'%s' is not an IP address or network", shown);
    memcpy(text, word, len);
    text[len] = '\0';
    char *slash = strchr(text, '/');
    if (slash != NULL)
        *slash++ = '\0';
    if (parse_family(text, net, &width) < 0)
        return err_set(err, 0, "'%s' is not an IP address or network (names are not looked up)",
                       shown);
    return parse_prefix(shown, slash, width, net, prefix, err);
}

static int parse_rule(struct pool *pool, const char *word, size_t len, struct address_rule *rule,
                      struct err *err)
{
    rule->text = pool_strndup(pool, word, len);
    if (rule->text == NULL)
        return err_no_memory(err);
    rule->negated = word[0] == '!';
    return address_network(word + rule->negated, len - rule->negated, rule->net, &rule->prefix,
                           err);
}

int address_list_add(struct pool *pool, struct address_list *list, const char *text,
                     const struct origin *at, struct err *err)
{
    while (*(text += strspn(text, ", \t")) != '\0') {
        size_t len = strcspn(text, ", \t");
        struct address_rule rule = {.origin = *at};
        if (list->n == ADDRESS_RULES_MAX)
            return err_set(err, 0, "more than %d addresses", ADDRESS_RULES_MAX);
        if (parse_rule(pool, text, len, &rule, err) < 0)
            return -1;
        if (pool_push(pool, (void *)&list->rules, &list->n, &rule, sizeof rule) < 0)
            return err_no_memory(err);
        text += len;
    }
    return 0;
}

const char address_list_hint[] = "name who may come, e.g. 0.0.0.0/0 and ::/0 for everybody else";

const char *address_list_problem(const struct address_list *list)
{
    size_t negated = 0;
    for (size_t i = 0; i < list->n; i++)
        negated += list->rules[i].negated;
    return list->n > 0 && negated == list->n ? "from lists only who is refused: nobody could log in"
                                             : NULL;
}

static bool matches(const struct address_rule *rule, const unsigned char addr[ADDRESS_LEN])
{
    unsigned whole = rule->prefix / 8;
    unsigned rest = rule->prefix % 8;
    /* ::/0 and the like are about IPv6: an IPv4 client is not one of theirs. */
    if (rule->prefix < MAPPED_BITS && memcmp(addr, mapped, sizeof mapped) == 0)
        return false;
    if (memcmp(rule->net, addr, whole) != 0)
        return false;
    return rest == 0 || (rule->net[whole] ^ addr[whole]) >> (8 - rest) == 0;
}

const struct address_rule *address_list_match(const struct address_list *list,
                                              const unsigned char addr[ADDRESS_LEN])
{
    const struct address_rule *first = NULL;
    for (size_t i = 0; i < list->n; i++) {
        const struct address_rule *rule = &list->rules[i];
        if (!matches(rule, addr))
            continue;
        if (rule->negated)
            return rule;
        if (first == NULL)
            first = rule;
    }
    return first;
}

bool address_list_allows(const struct address_list *list, const unsigned char addr[ADDRESS_LEN])
{
    const struct address_rule *rule = address_list_match(list, addr);
    return list->n == 0 || (rule != NULL && !rule->negated);
}
