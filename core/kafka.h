/* The seam to librdkafka: clients from the configuration, errors to outcomes, headers. rdkafka.h stands in
 * kafka, consume, publish and doctor only. */
#ifndef KR_KAFKA_H
#define KR_KAFKA_H

#include "core/arena.h"
#include "core/config.h"
#include "core/err.h"
#include "core/event.h"
#include <librdkafka/rdkafka.h>

struct kafka_setting {
    const char *name, *value;
};

/* A client of type consumer or producer for a program ("consumer", "producer", "operator"): our defaults,
 * over them the pass-through settings of [kafka] and [kafka.<program>], over them `settings` (count of them;
 * ours win). The callbacks, each may be NULL, come from rd_kafka_consumer_poll, rd_kafka_poll and close only.
 * Logs go to log.h. A consumer with group.id has its events on the queue of rd_kafka_consumer_poll. FATAL
 * when a setting is refused. */
enum outcome
kafka_client(rd_kafka_t **client, rd_kafka_type_t type, const struct config *config, const char *program,
             const struct kafka_setting *settings, size_t count, void *opaque,
             void (*rebalance)(rd_kafka_t *, rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t *, void *),
             void (*delivered)(rd_kafka_t *, const rd_kafka_message_t *, void *),
             void (*complained)(rd_kafka_t *, int, const char *, void *), struct err *err) MUST_CHECK;
/* What `complained` does with the text, as librdkafka would without it: a line in the log. */
void kafka_log_error(const rd_kafka_t *client, const char *reason);
/* fenced epoch, instance or lost assignment -> FENCED; record refused for good (too large, invalid record,
 * unknown topic, not authorised for topic) -> POISON; not allowed at all, or our own bug -> FATAL; everything
 * else, a refused login among it (a broker that starts refuses for a moment), passes with time -> RETRY. */
enum outcome kafka_outcome(rd_kafka_resp_err_t code);
/* err filled by a code, with the outcome of it. */
enum outcome kafka_code(rd_kafka_resp_err_t code, struct err *err);
/* The same from an error object, which it destroys; NULL is OK. */
enum outcome kafka_error(rd_kafka_error_t *error, struct err *err) MUST_CHECK;
/* A message as a record; headers and texts point into the message and the arena. POISON when its headers
 * cannot be read (record holds the rest), RETRY when the arena is full. */
enum outcome kafka_record(const rd_kafka_message_t *message, struct arena *arena,
                          struct record *record) MUST_CHECK;
/* Kafka's cluster id into the arena; absent when not known within timeout_ms. */
struct text kafka_cluster_id(rd_kafka_t *client, int timeout_ms, struct arena *arena);

#endif
