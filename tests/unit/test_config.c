/* The configuration: each kind of mistake, the order file, environment, command line, and the printed sample.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/config.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct heard {
    int wrong, warnings;
    char where[200], message[300]; /* the last */
};

static void hear(void *context, enum config_grade grade, const char *where, const char *message) {
    struct heard *heard = context;
    if (grade == CONFIG_WRONG)
        heard->wrong++;
    else
        heard->warnings++;
    (void)snprintf(heard->where, sizeof(heard->where), "%s", where);
    (void)snprintf(heard->message, sizeof(heard->message), "%s", message);
}

struct folder {
    char path[64], file[96], secret[96];
};

static void write_file(const char *path, const char *text, mode_t mode) {
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static int make_folder(void **state) {
    struct folder *folder = calloc(1, sizeof(*folder));
    (void)snprintf(folder->path, sizeof(folder->path), "/tmp/test_config.XXXXXX");
    if (!folder || !mkdtemp(folder->path))
        return -1;
    (void)snprintf(folder->file, sizeof(folder->file), "%s/a.ini", folder->path);
    (void)snprintf(folder->secret, sizeof(folder->secret), "%s/secret", folder->path);
    *state = folder;
    return 0;
}

static int drop_folder(void **state) {
    struct folder *folder = *state;
    (void)unlink(folder->file);
    (void)unlink(folder->secret);
    (void)rmdir(folder->path);
    free(folder);
    return 0;
}

static enum outcome read_text(struct folder *folder, const char *text, struct config *config,
                              struct heard *heard, unsigned programs, const char *const *overrides) {
    struct err err = {0};
    struct config_options options = {.path = folder->file,
                                     .programs = programs,
                                     .overrides = overrides,
                                     .complain = hear,
                                     .context = heard};
    write_file(folder->file, text, 0600);
    memset(heard, 0, sizeof(*heard));
    return config_read(config, &options, &err);
}

static void defaults_stand_where_nothing_is_said(void **state) {
    struct config config;
    struct heard heard;
    assert_int_equal(read_text(*state, "# nothing\n", &config, &heard, 0, NULL), OK);
    assert_int_equal(config.consumer.workers, 2);
    assert_int_equal(config.consumer.cache_seconds, 60);
    assert_string_equal(config.consumer.group, "kundregister");
    assert_string_equal(config.producer.transactional_id, "kundregister-relay");
    assert_int_equal(config.producer.poll_ms, 5);
    assert_int_equal(config.log_level, LOG_INFO);
    assert_null(config.register_as.owner);
    config_release(&config);
}

static const char whole[] =
    "[kafka]\nbootstrap.servers=127.0.0.1:1\nsecurity.protocol=SASL_PLAINTEXT\nlinger.ms=1\n"
    "[kafka.consumer]\nsasl.username=c\nlinger.ms=2\n[kafka.producer]\nsasl.username = p\n"
    "[register]\nowner = host=127.0.0.1 port=1 dbname=register user=kr_owner options='-c a=b' ; no comment\n"
    "consumer = host=a\nproducer = host=b\n[vault]\n  consumer = host=c\n  producer = host=d\n"
    "[keys]\nkek.file=/k\ndigest.file=/d\nref.file=/r\n[policy]\nfile=/p.json\n"
    "[consumer]\nworkers=7\nhttp.port=-1\n[log]\nlevel=warning\n";

static void a_whole_file_is_read(void **state) {
    struct config config;
    struct heard heard;
    assert_int_equal(read_text(*state, whole, &config, &heard, CONFIG_CONSUMER | CONFIG_PRODUCER, NULL), OK);
    assert_string_equal(config.register_as.owner,
                        "host=127.0.0.1 port=1 dbname=register user=kr_owner options='-c a=b' ; no comment");
    assert_string_equal(config.vault_as.producer, "host=d");
    assert_string_equal(config.keys.kek_file, "/k");
    assert_string_equal(config.policy_file, "/p.json");
    assert_int_equal(config.consumer.workers, 7);
    assert_int_equal(config.consumer.http_port, -1);
    assert_int_equal(config.log_level, LOG_WARNING);
    assert_string_equal(config_kafka_value(&config, CONFIG_CONSUMER, "linger.ms"), "2");
    assert_string_equal(config_kafka_value(&config, CONFIG_PRODUCER, "linger.ms"), "1");
    assert_string_equal(config_kafka_value(&config, CONFIG_PRODUCER, "sasl.username"), "p");
    assert_null(config_kafka_value(&config, CONFIG_OPERATOR, "sasl.username"));
    size_t at = 0, count = 0;
    const char *key, *value;
    while (config_kafka_next(&config, CONFIG_CONSUMER, &at, &key, &value))
        count++;
    assert_int_equal(count, 5);
    assert_string_equal(key, "linger.ms"); /* own section last */
    config_release(&config);
}

static void each_mistake_is_told_with_its_place(void **state) {
    static const struct {
        const char *text, *where, *message;
    } cases[] = {
        {"[consumer]\nworkers=65\n", "consumer.workers (line 2)", "must be a whole number from 1 to 64"},
        {"[consumer]\n\nworkers=two\n", "consumer.workers (line 3)", "must be a whole number from 1 to 64"},
        {"[consumer]\nworkers=\n", "consumer.workers (line 2)", "must be a whole number from 1 to 64"},
        {"[consumer]\nworker=2\n", "consumer.worker (line 2)", "no such setting"},
        {"[consumer]\nworkers.file=/x\n", "consumer.workers.file (line 2)", "no such setting"},
        {"[konsumer]\nworkers=2\n", "konsumer.workers (line 2)", "no such section"},
        {"workers=2\n", ".workers (line 1)", "no such section"},
        {"[consumer]\nworkers=2\nworkers=3\n", "consumer.workers (line 3)",
         "given twice: also consumer.workers (line 2)"},
        {"[log]\nlevel=loud\n", "log.level (line 2)", "must be debug, info, warning or error"},
        {"[consumer]\ngroup=\n", "consumer.group (line 2)", "must not be empty"},
        {"[consumer]\nnonsense\n", "", "line 2 is neither [section], key = value nor a comment"},
        {"[register]\nowner.file=/nonexistent/x\n", "register.owner.file (line 2)",
         "its file cannot be read: No such file or directory"},
        {"[kafka]\nsasl.password.file=/\n", "kafka.sasl.password.file (line 2)",
         "its file cannot be read: not an ordinary file"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct config config;
        struct heard heard;
        assert_int_equal(read_text(*state, cases[i].text, &config, &heard, 0, NULL), FATAL);
        assert_int_equal(heard.wrong, 1);
        assert_string_equal(heard.where, cases[i].where);
        assert_string_equal(heard.message, cases[i].message);
        config_release(&config);
    }
}

static void a_long_line_is_not_cut_in_silence(void **state) {
    struct config config;
    struct heard heard;
    char text[6000];
    (void)snprintf(text, sizeof(text), "[register]\nowner=%05000d\n[consumer]\nworkers=x\n", 1);
    assert_int_equal(read_text(*state, text, &config, &heard, 0, NULL), FATAL);
    assert_int_equal(heard.wrong, 2);
    assert_string_equal(heard.where, "consumer.workers (line 4)");
    config_release(&config);
    (void)snprintf(text, sizeof(text), "[register]\nowner=%03000d\n", 1);
    assert_int_equal(read_text(*state, text, &config, &heard, 0, NULL), OK);
    assert_int_equal(strlen(config.register_as.owner), 3000);
    config_release(&config);
}

static void what_a_program_needs_must_be_there(void **state) {
    struct config config;
    struct heard heard;
    assert_int_equal(read_text(*state, "", &config, &heard, CONFIG_CONSUMER, NULL), FATAL);
    assert_int_equal(heard.wrong, 6); /* two databases, three keys, the brokers */
    assert_string_equal(heard.where, "kafka.bootstrap.servers");
    config_release(&config);
}

static void secrets_come_from_files(void **state) {
    struct folder *folder = *state;
    struct config config;
    struct heard heard;
    char text[300];
    (void)snprintf(text, sizeof(text),
                   "[kafka.consumer]\nsasl.password.file = %s\n[register]\nclerk.file=%s\n", folder->secret,
                   folder->secret);
    write_file(folder->secret, "p ;#=ä\r\nsecond line\n", 0600);
    assert_int_equal(read_text(folder, text, &config, &heard, 0, NULL), OK);
    assert_int_equal(heard.warnings, 0);
    assert_string_equal(config_kafka_value(&config, CONFIG_CONSUMER, "sasl.password"), "p ;#=ä");
    assert_null(config_kafka_value(&config, CONFIG_CONSUMER, "sasl.password.file"));
    assert_string_equal(config.register_as.clerk, "p ;#=ä");
    config_release(&config);

    write_file(folder->secret, "x", 0644);
    assert_int_equal(read_text(folder, text, &config, &heard, 0, NULL), OK);
    assert_int_equal(heard.warnings, 2);
    config_release(&config);

    write_file(folder->secret, "\n", 0600);
    assert_int_equal(read_text(folder, text, &config, &heard, 0, NULL), FATAL);
    assert_string_equal(heard.message, "its file is empty");
    config_release(&config);
}

static void the_environment_beats_the_file_and_the_command_line_both(void **state) {
    struct folder *folder = *state;
    struct config config;
    struct heard heard;
    static const char *const overrides[] = {"consumer.instance=9", NULL};
    write_file(folder->secret, "from file\n", 0600);
    setenv("KUNDREGISTER_CONSUMER_WORKERS", "5", 1);
    setenv("KUNDREGISTER_CONSUMER_INSTANCE", "8", 1);
    setenv("KUNDREGISTER_KAFKA_BOOTSTRAP_SERVERS", "b:1", 1);
    setenv("KUNDREGISTER_KAFKA_CONSUMER_SASL_PASSWORD_FILE", folder->secret, 1);
    setenv("KUNDREGISTER_KEYS_KEK_FILE", "/other", 1);
    setenv("KUNDREGISTER_CONFIG", "/nowhere", 1);
    assert_int_equal(read_text(folder, whole, &config, &heard, CONFIG_CONSUMER, overrides), OK);
    assert_int_equal(config.consumer.workers, 5);
    assert_int_equal(config.consumer.instance, 9);
    assert_string_equal(config.keys.kek_file, "/other");
    assert_string_equal(config_kafka_value(&config, CONFIG_PRODUCER, "bootstrap.servers"), "b:1");
    assert_string_equal(config_kafka_value(&config, CONFIG_CONSUMER, "sasl.password"), "from file");
    config_release(&config);

    setenv("KUNDREGISTER_CONSUMER_WORKERS", "many", 1);
    assert_int_equal(read_text(folder, whole, &config, &heard, 0, NULL), FATAL);
    assert_string_equal(heard.where, "KUNDREGISTER_CONSUMER_WORKERS");
    config_release(&config);
    unsetenv("KUNDREGISTER_CONSUMER_WORKERS");
    setenv("KUNDREGISTER_CONSUMER_WORKER", "3", 1);
    assert_int_equal(read_text(folder, whole, &config, &heard, 0, NULL), FATAL);
    assert_string_equal(heard.message, "no such setting");
    config_release(&config);
    static const char *const mine[] = {"CONSUMER_WORKER",         "CONSUMER_INSTANCE",
                                       "KAFKA_BOOTSTRAP_SERVERS", "KAFKA_CONSUMER_SASL_PASSWORD_FILE",
                                       "KEYS_KEK_FILE",           "CONFIG"};
    for (size_t i = 0; i < sizeof(mine) / sizeof(*mine); i++) {
        char name[100];
        (void)snprintf(name, sizeof(name), "KUNDREGISTER_%s", mine[i]);
        unsetenv(name);
    }
}

static void no_file_is_said_plainly(void **state) {
    (void)state;
    struct config config;
    struct err err = {0};
    struct config_options options = {0};
    assert_int_equal(config_read(&config, &options, &err), FATAL);
    assert_non_null(strstr(err.text, "KUNDREGISTER_CONFIG"));
    config_release(&config);
    options.path = "/nonexistent/a.ini";
    assert_int_equal(config_read(&config, &options, &err), FATAL);
    config_release(&config);
}

/* With its comments opened, the sample is a file that reads without mistakes (but for texts without default).
 */
static void the_sample_is_a_configuration(void **state) {
    struct folder *folder = *state;
    struct config config;
    struct heard heard;
    char *sample = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&sample, &size);
    config_print_sample(out);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(sample, "\n#workers = 2\n"));
    for (char *at = sample; (at = strstr(at, "\n#")); at++) {
        char *end = strchr(at + 1, '\n');
        if (at[2] != ' ' && end[-2] != '=' && !memmem(at + 1, (size_t)(end - at), ".file", 5))
            at[1] = ' ';
    }
    assert_int_equal(read_text(folder, sample, &config, &heard, 0, NULL), OK);
    assert_int_equal(config.consumer.workers, 2);
    assert_string_equal(config_kafka_value(&config, CONFIG_PRODUCER, "sasl.username"),
                        "kundregister-producer");
    config_release(&config);
    free(sample);
}

int main(void) {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, drop_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(defaults_stand_where_nothing_is_said),
        IN_FOLDER(a_whole_file_is_read),
        IN_FOLDER(each_mistake_is_told_with_its_place),
        IN_FOLDER(a_long_line_is_not_cut_in_silence),
        IN_FOLDER(what_a_program_needs_must_be_there),
        IN_FOLDER(secrets_come_from_files),
        IN_FOLDER(the_environment_beats_the_file_and_the_command_line_both),
        cmocka_unit_test(no_file_is_said_plainly),
        IN_FOLDER(the_sample_is_a_configuration),
    };
    /* The tests' own environment must not speak. */
    unsetenv("KUNDREGISTER_CONFIG");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
