/* The loop of stages 1 to 5; what becomes of a transaction is chosen in settle.c. */
#include "consumer/consume.h"
#include "consumer/settle.h"
#include "consumer/store.h"
#include "core/digest.h"
#include "core/killpoint.h"
#include "core/log.h"
#include "core/metrics.h"
#include <stdio.h>
#include <stdlib.h>

#define MISSES_BEFORE_LOCKS 2
#define CHECK_EVERY_US 2000000
#define CHECKS_SOON 3 /* while the group is not at rest, a look at it says nothing */

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
    arena_init(&consumer->missed_arena, setup->arena_bytes);
    lookup_key_derive(setup->digest_key, consumer->lookup_key);
    consumer->writer = json_writer_new();
    consumer->sealer = sealer_new();
    consumer->records = calloc(setup->batch_records, sizeof(*consumer->records));
    if (!consumer->writer || !consumer->sealer || !consumer->records)
        return err_set(err, RETRY, 0, "no memory for a worker");
    consumer->erase = (struct erase){.ops = setup->erase_ops,
                                     .reg = setup->reg,
                                     .keyring = setup->keyring,
                                     .writer = consumer->writer,
                                     .clock = setup->clock,
                                     .clock_context = setup->clock_context};
    erase_init(&consumer->erase);
    return decoder_init(&consumer->decoder, setup->policy, setup->digest_key) == OK
               ? OK
               : err_set(err, RETRY, 0, "no memory for a worker's decoder");
}

static int64_t monotonic_us(const struct consumer *consumer) {
    return consumer->setup.clock->monotonic_us(consumer->setup.clock_context);
}

/* ---- the batch in hand ---- */

void consumer_release(struct consumer *consumer) {
    settle_drop(consumer, NULL);
    free(consumer->records);
    consumer->records = NULL;
    decoder_release(&consumer->decoder);
    sealer_free(consumer->sealer);
    json_writer_free(consumer->writer);
    consumer->sealer = NULL;
    consumer->writer = NULL;
    assignment_release(&consumer->assignment);
    arena_release(&consumer->arena);
    arena_release(&consumer->missed_arena);
    secret_wipe(consumer->lookup_key, sizeof consumer->lookup_key);
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
    bool is_read =
        partition && (partition->state == PARTITION_VERIFYING || partition->state == PARTITION_ACTIVE);
    if (!is_read || polled->offset < partition->expected) { /* of a fetch before the last assign */
        metrics_add(METRIC_STALE_RECORDS, 0, 1);
    } else if (partition->state == PARTITION_VERIFYING) {
        outcome = verify(consumer, partition, polled, err);
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
    if (!partition || polled->offset < partition->expected)
        return OK;
    if (partition->state == PARTITION_VERIFYING)
        return assignment_park(&consumer->assignment, partition, "fingerprint", err);
    partition->end_met = polled->offset;
    return OK;
}

static enum outcome take_news(struct consumer *consumer, const struct topic_polled *polled, struct err *err) {
    struct partition *partition;
    /* The others may be the client's own doing. */
    if (polled->news == TOPIC_RECORD || polled->news == TOPIC_END)
        consumer->away &= ~(unsigned)CONSUME_BROKER_AWAY;
    switch (polled->news) {
    case TOPIC_RECORD:
        return take_record(consumer, polled, err);
    case TOPIC_END:
        return take_end(consumer, polled, err);
    case TOPIC_REASSIGNED:
        settle_drop(consumer, NULL);
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

static enum outcome arena_full(struct consumer *consumer, struct err *err) {
    consumer->work.load.arena_full = true;
    return err_set(err, RETRY, 0, "the batch does not fit its memory");
}

/* The calendar's stand-in for stages 1 and 2. */
static enum outcome calendar_batch(struct consumer *consumer, struct err *err) {
    struct work *work = &consumer->work;
    struct partition *position = &consumer->calendar.position;
    enum outcome outcome = calendar_take(&consumer->calendar, consumer->setup.reg_ops, consumer->setup.reg,
                                         monotonic_us(consumer), work, err);
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
                               .also_refs = again.also_refs,
                               .orphans = again.orphans,
                               .lossy = again.lossy,
                               .now_s = again.now_s};
    return load_batch(&work->load, events, count, err);
}

/* ---- stage 4: decide (core/decide) ---- */

/* Each output goes out with the `now` at which it was decided. */
static bool date_outputs(struct consumer *consumer, int64_t now_us) {
    struct work *work = &consumer->work;
    while (work->decided_us.count < work->decision.outputs.count) {
        int64_t *at = ARENA_PUSH(&consumer->arena, &work->decided_us);
        if (!at)
            return false;
        *at = now_us;
    }
    return true;
}

static enum outcome decide_work(struct consumer *consumer, struct err *err) {
    struct work *work = &consumer->work;
    struct decision *decision = &work->decision;
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
        if (!date_outputs(consumer, item->now_us))
            return arena_full(consumer, err);
    }
    enum outcome outcome = decide_finish(decision);
    if (outcome == OK && !date_outputs(consumer, decision->now_us))
        outcome = RETRY;
    return outcome == RETRY ? arena_full(consumer, err) : outcome;
}

/* ---- stage 5: store (store.c) ---- */

static enum outcome store_work(struct consumer *consumer, struct err *err) {
    struct seal_batch how = {consumer->setup.keyring, consumer->sealer};
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
                               .also_refs = {consumer->missed_refs.at, consumer->missed_refs.count},
                               .orphans = setup->orphan_tombstones,
                               .now_s = monotonic_us(consumer) / 1000000};
    work->decision = (struct decision){.policy = setup->policy,
                                       .ref_key = setup->ref_key,
                                       .arena = &consumer->arena,
                                       .writer = consumer->writer,
                                       .state = work->state,
                                       .now_us = work->now_us,
                                       .restored_us = setup->restored_us};
    return work->state ? OK : arena_full(consumer, err);
}

/* The stages of one transaction: decode, load, decide, store, commit. */
enum outcome consume_transact(struct consumer *consumer, consume_source *decode, struct err *err) {
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

/* ---- the loop ---- */

/* Waited out by the partitions' own backoff. */
static enum outcome wait_out(struct consumer *consumer, enum outcome outcome, struct err *err) {
    if (outcome == OK || outcome == FATAL)
        return outcome;
    metrics_add(METRIC_RETRIES, consumer->away & CONSUME_BROKER_AWAY ? AWAY_BROKER : AWAY_REGISTER, 1);
    log_write(LOG_INFO, "waiting", "A partition cannot be claimed yet.", LOG_ERR(err));
    if (!consumer->setup.reg_ops->is_open(consumer->setup.reg))
        settle_abandon(consumer);
    return OK;
}

/* What the register was asked for failed. */
static enum outcome note_away(struct consumer *consumer, enum outcome outcome, struct err *err) {
    if (outcome == RETRY && !consumer->setup.reg_ops->is_open(consumer->setup.reg))
        consumer->away |= CONSUME_REGISTER_AWAY;
    return wait_out(consumer, outcome, err);
}

/* After a pass over the partitions. What says nothing about a server leaves its bit as it is: a pass with
 * every partition in its backoff asks nobody. */
static enum outcome note_claims(struct consumer *consumer, enum outcome outcome, struct err *err) {
    enum answer broker = consumer->assignment.broker;
    if (consumer->setup.reg_ops->is_open(consumer->setup.reg))
        consumer->away &= ~(unsigned)CONSUME_REGISTER_AWAY;
    else if (outcome == RETRY)
        consumer->away |= CONSUME_REGISTER_AWAY;
    if (broker == ANSWER_GIVEN)
        consumer->away &= ~(unsigned)CONSUME_BROKER_AWAY;
    else if (broker == ANSWER_NONE)
        consumer->away |= CONSUME_BROKER_AWAY;
    return wait_out(consumer, outcome, err);
}

static enum outcome check_topics(struct consumer *consumer) {
    int64_t now = monotonic_us(consumer);
    struct err err;
    bool soon = consumer->missing[0] || consumer->away & CONSUME_BROKER_AWAY || consumer->checks_soon;
    if (now < consumer->check_at_us)
        return OK;
    consumer->check_at_us = now + (soon ? CHECK_EVERY_US : 15 * CHECK_EVERY_US);
    consumer->checks_soon -= consumer->checks_soon > 0;
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
        consumer->check_at_us = 0; /* a topic that is gone shows so first */
        consumer->checks_soon = CHECKS_SOON;
    }
    return outcome;
}

/* Who holds no partition claims nothing and commits nothing, and would never learn that a server is back. */
static enum outcome look_again(struct consumer *consumer, struct err *err) {
    const struct consume_setup *setup = &consumer->setup;
    const unsigned asked = CONSUME_REGISTER_AWAY | CONSUME_VAULT_AWAY;
    int64_t now = monotonic_us(consumer);
    if (consumer->assignment.count || !(consumer->away & asked) || now < consumer->look_at_us)
        return OK;
    consumer->look_at_us = now + CHECK_EVERY_US;
    enum outcome outcome = setup->reg_ops->open(setup->reg, err);
    if (outcome == OK)
        consumer->away &= ~(unsigned)CONSUME_REGISTER_AWAY;
    if (outcome == OK && setup->vault_open)
        outcome = setup->vault_open(setup->vault, err);
    if (outcome == OK)
        consumer->away &= ~(unsigned)CONSUME_VAULT_AWAY;
    return outcome == FATAL ? FATAL : OK;
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
    return note_claims(consumer, assignment_step(&consumer->assignment, &consumer->arena, err), err);
}

/* One portion of each kind of act; the rest has its turn after the next records. */
static enum outcome calendar_turn(struct consumer *consumer, struct err *err) {
    bool due;
    arena_reset(&consumer->arena);
    enum outcome outcome =
        calendar_due(&consumer->calendar, &consumer->assignment, &consumer->arena, &due, err);
    if (outcome != OK)
        return note_away(consumer, outcome, err);
    consumer->in_calendar = true;
    for (int kind = 0; due && outcome == OK && consumer->calendar.mine && kind < DUE_KINDS; kind++) {
        consumer->calendar.kind = (enum due_kind)kind;
        outcome = settle(consumer, consume_transact(consumer, calendar_batch, err), err);
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
        outcome = look_again(consumer, err);
    if (calendar_busy(&consumer->calendar) || (consumer->calendar.mine && erase_at_once(&consumer->erase)))
        wait_ms = 0;
    if (outcome == OK)
        outcome = consume_batch(consumer, assignment_wait_ms(&consumer->assignment, wait_ms), err);
    if (outcome == RETRY)
        outcome = note_away(consumer, outcome, err);
    while (outcome == OK && consumer->record_count) {
        int64_t began_us = monotonic_us(consumer);
        outcome = settle(consumer, consume_transact(consumer, consume_decode, err), err);
        metrics_observe_us(METRIC_BATCH_SECONDS, monotonic_us(consumer) - began_us);
    }
    if (outcome == OK)
        outcome = calendar_turn(consumer, err);
    return outcome == OK ? consume_erase(consumer, err) : outcome;
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
           assignment_caught_up(&consumer->assignment) && !calendar_busy(&consumer->calendar) &&
           !(consumer->calendar.mine && erase_busy(&consumer->erase));
}
