/*
 * top_screen.h - a terminal that is drawn anew each second: its screen and its keys, without a
 * library, as any terminal of the last decades understands (ECMA-48, termios(3)).
 */
#ifndef POSTERN_DAEMON_CLI_TOP_SCREEN_H
#define POSTERN_DAEMON_CLI_TOP_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

/* Takes the terminal of stdout, and of stdin if that is one. Returns 0, or -1 if stdout is none. */
int screen_open(void);
/* Gives it back as it was. Safe if it was not taken, and more than once. */
void screen_close(void);

/* Lines and columns that fit. */
void screen_size(size_t *rows, size_t *columns);

/* What is printed to stdout from here on is drawn from the top; screen_end() shows it. */
void screen_begin(void);
void screen_end(void);

/* Waits so long, or until the size changes. False: q was pressed, or a signal wants us to end. A
 * stop by SIGTSTP gives the terminal back for that time. */
bool screen_wait(unsigned milliseconds);

#endif
