/* Policy, configuration and secrets, with a failure at each call that can fail while they are read: they are
 * refused with an error, nobody is told of mistakes in files that have none, and the next time they are read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/config.h"
#include "core/policy.h"
#include "core/seal.h"
#include "tests/failures/failing.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char first_complaint[512];

static void complain(void *context, const char *path, const char *message) {
    (void)context;
    if (!first_complaint[0])
        snprintf(first_complaint, sizeof first_complaint, "%s: %s", path, message);
}

static void complain_config(void *context, enum config_grade grade, const char *where, const char *message) {
    (void)grade;
    complain(context, where, message);
}

static bool read_policy(struct err *err) {
    struct policy *policy = policy_read(SOURCE_DIR "/schema/policy/jerone.json", complain, NULL, err);
    bool read = policy != NULL;
    policy_free(policy);
    return read;
}

static char config_path[64], secret_path[64];

static bool read_config(struct err *err) {
    static const char *const overrides[] = {"consumer.instance=3", NULL};
    const struct config_options options = {.path = config_path,
                                           .programs = CONFIG_CONSUMER | CONFIG_PRODUCER,
                                           .overrides = overrides,
                                           .complain = complain_config};
    struct config config;
    bool read = config_read(&config, &options, err) == OK;
    config_release(&config);
    return read;
}

static bool read_secret(struct err *err) {
    uint8_t key[32];
    return secret_read(secret_path, key, err) == OK;
}

/* What may be said when memory is short, or a file cannot be read. */
static void expect_true(const char *said) {
    if (said[0] && !strstr(said, "memory") && !strstr(said, "cannot be read"))
        fail_msg("%s failed at %lu: told \"%s\"", failing_what(), failing_calls(), said);
}

static void any_failure(bool (*read)(struct err *err), const char *area) {
    bool reached = true;
    struct err err;
    if (!read(&err))
        fail_msg("%s: %s", first_complaint, err.text);
    for (unsigned long at = 1; reached; at++) {
        first_complaint[0] = '\0';
        err.text[0] = '\0';
        failing_arm(FAILING_MEMORY, at);
        bool done = read(&err);
        reached = failing_disarm();
        if (done == reached && reached)
            continue; /* something else did */
        assert_int_equal(done, !reached);
        expect_true(first_complaint);
        assert_true(done || err.text[0]);
        first_complaint[0] = '\0';
        assert_true(read(&err));
        assert_string_equal(first_complaint, "");
    }
    failing_tell(area);
    assert_false(failing_leaked());
}

static void test_policy(void **state) {
    (void)state;
    any_failure(read_policy, "policy");
}
static void test_config(void **state) {
    (void)state;
    any_failure(read_config, "configuration");
}
static void test_secret(void **state) {
    (void)state;
    any_failure(read_secret, "secret");
}

static void write_file(char path[64], const char *text) {
    snprintf(path, 64, "/tmp/kundregister-failures-XXXXXX");
    int file = mkstemp(path);
    assert_true(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text));
    close(file);
}

static int setup(void **state) {
    char config[1024];
    (void)state;
    write_file(secret_path, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n");
    snprintf(
        config, sizeof config,
        "[register]\nconsumer.file = %s\nproducer = host=b\n[vault]\nconsumer = host=c\nproducer = "
        "host=d\n[keys]\nkek.file = k\ndigest.file = d\nref.file = r\n[consumer]\nworkers = 4\n[kafka]\n"
        "bootstrap.servers = localhost:9092\nssl.key.password.file = %s\n[kafka.producer]\nlinger.ms = 3\n",
        secret_path, secret_path);
    write_file(config_path, config);
    setenv("KUNDREGISTER_CONSUMER_BATCH_RECORDS", "77", 1);
    return seal_start(NULL) == OK ? 0 : -1;
}
static int teardown(void **state) {
    (void)state;
    unlink(config_path);
    unlink(secret_path);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_secret),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
