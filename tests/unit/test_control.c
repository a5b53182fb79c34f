/* Who may do what through the control socket, and the words of its clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "control_judge.h"
#include "control_words.h"
#include "show_amount.h"

#include <string.h>

static struct server_config config_with(char *watch, gid_t watch_gid, char *admin, gid_t admin_gid)
{
    return (struct server_config){.control_group = {watch, watch_gid},
                                  .admin_group = {admin, admin_gid}};
}

static enum control_rights judge(const struct server_config *config, uid_t uid, gid_t gid,
                                 const gid_t *groups, size_t n)
{
    const struct control_peer peer = {.uid = uid, .gid = gid, .groups = groups, .n_groups = n};
    return control_judge(&peer, config);
}

static void test_rights(void **state)
{
    (void)state;
    char watch[] = "watch", admin[] = "ops";
    static const gid_t none[] = {7, 8}, watcher[] = {7, 100}, operator[] = {100, 200};
    struct server_config nobody = config_with(NULL, 0, NULL, 0);
    struct server_config both = config_with(watch, 100, admin, 200);
    struct server_config same = config_with(watch, 100, admin, 100);
    assert_int_equal(judge(&nobody, 0, 0, NULL, 0), CONTROL_ADMIN);
    /* Group 0 is a group like others: a configuration without groups names none. */
    assert_int_equal(judge(&nobody, 1000, 0, none, 2), CONTROL_NONE);
    assert_int_equal(judge(&both, 1000, 1000, none, 2), CONTROL_NONE);
    assert_int_equal(judge(&both, 1000, 1000, watcher, 2), CONTROL_READ);
    assert_int_equal(judge(&both, 1000, 1000, operator, 2), CONTROL_ADMIN);
    assert_int_equal(judge(&both, 1000, 100, NULL, 0), CONTROL_READ);
    assert_int_equal(judge(&both, 1000, 200, NULL, 0), CONTROL_ADMIN);
    assert_int_equal(judge(&same, 1000, 100, NULL, 0), CONTROL_ADMIN);
    /* As many as are said to be there. */
    assert_int_equal(judge(&both, 1000, 1000, operator, 0), CONTROL_NONE);
    assert_int_equal(judge(&both, 1000, 1000, operator, 1), CONTROL_READ);
}

static void test_refusals_name_the_remedy(void **state)
{
    (void)state;
    char watch[] = "watch", admin[] = "ops", text[256];
    struct server_config nobody = config_with(NULL, 0, NULL, 0);
    struct server_config both = config_with(watch, 100, admin, 200);
    struct server_config one = config_with(watch, 100, NULL, 0);
    const struct control_peer peer = {.uid = 1000};
    assert_string_equal(control_refusal(&peer, CONTROL_READ, &nobody, text, sizeof text),
                        "the control socket is for root, not uid 1000; control-group = or "
                        "admin-group = in [server] of postern.ini lets a group in");
    assert_string_equal(control_refusal(&peer, CONTROL_READ, &both, text, sizeof text),
                        "the control socket is for root and members of group ops or watch, not uid "
                        "1000; after joining it log in again");
    assert_string_equal(control_refusal(&peer, CONTROL_ADMIN, &both, text, sizeof text),
                        "this is for root and members of group ops, not uid 1000; after joining it "
                        "log in again");
    assert_string_equal(control_refusal(&peer, CONTROL_ADMIN, &one, text, sizeof text),
                        "this is for root, not uid 1000; admin-group = in [server] of postern.ini "
                        "lets a group in");
}

static void test_key_words(void **state)
{
    (void)state;
    static const char whole[] = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";
    char out[80];
    assert_true(control_key_word(whole, out, sizeof out));
    assert_string_equal(out, whole);
    assert_true(control_key_word("47DEQpj8", out, sizeof out));
    assert_string_equal(out, "SHA256:47DEQpj8");
    static const char *const bad[] = {"",          "SHA256:",      "47DEQpj",     "SHA256:47DEQpj",
                                      "47DEQpj8%", "MD5:47DEQpj8", "alice@client"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(control_key_word(bad[i], out, sizeof out));
    assert_false(control_key_word("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFUx", out, sizeof out));
}

static void test_amounts(void **state)
{
    (void)state;
    static const struct {
        uint64_t ms;
        const char *text;
    } times[] = {{0, "0.00s"},         {9999, "9.99s"},      {10000, "10s"},
                 {59999, "59s"},       {60000, "1m00s"},     {3599000, "59m59s"},
                 {3600000, "1h00m"},   {86399000, "23h59m"}, {86400000, "1d00h"},
                 {AMOUNT_UNKNOWN, "-"}};
    static const struct {
        uint64_t bytes;
        const char *text;
    } sizes[] = {{0, "0"},          {1023, "1023"},       {1024, "1.0K"},
                 {1536, "1.5K"},    {10240, "10K"},       {1048575, "1023K"},
                 {1048576, "1.0M"}, {1ULL << 62, "4.0E"}, {AMOUNT_UNKNOWN, "-"}};
    char text[AMOUNT_MAX];
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        assert_string_equal(amount_time(times[i].ms, text), times[i].text);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_string_equal(amount_size(sizes[i].bytes, text), sizes[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rights),
        cmocka_unit_test(test_refusals_name_the_remedy),
        cmocka_unit_test(test_key_words),
        cmocka_unit_test(test_amounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
