/* Terminal modes of a client: no bytes may do more than set modes. */
#include "ttymodes.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct termios modes = {.c_cflag = CS8}, again = {.c_cflag = CS8};
    ttymodes_apply(data, size, &modes);
    ttymodes_apply(data, size, &again);
    if ((modes.c_cflag & CSIZE) != CS8 || modes.c_line != 0 || modes.c_iflag != again.c_iflag)
        abort();
    return 0;
}
