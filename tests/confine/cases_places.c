/* What an exec sees of the host, and where it may write: binds, hidden places, roots. */
#include "cases.h"
#include "cleanup.h"
#include "places.h"
#include "probe.h"

#include <string.h>

static const char *const probe[] = {TEST_BIN "/postern-probe", NULL};

/* What the probe finds open is just what these sandboxes open on purpose. */
static void expect_open(const struct sandbox_template *tpl, const char *const *names, size_t n)
{
    struct outcome out;
    size_t open = 0;
    harness_run(tpl, probe, &out);
    CHECK(out.ended && !out.exit.signalled);
    for (const char *at = out.output; (at = strstr(at, "OPEN ")) != NULL; at++)
        open++;
    if (open != n)
        (void)fprintf(stderr, "%s", out.output);
    CHECK_INT(open, n);
    CHECK_INT(out.exit.code, n > 0);
    for (size_t i = 0; i < n; i++) {
        char line[64];
        (void)snprintf(line, sizeof line, "OPEN %s: ", names[i]);
        CHECK(strstr(out.output, line) != NULL);
    }
}

/* Writable binds, hidden places and a workspace in one sandbox. */
static void holds_every_property_with_places(void)
{
    struct sandbox_spec spec = harness_spec();
    struct sandbox_bind writes[] = {{harness_dir("p-write", TEST_UID, 0700), (char *)PROBE_WRITE}};
    struct sandbox_bind reads[] = {spec.reads[0],
                                   {harness_dir("p-read", 0, 0755), (char *)PROBE_BESIDE}};
    char *hides[] = {(char *)PROBE_HIDDEN_DIR, (char *)PROBE_HIDDEN_FILE};
    (void)harness_file("p-read/secret", "a secret\n", 0, 0644);
    (void)harness_dir("p-read/secrets", 0, 0755);
    (void)harness_file("p-read/secrets/one", "another\n", 0, 0644);
    spec.writes = writes;
    spec.n_writes = 1;
    spec.reads = reads;
    spec.n_reads = 2;
    spec.hides = hides;
    spec.n_hides = array_len(hides);
    spec.workspace = WORKSPACE_EXEC;
    spec.workspace_size = 32 << 20;
    struct sandbox_template tpl = harness_prepare(&spec);
    expect_open(&tpl, NULL, 0);
    sandbox_template_free(&tpl);
}

static void writes_where_it_may(void)
{
    struct sandbox_spec spec = harness_spec();
    struct sandbox_bind writes[] = {
        {harness_dir("w", TEST_UID, 0700), (char *)"/srv/w"},
        {harness_file("w-file", "one\n", TEST_UID, 0600), (char *)"/srv/log"},
        {harness_dir("w-theirs", OTHER_UID, 0700), (char *)"/srv/theirs"},
        {harness_dir("w-closed", 0, 0700), (char *)"/srv/closed"},
        {harness_dir("w-below", TEST_UID, 0700), (char *)"/srv/shut/below"},
    };
    struct sandbox_bind reads[] = {{harness_dir("w-read", TEST_UID, 0700), (char *)"/srv/r"},
                                   {harness_dir("w-shut", 0, 0700), (char *)"/srv/shut"}};
    (void)harness_dir("w-shut/below", 0, 0755);
    (void)harness_file("w-read/f", "", TEST_UID, 0600);
    spec.reads = reads;
    spec.n_reads = array_len(reads);
    spec.writes = writes;
    spec.n_writes = array_len(writes);
    struct sandbox_template tpl = harness_prepare(&spec);
    places_expect_done(&tpl,
                       "cd /srv/w && mkdir a b && echo x > a/f && mv a/f b/g && ln b/g b/h && "
                       "ln -s /etc/shadow link && chmod 4755 b/g && rmdir a");
    struct stat st = places_look("w/b/g");
    CHECK(st.st_uid == TEST_UID && st.st_gid == TEST_GID && st.st_size == 2 && st.st_nlink == 2);
    places_expect_done(&tpl,
                       "echo two >> /srv/log && [ \"$(wc -l < /srv/log)\" = 2 ] && : > /srv/log");
    CHECK_INT(places_look("w-file").st_size, 0);
    /* Ours alone and of the same owner, but for reading: only the mount says no. */
    places_expect_output(
        &tpl, "touch /srv/r/x 2>/dev/null || echo 1; touch /srv/r/f 2>/dev/null || echo 2",
        "1\n2\n");
    places_expect_output(
        &tpl,
        "ln /srv/r/f /srv/w/f 2>&1; rm /srv/log 2>&1; mknod /srv/w/null c 1 3 2>&1; "
        "touch /srv/theirs/x 2>&1; touch /srv/closed/x 2>&1; "
        "touch /srv/shut/below/x 2>&1; touch /srv/x 2>&1; :",
        "ln: failed to create hard link '/srv/w/f' => '/srv/r/f': Invalid cross-device "
        "link\n"
        "rm: cannot remove '/srv/log': Read-only file system\n"
        "mknod: /srv/w/null: Permission denied\n"
        "touch: cannot touch '/srv/theirs/x': Permission denied\n"
        "touch: cannot touch '/srv/closed/x': Permission denied\n"
        "touch: cannot touch '/srv/shut/below/x': Permission denied\n"
        "touch: cannot touch '/srv/x': Read-only file system\n");
    /* The next exec finds what this one wrote, and what a tenant plants there leads nowhere. */
    places_expect_output(&tpl, "cat /srv/w/b/h; cat /srv/w/link 2>/dev/null || echo no", "x\nno\n");
    sandbox_template_free(&tpl);
}

/* A place inside a writable directory is not made there by us. */
static void makes_no_places_on_the_host(void)
{
    struct sandbox_spec spec = harness_spec();
    struct sandbox_bind writes[] = {{harness_dir("m", TEST_UID, 0700), (char *)"/srv/m"}};
    struct sandbox_bind reads[] = {{(char *)"/etc", (char *)"/srv/m/etc"}};
    spec.reads = reads;
    spec.writes = writes;
    spec.n_writes = 1;
    places_expect_refusal(&spec, "read = /etc:/srv/m/etc: /srv/m/etc: No such file");
    reads[0].dest = (char *)"/srv/m/deep/etc";
    places_expect_refusal(&spec, "No such file");
    CHECK(!places_have("m/etc") && !places_have("m/deep"));
    (void)harness_dir("m/etc", TEST_UID, 0755);
    reads[0].dest = (char *)"/srv/m/etc";
    struct sandbox_template tpl = harness_prepare(&spec);
    places_expect_output(&tpl,
                         "touch /srv/m/etc/x 2>/dev/null || echo no; "
                         "rmdir /srv/m/etc 2>/dev/null || echo no; test -f /srv/m/etc/hostname",
                         "no\nno\n");
    sandbox_template_free(&tpl);
}

static void follows_no_planted_links(void)
{
    static const char *const planted[] = {"l-theirs/link", "l-theirs/up/hostname",
                                          "l-sticky/link", "l-open/link",
                                          "l-roots/chain", "l-theirs/roots/link"};
    struct sandbox_spec spec = harness_spec();
    struct sandbox_bind bind = {.dest = (char *)"/srv/x"};
    (void)harness_dir("l-theirs", TEST_UID, 0755);
    (void)harness_dir("l-sticky", 0, 01777);
    (void)harness_dir("l-open", 0, 0777);
    (void)harness_dir("l-roots", 0, 0755);
    (void)harness_file("l-roots/file", "fine\n", 0, 0644);
    (void)harness_dir("l-theirs/roots", 0, 0755);
    places_plant("/etc/hostname", "l-theirs/roots/link", 0);
    places_plant("/etc/hostname", "l-theirs/link", TEST_UID);
    places_plant("/etc", "l-theirs/up", TEST_UID);
    places_plant("/etc/hostname", "l-sticky/link", TEST_UID);
    places_plant("/etc/hostname", "l-open/link", 0);
    places_plant("../l-theirs/link", "l-roots/chain", 0);
    places_plant("file", "l-roots/link", 0);
    places_plant("../l-roots/./link", "l-sticky/fine", 0);
    for (size_t i = 0; i < array_len(planted); i++) {
        bind.source = harness_path(planted[i]);
        spec.reads = &bind;
        spec.n_reads = 1;
        places_expect_refusal(&spec, "there is a symbolic link on the way where others than root");
        spec.n_reads = 0;
        spec.writes = &bind;
        spec.n_writes = 1;
        places_expect_refusal(&spec, "there is a symbolic link on the way where others than root");
        spec.n_writes = 0;
    }
    places_plant("loop", "l-roots/loop", 0);
    bind.source = harness_path("l-roots/loop");
    spec.n_reads = 1;
    places_expect_refusal(&spec, "Too many levels of symbolic links");
    bind.source = harness_path("l-sticky/fine");
    struct sandbox_template tpl = harness_prepare(&spec);
    places_expect_output(&tpl, "cat /srv/x", "fine\n");
    sandbox_template_free(&tpl);
}

static void refuses_bad_binds(void)
{
    static const struct {
        const char *source, *dest, *text;
    } writes[] = {
        {"/no/such/place", "/opt/x", "write = /no/such/place:/opt/x: /no/such/place: No such file"},
        {"/etc", "/tmp/x", "/tmp is made by Postern itself"},
        {"/etc", "/workspace/x", "/workspace is made by Postern itself"},
        {"/etc", "/usr/lib", "/usr is made by Postern itself"},
        {"relative", "/opt/x", "absolute paths"},
        {"/dev/null", "/opt/x", "neither a directory nor a regular file"},
    };
    struct sandbox_spec spec = harness_spec();
    for (size_t i = 0; i < array_len(writes); i++) {
        struct sandbox_bind bind = {(char *)writes[i].source, (char *)writes[i].dest};
        spec.writes = &bind;
        spec.n_writes = 1;
        places_expect_refusal(&spec, writes[i].text);
    }
    struct sandbox_bind twice = {(char *)"/etc", spec.reads[0].dest};
    spec.writes = &twice;
    places_expect_refusal(&spec, "two read or write lines for " TEST_BIN);
}

static void hides_what_it_should(void)
{
    static const char *const hidden[] = {"/srv/r/dir", "/srv/r/file", "/srv/w/dir", "/usr/share",
                                         "/etc/nsswitch.conf"};
    struct sandbox_spec spec = harness_spec();
    struct sandbox_bind writes[] = {{harness_dir("h-w", TEST_UID, 0700), (char *)"/srv/w"}};
    struct sandbox_bind reads[] = {{harness_dir("h-r", 0, 0755), (char *)"/srv/r"}};
    (void)harness_dir("h-r/dir", 0, 0755);
    (void)harness_file("h-r/dir/secret", "x", 0, 0644);
    (void)harness_file("h-r/file", "a secret\n", 0, 0644);
    (void)harness_dir("h-w/dir", TEST_UID, 0700);
    (void)harness_file("h-w/dir/secret", "x", TEST_UID, 0600);
    spec.reads = reads;
    spec.writes = writes;
    spec.n_writes = 1;
    spec.hides = (char **)(uintptr_t)hidden;
    spec.n_hides = array_len(hidden);
    struct sandbox_template tpl = harness_prepare(&spec);
    places_expect_output(
        &tpl, "ls -A /srv/r/dir /usr/share; wc -c < /srv/r/file; wc -c < /etc/nsswitch.conf",
        "/srv/r/dir:\n\n/usr/share:\n0\n0\n");
    /* Where the tenant may write, it still can't take the cover away, nor look under it. */
    places_expect_output(&tpl,
                         "ls -A /srv/w/dir; touch /srv/w/dir/x 2>/dev/null || echo ro; "
                         "rmdir /srv/w/dir 2>/dev/null || echo kept; "
                         "mv /srv/w/dir /srv/w/other 2>/dev/null || echo there; "
                         "echo x 2>/dev/null > /srv/r/file || echo ro",
                         "ro\nkept\nthere\nro\n");
    CHECK(places_have("h-w/dir/secret") && places_have("h-r/dir/secret"));
    sandbox_template_free(&tpl);
}

static void refuses_bad_hides(void)
{
    static const struct {
        const char *path, *text;
    } bad[] = {
        {"/usr/no-such-thing", "hide = /usr/no-such-thing: there is no such file in the sandbox"},
        {"/home", "there is no such file in the sandbox"},
        {"/srv/r/link", "there is a symbolic link on the way; name the real path"},
        {"/proc/meminfo", "/proc is made by Postern itself"},
        {"/tmp", "/tmp is made by Postern itself"},
        {"/dev/null", "/dev is made by Postern itself"},
        {"/usr", "that can't be hidden"},
        {"/", "that can't be hidden"},
        {"srv", "that can't be hidden"},
    };
    struct sandbox_spec spec = harness_spec();
    struct sandbox_bind reads[] = {{harness_dir("bad-h", 0, 0755), (char *)"/srv/r"}};
    places_plant("/etc", "bad-h/link", 0);
    spec.reads = reads;
    spec.n_hides = 1;
    for (size_t i = 0; i < array_len(bad); i++) {
        spec.hides = (char *[]){(char *)bad[i].path};
        places_expect_refusal(&spec, bad[i].text);
    }
}

static void runs_on_another_root(void)
{
    struct sandbox_spec spec = harness_spec();
    struct sandbox_bind reads[] = {spec.reads[0],
                                   {harness_dir("root-bind", 0, 0755), (char *)"/mnt/here/it"}};
    char *hides[] = {(char *)"/opt/full", (char *)"/etc/sub/file"};
    spec.root = harness_dir("root", 0, 0755);
    spec.reads = reads;
    spec.n_reads = 2;
    places_make_root(spec.root);
    struct sandbox_template plain = harness_prepare(&spec);
    struct sandbox_spec hiding_spec = spec;
    hiding_spec.hides = hides;
    hiding_spec.n_hides = 2;
    struct sandbox_template hiding = harness_prepare(&hiding_spec);
    places_expect_output(
        &plain,
        "cd /; echo *; echo etc/*; cat etc/marker etc/link etc/sub/file etc/hostname "
        "opt/full/file file var/lib/state; echo mnt/here/* var/*; readlink bin var/tmp",
        "bin dev etc file home lib lib64 mnt opt proc run tmp usr var\n"
        "etc/group etc/hostname etc/hosts etc/link etc/marker etc/mtab etc/nsswitch.conf "
        "etc/passwd etc/resolv.conf etc/shells etc/sub\n"
        "ours\nours\ndeep\npostern\nkept\ntop\nstate\n"
        "mnt/here/it var/empty var/lib var/run var/tmp\nusr/bin\n../tmp\n");
    places_expect_output(&plain,
                         "for d in / /usr/bin /etc /opt/full /var/lib /home; do "
                         "touch $d/x 2>/dev/null && echo $d; done; echo /tmp/*; echo x > /tmp/f",
                         "/tmp/*\n");
    places_expect_output(&hiding, "ls -A /opt/full; cat /etc/sub/file", "");
    /* They are the root's own. */
    static const char *const roots[] = {"no-var-lib", "no-home"};
    expect_open(&plain, roots, array_len(roots));
    CHECK(!places_have("root/mnt/here") && !places_have("root/workspace") &&
          places_have("root/tmp/x"));
    sandbox_template_free(&plain);
    sandbox_template_free(&hiding);
}

/* A root, binds, hidden places, a shared workspace and a network in one sandbox. */
static void holds_every_property_with_all(void)
{
    struct sandbox_spec spec = harness_spec();
    struct sandbox_bind writes[] = {{harness_dir("a-write", TEST_UID, 0700), (char *)PROBE_WRITE}};
    struct sandbox_bind reads[] = {spec.reads[0],
                                   {harness_dir("a-read", 0, 0755), (char *)PROBE_BESIDE}};
    char *hides[] = {(char *)PROBE_HIDDEN_DIR, (char *)PROBE_HIDDEN_FILE, (char *)"/home",
                     (char *)"/var/lib"};
    (void)harness_file("a-read/secret", "a secret\n", 0, 0644);
    (void)harness_dir("a-read/secrets", 0, 0755);
    (void)harness_file("a-read/secrets/one", "another\n", 0, 0644);
    spec.root = harness_dir("a-root", 0, 0755);
    places_make_root(spec.root);
    spec.writes = writes;
    spec.n_writes = 1;
    spec.reads = reads;
    spec.n_reads = 2;
    spec.hides = hides;
    spec.n_hides = array_len(hides);
    spec.network = NETWORK_LOOPBACK;
    spec.workspace = WORKSPACE_CONNECTION;
    spec.workspace_size = 32 << 20;
    struct sandbox_template tpl = harness_prepare(&spec);
    cleanup_fd int share = -1;
    struct err err;
    CHECK(sandbox_share(&tpl, TEST_UID, TEST_GID, &share, &err) == 0);
    harness_share(share);
    /* The root's own, though empty, and a network of its own. */
    static const char *const own[] = {"no-home", "no-var-lib", "interfaces", "reach-host"};
    expect_open(&tpl, own, array_len(own));
    places_expect_output(&tpl, "ls -A /home /var/lib | cat; cat " PROBE_HIDDEN_FILE,
                         "/home:\n\n/var/lib:\n");
    sandbox_template_free(&tpl);
}

static void refuses_bad_roots(void)
{
    struct sandbox_spec spec = harness_spec();
    spec.root = harness_path("br-missing");
    places_expect_refusal(&spec, "br-missing: No such file");
    spec.root = harness_file("br-file", "", 0, 0644);
    places_expect_refusal(&spec, "Not a directory");
    spec.root = harness_dir("br-empty", 0, 0755);
    places_expect_refusal(&spec, "there is no /usr in it; it must hold a root file system, such as "
                                 "'mmdebstrap");
    (void)harness_dir("br-empty/usr", 0, 0755);
    places_expect_refusal(&spec, "there is no /bin/sh in it");
    spec.root = harness_dir("br-theirs", TEST_UID, 0755);
    places_expect_refusal(&spec, "belongs to uid 1879050123; it must be root's (chown root)");
    spec.root = harness_dir("br-open", 0, 0757);
    places_expect_refusal(&spec, "may be written by group or others (mode 757; chmod go-w)");
    places_plant("br-empty", "br-link", 0);
    spec.root = harness_path("br-link");
    places_expect_refusal(&spec, "name the directory itself");
}

static const struct test_case cases[] = {
    {"holds-every-property-with-places", holds_every_property_with_places},
    {"writes-where-it-may", writes_where_it_may},
    {"makes-no-places-on-the-host", makes_no_places_on_the_host},
    {"follows-no-planted-links", follows_no_planted_links},
    {"refuses-bad-binds", refuses_bad_binds},
    {"hides-what-it-should", hides_what_it_should},
    {"refuses-bad-hides", refuses_bad_hides},
    {"runs-on-another-root", runs_on_another_root},
    {"holds-every-property-with-all", holds_every_property_with_all},
    {"refuses-bad-roots", refuses_bad_roots},
};

struct test_list cases_places(void)
{
    return (struct test_list){cases, array_len(cases)};
}
