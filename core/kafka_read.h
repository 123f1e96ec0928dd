/* Reads a topic to its end as read_committed sees it, with a short-lived client that joins no group: the
 * relay its positions and outputs, the consumer what the topic of erasures remembers. */
#ifndef KR_KAFKA_READ_H
#define KR_KAFKA_READ_H

#include "core/kafka.h"

/* What is handed to the caller, in the order of each partition. False: no more memory. */
typedef bool kafka_reader(void *context, const rd_kafka_message_t *message);

struct kafka_reading {
    const struct config *config;
    const char *program; /* "consumer", "producer": whose principal */
    const char *group;   /* librdkafka wants a name; nothing is joined and nothing committed */
    const char *topic;
    int64_t patience_us; /* how long a transaction that stays open on it is waited for, then FATAL */
    kafka_reader *reader;
    void *context;
};
struct kafka_extent {
    bool missing; /* no such topic */
    int32_t partitions;
    bool shortened; /* some partition does not begin at offset 0: retention took its beginning */
};
/* From the topic's beginning to the high watermark as it is when the reading begins; what comes meanwhile may
 * be handed over too. An open transaction holds the last stable offset below that: it is waited for. Beats
 * slot 0 of core/ready.h. RETRY: Kafka is away, or the end was asked for. */
enum outcome kafka_read_topic(const struct kafka_reading *reading, struct kafka_extent *extent,
                              struct err *err) MUST_CHECK;

#endif
