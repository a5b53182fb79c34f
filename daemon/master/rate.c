#include "rate.h"

enum { NS_PER_MS = 1000000 };

/* When it will be whole; now at the earliest. Under a rate that has become faster no more can be
 * missing than all of it. */
static uint64_t settle(struct rate *rate, uint64_t interval_ms, uint64_t now_ns)
{
    uint64_t latest = now_ns + interval_ms * NS_PER_MS;
    if (rate->whole_ns < now_ns)
        rate->whole_ns = now_ns;
    if (rate->whole_ns > latest)
        rate->whole_ns = latest;
    return rate->whole_ns;
}

uint64_t rate_wait_ms(struct rate *rate, uint32_t count, uint64_t interval_ms, uint64_t now_ms)
{
    if (count == 0)
        return 0;
    uint64_t now_ns = now_ms * NS_PER_MS;
    uint64_t one_ns = interval_ms * NS_PER_MS / count;
    uint64_t missing = settle(rate, interval_ms, now_ns) - now_ns;
    uint64_t room = one_ns * (count - 1);
    return missing <= room ? 0 : (missing - room + NS_PER_MS - 1) / NS_PER_MS;
}

void rate_take(struct rate *rate, uint32_t count, uint64_t interval_ms, uint64_t now_ms)
{
    if (count == 0)
        return;
    rate->whole_ns =
        settle(rate, interval_ms, now_ms * NS_PER_MS) + interval_ms * NS_PER_MS / count;
}

bool rate_is_whole(const struct rate *rate, uint64_t now_ms)
{
    return rate->whole_ns <= now_ms * NS_PER_MS;
}
