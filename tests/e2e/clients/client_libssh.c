/*
 * client_libssh - what test_interop.py asks of every client, said by libssh.
 *
 *   client_libssh PORT USER KEY
 *
 * Prints a line for each thing it did; a failure of the library ends it with its message.
 */
#include <libssh/libssh.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 5, INPUT = 1 << 20 };

static ssh_session ssh;

static void must(int rc, const char *what)
{
    if (rc == SSH_OK)
        return;
    (void)fprintf(stderr, "%s: %s\n", what, ssh_get_error(ssh));
    exit(1);
}

static ssh_channel open_channel(const char *command)
{
    ssh_channel channel = ssh_channel_new(ssh);
    if (channel == NULL)
        must(SSH_ERROR, "new channel");
    must(ssh_channel_open_session(channel), "open");
    if (command != NULL)
        must(ssh_channel_request_exec(channel, command), "exec");
    return channel;
}

/* Reads one stream to its end; what fits of it, without the newline at its end. */
static void read_all(ssh_channel channel, int is_stderr, char *text, size_t size)
{
    size_t len = 0;
    int n;
    while ((n = ssh_channel_read(channel, text + len, (uint32_t)(size - 1 - len), is_stderr)) > 0)
        len += (size_t)n;
    if (n < 0)
        must(SSH_ERROR, "read");
    while (len > 0 && text[len - 1] == '\n')
        len--;
    text[len] = '\0';
}

static int finish(ssh_channel channel)
{
    int status = ssh_channel_get_exit_status(channel);
    (void)ssh_channel_close(channel);
    ssh_channel_free(channel);
    return status;
}

static void run_streams(void)
{
    char out[256], err[256];
    ssh_channel channel = open_channel("echo out; echo err >&2; exit 7");
    read_all(channel, 0, out, sizeof out);
    read_all(channel, 1, err, sizeof err);
    printf("exec %s %s ", out, err);
    printf("%d\n", finish(channel));
}

static void run_input(void)
{
    static char input[INPUT];
    char out[256];
    memset(input, 'x', sizeof input);
    ssh_channel channel = open_channel("sha256sum");
    if (ssh_channel_write(channel, input, sizeof input) != (int)sizeof input)
        must(SSH_ERROR, "write");
    must(ssh_channel_send_eof(channel), "eof");
    read_all(channel, 0, out, sizeof out);
    printf("stdin %.64s ", out);
    printf("%d\n", finish(channel));
}

static void run_channels(void)
{
    ssh_channel channels[CHANNELS];
    for (int i = 0; i < CHANNELS; i++) {
        char command[64];
        (void)snprintf(command, sizeof command, "cat; exit %d", i);
        channels[i] = open_channel(command);
    }
    printf("channels");
    for (int i = CHANNELS - 1; i >= 0; i--) {
        char text[64], out[64];
        int n = snprintf(text, sizeof text, "n%d", i);
        if (ssh_channel_write(channels[i], text, (uint32_t)n) != n)
            must(SSH_ERROR, "write");
        must(ssh_channel_send_eof(channels[i]), "eof");
        read_all(channels[i], 0, out, sizeof out);
        printf(" %s=", out);
        printf("%d", finish(channels[i]));
    }
    printf("\n");
}

static void be_refused(void)
{
    char out[64];
    ssh_channel channel = open_channel(NULL);
    if (ssh_channel_request_x11(channel, 0, NULL, NULL, 0) == SSH_OK)
        must(SSH_ERROR, "x11 was not refused");
    must(ssh_channel_request_exec(channel, "echo alive"), "exec");
    read_all(channel, 0, out, sizeof out);
    printf("refused, %s\n", out);
    (void)finish(channel);
}

int main(int argc, char **argv)
{
    ssh_key key;
    if (argc != 4)
        return 64;
    ssh = ssh_new();
    if (ssh == NULL)
        return 1;
    must(ssh_options_set(ssh, SSH_OPTIONS_HOST, "127.0.0.1"), "host");
    must(ssh_options_set(ssh, SSH_OPTIONS_PORT_STR, argv[1]), "port");
    must(ssh_options_set(ssh, SSH_OPTIONS_USER, argv[2]), "user");
    must(ssh_pki_import_privkey_file(argv[3], NULL, NULL, NULL, &key), "key");
    must(ssh_connect(ssh), "connect");
    if (ssh_userauth_publickey(ssh, NULL, key) != SSH_AUTH_SUCCESS)
        must(SSH_ERROR, "authenticate");
    run_streams();
    run_input();
    run_channels();
    be_refused();
    ssh_disconnect(ssh);
    ssh_free(ssh);
    ssh_key_free(key);
    return 0;
}
