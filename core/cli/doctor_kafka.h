/* What the command line asks of Kafka, as the operator's principal: topics and their settings, where logs
 * begin and end, whether records come from the future. It reads and writes no record. rdkafka.h stands behind
 * this header only. One thread. */
#ifndef KR_DOCTOR_KAFKA_H
#define KR_DOCTOR_KAFKA_H

#include "core/arena.h"
#include "core/config.h"
#include "core/err.h"
#include "core/text.h"

struct kafka_view;

struct kafka_topic {
    struct text name; /* terminated */
    int partitions;
    /* of kafka_view_settings; absent, -2 when not asked or not told */
    struct text cleanup;
    int64_t retention_ms, retention_bytes, message_bytes; /* -1: without limit */
};

/* Connects when first asked. FATAL when the settings are refused. */
enum outcome kafka_view_open(struct kafka_view **view, const struct config *config,
                             struct err *err) MUST_CHECK;
void kafka_view_close(struct kafka_view *view);
/* All topics by name. RETRY when no broker answers. The list lies in the arena. */
enum outcome kafka_view_topics(struct kafka_view *view, struct arena *arena, struct kafka_topic **topics,
                               size_t *count, struct err *err) MUST_CHECK;
/* Fills in the settings of topics (all of them in one question). */
enum outcome kafka_view_settings(struct kafka_view *view, struct arena *arena, struct kafka_topic *topics,
                                 size_t count, struct err *err) MUST_CHECK;
/* The first offset that is there and the one after the last. POISON when there is no such partition. */
enum outcome kafka_view_log(struct kafka_view *view, const char *topic, int partition, int64_t *start,
                            int64_t *end, struct err *err) MUST_CHECK;
/* How many of these topics' partitions hold a record whose timestamp is not earlier than that. */
enum outcome kafka_view_later(struct kafka_view *view, const struct kafka_topic *topics, size_t count,
                              int64_t timestamp_ms, int *partitions, struct err *err) MUST_CHECK;
/* Absent when it is not told in time. */
struct text kafka_view_cluster_id(struct kafka_view *view, struct arena *arena);

/* NULL when there is none of that name. */
const struct kafka_topic *kafka_topic_find(const struct kafka_topic *topics, size_t count, struct text name);

#endif
