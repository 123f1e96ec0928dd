/* Metrics: values, labels and the exposition; and the log's lines, which share the promise of no surprises.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/event.h"
#include "core/log.h"
#include "core/metrics.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *exposition(void) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    metrics_write(out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void assert_shows(const char *text, const char *line) {
    if (!strstr(text, line))
        fail_msg("not shown: %s", line);
}

static int reset(void **state) {
    (void)state;
    metrics_reset();
    metrics_init(METRICS_CONSUMER, "1.2.3");
    return 0;
}

static void counters_and_gauges_are_shown(void **state) {
    (void)state;
    metrics_add(METRIC_APPLIED, 0, 41);
    metrics_add(METRIC_APPLIED, 0, 1);
    metrics_add(METRIC_DEAD_LETTERS, REASON_NOT_UTF8, 3);
    metrics_add(METRIC_EVENTS, ORDER_PLACED, 5);
    metrics_set(METRIC_PARTITIONS_PARKED, 2);
    metrics_change(METRIC_PARTITIONS_ASSIGNED, 6);
    metrics_change(METRIC_PARTITIONS_ASSIGNED, -2);
    metrics_add(METRIC_RETRIES, AWAY_VAULT, 1);
    assert_int_equal(metrics_value(METRIC_APPLIED, 0), 42);
    char *text = exposition();
    assert_shows(text, "\n# TYPE kundregister_applied_total counter\nkundregister_applied_total 42\n");
    assert_shows(text, "kundregister_dead_letters_total{reason=\"not_utf8\"} 3\n");
    assert_shows(text, "kundregister_dead_letters_total{reason=\"refused_by_database\"} 0\n");
    assert_shows(text, "kundregister_events_total{type=\"shop.order.placed\"} 5\n");
    assert_shows(text, "# TYPE kundregister_partitions_parked gauge\nkundregister_partitions_parked 2\n");
    assert_shows(text, "kundregister_partitions_assigned 4\n");
    assert_shows(text, "kundregister_retries_total{of=\"vault\"} 1\n");
    assert_shows(text, "kundregister_build_info{program=\"kundregister-consumer\",version=\"1.2.3\"} 1\n");
    assert_shows(text, "\nprocess_resident_memory_bytes ");
    assert_null(strstr(text, "outbox_horizon"));
    free(text);
}

static void the_producer_shows_its_own(void **state) {
    (void)state;
    metrics_init(METRICS_PRODUCER, "1");
    metrics_set(METRIC_OUTBOX_HORIZON_AGE, 1500000);
    metrics_set(METRIC_OUTBOX_POSITION, INT64_C(9007199254740993));
    unsigned posti = metrics_topic(TEXT("disclosure.posti.v1"));
    assert_int_equal(metrics_topic(TEXT("disclosure.posti.v1")), posti);
    metrics_add(METRIC_OUTPUTS_PUBLISHED, posti, 7);
    char *text = exposition();
    assert_shows(text, "kundregister_outbox_horizon_age_seconds 1.500000\n");
    assert_shows(text, "kundregister_outbox_position 9007199254740993\n");
    assert_shows(text, "kundregister_outputs_published_total{topic=\"disclosure.posti.v1\"} 7\n");
    assert_null(strstr(text, "kundregister_records_total"));
    free(text);
}

static void too_many_topics_share_a_label(void **state) {
    (void)state;
    for (int i = 0; i < 80; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "topic.%d", i);
        metrics_add(METRIC_RECORDS, metrics_topic(text_of(name)), 1);
    }
    char *text = exposition();
    assert_shows(text, "kundregister_records_total{topic=\"topic.63\"} 1\n");
    assert_shows(text, "kundregister_records_total{topic=\"other\"} 16\n");
    assert_null(strstr(text, "topic.64"));
    free(text);
}

static void histograms_add_up(void **state) {
    (void)state;
    metrics_observe_us(METRIC_BATCH_SECONDS, 1000);
    metrics_observe_us(METRIC_BATCH_SECONDS, 1001);
    metrics_observe_us(METRIC_BATCH_SECONDS, 20000000);
    metrics_observe_us(METRIC_BATCH_SECONDS, -5);
    assert_int_equal(metrics_value(METRIC_BATCH_SECONDS, 0), 4);
    char *text = exposition();
    assert_shows(text, "kundregister_batch_seconds_bucket{le=\"0.001\"} 2\n");
    assert_shows(text, "kundregister_batch_seconds_bucket{le=\"0.0025\"} 3\n");
    assert_shows(text, "kundregister_batch_seconds_bucket{le=\"10\"} 3\n");
    assert_shows(text, "kundregister_batch_seconds_bucket{le=\"+Inf\"} 4\n");
    assert_shows(text, "kundregister_batch_seconds_sum 20.002001\nkundregister_batch_seconds_count 4\n");
    free(text);
}

static void *count_up(void *context) {
    (void)context;
    for (int i = 0; i < 100000; i++)
        metrics_add(METRIC_BATCHES, 0, 1);
    return NULL;
}

static void threads_lose_no_count(void **state) {
    (void)state;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(metrics_value(METRIC_BATCHES, 0), 400000);
}

static void log_lines_are_json_whatever_is_in_them(void **state) {
    (void)state;
    int ends[2];
    char line[8192], big[3000];
    struct err err = {.kind = RETRY, .code = 7, .sqlstate = "57P01", .text = "gone"};
    assert_int_equal(pipe(ends), 0);
    log_to(ends[1]);
    log_program("test");
    log_write(LOG_DEBUG, "hidden", "Not shown at level info.");
    log_write(LOG_WARNING, "odd", "a\"b\\c\n\x01\xC3\xA4\xFF\xED\xA0\x80", LOG_INT("n", -5),
              LOG_BOOL("b", true), LOG_TEXT("absent", TEXT_ABSENT), LOG_ERR(&err));
    ssize_t size = read(ends[0], line, sizeof(line) - 1);
    assert_true(size > 0);
    line[size] = '\0';
    const char *rest = strstr(line, "\"level\"");
    assert_non_null(rest);
    assert_string_equal(
        rest, "\"level\":\"warning\",\"program\":\"test\",\"event\":\"odd\",\"message\":\"a\\\"b\\\\c\\u000a"
              "\\u0001\xC3\xA4\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\",\"n\":-5,\"b\":true,"
              "\"outcome\":\"retry\",\"code\":7,\"sqlstate\":\"57P01\",\"error\":\"gone\"}\n");
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    log_write(LOG_ERROR, "long", big, LOG_STRING("a", big), LOG_STRING("b", big), LOG_STRING("c", big),
              LOG_STRING("d", big), LOG_INT("last", 1));
    size = read(ends[0], line, sizeof(line) - 1);
    assert_true(size > 2000 && size <= 4096);
    line[size] = '\0';
    assert_non_null(strstr(line, ",\"last\":1,\"truncated\":true}\n"));
    log_to(STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(counters_and_gauges_are_shown, reset),
        cmocka_unit_test_setup(the_producer_shows_its_own, reset),
        cmocka_unit_test_setup(too_many_topics_share_a_label, reset),
        cmocka_unit_test_setup(histograms_add_up, reset),
        cmocka_unit_test_setup(threads_lose_no_count, reset),
        cmocka_unit_test(log_lines_are_json_whatever_is_in_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
