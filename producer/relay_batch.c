/* One batch of rows into Kafka transactions: what Kafka takes is published, what it refuses for good is
 * isolated, and what may not or cannot be opened is set aside; its neighbours flow. */
#include "producer/relay.h"

#include "core/killpoint.h"
#include "core/log.h"
#include "core/ready.h"
#include <errno.h>
#include <stdlib.h>

#define FATES_MAX 1024
#define BACKOFF_FIRST_US 1000000
#define BACKOFF_MOST_US 30000000
#define PORTION_ROWS 1000
#define RESEALED_TRIES 20

static struct text topic_name(const struct relay_topic *topic) {
    return (struct text){topic->name, topic->name_size};
}

void relay_count_stalled(struct relay *relay) {
    relay->stalled_count = 0;
    for (size_t i = 0; i < relay->topic_count; i++)
        if (relay->topics[i].stalled)
            relay->stalled_names[relay->stalled_count++] = topic_name(&relay->topics[i]);
    metrics_set(METRIC_TOPICS_STALLED, (int64_t)relay->stalled_count);
}

enum outcome relay_record(struct relay *relay, struct err *err) {
    struct relay_mark marks[RELAY_TOPICS_MAX];
    struct relay_news news = {
        .marks = marks, .rows = relay->fates, .row_count = relay->fate_count, .floor = relay->scanned};
    for (size_t i = 0; i < relay->topic_count; i++) {
        struct relay_topic *topic = &relay->topics[i];
        if (topic->stalled && topic->cursor < news.floor)
            news.floor = topic->cursor;
        if (!topic->unmirrored)
            continue;
        struct relay_mark *mark = &marks[news.mark_count++];
        *mark = (struct relay_mark){.topic = topic_name(topic), .seq = topic->seq};
        memcpy(mark->row_id, topic->row_id, ROW_ID_BYTES);
    }
    relay->recorded_at_us = relay->clock_ops->monotonic_us(relay->clock);
    if (!relay->unrecorded)
        return OK;
    KILL_POINT("relay.before_record");
    relay->reaching = AWAY_REGISTER;
    enum outcome outcome = relay->outbox_ops->record(relay->outbox, &relay->plain, &news, err);
    arena_reset(&relay->plain);
    if (outcome != OK)
        return outcome;
    KILL_POINT("relay.after_record");
    for (size_t i = 0; i < relay->topic_count; i++)
        relay->topics[i].unmirrored = false;
    relay->fate_count = 0;
    arena_reset(&relay->fates_arena);
    relay->unrecorded = false;
    return OK;
}

/* Remembers what became of a row, to be recorded. */
static enum outcome settle(struct relay *relay, struct relay_row *row, struct err *err) {
    row->noted = true;
    if (row->fate == FATE_WITHHELD)
        metrics_add(METRIC_WITHHELD, 0, 1);
    if (row->fate == FATE_UNPUBLISHABLE) {
        metrics_add(METRIC_UNPUBLISHABLE, 0, 1);
        log_write(LOG_ERROR, "output_unpublishable", "An output can never be published; it is recorded so.",
                  LOG_TEXT("topic", row->topic), LOG_INT("seq", row->seq), LOG_STRING("detail", row->detail));
    }
    if (relay->fate_count == FATES_MAX) {
        enum outcome outcome = relay_record(relay, err);
        if (outcome != OK)
            return outcome;
    }
    struct relay_row *kept = &relay->fates[relay->fate_count];
    *kept = *row;
    kept->topic = arena_text(&relay->fates_arena, row->topic);
    if (!text_present(kept->topic))
        return err_set(err, FATAL, ENOMEM, "no memory to record an output's fate");
    relay->fate_count++;
    relay->unrecorded = true;
    return OK;
}

static void stall(struct relay *relay, struct relay_topic *topic, int64_t settled_before,
                  const struct err *err) {
    int64_t now_us = relay->clock_ops->monotonic_us(relay->clock);
    topic->cursor = topic->positioned && topic->seq > settled_before ? topic->seq : settled_before;
    if (topic->backoff_us == 0) {
        topic->backoff_us = BACKOFF_FIRST_US;
        log_write(LOG_ERROR, "topic_stalled",
                  "Kafka takes nothing for this topic; its outputs wait, the others flow.",
                  LOG_TEXT("topic", topic_name(topic)), LOG_ERR(err));
    } else if (topic->backoff_us < BACKOFF_MOST_US) {
        topic->backoff_us *= 2;
    }
    topic->stalled = topic->refused = true;
    topic->retry_at_us = now_us + topic->backoff_us;
    relay_count_stalled(relay);
}

/* The rows' plain bodies. A body whose key is not there was sealed before an erasure. What that erasure lets
 * wait it has sealed anew, in the register, before the vault destroyed anything: such a row is read once more
 * and opened with its new key. What is still the same then is withheld. */
static enum outcome unseal(struct relay *relay, struct relay_row **rows, size_t count, struct err *err) {
    struct relay_row **again = ARENA_ARRAY(&relay->plain, struct relay_row *, count);
    struct text *before = ARENA_ARRAY(&relay->plain, struct text, count);
    if (!again || !before)
        return err_set(err, FATAL, ENOMEM, "no memory for a batch: lower producer.batch.outputs");
    memcpy(again, rows, count * sizeof(*rows));
    for (int try = 0; try < RESEALED_TRIES; try++) {
        relay->reaching = AWAY_VAULT;
        enum outcome outcome = relay->unseal_ops->bodies(relay->unseal, &relay->plain, again, count, err);
        if (outcome != OK)
            return outcome;
        size_t left = 0;
        for (size_t i = 0; i < count; i++)
            if (again[i]->keyless) {
                before[left] = again[i]->body;
                again[left++] = again[i];
            }
        if (left == 0)
            return OK;
        relay->reaching = AWAY_REGISTER;
        outcome = relay->outbox_ops->bodies(relay->outbox, &relay->batch, again, left, err);
        if (outcome != OK)
            return outcome;
        count = 0;
        for (size_t i = 0; i < left; i++)
            if (text_equal(before[i], again[i]->body)) {
                again[i]->fate = FATE_WITHHELD;
                again[i]->detail = "key_destroyed";
            } else {
                again[count++] = again[i];
            }
        if (count == 0)
            return OK;
    }
    return err_set(err, RETRY, 0, "an output is sealed anew again and again");
}

static enum outcome send_rows(struct relay *relay, struct relay_row **rows, size_t count, size_t *sent,
                              struct err *err) {
    relay->reaching = AWAY_BROKER;
    for (size_t i = 0; i < count; i++) {
        if (rows[i]->fate != FATE_PUBLISH)
            continue;
        struct relay_topic *topic = relay_topic(relay, rows[i]->topic);
        enum outcome outcome = relay->publish_ops->send(relay->publish, rows[i], err);
        if (outcome != OK)
            return outcome;
        topic->sending_seq = rows[i]->seq;
        memcpy(topic->sending_row_id, rows[i]->row_id, ROW_ID_BYTES);
        topic->sending_count++;
        if (++*sent == 1)
            KILL_POINT("relay.after_first_send");
    }
    return OK;
}

/* The position of each topic that rows were sent to. */
static enum outcome send_positions(struct relay *relay, struct err *err) {
    for (size_t i = 0; i < relay->topic_count; i++) {
        struct relay_topic *topic = &relay->topics[i];
        if (!topic->sending_count)
            continue;
        struct relay_mark mark = {.topic = topic_name(topic), .seq = topic->sending_seq};
        memcpy(mark.row_id, topic->sending_row_id, ROW_ID_BYTES);
        enum outcome outcome = relay->publish_ops->position(relay->publish, &mark, err);
        if (outcome != OK)
            return outcome;
    }
    return OK;
}

/* Rows, then positions. Some rows at a time are opened and sent: while the vault answers for the next,
 * Kafka's client is at work on these. */
static enum outcome send_all(struct relay *relay, struct relay_row **rows, size_t count, size_t *sent,
                             struct err *err) {
    enum outcome outcome = OK;
    for (size_t i = 0; i < relay->topic_count; i++)
        relay->topics[i].sending_count = 0;
    for (size_t at = 0; at < count && outcome == OK; at += PORTION_ROWS) {
        size_t portion = count - at < PORTION_ROWS ? count - at : PORTION_ROWS;
        outcome = unseal(relay, rows + at, portion, err);
        KILL_POINT("relay.after_keys");
        if (outcome == OK)
            outcome = send_rows(relay, rows + at, portion, sent, err);
        arena_reset(&relay->plain);
    }
    KILL_POINT("relay.after_sends");
    if (outcome == OK)
        outcome = send_positions(relay, err);
    KILL_POINT("relay.after_positions");
    return outcome;
}

/* Fates are recorded before Kafka commits a position beyond their rows: after a crash in between, a row below
 * the position counts as published. */
static enum outcome settle_all(struct relay *relay, struct relay_row **rows, size_t count, struct err *err) {
    enum outcome outcome = OK;
    for (size_t i = 0; i < count && outcome == OK; i++)
        if (!rows[i]->noted && (rows[i]->fate == FATE_WITHHELD || rows[i]->fate == FATE_UNPUBLISHABLE))
            outcome = settle(relay, rows[i], err);
    return outcome == OK && relay->fate_count ? relay_record(relay, err) : outcome;
}

/* Kafka has committed: what was being sent is published. */
static void published(struct relay *relay) {
    for (size_t i = 0; i < relay->topic_count; i++) {
        struct relay_topic *topic = &relay->topics[i];
        if (!topic->sending_count)
            continue;
        topic->positioned = topic->unmirrored = relay->unrecorded = true;
        topic->seq = topic->sending_seq;
        memcpy(topic->row_id, topic->sending_row_id, ROW_ID_BYTES);
        metrics_add(METRIC_OUTPUTS_PUBLISHED, topic->label, topic->sending_count);
        topic->sending_count = 0;
    }
}

/* One Kafka transaction. It begins before the keys are fetched: so none that began after a key's destruction
 * carries what that key sealed. POISON: nothing of it is published, and the producer can go on. */
static enum outcome transaction(struct relay *relay, struct relay_row **rows, size_t count, struct err *err) {
    int64_t began_us = relay->clock_ops->monotonic_us(relay->clock);
    size_t sent = 0;
    relay->reaching = AWAY_BROKER;
    enum outcome outcome = relay->publish_ops->begin(relay->publish, err);
    if (outcome != OK)
        return outcome;
    KILL_POINT("relay.after_begin");
    outcome = send_all(relay, rows, count, &sent, err);
    if (outcome == OK)
        outcome = settle_all(relay, rows, count, err);
    if (outcome == OK && sent) {
        relay->reaching = AWAY_REGISTER;
        outcome = relay->outbox_ops->alive(relay->outbox, err);
        KILL_POINT("relay.before_commit");
        relay->reaching = AWAY_BROKER;
        if (outcome == OK)
            outcome = relay->publish_ops->commit(relay->publish, err);
        KILL_POINT("relay.after_commit");
    }
    if (outcome == OK && sent) {
        published(relay);
        metrics_add(METRIC_KAFKA_TRANSACTIONS, 0, 1);
        metrics_observe_us(METRIC_TRANSACTION_SECONDS,
                           relay->clock_ops->monotonic_us(relay->clock) - began_us);
        return OK;
    }
    if (outcome != OK && outcome != POISON)
        return outcome;
    struct err aborting;
    enum outcome aborted = relay->publish_ops->abort(relay->publish, &aborting);
    KILL_POINT("relay.after_abort");
    if (aborted != OK && err)
        *err = aborting;
    metrics_add(METRIC_KAFKA_TRANSACTIONS_ABORTED, 0, outcome == POISON);
    return aborted != OK ? aborted : outcome;
}

static enum outcome publish_rows(struct relay *relay, struct relay_row **rows, size_t count,
                                 int64_t settled_before, struct err *err);

/* Each topic's rows by themselves, in their order. */
static enum outcome publish_by_topic(struct relay *relay, struct relay_row **rows, size_t count,
                                     int64_t settled_before, struct err *err) {
    struct relay_row **part = ARENA_ARRAY(&relay->batch, struct relay_row *, count);
    struct relay_row **rest = ARENA_ARRAY(&relay->batch, struct relay_row *, count);
    if (!part || !rest)
        return err_set(err, FATAL, ENOMEM,
                       "no memory to isolate what Kafka refused: lower producer.batch.outputs");
    memcpy(rest, rows, count * sizeof(*rows));
    while (count) {
        size_t taken = 0, left = 0;
        struct text topic = rest[0]->topic;
        for (size_t i = 0; i < count; i++)
            if (text_equal(rest[i]->topic, topic))
                part[taken++] = rest[i];
            else
                rest[left++] = rest[i];
        enum outcome outcome = publish_rows(relay, part, taken, settled_before, err);
        if (outcome != OK)
            return outcome;
        count = left;
    }
    return OK;
}

/* What Kafka refused, by bisection: first by topic, then by halves, until a topic or a row is left alone. */
static enum outcome isolate(struct relay *relay, struct relay_row **rows, size_t count,
                            int64_t settled_before, struct err *err) {
    for (size_t i = 1; i < count; i++)
        if (!text_equal(rows[i]->topic, rows[0]->topic))
            return publish_by_topic(relay, rows, count, settled_before, err);
    struct relay_topic *topic = relay_topic(relay, rows[0]->topic);
    if (relay->publish_ops->refuses_topic(err)) {
        stall(relay, topic, settled_before, err);
        return OK;
    }
    if (count == 1) {
        rows[0]->fate = FATE_UNPUBLISHABLE;
        rows[0]->detail = "refused by Kafka";
        return settle_all(relay, rows, 1, err);
    }
    size_t half = count / 2;
    enum outcome outcome = publish_rows(relay, rows, half, settled_before, err);
    if (outcome != OK || topic->refused)
        return outcome;
    return publish_rows(relay, rows + half, count - half, settled_before, err);
}

static enum outcome publish_rows(struct relay *relay, struct relay_row **rows, size_t count,
                                 int64_t settled_before, struct err *err) {
    ready_beat(0);
    enum outcome outcome = transaction(relay, rows, count, err);
    if (outcome != POISON)
        return outcome;
    return isolate(relay, rows, count, settled_before, err);
}

enum outcome relay_batch(struct relay *relay, struct relay_rows *rows, int64_t settled_before,
                         struct err *err) {
    struct relay_row **part = ARENA_ARRAY(&relay->batch, struct relay_row *, rows->count + 1);
    size_t count = 0, bytes = 0;
    enum outcome outcome = OK;
    if (!part)
        return err_set(err, FATAL, ENOMEM, "no memory for a batch: lower producer.batch.outputs");
    for (size_t i = 0; i < rows->count && outcome == OK; i++) {
        struct relay_row *row = &rows->at[i];
        struct relay_topic *topic = relay_topic(relay, row->topic);
        if (!topic)
            return err_set(err, FATAL, 0, "more than %d output topics", RELAY_TOPICS_MAX);
        if ((topic->stalled && (!topic->probing || topic->refused)) ||
            (topic->positioned && row->seq <= topic->seq) || row->fate == FATE_SETTLED)
            continue;
        if (row->fate == FATE_ELSEWHERE) {
            outcome = settle(relay, row, err);
            continue;
        }
        if (count && bytes + row->body.size > relay->config.batch_bytes) {
            outcome = publish_rows(relay, part, count, settled_before, err);
            count = bytes = 0;
        }
        part[count++] = row;
        bytes += row->body.size;
    }
    return outcome == OK && count ? publish_rows(relay, part, count, settled_before, err) : outcome;
}
