/*
 * refused.h - a system call that was refused, as the worker tells it and the master shows it: plain
 * data.
 */
#ifndef POSTERN_SANDBOX_REFUSED_H
#define POSTERN_SANDBOX_REFUSED_H

#include <stdint.h>

/* By which ABI a call was made; all but the native one are forbidden as a whole. */
enum call_abi {
    CALL_NATIVE,
    CALL_32_BIT, /* int 0x80 and the like */
    CALL_X32,
    CALL_ABIS
};

enum { CALL_ARGS = 6 };

struct refused_call {
    int nr; /* of its ABI; -1: none */
    enum call_abi abi;
    uint32_t args[CALL_ARGS]; /* those that tell something, as the kernel sees them; others are 0 */
};

#endif
