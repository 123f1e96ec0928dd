/* Stage 7 of 7: publish. Before: outbox. After: whoever reads the output topics.
 *
 * Kafka as the relay sees it: publish_ops over librdkafka's transactional producer, and reading topics to
 * their end. One thread; librdkafka's own threads touch nothing here but through rd_kafka_poll, flush and
 * commit. */
#ifndef KR_PUBLISH_H
#define KR_PUBLISH_H

#include "core/config.h"
#include "core/kafka_read.h"
#include "producer/relay.h"

struct publish_handle {
    rd_kafka_topic_t *topic;
    bool checked; /* it was there when last looked at */
};

struct publish {
    const struct config *config;
    rd_kafka_t *producer;
    struct publish_handle handles[RELAY_TOPICS_MAX];
    size_t handle_count, handle_last;
    rd_kafka_topic_t *position;
    rd_kafka_resp_err_t refused; /* the first thing that Kafka did not take in this transaction */
    bool refused_position;
    bool failed;        /* the transaction can only be aborted any more; commit will say why */
    struct arena arena; /* one message's headers */
    uint8_t randoms[4096];
    size_t randoms_used;
};

void publish_init(struct publish *publish, const struct config *config);
void publish_release(struct publish *publish);

extern const struct publish_ops publish_kafka; /* `publish` = struct publish* */

/* core/kafka_read.h as the relay. */
enum outcome publish_read_topic(const struct config *config, const char *name, int64_t patience_us,
                                kafka_reader *reader, void *context, struct kafka_extent *extent,
                                struct err *err) MUST_CHECK;

#endif
