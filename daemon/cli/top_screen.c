#include "top_screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define ALTERNATE_ON  "\033[?1049h\033[?25l"
#define ALTERNATE_OFF "\033[?25h\033[?1049l"
#define HOME          "\033[H"
#define CLEAR_BELOW   "\033[J"

static struct {
    bool taken;
    bool has_keys; /* stdin is a terminal, too */
    struct termios before;
    sigset_t mask; /* as it was: what is blocked while we don't wait */
} screen;

static volatile sig_atomic_t wants_end, wants_stop;

static void on_signal(int signo)
{
    if (signo == SIGTSTP)
        wants_stop = 1;
    else if (signo != SIGWINCH)
        wants_end = 1;
}

static const int watched[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};

/* They arrive while we wait, and at no other time. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof watched / sizeof *watched; i++) {
        sigaddset(&set, watched[i]);
        (void)sigaction(watched[i], &action, NULL);
    }
    (void)sigprocmask(SIG_BLOCK, &set, &screen.mask);
}

static void take(void)
{
    struct termios raw;
    screen.has_keys = isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &screen.before) == 0;
    if (screen.has_keys) {
        raw = screen.before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    }
    fputs(ALTERNATE_ON, stdout);
    (void)fflush(stdout);
    screen.taken = true;
}

int screen_open(void)
{
    if (isatty(STDOUT_FILENO) != 1)
        return -1;
    catch_signals();
    take();
    return 0;
}

void screen_close(void)
{
    if (!screen.taken)
        return;
    fputs(ALTERNATE_OFF, stdout);
    (void)fflush(stdout);
    if (screen.has_keys)
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &screen.before);
    screen.taken = false;
}

void screen_size(size_t *rows, size_t *columns)
{
    struct winsize size = {0};
    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    *rows = size.ws_row > 0 ? size.ws_row : 24;
    *columns = size.ws_col > 0 ? size.ws_col : 80;
}

void screen_begin(void)
{
    fputs(HOME CLEAR_BELOW, stdout);
}

void screen_end(void)
{
    (void)fflush(stdout);
}

static void stop_for_a_while(void)
{
    wants_stop = 0;
    screen_close();
    (void)raise(SIGSTOP);
    take();
}

/* False: we are to end. */
static bool read_keys(void)
{
    char keys[64];
    ssize_t n = read(STDIN_FILENO, keys, sizeof keys);
    for (ssize_t i = 0; i < n; i++)
        if (keys[i] == 'q' || keys[i] == 'Q')
            return false;
    return n > 0;
}

bool screen_wait(unsigned milliseconds)
{
    struct pollfd pfd = {.fd = screen.has_keys ? STDIN_FILENO : -1, .events = POLLIN};
    const struct timespec patience = {.tv_sec = milliseconds / 1000,
                                      .tv_nsec = (long)(milliseconds % 1000) * 1000000};
    int n = ppoll(&pfd, 1, &patience, &screen.mask);
    if (n > 0 && !read_keys())
        return false;
    if (wants_stop != 0)
        stop_for_a_while();
    return wants_end == 0;
}
