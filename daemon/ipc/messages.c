#include "messages.h"

#include <string.h>

/* One writer and one reader per kind of field; both enforce the bound of the table. */

static void put_u8(struct wire_writer *w, uint8_t v, uint64_t bound)
{
    w->overflow |= v > bound;
    wire_put_u8(w, v);
}

static void put_u32(struct wire_writer *w, uint32_t v, uint64_t bound)
{
    w->overflow |= v > bound;
    wire_put_u32(w, v);
}

static void put_u64(struct wire_writer *w, uint64_t v, uint64_t bound)
{
    w->overflow |= v > bound;
    wire_put_u64(w, v);
}

static void put_str(struct wire_writer *w, const char *v, uint64_t bound)
{
    w->overflow |= v != NULL && strlen(v) > bound;
    wire_put_str(w, v);
}

static void put_bytes(struct wire_writer *w, struct wire_bytes v, uint64_t bound)
{
    w->overflow |= v.len > bound;
    wire_put_bytes(w, v);
}

static void put_strv(struct wire_writer *w, struct wire_strv v, uint64_t bound)
{
    w->overflow |= v.len > bound;
    wire_put_strv(w, v);
}

static uint8_t get_u8(struct wire_reader *r, uint64_t bound)
{
    uint8_t v = wire_get_u8(r);
    r->bad |= v > bound;
    return v;
}

static uint32_t get_u32(struct wire_reader *r, uint64_t bound)
{
    uint32_t v = wire_get_u32(r);
    r->bad |= v > bound;
    return v;
}

static uint64_t get_u64(struct wire_reader *r, uint64_t bound)
{
    uint64_t v = wire_get_u64(r);
    r->bad |= v > bound;
    return v;
}

static const char *get_str(struct wire_reader *r, uint64_t bound)
{
    return wire_get_str(r, (size_t)bound);
}

static struct wire_bytes get_bytes(struct wire_reader *r, uint64_t bound)
{
    return wire_get_bytes(r, (size_t)bound);
}

static struct wire_strv get_strv(struct wire_reader *r, uint64_t bound)
{
    return wire_get_strv(r, (size_t)bound);
}

#define PUT(kind, name, bound) put_##kind(w, m->name, bound);
#define GET(kind, name, bound) m->name = get_##kind(r, bound);
#define X(type, member, ...)                                                                       \
    static void encode_##member(const struct ipc_msg *msg, struct wire_writer *w)                  \
    {                                                                                              \
        const struct msg_##member *m = &msg->member;                                               \
        FIELDS_##type(PUT)                                                                         \
    }                                                                                              \
    static void decode_##member(struct ipc_msg *msg, struct wire_reader *r)                        \
    {                                                                                              \
        struct msg_##member *m = &msg->member;                                                     \
        FIELDS_##type(GET)                                                                         \
    }
IPC_MESSAGES(X)
#undef X

static const struct message {
    const char *name;
    enum ipc_link link;
    enum ipc_sender sender;
    unsigned states;
    size_t least_fds;
    size_t most_fds;
    void (*encode)(const struct ipc_msg *, struct wire_writer *);
    void (*decode)(struct ipc_msg *, struct wire_reader *);
} messages[MSG_COUNT] = {
#define X(type, member, link, sender, states, least, most)                                         \
    [MSG_##type] = {#type, link, sender, states, least, most, encode_##member, decode_##member},
    IPC_MESSAGES(X)
#undef X
};

const char *msg_name(unsigned type)
{
    return type > MSG_NONE && type < MSG_COUNT ? messages[type].name : "?";
}

/* FNV-1a. */
static uint64_t mix(uint64_t h, const void *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        h = (h ^ ((const unsigned char *)data)[i]) * 0x100000001b3U;
    return h;
}

static uint64_t mix_number(uint64_t h, uint64_t number)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(number >> 8 * i);
    return mix(h, bytes, sizeof bytes);
}

/* The control socket's clients come and go: none is carried from one program to the next. */
static bool counts(unsigned type)
{
    return messages[type].link != LINK_CONTROL;
}

static uint64_t mix_field(uint64_t h, unsigned type, const char *field, uint64_t bound)
{
    if (!counts(type))
        return h;
    return mix_number(mix(h, field, strlen(field) + 1), bound);
}

static uint64_t mix_message(uint64_t h, unsigned type)
{
    const struct message *m = &messages[type];
    const uint64_t numbers[] = {type, m->link, m->sender, m->states, m->least_fds, m->most_fds};
    if (!counts(type))
        return h;
    h = mix(h, m->name, strlen(m->name) + 1);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        h = mix_number(h, numbers[i]);
    return h;
}

uint64_t msg_protocol(void)
{
    uint64_t h = 0xcbf29ce484222325U;
    unsigned type;
#define MIX(kind, name, bound) h = mix_field(h, type, #kind " " #name, bound);
#define X(message, ...)                                                                            \
    type = MSG_##message;                                                                          \
    h = mix_message(h, type);                                                                      \
    FIELDS_##message(MIX)
    IPC_MESSAGES(X)
#undef X
#undef MIX
    return h;
}

size_t msg_encode(const struct ipc_msg *msg, unsigned char *buf, size_t cap)
{
    if (msg->type <= MSG_NONE || msg->type >= MSG_COUNT)
        return 0;
    struct wire_writer w = {.buf = buf, .cap = cap};
    wire_put_u32(&w, msg->type);
    messages[msg->type].encode(msg, &w);
    return w.overflow ? 0 : w.len;
}

int msg_decode(const unsigned char *buf, size_t len, size_t n_fds, enum ipc_link link,
               enum ipc_sender sender, enum ipc_state state, struct ipc_msg *out, struct err *err)
{
    struct wire_reader r = {.buf = buf, .len = len};
    uint32_t type = wire_get_u32(&r);
    if (r.bad || type == MSG_NONE || type >= MSG_COUNT)
        return err_set(err, 0, "unknown message type %u", type);
    const struct message *message = &messages[type];
    if (message->link != link || message->sender != sender)
        return err_set(err, 0, "message %s does not belong here", message->name);
    if (!(message->states & state))
        return err_set(err, 0, "message %s is not allowed in this state", message->name);
    if (n_fds < message->least_fds || n_fds > message->most_fds)
        return err_set(err, 0, "message %s with %zu descriptors", message->name, n_fds);
    *out = (struct ipc_msg){.type = (enum msg_type)type};
    message->decode(out, &r);
    if (!wire_end(&r))
        return err_set(err, 0, "message %s is malformed", message->name);
    return 0;
}
