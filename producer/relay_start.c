/* The start and the end of a relay's session: lock, producer, positions, comparison. */
#include "producer/relay.h"

#include "core/killpoint.h"
#include "core/log.h"
#include "producer/position.h"
#include <errno.h>
#include <stdlib.h>

struct relay_topic *relay_topic(struct relay *relay, struct text name) {
    for (size_t i = 0; i < relay->topic_count; i++)
        if (relay->topics[i].name_size == name.size && memcmp(relay->topics[i].name, name.at, name.size) == 0)
            return &relay->topics[i];
    if (relay->topic_count == RELAY_TOPICS_MAX || name.size >= RELAY_TOPIC_BYTES)
        return NULL;
    struct relay_topic *topic = &relay->topics[relay->topic_count++];
    *topic = (struct relay_topic){.name_size = name.size, .label = metrics_topic(name)};
    memcpy(topic->name, name.at, name.size);
    return topic;
}

/* What Kafka, mirror and outbox say; their agreement. */
static enum outcome compare(struct relay *relay, struct relay_marks *kafka, struct err *err) {
    struct relay_marks mirror = {NULL, 0, 0};
    bool missing = false;
    relay->reaching = AWAY_BROKER;
    enum outcome outcome = relay->publish_ops->positions(relay->publish, &relay->batch, kafka, &missing, err);
    if (outcome != OK)
        return outcome;
    relay->reaching = AWAY_REGISTER;
    outcome = relay->outbox_ops->mirror(relay->outbox, &relay->batch, &mirror, &relay->scanned, err);
    if (outcome != OK)
        return outcome;
    if (missing && mirror.count == 0) {
        relay->reaching = AWAY_BROKER;
        return err_set(err, RETRY, 0, "the topic %s is missing", POSITION_TOPIC);
    }
    bool *same = ARENA_ARRAY(&relay->batch, bool, kafka->count + 1);
    if (!same)
        return err_set(err, FATAL, ENOMEM, "no memory for the positions");
    outcome = relay->outbox_ops->find(relay->outbox, &relay->batch, kafka, same, err);
    if (outcome != OK)
        return outcome;
    return position_compare(kafka, same, &mirror, err);
}

static enum outcome adopt(struct relay *relay, const struct relay_marks *kafka, struct err *err) {
    for (size_t i = 0; i < kafka->count; i++) {
        struct relay_topic *topic = relay_topic(relay, kafka->at[i].topic);
        if (!topic)
            return err_set(err, FATAL, 0, "more than %d output topics", RELAY_TOPICS_MAX);
        topic->positioned = true;
        topic->seq = kafka->at[i].seq;
        memcpy(topic->row_id, kafka->at[i].row_id, ROW_ID_BYTES);
        topic->unmirrored = true; /* the mirror may lag; writing it once more costs nothing */
    }
    relay->unrecorded = kafka->count > 0;
    return OK;
}

bool relay_refuses(enum outcome outcome, const struct err *err) {
    return outcome == FATAL && err->code != ENOMEM;
}

enum outcome relay_start(struct relay *relay, bool *ours, struct err *err) {
    struct relay_marks kafka = {NULL, 0, 0};
    arena_reset(&relay->batch);
    relay->topic_count = relay->stalled_count = relay->fate_count = 0;
    relay->scanned = relay->complete = 0;
    relay->last_value = -1;
    relay->drained = relay->asked = relay->unrecorded = false;

    relay->reaching = AWAY_REGISTER;
    enum outcome outcome = relay->outbox_ops->open(relay->outbox, ours, err);
    if (outcome != OK || !*ours)
        return outcome;
    KILL_POINT("relay.after_lock");
    outcome = relay->outbox_ops->policy(relay->outbox, err);
    if (outcome != OK) {
        relay->refused = relay_refuses(outcome, err);
        return outcome;
    }
    relay->reaching = AWAY_VAULT;
    outcome = relay->unseal_ops->open(relay->unseal, err);
    if (outcome != OK) {
        relay->refused = relay_refuses(outcome, err);
        return outcome;
    }
    relay->reaching = AWAY_BROKER;
    outcome = relay->publish_ops->open(relay->publish, err);
    if (outcome != OK)
        return outcome;
    KILL_POINT("relay.after_init");
    if (relay->renewed)
        metrics_add(METRIC_PRODUCERS_RENEWED, 0, 1);
    relay->renewed = true;
    outcome = compare(relay, &kafka, err);
    KILL_POINT("relay.after_compare");
    if (outcome == OK)
        outcome = adopt(relay, &kafka, err);
    relay->refused = relay_refuses(outcome, err);
    return outcome;
}

void relay_end(struct relay *relay) {
    relay->publish_ops->close(relay->publish);
    relay->unseal_ops->close(relay->unseal);
    relay->outbox_ops->close(relay->outbox);
}
