#include "ttymodes.h"

#include "cleanup.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    OP_END = 0,
    OP_OSPEED = 129,
    SPEED_LEAST = 50,
    OP_SHAPELESS = 160, /* from here on arguments have no known length */
    ARGUMENT = 4,
    NO_CHARACTER = 255, /* "this function has no key" */
};

enum place { IN_CHARS, IN_IFLAG, IN_OFLAG, IN_LFLAG };

/* Left out: what Linux has none of (DSUSP, STATUS, FLUSH, PENDIN), the speed of input, which is
 * that of output, and character size and parity: a pseudo-terminal has eight bits and none. */
static const struct mode {
    unsigned char opcode;
    unsigned char place;
    tcflag_t value; /* an index of c_cc, or flags */
} modes_known[] = {
    {1, IN_CHARS, VINTR},   {2, IN_CHARS, VQUIT},     {3, IN_CHARS, VERASE},
    {4, IN_CHARS, VKILL},   {5, IN_CHARS, VEOF},      {6, IN_CHARS, VEOL},
    {7, IN_CHARS, VEOL2},   {8, IN_CHARS, VSTART},    {9, IN_CHARS, VSTOP},
    {10, IN_CHARS, VSUSP},  {12, IN_CHARS, VREPRINT}, {13, IN_CHARS, VWERASE},
    {14, IN_CHARS, VLNEXT}, {16, IN_CHARS, VSWTC},    {18, IN_CHARS, VDISCARD},

    {30, IN_IFLAG, IGNPAR}, {31, IN_IFLAG, PARMRK},   {32, IN_IFLAG, INPCK},
    {33, IN_IFLAG, ISTRIP}, {34, IN_IFLAG, INLCR},    {35, IN_IFLAG, IGNCR},
    {36, IN_IFLAG, ICRNL},  {37, IN_IFLAG, IUCLC},    {38, IN_IFLAG, IXON},
    {39, IN_IFLAG, IXANY},  {40, IN_IFLAG, IXOFF},    {41, IN_IFLAG, IMAXBEL},
    {42, IN_IFLAG, IUTF8},

    {50, IN_LFLAG, ISIG},   {51, IN_LFLAG, ICANON},   {52, IN_LFLAG, XCASE},
    {53, IN_LFLAG, ECHO},   {54, IN_LFLAG, ECHOE},    {55, IN_LFLAG, ECHOK},
    {56, IN_LFLAG, ECHONL}, {57, IN_LFLAG, NOFLSH},   {58, IN_LFLAG, TOSTOP},
    {59, IN_LFLAG, IEXTEN}, {60, IN_LFLAG, ECHOCTL},  {61, IN_LFLAG, ECHOKE},

    {70, IN_OFLAG, OPOST},  {71, IN_OFLAG, OLCUC},    {72, IN_OFLAG, ONLCR},
    {73, IN_OFLAG, OCRNL},  {74, IN_OFLAG, ONOCR},    {75, IN_OFLAG, ONLRET},
};

static void set_flag(tcflag_t *flags, tcflag_t flag, bool on)
{
    *flags = on ? *flags | flag : *flags & ~flag;
}

static void set_mode(struct termios *modes, const struct mode *mode, uint32_t value)
{
    switch ((enum place)mode->place) {
    case IN_CHARS:
        modes->c_cc[mode->value] = value < NO_CHARACTER ? (cc_t)value : 0;
        break;
    case IN_IFLAG:
        set_flag(&modes->c_iflag, mode->value, value != 0);
        break;
    case IN_OFLAG:
        set_flag(&modes->c_oflag, mode->value, value != 0);
        break;
    case IN_LFLAG:
        set_flag(&modes->c_lflag, mode->value, value != 0);
        break;
    }
}

static void apply_one(struct termios *modes, unsigned char opcode, uint32_t value)
{
    /* None is lower; 0 hangs up, and the C library takes small numbers for its own constants. */
    if (opcode == OP_OSPEED && value >= SPEED_LEAST)
        (void)cfsetspeed(modes, value);
    for (size_t i = 0; i < array_len(modes_known); i++)
        if (modes_known[i].opcode == opcode)
            set_mode(modes, &modes_known[i], value);
}

void ttymodes_default(struct termios *modes)
{
    modes->c_iflag |= BRKINT | IMAXBEL;
}

void ttymodes_apply(const unsigned char *encoded, size_t len, struct termios *modes)
{
    size_t at = 0;
    while (at < len && encoded[at] != OP_END && encoded[at] < OP_SHAPELESS &&
           len - at - 1 >= ARGUMENT) {
        const unsigned char *v = &encoded[at + 1];
        apply_one(modes, encoded[at],
                  (uint32_t)v[0] << 24 | (uint32_t)v[1] << 16 | (uint32_t)v[2] << 8 | v[3]);
        at += 1 + ARGUMENT;
    }
}
