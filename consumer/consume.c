/* The loop of stages 1 to 5, and its one place of choices: consume_settle. */
#include "consumer/consume.h"
#include "consumer/dead_letter.h"
#include "consumer/store.h"
#include "core/digest.h"
#include "core/killpoint.h"
#include "core/log.h"
#include "core/metrics.h"
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define MISSES_BEFORE_LOCKS 2
#define MISSES_MAX 20
#define REDONE_MAX 10
#define CHECK_EVERY_US 2000000

enum outcome consumer_init(struct consumer *consumer, const struct consume_setup *setup, struct err *err) {
    *consumer = (struct consumer){.setup = *setup, .last_now_us = 0};
    assignment_init(&consumer->assignment);
    consumer->assignment.topic_ops = setup->topic_ops;
    consumer->assignment.topics = setup->topics;
    consumer->assignment.reg_ops = setup->reg_ops;
    consumer->assignment.reg = setup->reg;
    consumer->assignment.clock = setup->clock;
    consumer->assignment.clock_context = setup->clock_context;
    consumer->assignment.owner = setup->owner;
    calendar_init(&consumer->calendar);
    arena_init(&consumer->arena, setup->arena_bytes);
    lookup_key_derive(setup->digest_key, consumer->lookup_key);
    consumer->writer = json_writer_new();
    consumer->sealer = sealer_new();
    consumer->records = calloc(setup->batch_records, sizeof(*consumer->records));
    if (!consumer->writer || !consumer->sealer || !consumer->records)
        return err_set(err, RETRY, 0, "no memory for a worker");
    return decoder_init(&consumer->decoder, setup->policy, setup->digest_key) == OK
               ? OK
               : err_set(err, RETRY, 0, "no memory for a worker's decoder");
}

static int64_t monotonic_us(const struct consumer *consumer) {
    return consumer->setup.clock->monotonic_us(consumer->setup.clock_context);
}

/* ---- the batch in hand ---- */

/* Releases the records that `gone` names; NULL: all of them. The others keep their order. */
static void drop_records(struct consumer *consumer, const struct partition *gone) {
    size_t kept = 0;
    consumer->record_bytes = 0;
    for (size_t i = 0; i < consumer->record_count; i++) {
        struct batch_record *record = &consumer->records[i];
        if (!gone || record->partition == gone) {
            consumer->setup.topic_ops->release(consumer->setup.topics, record->message);
        } else {
            consumer->record_bytes += record->size_bytes;
            consumer->records[kept++] = *record;
        }
    }
    consumer->take = consumer->record_count = kept;
}

void consumer_release(struct consumer *consumer) {
    drop_records(consumer, NULL);
    free(consumer->records);
    consumer->records = NULL;
    decoder_release(&consumer->decoder);
    sealer_free(consumer->sealer);
    json_writer_free(consumer->writer);
    consumer->sealer = NULL;
    consumer->writer = NULL;
    assignment_release(&consumer->assignment);
    arena_release(&consumer->arena);
    secret_wipe(consumer->lookup_key, sizeof consumer->lookup_key);
}

/* Gives everything up: what was read is read again after the partitions are claimed again. */
static void abandon(struct consumer *consumer) {
    drop_records(consumer, NULL);
    consumer->setup.reg_ops->rollback(consumer->setup.reg);
    assignment_all_lost(&consumer->assignment);
    calendar_lost(&consumer->calendar);
    consumer->misses = consumer->redone = 0;
}

/* ---- stage 1: consume ---- */

/* The first record of a partition whose fingerprint is to be compared. */
static enum outcome verify(struct consumer *consumer, struct partition *partition,
                           const struct topic_polled *polled, struct err *err) {
    struct record record;
    uint8_t hash[FINGERPRINT_BYTES];
    if (consumer->setup.topic_ops->view(consumer->setup.topics, polled->message, &consumer->arena, &record) !=
        OK)
        return err_set(err, RETRY, 0, "no memory to compare a fingerprint");
    digest_keyed(consumer->setup.digest_key, record.value, hash, sizeof hash);
    return assignment_verify(&consumer->assignment, partition, record.offset, record.timestamp_ms, hash, err);
}

static enum outcome take_record(struct consumer *consumer, const struct topic_polled *polled,
                                struct err *err) {
    struct partition *partition = assignment_find(&consumer->assignment, polled->topic, polled->partition);
    enum outcome outcome = OK;
    if (partition && partition->state == PARTITION_VERIFYING) {
        outcome = verify(consumer, partition, polled, err);
    } else if (!partition || partition->state != PARTITION_ACTIVE || polled->offset < partition->expected) {
        metrics_add(METRIC_STALE_RECORDS, 0, 1);
    } else {
        consumer->records[consumer->record_count++] = (struct batch_record){.partition = partition,
                                                                            .offset = polled->offset,
                                                                            .size_bytes = polled->size_bytes,
                                                                            .message = polled->message};
        consumer->record_bytes += polled->size_bytes;
        partition->expected = polled->offset + 1;
        return OK;
    }
    consumer->setup.topic_ops->release(consumer->setup.topics, polled->message);
    return outcome;
}

static enum outcome take_end(struct consumer *consumer, const struct topic_polled *polled, struct err *err) {
    struct partition *partition = assignment_find(&consumer->assignment, polled->topic, polled->partition);
    if (!partition)
        return OK;
    if (partition->state == PARTITION_VERIFYING)
        return assignment_park(&consumer->assignment, partition, "fingerprint", err);
    partition->end_met = polled->offset;
    return OK;
}

static enum outcome take_news(struct consumer *consumer, const struct topic_polled *polled, struct err *err) {
    struct partition *partition;
    if (polled->news != TOPIC_AWAY && polled->news != TOPIC_NOTHING)
        consumer->away &= ~(unsigned)CONSUME_BROKER_AWAY;
    switch (polled->news) {
    case TOPIC_RECORD:
        return take_record(consumer, polled, err);
    case TOPIC_END:
        return take_end(consumer, polled, err);
    case TOPIC_REASSIGNED:
        drop_records(consumer, NULL);
        consumer->reassigned = true;
        return OK;
    case TOPIC_OUT_OF_RANGE:
        partition = assignment_find(&consumer->assignment, polled->topic, polled->partition);
        if (partition)
            assignment_lost(&consumer->assignment,
                            partition); /* the claim sees whether a gap or a range it is */
        return OK;
    case TOPIC_AWAY:
        consumer->away |= CONSUME_BROKER_AWAY;
        metrics_add(METRIC_RETRIES, AWAY_BROKER, 1);
        return OK;
    case TOPIC_NOTHING:
        return OK;
    }
    return OK;
}

/* Takes what is there now, up to the batch's limits; waits for the first record only (and linger_ms for
 * more). */
static enum outcome consume_batch(struct consumer *consumer, int wait_ms, struct err *err) {
    const struct consume_setup *setup = &consumer->setup;
    int64_t linger_until_us = 0;
    arena_reset(&consumer->arena);
    while (consumer->record_count < setup->batch_records && consumer->record_bytes < setup->batch_bytes) {
        struct topic_polled polled;
        enum outcome outcome = setup->topic_ops->poll(setup->topics, wait_ms, &polled, err);
        if (outcome == OK)
            outcome = take_news(consumer, &polled, err);
        if (outcome != OK || polled.news == TOPIC_REASSIGNED)
            return outcome;
        if (!consumer->record_count && polled.news == TOPIC_NOTHING)
            break;
        wait_ms = 0;
        if (!consumer->record_count || !setup->linger_ms) {
            if (polled.news == TOPIC_NOTHING)
                break;
            continue;
        }
        int64_t now = monotonic_us(consumer);
        linger_until_us = linger_until_us ? linger_until_us : now + setup->linger_ms * INT64_C(1000);
        if (now >= linger_until_us && polled.news == TOPIC_NOTHING)
            break;
        wait_ms = now < linger_until_us ? (int)((linger_until_us - now + 999) / 1000) : 0;
    }
    consumer->take = consumer->record_count;
    return OK;
}

/* ---- stage 2: decode ---- */

static enum outcome arena_full(struct consumer *consumer, struct err *err) {
    consumer->work.load.arena_full = true;
    return err_set(err, RETRY, 0, "the batch does not fit its memory");
}

static enum outcome decode_item(struct consumer *consumer, const struct batch_record *from, struct item *item,
                                struct err *err) {
    struct record record;
    if (consumer->setup.topic_ops->view(consumer->setup.topics, from->message, &consumer->arena, &record) !=
        OK)
        return arena_full(consumer, err);
    digest_keyed(consumer->setup.digest_key, record.value, item->record_hash, sizeof item->record_hash);
    item->from = from;
    item->now_us = consumer->work.now_us;
    item->event.topic = from->partition->topic;
    item->event.partition = record.partition;
    item->event.offset = record.offset;
    item->event.timestamp_ms = record.timestamp_ms;
    from->partition->taken_last.offset = record.offset;
    from->partition->taken_last.timestamp_ms = record.timestamp_ms;
    memcpy(from->partition->taken_last.hash, item->record_hash, FINGERPRINT_BYTES);
    if (from->refused.reason != REASON_NONE) {
        item->refusal = from->refused;
        return OK;
    }
    record.topic = from->partition->topic;
    if (decode_record(&record, &consumer->decoder, &consumer->arena, &item->event, &item->refusal,
                      &item->unknown_fields) != OK)
        return arena_full(consumer, err);
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

static enum outcome decode_batch(struct consumer *consumer, struct err *err) {
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

/* The calendar's stand-in for stages 1 and 2. */
static enum outcome calendar_batch(struct consumer *consumer, struct err *err) {
    struct work *work = &consumer->work;
    struct partition *position = &consumer->calendar.position;
    enum outcome outcome = calendar_take(&consumer->calendar, consumer->setup.reg_ops, consumer->setup.reg,
                                         work->now_us, work, &consumer->arena, err);
    if (outcome != OK)
        return outcome;
    work->write.advances.at = ARENA_NEW(&consumer->arena, struct advance);
    if (!work->write.advances.at)
        return arena_full(consumer, err);
    work->write.advances.count = 1;
    work->write.advances.at[0] = (struct advance){.topic = position->topic,
                                                  .partition = position->partition,
                                                  .epoch = position->epoch,
                                                  .next = position->next,
                                                  .after = position->next + (int64_t)work->count,
                                                  .fingerprint.offset = -1,
                                                  .decided_us = work->now_us};
    return OK;
}

/* ---- stage 3: load (load.c) ---- */

static int by_text(const void *a, const void *b) {
    return text_compare(*(const struct text *)a, *(const struct text *)b);
}

/* Guards were missed again and again: lock the persons that the last try touched before they are read. */
static enum outcome lock_persons(struct consumer *consumer, struct text *persons, size_t count,
                                 struct err *err) {
    qsort(persons, count, sizeof(*persons), by_text);
    return consumer->setup.reg_ops->lock(consumer->setup.reg, &consumer->arena, persons, count, err);
}

static enum outcome load_work(struct consumer *consumer, struct err *err) {
    struct work *work = &consumer->work;
    const struct event **events = ARENA_ARRAY(&consumer->arena, const struct event *, work->count + 1);
    size_t count = 0;
    if (!events)
        return arena_full(consumer, err);
    for (size_t i = 0; i < work->count; i++)
        if (work->items[i].refusal.reason == REASON_NONE)
            events[count++] = &work->items[i].event;
    enum outcome outcome = load_batch(&work->load, events, count, err);
    if (outcome != OK || consumer->misses <= MISSES_BEFORE_LOCKS)
        return outcome;
    /* What is to be locked is known only after a load; what was loaded is then read again under the locks. */
    size_t person_count, locked = 0;
    struct person *const *all = state_persons(work->state, &person_count);
    struct text *persons = ARENA_ARRAY(&consumer->arena, struct text, person_count + 1);
    if (!persons)
        return arena_full(consumer, err);
    for (size_t i = 0; i < person_count; i++)
        if (all[i]->generation == GENERATION_FIRST)
            persons[locked++] = all[i]->person;
    outcome = lock_persons(consumer, persons, locked, err);
    if (outcome != OK)
        return outcome;
    struct load again = work->load;
    work->state = work->decision.state = state_new(&consumer->arena);
    if (!work->state)
        return arena_full(consumer, err);
    work->load = (struct load){.ops = again.ops,
                               .reg = again.reg,
                               .keyring = again.keyring,
                               .policy = again.policy,
                               .ref_key = again.ref_key,
                               .arena = again.arena,
                               .state = work->state,
                               .now_s = again.now_s};
    return load_batch(&work->load, events, count, err);
}

/* ---- stage 4: decide (core/decide) ---- */

static enum outcome decide_work(struct consumer *consumer, struct err *err) {
    struct work *work = &consumer->work;
    struct decision *decision = &work->decision;
    LIST(int64_t) decided = {0};
    for (size_t i = 0; i < work->count; i++) {
        struct item *item = &work->items[i];
        const struct event *event = &item->event;
        enum outcome outcome;
        decision->now_us = item->now_us;
        if (item->refusal.reason != REASON_NONE) {
            item->verdict = VERDICT_DEAD_LETTER;
            outcome = decide_dead_letter(decision, event->topic, event->partition, event->offset,
                                         event->timestamp_ms, &item->refusal, item->record_hash);
        } else {
            outcome = decide_event(decision, event, item->record_hash, &item->verdict);
        }
        if (outcome != OK)
            return outcome == RETRY ? arena_full(consumer, err) : outcome;
        while (decided.count < decision->outputs.count) {
            int64_t *at = ARENA_PUSH(&consumer->arena, &decided);
            if (!at)
                return arena_full(consumer, err);
            *at = item->now_us;
        }
    }
    work->decided_us = decided.at;
    return OK;
}

/* ---- stage 5: store (store.c) ---- */

static enum outcome store_work(struct consumer *consumer, struct err *err) {
    struct seal_batch how = {consumer->setup.keyring, consumer->sealer, consumer->lookup_key};
    consumer->work.write.policy_digest = consumer->setup.policy->digest;
    return store_batch(consumer->setup.reg_ops, consumer->setup.reg, &how, &consumer->work, &consumer->arena,
                       err);
}

/* ---- one transaction ---- */

/* `now` is read once; it is never below what the positions have seen, whoever set the machine's clock. */
static int64_t read_now(struct consumer *consumer) {
    int64_t now = consumer->setup.clock->now_us(consumer->setup.clock_context);
    now = now > consumer->last_now_us ? now : consumer->last_now_us;
    for (size_t i = 0; i < consumer->take; i++) {
        int64_t decided = consumer->records[i].partition->decided_us;
        now = now > decided ? now : decided;
    }
    return consumer->last_now_us = now;
}

static enum outcome begin_work(struct consumer *consumer, struct err *err) {
    const struct consume_setup *setup = &consumer->setup;
    struct work *work = &consumer->work;
    arena_reset(&consumer->arena);
    *work = (struct work){.now_us = read_now(consumer), .state = state_new(&consumer->arena)};
    work->load = (struct load){.ops = setup->reg_ops,
                               .reg = setup->reg,
                               .keyring = setup->keyring,
                               .policy = setup->policy,
                               .ref_key = setup->ref_key,
                               .arena = &consumer->arena,
                               .state = work->state,
                               .now_s = monotonic_us(consumer) / 1000000};
    work->decision = (struct decision){.policy = setup->policy,
                                       .ref_key = setup->ref_key,
                                       .arena = &consumer->arena,
                                       .writer = consumer->writer,
                                       .state = work->state,
                                       .now_us = work->now_us};
    return work->state ? OK : arena_full(consumer, err);
}

typedef enum outcome source(struct consumer *consumer, struct err *err);

/* The stages of one transaction: decode, load, decide, store, commit. */
static enum outcome transact(struct consumer *consumer, source *decode, struct err *err) {
    enum outcome outcome = begin_work(consumer, err);
    if (outcome == OK)
        outcome = decode(consumer, err);
    if (outcome == OK && consumer->work.count == 0)
        return OK;
    if (outcome == OK)
        outcome = load_work(consumer, err);
    if (outcome == OK)
        outcome = decide_work(consumer, err);
    if (outcome == OK)
        outcome = store_work(consumer, err);
    if (outcome == OK)
        outcome = store_commit(consumer->setup.reg_ops, consumer->setup.reg, err);
    return outcome;
}

/* ---- after a transaction ---- */

static void count_work(const struct work *work) {
    for (size_t i = 0; i < work->count; i++) {
        const struct item *item = &work->items[i];
        if (item->from)
            metrics_add(METRIC_RECORDS, item->from->partition->label, 1);
        if (item->refusal.reason == REASON_NONE)
            metrics_add(METRIC_EVENTS, item->event.type, 1);
        if (item->unknown_fields)
            metrics_add(METRIC_UNKNOWN_FIELDS, item->event.type, item->unknown_fields);
    }
    const struct decision *decision = &work->decision;
    metrics_add(METRIC_APPLIED, 0, decision->verdicts[VERDICT_APPLIED]);
    metrics_add(METRIC_FORGOTTEN, 0, decision->verdicts[VERDICT_FORGOTTEN]);
    metrics_add(METRIC_PARKED, 0, decision->verdicts[VERDICT_PARKED]);
    metrics_add(METRIC_DUPLICATES_SOURCE_ID, 0, decision->second_facts);
    metrics_add(METRIC_OUTPUTS_WRITTEN, 0, decision->outputs.count);
    for (size_t i = 0; i < work->write.dead_letters.count; i++)
        metrics_add(METRIC_DEAD_LETTERS, work->write.dead_letters.at[i]->at->dead.refusal.reason, 1);
    metrics_add(METRIC_BATCHES, 0, 1);
    metrics_set(METRIC_COMMITTED_TIME, work->now_us);
}

/* Group offsets, for lag tools only. */
static void publish_offsets(struct consumer *consumer) {
    const struct write *write = &consumer->work.write;
    struct topic_place *places = ARENA_ARRAY(&consumer->arena, struct topic_place, write->advances.count + 1);
    for (size_t i = 0; places && i < write->advances.count; i++)
        places[i] = (struct topic_place){write->advances.at[i].topic, write->advances.at[i].partition,
                                         write->advances.at[i].after};
    if (places)
        consumer->setup.topic_ops->commit(consumer->setup.topics, places, write->advances.count);
}

static void committed(struct consumer *consumer) {
    const struct write *write = &consumer->work.write;
    consumer->misses = consumer->redone = 0;
    consumer->away &= ~(unsigned)(CONSUME_REGISTER_AWAY | CONSUME_VAULT_AWAY);
    if (consumer->in_calendar) {
        consumer->calendar.position.next = write->advances.at[0].after;
        consumer->calendar.position.decided_us = consumer->work.now_us;
        metrics_add(METRIC_CALENDAR_ACTS, 0, consumer->work.count);
        count_work(&consumer->work);
        return;
    }
    for (size_t i = 0; i < write->advances.count; i++) {
        const struct advance *advance = &write->advances.at[i];
        struct partition *partition =
            assignment_find(&consumer->assignment, advance->topic, advance->partition);
        partition->next = advance->after;
        partition->fingerprint = advance->fingerprint;
        partition->decided_us = advance->decided_us;
        partition->attempts = 0;
    }
    count_work(&consumer->work);
    publish_offsets(consumer);
    size_t rest = consumer->record_count - consumer->take;
    for (size_t i = 0; i < consumer->take; i++)
        consumer->setup.topic_ops->release(consumer->setup.topics, consumer->records[i].message);
    memmove(consumer->records, consumer->records + consumer->take, rest * sizeof(*consumer->records));
    consumer->take = consumer->record_count = rest;
    if (!rest)
        consumer->record_bytes = 0;
}

/* Takes fewer records, down to one; false when it is one already. */
static bool bisect(struct consumer *consumer) {
    size_t *count = consumer->in_calendar ? &consumer->calendar.limit : &consumer->take;
    if (*count <= 1)
        return false;
    *count /= 2;
    metrics_add(METRIC_BISECTED_BATCHES, 0, 1);
    return true;
}

/* One record stands alone and still cannot be taken in: it becomes a dead letter, or its partition parks. */
static enum outcome settle_single(struct consumer *consumer, const char *sqlstate, const char *park_reason,
                                  struct err *err) {
    if (consumer->in_calendar) {
        calendar_lost(&consumer->calendar);
        return OK;
    }
    struct batch_record *record = &consumer->records[0];
    struct partition *partition = record->partition;
    bool again = record->refused.reason != REASON_NONE;
    if (!park_reason && !again) {
        record->refused = dead_letter_refused(sqlstate);
        log_write(LOG_WARNING, "record_refused", "The database refuses a record; it becomes a dead letter.",
                  LOG_TEXT("topic", partition->topic), LOG_INT("partition", partition->partition),
                  LOG_INT("offset", record->offset), LOG_STRING("sqlstate", sqlstate));
        return OK;
    }
    drop_records(consumer, partition);
    enum outcome outcome = assignment_park(&consumer->assignment, partition,
                                           park_reason ? park_reason : "refused_by_database", err);
    if (outcome == RETRY)
        abandon(consumer);
    return outcome == FATAL ? FATAL : OK;
}

static enum outcome settle_fenced(struct consumer *consumer, struct err *err) {
    const struct write *write = &consumer->work.write;
    if (write->policy_passed)
        return err_set(err, FATAL, 0,
                       "another policy is active now than the one this process was started with");
    metrics_add(METRIC_FENCED, 0, 1);
    if (consumer->in_calendar) {
        calendar_lost(&consumer->calendar);
        return OK;
    }
    for (size_t i = 0; i < write->advances.count; i++) {
        const struct advance *advance = &write->advances.at[i];
        if (!advance->lost)
            continue;
        struct partition *partition =
            assignment_find(&consumer->assignment, advance->topic, advance->partition);
        log_write(LOG_WARNING, "partition_fenced",
                  "Somebody else claimed a partition; its records are dropped.",
                  LOG_TEXT("topic", advance->topic), LOG_INT("partition", advance->partition));
        drop_records(consumer, partition);
        assignment_lost(&consumer->assignment, partition);
    }
    return OK;
}

/* A short, jittered pause before a batch is done again. */
static void pause_before_redo(const struct consumer *consumer, unsigned tries) {
    int64_t most_us = INT64_C(1000) << (tries < 7 ? tries : 7);
    (void)consumer->setup.clock->sleep_us(consumer->setup.clock_context,
                                          most_us / 2 + (int64_t)randombytes_uniform((uint32_t)most_us));
}

static enum outcome settle_retry(struct consumer *consumer, struct err *err) {
    const struct consume_setup *setup = &consumer->setup;
    if (consumer->work.load.arena_full || (err->code == ENOMEM && !err->sqlstate[0]))
        return bisect(consumer) ? OK : settle_single(consumer, "54000", NULL, err);
    bool is_open = setup->reg_ops->is_open(setup->reg);
    if (is_open && consumer->work.write.guard_missed && consumer->misses < MISSES_MAX) {
        metrics_add(METRIC_REDONE_BATCHES, 0, 1);
        if (consumer->misses++)
            pause_before_redo(consumer, consumer->misses);
        return OK;
    }
    bool contended = strncmp(err->sqlstate, "40", 2) == 0 || strcmp(err->sqlstate, "55P03") == 0;
    if (is_open && contended && consumer->redone < REDONE_MAX) {
        metrics_add(METRIC_REDONE_BATCHES, 0, 1);
        pause_before_redo(consumer, consumer->redone++);
        return OK;
    }
    struct err vault_err;
    bool vault_there = !setup->vault_open || setup->vault_open(setup->vault, &vault_err) == OK;
    consumer->away |= !is_open ? CONSUME_REGISTER_AWAY : !vault_there ? CONSUME_VAULT_AWAY : 0;
    metrics_add(METRIC_RETRIES, vault_there ? AWAY_REGISTER : AWAY_VAULT, 1);
    log_write(LOG_WARNING, "batch_given_up",
              "Something is away or in the way; the partitions are claimed again.", LOG_ERR(err),
              LOG_BOOL("register_connected", is_open), LOG_BOOL("vault_connected", vault_there));
    abandon(consumer);
    return OK;
}

/* The one place that chooses what happens after a transaction, whatever became of it. */
static enum outcome consume_settle(struct consumer *consumer, enum outcome outcome, struct err *err) {
    if (outcome == OK) {
        if (consumer->work.count)
            committed(consumer);
        return OK;
    }
    consumer->setup.reg_ops->rollback(consumer->setup.reg);
    const char *park_reason = consumer->work.load.park_reason;
    switch (outcome) {
    case POISON:
        return bisect(consumer) ? OK : settle_single(consumer, err->sqlstate, park_reason, err);
    case FENCED:
        return settle_fenced(consumer, err);
    case RETRY:
        return settle_retry(consumer, err);
    default:
        return FATAL;
    }
}

/* ---- the loop ---- */

/* A claim pass or a poll that met something away: noted, waited out by the partitions' own backoff. */
static enum outcome note_away(struct consumer *consumer, enum outcome outcome, struct err *err) {
    if (outcome == FATAL)
        return FATAL;
    if (outcome == OK) {
        consumer->away &= ~(unsigned)CONSUME_REGISTER_AWAY;
        return OK;
    }
    bool is_open = consumer->setup.reg_ops->is_open(consumer->setup.reg);
    consumer->away |= is_open ? CONSUME_BROKER_AWAY : CONSUME_REGISTER_AWAY;
    metrics_add(METRIC_RETRIES, is_open ? AWAY_BROKER : AWAY_REGISTER, 1);
    log_write(LOG_INFO, "waiting", "A partition cannot be claimed yet.", LOG_ERR(err));
    if (!is_open)
        abandon(consumer);
    return OK;
}

static enum outcome check_topics(struct consumer *consumer) {
    int64_t now = monotonic_us(consumer);
    struct err err;
    bool trouble = consumer->missing[0] || consumer->away & CONSUME_BROKER_AWAY;
    if (now < consumer->check_at_us)
        return OK;
    consumer->check_at_us = now + (trouble ? CHECK_EVERY_US : 15 * CHECK_EVERY_US);
    enum outcome outcome = consumer->setup.topic_ops->check(consumer->setup.topics, &err);
    if (outcome != RETRY)
        consumer->missing[0] = '\0';
    if (outcome == OK)
        consumer->away &= ~(unsigned)CONSUME_BROKER_AWAY;
    else if (outcome == RETRY)
        consumer->away |= CONSUME_BROKER_AWAY;
    else
        snprintf(consumer->missing, sizeof consumer->missing, "%.100s", err.text);
    return OK;
}

/* Takes over what the group gave; asked again until it is told. */
static enum outcome take_assignment(struct consumer *consumer, struct err *err) {
    if (!consumer->reassigned)
        return OK;
    arena_reset(&consumer->arena);
    enum outcome outcome = assignment_replace(&consumer->assignment, &consumer->arena, err);
    if (outcome == OK) {
        consumer->reassigned = false;
        consumer->assigned_once = true;
    }
    return outcome;
}

/* The vault is opened before anything is claimed: a claim that cannot be followed by work helps nobody. */
static enum outcome claim_due(struct consumer *consumer, struct err *err) {
    const struct consume_setup *setup = &consumer->setup;
    if (setup->vault_open && assignment_wait_ms(&consumer->assignment, 1) == 0 &&
        consumer->assignment.count) {
        enum outcome outcome = setup->vault_open(setup->vault, err);
        if (outcome == FATAL)
            return FATAL;
        if (outcome != OK) {
            consumer->away |= CONSUME_VAULT_AWAY;
            metrics_add(METRIC_RETRIES, AWAY_VAULT, 1);
            assignment_all_lost(&consumer->assignment);
            return OK;
        }
        consumer->away &= ~(unsigned)CONSUME_VAULT_AWAY;
    }
    arena_reset(&consumer->arena);
    return note_away(consumer, assignment_step(&consumer->assignment, &consumer->arena, err), err);
}

static enum outcome calendar_turn(struct consumer *consumer, struct err *err) {
    bool due;
    arena_reset(&consumer->arena);
    enum outcome outcome =
        calendar_due(&consumer->calendar, &consumer->assignment, &consumer->arena, &due, err);
    if (outcome != OK)
        return note_away(consumer, outcome, err);
    consumer->in_calendar = true;
    while (due && outcome == OK && consumer->calendar.mine) {
        outcome = consume_settle(consumer, transact(consumer, calendar_batch, err), err);
        due = consumer->work.count > 0;
    }
    consumer->in_calendar = false;
    return outcome;
}

enum outcome consume_turn(struct consumer *consumer, int wait_ms, struct err *err) {
    enum outcome outcome = check_topics(consumer);
    if (outcome == OK)
        outcome = take_assignment(consumer, err);
    if (outcome == OK && !consumer->reassigned)
        outcome = claim_due(consumer, err);
    if (outcome == OK)
        outcome = consume_batch(consumer, assignment_wait_ms(&consumer->assignment, wait_ms), err);
    if (outcome == RETRY)
        outcome = note_away(consumer, outcome, err);
    while (outcome == OK && consumer->record_count) {
        int64_t began_us = monotonic_us(consumer);
        outcome = consume_settle(consumer, transact(consumer, decode_batch, err), err);
        metrics_observe_us(METRIC_BATCH_SECONDS, monotonic_us(consumer) - began_us);
    }
    return outcome == OK ? calendar_turn(consumer, err) : outcome;
}

/* ---- how it stands ---- */

bool consumer_ready(const struct consumer *consumer, char *reason, size_t room) {
    const char *away = consumer->away & CONSUME_REGISTER_AWAY
                           ? "register_away: the register cannot be reached"
                       : consumer->away & CONSUME_VAULT_AWAY  ? "vault_away: the vault cannot be reached"
                       : consumer->away & CONSUME_BROKER_AWAY ? "broker_away: Kafka cannot be reached"
                       : !consumer->assigned_once             ? "joining: waiting for the consumer group"
                                                              : NULL;
    if (away)
        snprintf(reason, room, "%s", away);
    else if (!assignment_ready(&consumer->assignment, reason, room))
        return false;
    else if (consumer->missing[0])
        snprintf(reason, room, "topics_missing: %s", consumer->missing);
    return !away && !consumer->missing[0];
}

bool consumer_caught_up(const struct consumer *consumer) {
    return consumer->assigned_once && !consumer->reassigned && !consumer->away &&
           assignment_caught_up(&consumer->assignment);
}
