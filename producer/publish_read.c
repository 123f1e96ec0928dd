/* Reads a topic to its end as read_committed sees it. */
#include "producer/publish.h"

#include "core/clock.h"
#include "core/log.h"
#include "core/ready.h"
#include "core/stop.h"
#include <stdlib.h>

#define METADATA_MS 10000
#define POLL_MS 200
#define SECOND_US ((int64_t)1000000)
#define SILENCE_US (30 * SECOND_US) /* nothing from Kafka for so long: it is away */

static enum outcome count_partitions(rd_kafka_t *consumer, const char *name, struct publish_extent *extent,
                                     struct err *err) {
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(consumer, name, NULL);
    if (!topic)
        return err_set(err, RETRY, (int)rd_kafka_last_error(), "Kafka: no handle for topic %s", name);
    rd_kafka_resp_err_t code = rd_kafka_metadata(consumer, 0, topic, &metadata, METADATA_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt == 1) {
        code = metadata->topics[0].err;
        extent->partitions = metadata->topics[0].partition_cnt;
    }
    if (metadata)
        rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
    extent->missing =
        code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
    if (extent->missing || (code == RD_KAFKA_RESP_ERR_NO_ERROR && extent->partitions > 0))
        return OK;
    return err_set(err, RETRY, (int)code, "Kafka: topic %s: %s", name, rd_kafka_err2str(code));
}

static enum outcome assign_all(rd_kafka_t *consumer, const char *name, int32_t partitions, struct err *err) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int32_t i = 0; i < partitions; i++)
        rd_kafka_topic_partition_list_add(list, name, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_resp_err_t code = rd_kafka_assign(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? OK
               : err_set(err, RETRY, (int)code, "Kafka: %s", rd_kafka_err2str(code));
}

/* Where a partition stands when its readable end came at `offset`: an open transaction keeps that below the
 * high watermark. */
static bool is_at_end(rd_kafka_t *consumer, const char *name, int32_t partition, int64_t offset,
                      struct publish_extent *extent) {
    int64_t low = -1, high = -1;
    if (rd_kafka_get_watermark_offsets(consumer, name, partition, &low, &high) !=
            RD_KAFKA_RESP_ERR_NO_ERROR ||
        high < 0)
        return false;
    if (low > 0)
        extent->shortened = true;
    return offset >= high;
}

static enum outcome read_all(rd_kafka_t *consumer, const char *name, int64_t patience_us,
                             publish_reader *reader, void *context, struct publish_extent *extent,
                             struct err *err) {
    int64_t now_us = clock_system.monotonic_us(NULL), heard_us = now_us, held_us = -1;
    int32_t left = extent->partitions;
    bool *ended = calloc((size_t)left, sizeof(*ended));
    enum outcome outcome = ended ? OK : err_set(err, FATAL, 0, "no memory");
    while (outcome == OK && left > 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, POLL_MS);
        ready_beat(0);
        now_us = clock_system.monotonic_us(NULL);
        if (message && message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            heard_us = now_us;
            if (!reader(context, message))
                outcome = err_set(err, FATAL, 0, "no memory for what topic %s holds", name);
        } else if (message && message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            heard_us = now_us;
            if (is_at_end(consumer, name, message->partition, message->offset, extent)) {
                left -= !ended[message->partition];
                ended[message->partition] = true;
            } else if (held_us < 0) {
                held_us = now_us;
                ready_set(
                    0, false,
                    "foreign_transaction: a transaction that is not the relay's is open on a topic it reads");
                log_write(LOG_WARNING, "foreign_transaction",
                          "A transaction that is not the relay's is open on a topic that it must read to the "
                          "end; it waits.",
                          LOG_STRING("topic", name), LOG_INT("offset", message->offset));
            }
        } else if (message && message->err != RD_KAFKA_RESP_ERR__TRANSPORT &&
                   message->err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
            outcome = err_set(err, RETRY, (int)message->err, "Kafka: topic %s: %s", name,
                              rd_kafka_err2str(message->err));
        }
        if (message)
            rd_kafka_message_destroy(message);
        if (outcome == OK && left > 0 && held_us >= 0 && now_us - held_us > patience_us)
            outcome = err_set(err, FATAL, 0,
                              "a foreign transaction stays open on topic %s: end it (kafka-transactions.sh "
                              "find-hanging, abort), "
                              "then start again",
                              name);
        else if (outcome == OK && left > 0 && held_us < 0 && now_us - heard_us > SILENCE_US)
            outcome = err_set(err, RETRY, 0, "Kafka: topic %s cannot be read to its end", name);
        else if (outcome == OK && left > 0 && stop_requested())
            outcome = err_set(err, RETRY, 0, "the end was asked for");
    }
    free(ended);
    return outcome;
}

enum outcome publish_read_topic(const struct config *config, const char *name, int64_t patience_us,
                                publish_reader *reader, void *context, struct publish_extent *extent,
                                struct err *err) {
    static const struct kafka_setting settings[] = {
        {"group.id", "kundregister-producer"}, {"isolation.level", "read_committed"},
        {"enable.partition.eof", "true"},      {"enable.auto.commit", "false"},
        {"auto.offset.reset", "earliest"},     {"fetch.wait.max.ms", "10"},
        {"allow.auto.create.topics", "false"}};
    rd_kafka_t *consumer = NULL;
    *extent = (struct publish_extent){.missing = false};
    enum outcome outcome = kafka_client(&consumer, RD_KAFKA_CONSUMER, config, "producer", settings,
                                        sizeof(settings) / sizeof(*settings), NULL, NULL, NULL, err);
    if (outcome != OK)
        return outcome;
    outcome = count_partitions(consumer, name, extent, err);
    if (outcome == OK && !extent->missing)
        outcome = assign_all(consumer, name, extent->partitions, err);
    if (outcome == OK && !extent->missing)
        outcome = read_all(consumer, name, patience_us, reader, context, extent, err);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    return outcome;
}
