/* The configuration: one INI file, environment overrides, secrets from files, checked against one table of
 * settings from which the sample file is printed too.
 *
 * Own sections hold typed settings; [kafka], [kafka.consumer], [kafka.producer] and [kafka.operator] are
 * handed to librdkafka as they are. A line `key.file = PATH` in a section of texts takes the value from that
 * file (its first line). The environment comes last: KUNDREGISTER_CONSUMER_WORKERS=4,
 * KUNDREGISTER_KAFKA_BOOTSTRAP_SERVERS=..., with _FILE for files. Immutable once read: any thread may look.
 */
#ifndef KR_CONFIG_H
#define KR_CONFIG_H

#include "core/err.h"
#include "core/log.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Who reads: what it needs must be there. As bits; 0 needs nothing. */
enum config_program { CONFIG_CONSUMER = 1, CONFIG_PRODUCER = 2, CONFIG_OPERATOR = 4 };

/* libpq connection strings by role; NULL = not set. */
struct config_roles {
    const char *owner, *consumer, *producer, *operator, * clerk, *auditor;
};

struct config {
    struct config_roles register_as, vault_as; /* [register], [vault] */
    struct {
        const char *kek_file, *digest_file, *ref_file;
    } keys;
    const char *policy_file;
    struct {
        int64_t workers, instance;
        int64_t batch_records, batch_bytes, arena_bytes, queue_bytes;
        int64_t linger_ms, session_timeout_ms, lock_timeout_ms, drain_seconds;
        int64_t cache_rings, cache_seconds;
        const char *group, *http_address;
        int64_t http_port; /* 0 = off, HTTP_ANY_PORT = any free one */
    } consumer;
    struct {
        int64_t batch_outputs, batch_bytes;
        int64_t poll_ms, drain_seconds, transaction_timeout_ms, horizon_alarm_seconds;
        const char *transactional_id, *http_address;
        int64_t http_port;
    } producer;
    enum log_level log_level;

    struct config_values *values; /* owns every string above, and the pairs for librdkafka */
};

enum config_grade { CONFIG_WRONG, CONFIG_WARNING };
/* `where` is "consumer.workers (line 12)", "KUNDREGISTER_CONSUMER_WORKERS" or "". Never quotes a value. */
typedef void config_complain(void *context, enum config_grade grade, const char *where, const char *message);

struct config_options {
    const char *path;  /* NULL: $KUNDREGISTER_CONFIG */
    unsigned programs; /* bits of enum config_program */
    const char *const
        *overrides; /* "consumer.instance=3", ... ended by NULL; from the command line; may be NULL */
    config_complain *complain; /* may be NULL */
    void *context;
};

/* Reads and checks the whole; complains of every mistake. OK, or FATAL when there was any (err counts them).
 * The struct may be released in either case. At start, before threads. */
enum outcome config_read(struct config *config, const struct config_options *options,
                         struct err *err) MUST_CHECK;
/* Wipes the values, for there are passwords among them. */
void config_release(struct config *config);

/* librdkafka's properties of one program: [kafka] first, then its own section, so that the later wins. Start
 * with *at = 0; false at the end. */
bool config_kafka_next(const struct config *config, enum config_program program, size_t *at, const char **key,
                       const char **value);
/* The last value of such a property, or NULL. */
const char *config_kafka_value(const struct config *config, enum config_program program, const char *key);

/* A commented sample of all settings with ranges and defaults. */
void config_print_sample(FILE *out);

#endif
