/* The message decoder, on every link, in every state: what decodes must encode to the same bytes.
 */
#include "messages.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned char again[IPC_DATAGRAM_MAX];
    if (size < 1 || size > IPC_DATAGRAM_MAX)
        return 0;
    enum ipc_link link = (enum ipc_link)(data[0] % 5);
    enum ipc_sender sender = (enum ipc_sender)(data[0] / 5 % 2);
    enum ipc_state state = (enum ipc_state)(1U << (data[0] / 10 % 4));
    size_t n_fds = data[0] / 40;
    struct ipc_msg msg;
    struct err err;
    if (msg_decode(data + 1, size - 1, n_fds, link, sender, state, &msg, &err) < 0)
        return 0;
    size_t len = msg_encode(&msg, again, sizeof again);
    if (len != size - 1 || memcmp(again, data + 1, len) != 0)
        abort();
    return 0;
}
