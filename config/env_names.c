#include "env_names.h"
#include "client_wish.h"
#include "decide.h"
#include "policy.h"
#include "values.h"

#include <string.h>
#include <strings.h>

/* A trailing '*' stands for any ending. Compared without regard to case. */
static const char *const refused[] = {
    /* the dynamic loader and the C library */
    "LD_*", "DYLD_*", "GLIBC_TUNABLES", "MALLOC_*", "GCONV_PATH", "LOCPATH", "NLSPATH", "TZDIR",
    "HOSTALIASES", "LOCALDOMAIN", "RES_OPTIONS", "RESOLV_*", "GETCONF_DIR", "TMPDIR",
    /* shells */
    "PATH", "HOME", "SHELL", "USER", "LOGNAME", "MAIL", "PWD", "OLDPWD", "IFS", "ENV", "BASH*",
    "SHELLOPTS", "PS0", "PS1", "PS2", "PS3", "PS4", "PROMPT_COMMAND", "CDPATH", "GLOBIGNORE",
    "FPATH", "ZDOTDIR", "INPUTRC", "FCEDIT", "HISTFILE",
    /* what programs start on their own */
    "EDITOR", "VISUAL", "PAGER", "MANPAGER", "BROWSER", "LESS*", "TERMINFO*", "TERMCAP",
    /* interpreters */
    "PYTHON*", "PERL*", "RUBY*", "GEM_*", "NODE_*", "LUA_*", "PHPRC", "PHP_*", "JAVA_*", "_JAVA_*",
    "JDK_*", "CLASSPATH", "AWKPATH", "AWKLIBPATH", "TCLLIBPATH",
    /* libraries that load code or read files by name */
    "OPENSSL_*", "SSL_CERT_*", "SSLKEYLOGFILE", "KRB5*", "GSSAPI_*", "XDG_*", "DBUS_*",
    "NOTIFY_SOCKET", "LISTEN_*", "RSYNC_*", "TAR_OPTIONS", "GNUPGHOME", "CURL_HOME", "WGETRC",
    "MAKEFLAGS", "MAKEFILES", "GNUMAKEFLAGS",
    /* git, but for what its own protocol needs; ssh; our own, but for what clients may ask for */
    "GIT_*", "SSH_*", "POSTERN_*"};

bool env_name_is_refused(const char *name, size_t len, bool prefix)
{
    static const char git_protocol[] = "GIT_PROTOCOL";
    if (!prefix && len == sizeof git_protocol - 1 && memcmp(name, git_protocol, len) == 0)
        return false;
    if (!prefix && client_wish_is_name(name, len))
        return false;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        size_t n = strlen(refused[i]);
        bool open = refused[i][n - 1] == '*';
        if (open)
            n--;
        /* A prefix is refused whole only by an open name that it lengthens. */
        bool same_len = open ? len >= n : len == n && !prefix;
        if (same_len && strncasecmp(refused[i], name, n) == 0)
            return true;
    }
    return false;
}

const char *env_pattern_problem(const char *pattern, size_t len)
{
    bool prefix = len > 0 && pattern[len - 1] == '*';
    if (prefix)
        len--;
    if (prefix && len == 0)
        return "would let the client set any variable";
    if (!is_env_name(pattern, len))
        return len > 0 && pattern[len - 1] == ','
                   ? "is not a variable's name: blanks separate names"
                   : "is not a variable's name, nor the beginning of one and '*'";
    if (env_name_is_refused(pattern, len, prefix))
        return "names what no client may set";
    return NULL;
}

bool is_env_value(const char *value)
{
    size_t len = strnlen(value, ENV_VALUE_MAX + 1);
    if (len > ENV_VALUE_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)value[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    /* How old shells took a function, and code behind it, from any variable. */
    return strncmp(value, "()", 2) != 0;
}

static bool matches(const char *pattern, const char *name, size_t len)
{
    size_t n = strlen(pattern);
    /* What steers Postern is meant by its whole name alone. */
    if (n > 0 && pattern[n - 1] == '*' && !client_wish_is_name(name, len))
        return len >= n - 1 && memcmp(pattern, name, n - 1) == 0;
    return n == len && memcmp(pattern, name, n) == 0;
}

bool tenant_accepts_env(const struct tenant *tenant, const char *name, const char *value)
{
    size_t len = strlen(name);
    if (!is_env_name(name, len) || env_name_is_refused(name, len, false) || !is_env_value(value))
        return false;
    for (size_t i = 0; i < tenant->accept_env.n; i++)
        if (matches(tenant->accept_env.items[i], name, len))
            return true;
    return false;
}
