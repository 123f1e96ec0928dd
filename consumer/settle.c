/* What happens after a transaction: the one place of the consumer that chooses. */
#include "consumer/settle.h"
#include "consumer/dead_letter.h"
#include "core/log.h"
#include "core/metrics.h"
#include <errno.h>
#include <sodium.h>

#define MISSES_MAX 20
#define REDONE_MAX 10

/* Releases the records that `gone` names; NULL: all of them. The others keep their order. */
void settle_drop(struct consumer *consumer, const struct partition *gone) {
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

static void forget_missed(struct consumer *consumer) {
    consumer->misses = consumer->redone = 0;
    consumer->missed_refs.at = NULL;
    consumer->missed_refs.count = consumer->missed_refs.room = 0;
    arena_reset(&consumer->missed_arena);
}

/* Gives everything up: what was read is read again after the partitions are claimed again. */
void settle_abandon(struct consumer *consumer) {
    settle_drop(consumer, NULL);
    consumer->setup.reg_ops->rollback(consumer->setup.reg);
    assignment_all_lost(&consumer->assignment);
    calendar_lost(&consumer->calendar);
    forget_missed(consumer);
    consumer->looks_again = false;
}

/* ---- after a COMMIT ---- */

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
    if (work->load.lost)
        log_write(
            LOG_WARNING, "destroyed_is_empty",
            "What the register holds of erased persons lay under keys that the vault has destroyed: it is "
            "empty. A register from before was restored.",
            LOG_INT("cells", work->load.lost));
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
    forget_missed(consumer);
    consumer->away &= ~(unsigned)(CONSUME_REGISTER_AWAY | CONSUME_VAULT_AWAY);
    if (consumer->in_calendar) {
        consumer->calendar.position.next = write->advances.at[0].after;
        consumer->calendar.position.decided_us = consumer->work.now_us;
        calendar_done(&consumer->calendar);
        metrics_add(METRIC_CALENDAR_ACTS, 0, consumer->work.count);
        count_work(&consumer->work);
        return;
    }
    consumer->looks_again = false;
    for (size_t i = 0; i < write->advances.count; i++) {
        const struct advance *advance = &write->advances.at[i];
        struct partition *partition =
            assignment_find(&consumer->assignment, advance->topic, advance->partition);
        partition->next = advance->after;
        partition->fingerprint = advance->fingerprint;
        partition->decided_us = advance->decided_us;
        partition->attempts = 0;
    }
    if (write->refs_settled.count)
        calendar_wake(&consumer->calendar);
    if (consumer->work.decision.dooms.count)
        erase_wake(&consumer->erase);
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
    if (consumer->in_calendar) {
        if (!calendar_bisect(&consumer->calendar, &consumer->work))
            return false;
    } else {
        if (consumer->take <= 1)
            return false;
        consumer->take /= 2;
    }
    metrics_add(METRIC_BISECTED_BATCHES, 0, 1);
    return true;
}

/* An act stands alone and cannot be done: the others go on. */
static void pass_act(struct consumer *consumer, const char *reason, const struct err *err) {
    const struct work *work = &consumer->work;
    const struct event *event = work->count ? &work->items[0].event : NULL;
    log_write(LOG_ERROR, "calendar_act_failed",
              "An act of the calendar cannot be done; it is passed over and tried again later.",
              LOG_STRING("act", event ? event_infos[event->type].name : "unknown"),
              LOG_TEXT("topic", event ? event->topic : TEXT("")),
              LOG_INT("partition", event ? event->partition : -1),
              LOG_INT("offset", event ? event->offset : -1), LOG_STRING("reason", reason), LOG_ERR(err));
    calendar_pass(&consumer->calendar, work,
                  consumer->setup.clock->monotonic_us(consumer->setup.clock_context));
}

/* One record stands alone and still cannot be taken in: it becomes a dead letter, or its partition parks. */
static enum outcome settle_single(struct consumer *consumer, const char *sqlstate, const char *park_reason,
                                  struct err *err) {
    if (consumer->in_calendar) {
        pass_act(consumer, park_reason ? park_reason : "refused_by_database", err);
        return OK;
    }
    struct batch_record *record = &consumer->records[0];
    struct partition *partition = record->partition;
    consumer->looks_again = false;
    bool again = record->refused.reason != REASON_NONE;
    if (!park_reason && !again) {
        record->refused = dead_letter_refused(sqlstate);
        log_write(LOG_WARNING, "record_refused", "The database refuses a record; it becomes a dead letter.",
                  LOG_TEXT("topic", partition->topic), LOG_INT("partition", partition->partition),
                  LOG_INT("offset", record->offset), LOG_STRING("sqlstate", sqlstate));
        return OK;
    }
    settle_drop(consumer, partition);
    enum outcome outcome = assignment_park(&consumer->assignment, partition,
                                           park_reason ? park_reason : "refused_by_database", err);
    if (outcome == RETRY)
        settle_abandon(consumer);
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
    consumer->looks_again = false;
    for (size_t i = 0; i < write->advances.count; i++) {
        const struct advance *advance = &write->advances.at[i];
        if (!advance->lost)
            continue;
        struct partition *partition =
            assignment_find(&consumer->assignment, advance->topic, advance->partition);
        log_write(LOG_WARNING, "partition_fenced",
                  "Somebody else claimed a partition; its records are dropped.",
                  LOG_TEXT("topic", advance->topic), LOG_INT("partition", advance->partition));
        settle_drop(consumer, partition);
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

/* A ref that the batch found new may have a row all the same: of an answer that came before its notice, say,
 * when the notice's cause is an event whose own shipment is of this batch. What decide could not foresee it
 * asks for next time. */
static void note_missed(struct consumer *consumer) {
    const struct write *write = &consumer->work.write;
    for (size_t i = 0; i < write->refs_new.count; i++) {
        struct text kept = arena_text(&consumer->missed_arena, write->refs_new.at[i]->ref);
        struct text *missed =
            text_present(kept) ? ARENA_PUSH(&consumer->missed_arena, &consumer->missed_refs) : NULL;
        if (!missed)
            return; /* many others are: they are asked for */
        *missed = kept;
    }
}

static enum outcome settle_retry(struct consumer *consumer, struct err *err) {
    const struct consume_setup *setup = &consumer->setup;
    bool full = consumer->work.load.arena_full || (err->code == ENOMEM && !err->sqlstate[0]);
    if (full && bisect(consumer))
        return OK;
    /* Only a record that does not fit the limit will never fit; the machine's own shortage passes. */
    if (full && consumer->arena.reached)
        return settle_single(consumer, "", "too_large_for_memory", err);
    bool is_open = setup->reg_ops->is_open(setup->reg);
    if (is_open && consumer->work.write.guard_missed && consumer->misses < MISSES_MAX) {
        metrics_add(METRIC_REDONE_BATCHES, 0, 1);
        note_missed(consumer);
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
    settle_abandon(consumer);
    return OK;
}

/* The one place that chooses what happens after a transaction, whatever became of it. */
enum outcome settle(struct consumer *consumer, enum outcome outcome, struct err *err) {
    if (outcome == OK) {
        if (consumer->work.count)
            committed(consumer);
        return OK;
    }
    consumer->setup.reg_ops->rollback(consumer->setup.reg);
    const char *park_reason = consumer->work.load.park_reason;
    switch (outcome) {
    case POISON:
        if (bisect(consumer))
            return OK;
        /* Rows of before an erasure do not open once its keys are gone: only what is read anew says more. The
         * calendar comes to what it passes over by itself. */
        if (park_reason && !consumer->in_calendar && !consumer->looks_again) {
            consumer->looks_again = true;
            return OK;
        }
        return settle_single(consumer, err->sqlstate, park_reason, err);
    case FENCED:
        return settle_fenced(consumer, err);
    case RETRY:
        return settle_retry(consumer, err);
    default:
        return FATAL;
    }
}
