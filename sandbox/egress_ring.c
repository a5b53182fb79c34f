#include "egress.h"

#include "cleanup.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/*
 * The layout of BPF_MAP_TYPE_RINGBUF (Documentation/bpf/ringbuf.rst): a page with the consumer's
 * position, which is ours to write; a page with the producer's; then the data, mapped twice in a
 * row so that no record is cut at the end. A record is a length with two flags, four bytes that are
 * the kernel's, and what was put, to the next multiple of eight.
 */
struct egress_ring {
    void *consumer;
    void *producer;
    size_t page, size;
};

enum { RECORD_HEADER = BPF_RINGBUF_HDR_SZ };

static size_t ring_size(int ring)
{
    struct bpf_map_info info = {0};
    union bpf_attr attr = {.info = {.bpf_fd = (uint32_t)ring,
                                    .info_len = sizeof info,
                                    .info = (uint64_t)(uintptr_t)&info}};
    if (syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof attr) < 0)
        return 0;
    if (info.type != BPF_MAP_TYPE_RINGBUF)
        errno = EINVAL;
    return info.type == BPF_MAP_TYPE_RINGBUF ? info.max_entries : 0;
}

struct egress_ring *egress_ring_open(int fd, struct err *err)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = ring_size(fd);
    struct egress_ring *ring = size == 0 ? NULL : malloc(sizeof *ring);
    if (ring == NULL) {
        err_set(err, errno, "ring of refusals");
        return NULL;
    }
    *ring = (struct egress_ring){.page = page, .size = size};
    ring->consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ring->producer = mmap(NULL, page + 2 * size, PROT_READ, MAP_SHARED, fd, (off_t)page);
    if (ring->consumer != MAP_FAILED && ring->producer != MAP_FAILED)
        return ring;
    err_set(err, errno, "ring of refusals");
    egress_ring_close(ring);
    return NULL;
}

void egress_ring_close(struct egress_ring *ring)
{
    if (ring == NULL)
        return;
    if (ring->consumer != MAP_FAILED)
        munmap(ring->consumer, ring->page);
    if (ring->producer != MAP_FAILED)
        munmap(ring->producer, ring->page + 2 * ring->size);
    free(ring);
}

bool egress_ring_take(struct egress_ring *ring, struct egress_event *out)
{
    _Atomic unsigned long *consumed = ring->consumer;
    const unsigned char *data = (const unsigned char *)ring->producer + ring->page;
    unsigned long at = atomic_load_explicit(consumed, memory_order_relaxed);
    bool found = false;
    while (!found && at < atomic_load_explicit((_Atomic unsigned long *)ring->producer,
                                               memory_order_acquire)) {
        const unsigned char *record = data + (at & (ring->size - 1));
        uint32_t head = atomic_load_explicit((_Atomic uint32_t *)(void *)(uintptr_t)record,
                                             memory_order_acquire);
        if (head & BPF_RINGBUF_BUSY_BIT)
            break;
        uint32_t len = head & ~(uint32_t)(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
        found = (head & BPF_RINGBUF_DISCARD_BIT) == 0 && len == sizeof *out;
        if (found)
            memcpy(out, record + RECORD_HEADER, sizeof *out);
        at += (RECORD_HEADER + len + 7UL) & ~7UL;
        atomic_store_explicit(consumed, at, memory_order_release);
    }
    return found;
}
