/* Stage 2 of the loop: the records in hand become items, and how far each partition goes on. */
#include "consumer/command.h"
#include "consumer/consume.h"
#include "consumer/contact_hash.h"
#include "core/digest.h"
#include <stdlib.h>

static enum outcome arena_full(struct consumer *consumer, struct err *err) {
    consumer->work.load.arena_full = true;
    return err_set(err, RETRY, 0, "the batch does not fit its memory");
}

/* The record's hash is taken only where it may be needed: of what is refused, and of what may be parked or
 * refused by decide because of a ref. The last of each partition gets its own in plan_advances. */
static enum outcome decode_item(struct consumer *consumer, const struct batch_record *from, struct item *item,
                                struct err *err) {
    struct record record;
    if (consumer->setup.topic_ops->view(consumer->setup.topics, from->message, &consumer->arena, &record) !=
        OK)
        return arena_full(consumer, err);
    item->from = from;
    item->now_us = consumer->work.now_us;
    item->event.topic = from->partition->topic;
    item->event.partition = record.partition;
    item->event.offset = record.offset;
    item->event.timestamp_ms = record.timestamp_ms;
    from->partition->taken_last.offset = record.offset;
    from->partition->taken_last.timestamp_ms = record.timestamp_ms;
    from->partition->taken_last_value = record.value;
    item->refusal = from->refused;
    record.topic = from->partition->topic;
    if (from->refused.reason == REASON_NONE &&
        decode_record(&record, &consumer->decoder, &consumer->arena, &item->event, &item->refusal,
                      &item->unknown_fields) != OK)
        return arena_full(consumer, err);
    if (item->refusal.reason == REASON_NONE &&
        contact_hash_event(consumer->lookup_key, &item->event, &consumer->arena) != OK)
        return arena_full(consumer, err);
    if (item->refusal.reason != REASON_NONE || event_infos[item->event.type].key != KEY_CUSTOMER)
        digest_keyed(consumer->setup.digest_key, record.value, item->record_hash, sizeof item->record_hash);
    if (item->refusal.reason == REASON_NONE && item->event.type == COMMAND_TIED)
        return command_take(&consumer->work.load, &item->event, &item->refusal, err);
    return OK;
}

static int by_place(const void *a, const void *b) {
    const struct advance *one = a, *two = b;
    int order = text_compare(one->topic, two->topic);
    return order ? order : (one->partition > two->partition) - (one->partition < two->partition);
}

/* How far each partition of the batch goes on, in the order in which everybody locks positions. */
static enum outcome plan_advances(struct consumer *consumer, struct err *err) {
    struct write *write = &consumer->work.write;
    struct assignment *assignment = &consumer->assignment;
    write->advances.at = ARENA_ARRAY(&consumer->arena, struct advance, assignment->count + 1);
    if (!write->advances.at)
        return arena_full(consumer, err);
    for (size_t i = 0; i < assignment->count; i++)
        assignment->partitions[i]->taken = false;
    for (size_t i = 0; i < consumer->take; i++) {
        struct partition *partition = consumer->records[i].partition;
        if (partition->taken)
            continue;
        partition->taken = true;
        digest_keyed(consumer->setup.digest_key, partition->taken_last_value, partition->taken_last.hash,
                     FINGERPRINT_BYTES);
        write->advances.at[write->advances.count++] =
            (struct advance){.topic = partition->topic,
                             .partition = partition->partition,
                             .epoch = partition->epoch,
                             .next = partition->next,
                             .after = partition->taken_last.offset + 1,
                             .fingerprint = partition->taken_last,
                             .decided_us = consumer->work.now_us};
    }
    qsort(write->advances.at, write->advances.count, sizeof(*write->advances.at), by_place);
    return OK;
}

enum outcome consume_decode(struct consumer *consumer, struct err *err) {
    struct work *work = &consumer->work;
    work->items = ARENA_ARRAY(&consumer->arena, struct item, consumer->take);
    if (!work->items)
        return arena_full(consumer, err);
    for (size_t i = 0; i < consumer->take; i++) {
        enum outcome outcome = decode_item(consumer, &consumer->records[i], &work->items[work->count++], err);
        if (outcome != OK)
            return outcome;
    }
    return plan_advances(consumer, err);
}
