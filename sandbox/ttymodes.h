/*
 * ttymodes.h - the modes of a client's terminal, as SSH encodes them (RFC 4254 §8). Pure: it may be
 * given any bytes.
 */
#ifndef POSTERN_SANDBOX_TTYMODES_H
#define POSTERN_SANDBOX_TTYMODES_H

#include <stddef.h>
#include <termios.h>

/* What a terminal has where the client says nothing, on top of what the kernel gives it: a BREAK
 * interrupts, and a full line beeps. */
void ttymodes_default(struct termios *modes);

/*
 * Applies encoded modes one after another. Opcodes that mean nothing to a pseudo-terminal are
 * passed over; reading stops at TTY_OP_END, at an opcode of no known shape, and where an argument
 * is cut.
 */
void ttymodes_apply(const unsigned char *encoded, size_t len, struct termios *modes);

#endif
