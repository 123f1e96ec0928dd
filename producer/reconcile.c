/* Brings positions, mirror and outbox back together after a register was restored or Kafka lost data. */
#include "producer/reconcile.h"

#include "core/log.h"
#include "producer/position.h"
#include "producer/publish.h"
#include "producer/reconcile_rows.h"
#include <stdlib.h>

#define PATIENCE_US ((int64_t)60 * 1000000)
#define ARENA_BYTES ((size_t)64 << 20)

struct reconcile {
    const struct config *config;
    struct outbox outbox;
    struct publish publish;
    struct reconcile_rows rows;
    struct relay_marks mirror, kafka;
    struct arena arena;
    struct reconcile_report *report;
};

/* One record of an output topic. */
static bool see_output(void *context, const rd_kafka_message_t *message) {
    struct reconcile *reconcile = context;
    rd_kafka_headers_t *headers;
    rd_kafka_timestamp_type_t type;
    const void *value;
    size_t size;
    uint8_t id[16];
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_get_last(headers, "ce_id", &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        !reconcile_id_parse((struct text){value, size}, id))
        return true; /* not one of ours */
    reconcile->report->outputs_in_kafka++;
    return reconcile_rows_seen(&reconcile->rows, id, rd_kafka_message_timestamp(message, &type));
}

static enum outcome read_outputs(struct reconcile *reconcile, struct err *err) {
    enum outcome outcome = OK;
    for (size_t i = 0; i < reconcile->rows.topic_count && outcome == OK; i++) {
        struct kafka_extent extent;
        outcome = publish_read_topic(reconcile->config, reconcile->rows.topics[i].name, PATIENCE_US,
                                     see_output, reconcile, &extent, err);
        reconcile->rows.topics[i].shortened = extent.shortened;
        if (outcome == OK)
            log_write(LOG_INFO, "topic_read", "An output topic was read to its end.",
                      LOG_STRING("topic", reconcile->rows.topics[i].name),
                      LOG_BOOL("missing", extent.missing));
    }
    return outcome;
}

/* All topics that the outbox, its mirror or Kafka's position name. */
static enum outcome collect(struct reconcile *reconcile, struct err *err) {
    int64_t floor;
    bool missing;
    enum outcome outcome =
        publish_kafka.positions(&reconcile->publish, &reconcile->arena, &reconcile->kafka, &missing, err);
    if (outcome == OK && missing)
        outcome = err_set(err, FATAL, 0,
                          "topic %s is missing: create it (one partition, cleanup.policy=compact) first",
                          POSITION_TOPIC);
    if (outcome == OK)
        outcome =
            outbox_postgres.mirror(&reconcile->outbox, &reconcile->arena, &reconcile->mirror, &floor, err);
    if (outcome == OK)
        outcome = reconcile_rows_load(&reconcile->rows, reconcile->outbox.db, &reconcile->mirror, err);
    for (size_t i = 0; i < reconcile->kafka.count && outcome == OK; i++)
        if (!reconcile_rows_topic(&reconcile->rows, reconcile->kafka.at[i].topic))
            outcome = err_set(err, FATAL, 0, "no memory for the output topics");
    return outcome;
}

/* In one Kafka transaction, every topic's position: a value, or none where nothing counts as published. */
static enum outcome write_positions(struct reconcile *reconcile, struct err *err) {
    struct publish *publish = &reconcile->publish;
    enum outcome outcome = publish_kafka.begin(publish, err);
    for (size_t i = 0; i < reconcile->rows.topic_count && outcome == OK; i++) {
        const struct reconcile_topic *topic = &reconcile->rows.topics[i];
        struct relay_mark mark = {.topic = text_of(topic->name), .seq = topic->position};
        memcpy(mark.row_id, topic->row_id, ROW_ID_BYTES);
        outcome = publish_kafka.position(publish, &mark, err);
    }
    return outcome == OK ? publish_kafka.commit(publish, err) : outcome;
}

enum outcome reconcile_run(const struct config *config, const char *operator,
                           struct reconcile_report * report, struct err *err) {
    bool ours = false;
    struct reconcile *reconcile = calloc(1, sizeof(*reconcile));
    if (!reconcile)
        return err_set(err, FATAL, 0, "no memory");
    *report = (struct reconcile_report){.topics = 0};
    reconcile->config = config;
    reconcile->report = report;
    arena_init(&reconcile->arena, ARENA_BYTES);
    outbox_init(&reconcile->outbox, config->register_as.producer, "");
    publish_init(&reconcile->publish, config);
    reconcile_rows_init(&reconcile->rows);

    enum outcome outcome = outbox_postgres.open(&reconcile->outbox, &ours, err);
    if (outcome == OK && !ours)
        outcome = err_set(err, FATAL, 0, "a relay is at work: stop every kundregister-producer first");
    if (outcome == OK)
        outcome = publish_kafka.open(&reconcile->publish, err);
    if (outcome == OK)
        outcome = collect(reconcile, err);
    if (outcome == OK)
        outcome = read_outputs(reconcile, err);
    if (outcome == OK) {
        reconcile_rows_judge(&reconcile->rows, report);
        outcome = reconcile_rows_write(&reconcile->rows, reconcile->outbox.db, operator, report, err);
    }
    if (outcome == OK)
        outcome = write_positions(reconcile, err);

    reconcile_rows_release(&reconcile->rows);
    publish_release(&reconcile->publish);
    outbox_release(&reconcile->outbox);
    arena_release(&reconcile->arena);
    free(reconcile);
    return outcome;
}
