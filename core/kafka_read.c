/* Reads a topic to its end as read_committed sees it. */
#include "core/kafka_read.h"

#include "core/clock.h"
#include "core/log.h"
#include "core/ready.h"
#include "core/stop.h"
#include <errno.h>
#include <stdlib.h>

#define METADATA_MS 10000
#define POLL_MS 200
#define SECOND_US ((int64_t)1000000)
#define SILENCE_US (30 * SECOND_US)  /* nothing from Kafka for so long: it is away */
#define HELD_TOLD_US (SECOND_US / 2) /* a transaction at work is over by then */

/* A reading under way. */
struct progress {
    const struct kafka_reading *reading;
    struct kafka_extent *extent;
    rd_kafka_t *client;
    int64_t *end; /* of each partition: the high watermark when first seen, -1 before */
    bool *ended;
    int32_t left;
    int64_t heard_us,
        held_us; /* when Kafka spoke last; since when a transaction is in the way, -1: none is */
    bool told;
};

static enum outcome count_partitions(const struct progress *progress, struct err *err) {
    const char *name = progress->reading->topic;
    struct kafka_extent *extent = progress->extent;
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(progress->client, name, NULL);
    if (!topic)
        return err_set(err, RETRY, (int)rd_kafka_last_error(), "Kafka: no handle for topic %s", name);
    rd_kafka_resp_err_t code = rd_kafka_metadata(progress->client, 0, topic, &metadata, METADATA_MS);
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

static enum outcome assign_all(const struct progress *progress, struct err *err) {
    int32_t partitions = progress->extent->partitions;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int32_t i = 0; i < partitions; i++)
        rd_kafka_topic_partition_list_add(list, progress->reading->topic, i)->offset =
            RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_resp_err_t code = rd_kafka_assign(progress->client, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? OK
               : err_set(err, RETRY, (int)code, "Kafka: %s", rd_kafka_err2str(code));
}

/* Everything below `offset` of the partition was handed over; true when that was all there was. The watermark
 * is that of the fetches: a query under read_committed would answer with the last stable offset. */
static bool note_progress(struct progress *progress, int32_t partition, int64_t offset) {
    int64_t low = -1, high = -1;
    if (progress->end[partition] < 0 &&
        rd_kafka_get_watermark_offsets(progress->client, progress->reading->topic, partition, &low, &high) ==
            RD_KAFKA_RESP_ERR_NO_ERROR &&
        high >= 0) {
        progress->end[partition] = high;
        progress->extent->shortened |= low > 0;
    }
    if (progress->end[partition] < 0 || offset < progress->end[partition])
        return false;
    progress->left -= !progress->ended[partition];
    progress->ended[partition] = true;
    return true;
}

static enum outcome take_message(struct progress *progress, const rd_kafka_message_t *message, int64_t now_us,
                                 struct err *err) {
    const char *name = progress->reading->topic;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        progress->heard_us = now_us;
        if (!progress->reading->reader(progress->reading->context, message))
            return err_set(err, FATAL, ENOMEM, "no memory for what topic %s holds", name);
        (void)note_progress(progress, message->partition, message->offset + 1);
    } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        progress->heard_us = now_us;
        if (!note_progress(progress, message->partition, message->offset) && progress->held_us < 0)
            progress->held_us = now_us;
    } else if (message->err != RD_KAFKA_RESP_ERR__TRANSPORT &&
               message->err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        return err_set(err, RETRY, (int)message->err, "Kafka: topic %s: %s", name,
                       rd_kafka_err2str(message->err));
    }
    return OK;
}

static enum outcome judge_wait(struct progress *progress, int64_t now_us, struct err *err) {
    const char *name = progress->reading->topic;
    if (progress->held_us >= 0 && !progress->told && now_us - progress->held_us > HELD_TOLD_US) {
        progress->told = true;
        ready_set(0, false,
                  "foreign_transaction: a transaction stays open on a topic that must be read to its end");
        log_write(
            LOG_WARNING, "foreign_transaction",
            "A transaction stays open on a topic that must be read to its end; the end of it is waited for.",
            LOG_STRING("topic", name));
    }
    if (progress->held_us >= 0 && now_us - progress->held_us > progress->reading->patience_us)
        return err_set(err, FATAL, 0,
                       "a foreign transaction stays open on topic %s: end it (kafka-transactions.sh "
                       "find-hanging, abort), then start again",
                       name);
    if (progress->held_us < 0 && now_us - progress->heard_us > SILENCE_US)
        return err_set(err, RETRY, 0, "Kafka: topic %s cannot be read to its end", name);
    return stop_requested() ? err_set(err, RETRY, 0, "the end was asked for") : OK;
}

static enum outcome read_all(struct progress *progress, struct err *err) {
    enum outcome outcome = OK;
    progress->heard_us = clock_system.monotonic_us(NULL);
    progress->held_us = -1;
    while (outcome == OK && progress->left > 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(progress->client, POLL_MS);
        int64_t now_us = clock_system.monotonic_us(NULL);
        ready_beat(0);
        if (message) {
            outcome = take_message(progress, message, now_us, err);
            rd_kafka_message_destroy(message);
        }
        if (outcome == OK && progress->left > 0)
            outcome = judge_wait(progress, now_us, err);
    }
    return outcome;
}

enum outcome kafka_read_topic(const struct kafka_reading *reading, struct kafka_extent *extent,
                              struct err *err) {
    const struct kafka_setting settings[] = {
        {"group.id", reading->group},
        {"isolation.level", "read_committed"},
        {"enable.partition.eof", "true"},
        {"enable.auto.commit", "false"},
        {"auto.offset.reset", "earliest"},
        {"fetch.wait.max.ms", "10"},
        {"allow.auto.create.topics", "false"},
        /* more than a second's reading: a full queue is looked at again only after one */
        {"queued.max.messages.kbytes", "24576"},
        {"fetch.max.bytes", "8388608"},
        {"fetch.message.max.bytes", "1048576"}};
    struct progress progress = {.reading = reading, .extent = extent};
    *extent = (struct kafka_extent){.missing = false};
    enum outcome outcome =
        kafka_client(&progress.client, RD_KAFKA_CONSUMER, reading->config, reading->program, settings,
                     sizeof(settings) / sizeof(*settings), NULL, NULL, NULL, NULL, err);
    if (outcome != OK)
        return outcome;
    outcome = count_partitions(&progress, err);
    if (outcome == OK && !extent->missing) {
        progress.left = extent->partitions;
        progress.end = calloc((size_t)progress.left, sizeof(*progress.end));
        progress.ended = calloc((size_t)progress.left, sizeof(*progress.ended));
        for (int32_t i = 0; progress.end && i < progress.left; i++)
            progress.end[i] = -1;
        outcome = progress.end && progress.ended ? assign_all(&progress, err)
                                                 : err_set(err, FATAL, ENOMEM, "no memory");
        if (outcome == OK)
            outcome = read_all(&progress, err);
    }
    free(progress.end);
    free(progress.ended);
    rd_kafka_consumer_close(progress.client);
    rd_kafka_destroy(progress.client);
    return outcome;
}
