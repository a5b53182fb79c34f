#include "state.h"
#include "cleanup.h"
#include "messages.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum {
    MAGIC = 0x50535448, /* "PSTH" */
    FIRST_FD = 3,
};

bool state_is_good(const struct state *state)
{
    return state->saving ? !state->out.overflow : !state->in.bad;
}

bool state_is_done(const struct state *state)
{
    return state->saving ? !state->out.overflow : wire_end(&state->in);
}

void state_refuse(struct state *state)
{
    if (!state->saving)
        state->in.bad = true;
}

void state_u32(struct state *state, uint32_t *v)
{
    if (state->saving)
        wire_put_u32(&state->out, *v);
    else
        *v = wire_get_u32(&state->in);
}

void state_u64(struct state *state, uint64_t *v)
{
    if (state->saving)
        wire_put_u64(&state->out, *v);
    else
        *v = wire_get_u64(&state->in);
}

unsigned state_number(struct state *state, unsigned v, unsigned count)
{
    uint32_t number = v;
    state_u32(state, &number);
    if (state->saving || number < count)
        return number;
    state_refuse(state);
    return 0;
}

void state_bool(struct state *state, bool *v)
{
    *v = state_number(state, *v, 2) != 0;
}

void state_u16(struct state *state, uint16_t *v)
{
    *v = (uint16_t)state_number(state, *v, UINT16_MAX + 1U);
}

void state_unsigned(struct state *state, unsigned *v)
{
    uint32_t number = *v;
    state_u32(state, &number);
    *v = number;
}

void state_size(struct state *state, size_t *v, size_t max)
{
    uint64_t number = *v;
    state_u64(state, &number);
    if (!state->saving && number > max) {
        state_refuse(state);
        number = 0;
    }
    *v = (size_t)number;
}

void state_text(struct state *state, char *buf, size_t cap)
{
    if (state->saving) {
        wire_put_str(&state->out, buf);
        return;
    }
    const char *text = wire_get_str(&state->in, cap - 1);
    memcpy(buf, text, strlen(text) + 1);
}

void state_string(struct state *state, char **text, size_t max)
{
    bool there = *text != NULL;
    state_bool(state, &there);
    if (!there)
        return;
    if (state->saving) {
        wire_put_str(&state->out, *text);
        return;
    }
    const char *read = wire_get_str(&state->in, max);
    if (!state_is_good(state) || (*text = strdup(read)) == NULL)
        state_refuse(state);
}

void state_bytes(struct state *state, void *bytes, size_t len)
{
    if (state->saving) {
        wire_put_bytes(&state->out, (struct wire_bytes){bytes, len});
        return;
    }
    struct wire_bytes read = wire_get_bytes(&state->in, len);
    if (read.len != len)
        state_refuse(state);
    else if (len > 0)
        memcpy(bytes, read.data, len);
}

void state_blob(struct state *state, unsigned char **data, size_t *len, size_t max)
{
    if (state->saving) {
        wire_put_bytes(&state->out, (struct wire_bytes){*data, *len});
        return;
    }
    struct wire_bytes read = wire_get_bytes(&state->in, max);
    if (read.len == 0)
        return;
    *data = malloc(read.len);
    if (*data == NULL) {
        state_refuse(state);
        return;
    }
    memcpy(*data, read.data, read.len);
    *len = read.len;
}

void state_address(struct state *state, struct sockaddr_storage *addr)
{
    state_bytes(state, addr, sizeof *addr);
    if (!state->saving && addr->ss_family != AF_INET && addr->ss_family != AF_INET6)
        state_refuse(state);
}

static void save_fd(struct state *state, int fd)
{
    if ((state->n_fds & (state->n_fds - 1)) == 0) {
        size_t cap = state->n_fds > 0 ? 2 * state->n_fds : 1;
        int *fds = realloc(state->fds, cap * sizeof *fds);
        if (fds == NULL) {
            state->out.overflow = true;
            return;
        }
        state->fds = fds;
    }
    state->fds[state->n_fds++] = fd;
}

void state_fd(struct state *state, int *fd)
{
    bool there = *fd >= 0;
    state_bool(state, &there);
    if (state->saving) {
        if (there)
            save_fd(state, *fd);
        return;
    }
    *fd = -1;
    if (!there || !state_is_good(state))
        return;
    /* They come in the order in which they were saved. */
    if (state->next_fd == state->n_fds)
        state_refuse(state);
    else
        *fd = steal_fd(&state->fds[state->next_fd++]);
}

bool state_more(struct state *state, bool more)
{
    state_bool(state, &more);
    return more && state_is_good(state);
}

void state_timer(struct state *state, struct loop *loop, struct loop_timer *timer,
                 void (*const *fns)(struct loop_timer *), unsigned n_fns)
{
    unsigned which = 0;
    uint64_t due_ms = timer->due_ms;
    if (state->saving && timer->slot != 0)
        for (unsigned i = 0; i < n_fns; i++)
            if (timer->on_due == fns[i])
                which = i + 1;
    which = state_number(state, which, n_fns + 1);
    if (which == 0)
        return;
    state_u64(state, &due_ms);
    if (!state->saving && state_is_good(state) &&
        loop_arm_at(loop, timer, due_ms, fns[which - 1]) < 0)
        state_refuse(state);
}

static void put_header(const struct state *state, struct wire_writer *w)
{
    wire_put_u32(w, MAGIC);
    wire_put_u32(w, STATE_VERSION);
    wire_put_u64(w, msg_protocol());
    wire_put_str(w, POSTERN_VERSION);
    wire_put_u32(w, (uint32_t)state->n_fds);
    for (size_t i = 0; i < state->n_fds; i++)
        wire_put_u32(w, (uint32_t)state->fds[i]);
    wire_put_bytes(w, (struct wire_bytes){state->out.buf, state->out.len});
}

static int write_all(int fd, const unsigned char *data, size_t len, struct err *err)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(err, errno, "state");
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

int state_write(const struct state *state, int *out, struct err *err)
{
    struct wire_writer w = {.grows = true};
    cleanup_fd int fd = memfd_create("postern-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return err_set(err, errno, "memfd_create");
    put_header(state, &w);
    int rc = state->out.overflow || w.overflow || w.len > STATE_SIZE_MAX
                 ? err_set(err, ENOMEM, "state")
                 : write_all(fd, w.buf, w.len, err);
    free(w.buf);
    if (rc < 0)
        return -1;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        return err_set(err, errno, "seal the state");
    *out = steal_fd(&fd);
    return 0;
}

/* What another version has written is not guessed at. */
static int check_versions(struct state *state, struct wire_reader *r, struct err *err)
{
    uint32_t magic = wire_get_u32(r), version = wire_get_u32(r);
    uint64_t protocol = wire_get_u64(r);
    const char *writer = wire_get_str(r, sizeof state->writer - 1);
    if (r->bad || magic != MAGIC)
        return err_set(err, 0, "it is no state of posternd");
    if (version != STATE_VERSION)
        return err_set(err, 0, "posternd %s writes its state in version %u, posternd %s reads %d",
                       writer, version, POSTERN_VERSION, STATE_VERSION);
    if (protocol != msg_protocol())
        return err_set(err, 0, "the sessions of posternd %s don't understand posternd %s", writer,
                       POSTERN_VERSION);
    memcpy(state->writer, writer, strlen(writer) + 1);
    return 0;
}

/* Each is ours from here on, once. */
static int take_fds(struct state *state, struct wire_reader *r, int own, struct err *err)
{
    uint32_t n = wire_get_u32(r);
    if (r->bad || n > STATE_FDS_MAX || n > (r->len - r->pos) / 4)
        return err_set(err, 0, "its descriptors are malformed");
    state->fds = calloc(n > 0 ? n : 1, sizeof *state->fds);
    if (state->fds == NULL)
        return err_set(err, ENOMEM, "descriptors");
    for (uint32_t i = 0; i < n; i++) {
        uint32_t number = wire_get_u32(r);
        int fd = number <= INT32_MAX ? (int)number : -1;
        /* One that is close-on-exec was not handed over, or has been taken already. */
        if (fd < FIRST_FD || fd == own || fcntl(fd, F_GETFD) != 0 ||
            fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
            return err_set(err, 0, "descriptor %u was not handed over", number);
        state->fds[state->n_fds++] = fd;
    }
    return 0;
}

int state_open(struct state *state, int fd, struct wire_bytes *map, struct err *err)
{
    struct stat st;
    *map = (struct wire_bytes){0};
    if (fstat(fd, &st) < 0)
        return err_set(err, errno, "state");
    if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > STATE_SIZE_MAX)
        return err_set(err, 0, "it is no state of posternd");
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return err_set(err, errno, "state");
    *map = (struct wire_bytes){data, (size_t)st.st_size};
    struct wire_reader r = {.buf = map->data, .len = map->len};
    if (check_versions(state, &r, err) < 0 || take_fds(state, &r, fd, err) < 0)
        return -1;
    struct wire_bytes fields = wire_get_bytes(&r, STATE_SIZE_MAX);
    if (!wire_end(&r))
        return err_set(err, 0, "it is cut short, or too long");
    state->in = (struct wire_reader){.buf = fields.data, .len = fields.len};
    return 0;
}

void state_open_fields(struct state *state, struct wire_bytes fields, int *fds, size_t n_fds)
{
    *state =
        (struct state){.in = {.buf = fields.data, .len = fields.len}, .fds = fds, .n_fds = n_fds};
}

void state_free(struct state *state)
{
    for (size_t i = 0; !state->saving && i < state->n_fds; i++)
        close_fd(&state->fds[i]);
    free(state->fds);
    free(state->out.buf);
    *state = (struct state){.saving = state->saving};
}
