#include "trail_reader.h"
#include "cleanup.h"
#include "problems.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>

enum { MAGIC_MAX = 8 };

static const struct packer {
    const char *magic;
    const char *program;
    const char *cat;
} packers[] = {{"\x1f\x8b", "gzip", "zcat"},
               {"\xfd\x37zXZ", "xz", "xzcat"},
               {"\x28\xb5\x2f\xfd", "zstd", "zstdcat"}};

static const struct packer *packer_of(const char *begin, size_t len)
{
    for (size_t i = 0; i < array_len(packers); i++)
        if (len >= strlen(packers[i].magic) &&
            memcmp(begin, packers[i].magic, strlen(packers[i].magic)) == 0)
            return &packers[i];
    return NULL;
}

/* What the program writes takes the file's place. */
static int unpack(struct trail_reader *reader, const struct packer *packer)
{
    int fds[2], num;
    char program[16], option[] = "-dc";
    char *argv[] = {program, option, NULL};
    posix_spawn_file_actions_t actions;
    (void)snprintf(program, sizeof program, "%s", packer->program);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return errno;
    cleanup_fd int to = fds[1];
    cleanup_fd int from = fds[0];
    num = posix_spawn_file_actions_init(&actions);
    if (num != 0)
        return num;
    num = posix_spawn_file_actions_adddup2(&actions, reader->fd, STDIN_FILENO);
    num = num == 0 ? posix_spawn_file_actions_adddup2(&actions, to, STDOUT_FILENO) : num;
    num = num == 0 ? posix_spawnp(&reader->child, program, &actions, NULL, argv, environ) : num;
    posix_spawn_file_actions_destroy(&actions);
    if (num != 0) {
        reader->child = 0;
        return num;
    }
    close_fd(&reader->fd);
    reader->fd = steal_fd(&from);
    return 0;
}

static int open_file(struct trail_reader *reader, const char *path)
{
    char magic[MAGIC_MAX], shown[512];
    reader->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t n = reader->fd < 0 ? -1 : pread(reader->fd, magic, sizeof magic, 0);
    /* A pipe has no place to read from, and is read as it is. */
    if (n < 0 && (reader->fd < 0 || errno != ESPIPE)) {
        problem_no_input(path, errno);
        return EX_NOINPUT;
    }
    const struct packer *packer = n > 0 ? packer_of(magic, (size_t)n) : NULL;
    int num = packer != NULL ? unpack(reader, packer) : 0;
    if (num == 0)
        return EX_OK;
    (void)text_escape_str(shown, sizeof shown, path);
    fprintf(stderr, "postern: %s is compressed, and %s can't be run: %s\n", shown, packer->program,
            strerror(num));
    return EX_UNAVAILABLE;
}

/* Its first bytes are still to be read by whoever reads it. */
static int check_stdin(struct trail_reader *reader)
{
    size_t len = 0;
    const char *begin = lines_peek(&reader->lines, MAGIC_MAX, &len);
    if (begin == NULL) {
        problem_no_input(reader->name, errno);
        return EX_NOINPUT;
    }
    const struct packer *packer = packer_of(begin, len);
    if (packer == NULL)
        return EX_OK;
    fprintf(stderr, "postern: standard input is compressed: put %s before it\n", packer->cat);
    return EX_DATAERR;
}

int trail_reader_open(struct trail_reader *reader, const char *path)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int status = EX_OK;
    *reader = (struct trail_reader){
        .name = is_stdin ? "standard input" : path, .lines = {.fd = -1}, .fd = -1};
    if (is_stdin)
        reader->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    else
        status = open_file(reader, path);
    if (status == EX_OK && lines_begin(&reader->lines, reader->fd) < 0) {
        fputs("postern: out of memory\n", stderr);
        status = EX_OSERR;
    }
    return status == EX_OK && is_stdin ? check_stdin(reader) : status;
}

int trail_reader_close(struct trail_reader *reader)
{
    int how = 0;
    char shown[512];
    bool read_all = reader->lines.ended;
    lines_free(&reader->lines);
    close_fd(&reader->fd);
    if (reader->child == 0)
        return EX_OK;
    while (waitpid(reader->child, &how, 0) < 0 && errno == EINTR)
        ;
    reader->child = 0;
    /* Of one that we didn't hear out, nothing is to be expected. */
    if (how == 0 || !read_all)
        return EX_OK;
    (void)text_escape_str(shown, sizeof shown, reader->name);
    fprintf(stderr, "postern: %s could not be unpacked to its end\n", shown);
    return EX_DATAERR;
}
