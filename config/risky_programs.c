#include "risky_programs.h"

#include <string.h>

/* How the words that a client chooses can lead a program astray. */
enum {
    BY_OPTION = 1 << 0,  /* an option does it; "--" in front keeps options out */
    BY_PRIMARY = 1 << 1, /* the same, but "--" keeps nothing out */
    BY_FIRST = 1 << 2,   /* the word right behind the program's name does it */
    BY_CODE = 1 << 3,    /* the first word that is no option does it */
    BY_WORD = 1 << 4,    /* any word does it */
    BY_REST = 1 << 5,    /* any word behind the first that is no option does it */
    BY_PROGRAM = 1 << 6, /* the first word that is no option, number or NAME=VALUE is run */
    BY_SECOND = 1 << 7,  /* the second word that is no option is run */
};

/* Names are separated by blanks; one may end in '*'. The first row that has the name counts. */
static const struct {
    const char *names;
    unsigned how;
    const char *trick;
} programs[] = {
    {"env nice nohup setsid stdbuf ionice time xargs strace ltrace valgrind busybox toybox sudo "
     "doas nsenter unshare setpriv prlimit systemd-run bwrap firejail ssh-agent fakeroot ld.so "
     "ld-linux*",
     BY_PROGRAM, "it runs the program that its words name"},
    {"timeout chroot flock taskset setarch chrt", BY_SECOND,
     "it runs the program that its words name"},
    {"su runuser", BY_WORD, "its words name a user and a command line"},
    {"watch parallel", BY_WORD, "it joins its words to a line for a shell"},
    {"tmux screen script", BY_WORD, "its words can be commands to run"},

    {"sh bash dash zsh ksh mksh fish csh tcsh rbash ash", BY_CODE,
     "a word is a script, or with -c a command line"},
    {"python perl ruby node nodejs deno bun php lua luajit tclsh wish expect Rscript julia guile "
     "pypy java",
     BY_CODE, "a word names the code that it runs, or with -c or -e is that code"},
    {"awk gawk mawk nawk", BY_CODE, "its program runs commands with system() and getline"},
    {"sed gsed", BY_CODE | BY_OPTION,
     "its script, also with -e, runs commands with 'e' and "
     "writes files with 'w'"},
    {"make gmake", BY_WORD,
     "VAR=VALUE, such as SHELL=PATH, changes what its recipes run, as does -f"},
    {"cmake ninja meson", BY_CODE | BY_OPTION,
     "-P, -E, -C and -f choose the commands that it runs"},
    {"gcc g++ cc c++ cpp clang clang++ ld rustc", BY_OPTION | BY_WORD,
     "-wrapper, -fplugin and -B choose programs that it runs, and @FILE holds options"},
    {"cargo go mvn gradle npm npx yarn pnpm pip gem bundle composer apt apt-get dpkg rpm dnf yum "
     "ansible ansible-playbook",
     BY_CODE | BY_OPTION, "its subcommands and options run code that others wrote"},

    {"git-shell", 0, NULL}, /* judges the line by itself */
    {"git", BY_CODE | BY_OPTION,
     "-c core.pager=CMD, --upload-pack=CMD, --exec-path and aliases run commands"},
    {"git-*", BY_OPTION, "--upload-pack=CMD and --exec=CMD run commands, --help starts a pager"},
    {"hg", BY_CODE | BY_OPTION, "--config alias.x='!CMD' and --debugger run commands"},
    {"svn svnadmin svnlook", BY_OPTION, "--config-option and --editor-cmd run commands"},

    {"rsync", BY_OPTION,
     "-e CMD, --rsh and --rsync-path run commands, --daemon --config serves files, -s takes other "
     "paths"},
    {"tar gtar bsdtar", BY_FIRST | BY_OPTION,
     "--to-command=CMD, --checkpoint-action=exec=CMD and -I CMD run commands"},
    {"cpio", BY_OPTION, "--rsh-command=CMD and -F HOST:FILE run commands"},
    {"zip", BY_OPTION, "-T with -TT CMD runs a command"},
    {"find", BY_PRIMARY, "-exec and -ok run programs, -delete and -fprint change files"},
    {"sort", BY_OPTION, "--compress-program=CMD runs a command, -o writes a file"},
    {"split", BY_OPTION, "--filter=CMD runs a command"},
    {"install", BY_OPTION, "--strip-program=CMD runs a command"},
    {"openssl", BY_CODE | BY_OPTION, "-engine and -provider load code, -out writes a file"},

    {"ssh slogin autossh", BY_OPTION | BY_REST,
     "-oProxyCommand=CMD runs a command here, and the words behind the host one there"},
    {"scp", BY_OPTION, "-S CMD and -oProxyCommand=CMD run commands, -F FILE says so in a file"},
    {"sftp sshfs", BY_OPTION, "-S CMD, -D CMD and -oProxyCommand=CMD run commands"},
    {"ssh-keygen ssh-add", BY_OPTION, "-D, -w and -s load a library"},
    {"curl", BY_OPTION, "-o, -T and -K write, send and read any file"},
    {"wget", BY_OPTION,
     "--use-askpass=CMD runs a command, -O and --post-file write and send files"},
    {"nc ncat netcat nmap", BY_OPTION, "-e CMD, -c CMD and --script run commands"},
    {"socat", BY_WORD, "EXEC:CMD and SYSTEM:CMD run commands"},
    {"tcpdump", BY_OPTION, "-z CMD runs a command, -w writes a file"},
    {"ip", BY_CODE, "netns exec runs a program"},
    {"sendmail exim exim4", BY_OPTION, "-be, -C and -D run commands"},

    {"vi vim view vimdiff nvim gvim ex less more most", BY_WORD,
     "+CMD is a word too, and from it one starts a program"},
    {"ed red", BY_WORD, "'!CMD' in place of a file runs a command"},
    {"emacs nano", BY_OPTION, "--eval, -l and -s choose what it runs"},
    {"man", BY_OPTION, "-P CMD and -H CMD run commands"},
    {"crontab at batch", BY_WORD, "what is handed in is run later"},
    {"gdb lldb", BY_CODE | BY_OPTION, "it runs what it debugs, and -ex 'shell CMD'"},
    {"sqlite3", BY_OPTION | BY_REST, "'.shell CMD' runs a command"},
    {"psql mysql mariadb lftp ftp", BY_OPTION, "-c or -e '\\! CMD' runs a command"},
    {"tex latex pdftex pdflatex xelatex lualatex", BY_OPTION | BY_WORD,
     "\\write18 and --shell-escape run commands"},
    {"docker podman nerdctl kubectl lxc virsh", BY_CODE | BY_OPTION,
     "its subcommands and options reach the host, as run -v /:/host does"},
    {"systemctl journalctl loginctl", BY_CODE | BY_OPTION,
     "its subcommands and options reach the host, and a pager may start"},
};

enum { N_PROGRAMS = sizeof programs / sizeof *programs };

static bool has_name(const char *names, const char *name, size_t len)
{
    while (*names != '\0') {
        size_t n = strcspn(names, " ");
        bool open = n > 0 && names[n - 1] == '*';
        if (open ? len >= n - 1 && memcmp(names, name, n - 1) == 0
                 : len == n && memcmp(names, name, n) == 0)
            return true;
        names += n;
        names += strspn(names, " ");
    }
    return false;
}

static size_t find_program(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    size_t len = strlen(name);
    size_t i = 0;
    while (i < N_PROGRAMS && !has_name(programs[i].names, name, len))
        i++;
    if (i < N_PROGRAMS)
        return i;
    /* "python3.11" and "gcc-12" go by the names without their versions. */
    while (len > 0 && strchr("0123456789.-", name[len - 1]) != NULL)
        len--;
    for (i = 0; i < N_PROGRAMS && !has_name(programs[i].names, name, len);)
        i++;
    return i;
}

bool risky_programs_takes_option(const struct template_word *w)
{
    static const char *const samples[] = {
        "-",          "-x",     "-e",   "-S",   "-1", "--x",   "-oX=y",  "--help", "--x=y", "-xyz",
        "--exec=cmd", "-x.git", "-a/b", "-x y", "--", "--x-y", "-c=x y", "-Xy1",   "-x:y",  "-x,y"};
    if (w->type == WORD_ANY || w->type == WORD_ARGS)
        return true;
    for (size_t i = 0; w->type == WORD_RE && i < sizeof samples / sizeof *samples; i++)
        if (template_word_matches(w, samples[i]))
            return true;
    return false;
}

/* What has been seen of a program's words. */
struct walk {
    unsigned how;
    size_t position;
    size_t operands; /* words that are no options */
    bool ended;      /* by "--" */
};

static bool is_too_free(const struct walk *walk, const struct template_word *w)
{
    bool option = risky_programs_takes_option(w);
    if (!option && w->type != WORD_WORD)
        return false;
    unsigned by = BY_WORD;
    if (option)
        by |= walk->ended ? BY_PRIMARY : BY_PRIMARY | BY_OPTION;
    if (walk->position == 1)
        by |= BY_FIRST;
    by |= walk->operands == 0 ? BY_CODE | BY_PROGRAM : BY_REST;
    if (walk->operands == 1 || w->type == WORD_ARGS)
        by |= BY_SECOND;
    return (walk->how & by) != 0;
}

static bool is_option(const struct walk *walk, const char *literal)
{
    if (!walk->ended && literal[0] == '-')
        return true;
    /* Arguments of their options, and variables. */
    return (walk->how & BY_PROGRAM) != 0 &&
           ((literal[0] >= '0' && literal[0] <= '9') || strchr(literal, '=') != NULL);
}

static bool is_run(const struct walk *walk)
{
    return ((walk->how & BY_PROGRAM) != 0 && walk->operands == 0) ||
           ((walk->how & BY_SECOND) != 0 && walk->operands == 1);
}

/* The program `name` is at word `at` of the template. */
static bool find_from(const struct command_template *tpl, size_t at, const char *name,
                      struct risk *out)
{
    size_t row = find_program(name);
    struct walk walk = {.how = row == N_PROGRAMS ? 0 : programs[row].how};
    while (walk.how != 0 && ++at < tpl->n_words) {
        const struct template_word *w = &tpl->words[at];
        walk.position++;
        if (w->type != WORD_LITERAL) {
            if (is_too_free(&walk, w)) {
                *out = (struct risk){name, w, programs[row].trick};
                return true;
            }
            walk.operands++;
        } else if (is_option(&walk, w->text)) {
            walk.ended = walk.ended || strcmp(w->text, "--") == 0;
        } else if (is_run(&walk)) {
            name = w->text;
            row = find_program(name);
            walk = (struct walk){.how = row == N_PROGRAMS ? 0 : programs[row].how};
        } else {
            walk.operands++;
        }
    }
    return false;
}

bool risky_programs_find(const struct command_template *tpl, struct risk *out)
{
    const struct template_word *program = &tpl->words[0];
    if (program->type == WORD_LITERAL)
        return find_from(tpl, 0, program->text, out);
    for (size_t i = 0; program->type == WORD_ONEOF && i < program->choices.n; i++)
        if (find_from(tpl, 0, program->choices.items[i], out))
            return true;
    return false;
}
