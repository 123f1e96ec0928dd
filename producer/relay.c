/* The relay's loop: session after session, and in a session the stages horizon, rows, publish, record. */
#include "producer/relay.h"

#include "core/killpoint.h"
#include "core/log.h"
#include "core/ready.h"
#include "core/stop.h"
#include <stdio.h>
#include <stdlib.h>

#define SECOND_US ((int64_t)1000000)
#define BACKOFF_FIRST_US (SECOND_US / 10)
#define BACKOFF_MOST_US (5 * SECOND_US)
#define STANDBY_US SECOND_US
#define HORIZON_POLL_FIRST_US 300
#define HORIZON_POLL_MOST_US 5000
#define RECORD_EVERY_US (SECOND_US / 20)
#define DROP_EVERY_US (60 * SECOND_US)
#define CHECK_EVERY_US (2 * SECOND_US)
#define FATES_MAX 1024
#define STALLED_PATIENCE_US (15 * SECOND_US) /* of --until-caught-up */

const char *const relay_kill_points[] = {"relay.after_lock",
                                         "relay.after_init",
                                         "relay.after_compare",
                                         "relay.after_rows",
                                         "relay.after_begin",
                                         "relay.after_keys",
                                         "relay.after_first_send",
                                         "relay.after_sends",
                                         "relay.after_positions",
                                         "relay.before_commit",
                                         "relay.after_flush",
                                         "relay.inside_commit",
                                         "relay.after_commit",
                                         "relay.after_abort",
                                         "relay.before_record",
                                         "relay.after_record",
                                         "relay.before_drop",
                                         "relay.after_drop",
                                         NULL};

static int64_t monotonic_us(const struct relay *relay) {
    return relay->clock_ops->monotonic_us(relay->clock);
}

/* True: go on; false: the end was asked for. */
static bool pause_us(const struct relay *relay, int64_t sleep_us) {
    ready_beat(0);
    return relay->clock_ops->sleep_us(relay->clock, sleep_us);
}

enum outcome relay_init(struct relay *relay, const struct relay_config *config, struct err *err) {
    relay->config = *config;
    relay->topics = reallocarray(NULL, RELAY_TOPICS_MAX, sizeof(*relay->topics)); /* filled as they come */
    relay->fates = reallocarray(NULL, FATES_MAX, sizeof(*relay->fates));
    /* Rows as stored and opened copies each fit twice: while a batch is worked on, the next is on its way. */
    arena_init(&relay->batch, 4 * config->batch_bytes + (size_t)config->batch_outputs * 1024 + (1 << 20));
    arena_init(&relay->plain, 4 * config->batch_bytes + (size_t)config->batch_outputs * 1024 + (1 << 20));
    arena_init(&relay->fates_arena, FATES_MAX * (RELAY_TOPIC_BYTES + 64));
    relay->target = relay->stalled_since_us = -1;
    relay->renewed = relay->refused = false;
    return relay->topics && relay->fates ? OK : err_set(err, FATAL, 0, "no memory for the relay");
}

void relay_release(struct relay *relay) {
    free(relay->topics);
    free(relay->fates);
    arena_release(&relay->batch);
    arena_release(&relay->plain);
    arena_release(&relay->fates_arena);
}

/* ---- horizon ---- */

/* Past the alarm's time, once every such time: who holds it. */
static enum outcome name_holders(struct relay *relay, int64_t age_us, struct err *err) {
    char holders[200];
    enum outcome outcome = relay->outbox_ops->holders(relay->outbox, holders, sizeof(holders), err);
    if (outcome == OK)
        log_write(LOG_WARNING, "horizon_held",
                  "The relay waits for a transaction that began before the newest outputs.",
                  LOG_STRING("holders", holders), LOG_INT("age_ms", age_us / 1000));
    return outcome;
}

/* Waits until every transaction that may have drawn a number up to `last_value` has ended. `complete` stays
 * where it is when the end is asked for meanwhile.
 *
 * Sequence order is not commit order: (a) last_value was read; (b) this statement's id is higher than that of
 * anyone who drew before (a), since a number is drawn by a transaction that has its id already; (c) once no
 * transaction up to that id runs, all rows numbered up to last_value are committed or will never be. */
static enum outcome horizon_wait(struct relay *relay, int64_t last_value, struct err *err) {
    int64_t mine, oldest = 0, began_us = monotonic_us(relay), alarm_us = relay->config.horizon_alarm_us;
    int64_t nap_us = HORIZON_POLL_FIRST_US;
    enum outcome outcome = relay->outbox_ops->transaction_id(relay->outbox, &mine, err);
    while (outcome == OK) {
        outcome = relay->outbox_ops->oldest_transaction(relay->outbox, &oldest, err);
        int64_t age_us = monotonic_us(relay) - began_us;
        metrics_set(METRIC_OUTBOX_HORIZON_AGE, age_us);
        if (outcome != OK || oldest > mine)
            break;
        if (age_us > alarm_us) {
            alarm_us += relay->config.horizon_alarm_us;
            ready_set(
                0, false,
                "horizon_held: a long transaction in the register holds the outputs up; the log names it");
            outcome = name_holders(relay, age_us, err);
        }
        if (!pause_us(relay, nap_us))
            return outcome;
        nap_us = nap_us * 2 < HORIZON_POLL_MOST_US ? nap_us * 2 : HORIZON_POLL_MOST_US;
    }
    if (outcome != OK)
        return outcome;
    metrics_set(METRIC_OUTBOX_HORIZON_AGE, 0);
    relay->complete = last_value;
    relay->drained = false;
    return OK;
}

/* Moves the horizon when all up to the present one was read and numbers were drawn since. */
static enum outcome horizon(struct relay *relay, struct err *err) {
    int64_t last_value;
    if (!relay->drained && relay->last_value >= 0)
        return OK;
    relay->reaching = AWAY_REGISTER;
    enum outcome outcome = relay->outbox_ops->last_value(relay->outbox, &last_value, err);
    if (outcome != OK)
        return outcome;
    if (last_value == relay->last_value)
        return OK;
    outcome = horizon_wait(relay, last_value, err);
    if (outcome == OK && relay->complete == last_value)
        relay->last_value = last_value;
    return outcome;
}

/* ---- rows ---- */

static enum outcome ask(struct relay *relay, int64_t after, struct err *err) {
    const struct relay_want want = {.after = after,
                                    .up_to = relay->complete,
                                    .limit = relay->config.batch_outputs,
                                    .topic = TEXT_ABSENT,
                                    .stalled = relay->stalled_names,
                                    .stalled_count = relay->stalled_count};
    enum outcome outcome = relay->outbox_ops->ask(relay->outbox, &want, err);
    relay->asked = outcome == OK;
    return outcome;
}

/* The next batch. When it is full the one after it is asked for already: it comes while this one is
 * published. */
static enum outcome next_rows(struct relay *relay, struct relay_rows *rows, struct err *err) {
    enum outcome outcome = OK;
    *rows = (struct relay_rows){NULL, 0};
    if (relay->drained)
        return OK;
    relay->reaching = AWAY_REGISTER;
    if (!relay->asked)
        outcome = ask(relay, relay->scanned, err);
    if (outcome == OK)
        outcome = relay->outbox_ops->rows(relay->outbox, &relay->batch, rows, err);
    relay->asked = false;
    if (outcome != OK)
        return outcome;
    KILL_POINT("relay.after_rows");
    relay->drained = rows->count < (size_t)relay->config.batch_outputs;
    if (!relay->drained && relay->stalled_count == 0)
        outcome = ask(relay, rows->at[rows->count - 1].seq, err);
    return outcome;
}

/* ---- stalled topics ---- */

/* Tries a stalled topic with one row; once it takes that, with as many as there are, until it has caught up.
 */
static enum outcome probe(struct relay *relay, struct relay_topic *topic, struct err *err) {
    struct relay_rows rows;
    int64_t cursor = topic->cursor;
    const struct relay_want want = {.after = cursor,
                                    .up_to = relay->scanned,
                                    .limit = topic->answering ? relay->config.batch_outputs : 1,
                                    .topic = {topic->name, topic->name_size}};
    relay->reaching = AWAY_REGISTER;
    enum outcome outcome = relay->outbox_ops->ask(relay->outbox, &want, err);
    if (outcome == OK)
        outcome = relay->outbox_ops->rows(relay->outbox, &relay->batch, &rows, err);
    topic->probing = true;
    topic->refused = false;
    if (outcome == OK)
        outcome = relay_batch(relay, &rows, cursor, err);
    topic->probing = topic->answering = false;
    if (outcome != OK || topic->refused)
        return outcome;
    if (rows.count == (size_t)want.limit) {
        topic->cursor = rows.at[rows.count - 1].seq;
        topic->answering = true;
        return OK;
    }
    topic->backoff_us = 0;
    topic->stalled = false;
    relay->drained = false; /* it may have rows above the last one that was read */
    relay_count_stalled(relay);
    log_write(LOG_INFO, "topic_flows", "A stalled topic has caught up.", LOG_TEXT("topic", want.topic));
    return OK;
}

static enum outcome probe_stalled(struct relay *relay, struct err *err) {
    enum outcome outcome = OK;
    if (relay->stalled_count == 0 || relay->asked)
        return OK;
    for (size_t i = 0; i < relay->topic_count && outcome == OK; i++) {
        struct relay_topic *topic = &relay->topics[i];
        if (topic->stalled && (topic->answering || topic->retry_at_us <= monotonic_us(relay))) {
            arena_reset(&relay->batch);
            outcome = probe(relay, topic, err);
        }
    }
    return outcome;
}

/* ---- one turn ---- */

static void show(const struct relay *relay) {
    metrics_set(METRIC_OUTBOX_POSITION, relay->scanned);
    metrics_set(METRIC_OUTBOX_BACKLOG,
                relay->last_value > relay->scanned ? relay->last_value - relay->scanned : 0);
    if (relay->stalled_count == 0) {
        ready_set(0, true, NULL);
        return;
    }
    char reason[READY_REASON_MAX];
    snprintf(reason, sizeof(reason), "topic_stalled: Kafka takes nothing for %.*s",
             TEXT_ARGS(relay->stalled_names[0]));
    ready_set(0, false, reason);
}

/* What need not be done at once. */
static enum outcome housekeeping(struct relay *relay, bool idle, struct err *err) {
    int64_t now_us = monotonic_us(relay);
    enum outcome outcome = OK;
    int dropped = 0;
    if (relay->unrecorded && (idle || now_us - relay->recorded_at_us > RECORD_EVERY_US))
        outcome = relay_record(relay, err);
    relay->reaching = AWAY_REGISTER;
    if (outcome == OK && now_us - relay->checked_at_us > CHECK_EVERY_US) {
        relay->checked_at_us = now_us;
        outcome = relay->outbox_ops->policy(relay->outbox, err);
        relay->refused = relay_refuses(outcome, err);
    }
    if (outcome != OK || now_us - relay->dropped_at_us < DROP_EVERY_US)
        return outcome;
    relay->dropped_at_us = now_us;
    KILL_POINT("relay.before_drop");
    outcome = relay->outbox_ops->drop(relay->outbox, &dropped, err);
    KILL_POINT("relay.after_drop");
    if (outcome != OK)
        return outcome;
    if (dropped)
        log_write(LOG_INFO, "outbox_dropped", "Published partitions of the outbox were dropped.",
                  LOG_INT("partitions", dropped));
    metrics_add(METRIC_OUTBOX_PARTITIONS_DROPPED, 0, (uint64_t)dropped);
    return OK;
}

static bool caught_up(struct relay *relay) {
    if (!relay->config.until_caught_up)
        return false;
    if (relay->target < 0 && relay->last_value >= 0)
        relay->target = relay->last_value;
    return relay->target >= 0 && relay->complete >= relay->target && relay->drained &&
           relay->stalled_count == 0 && !relay->unrecorded;
}

/* Asked to end once all is through, and only what Kafka takes nothing of is left: it is given a while. */
static enum outcome await_stalled(struct relay *relay, struct err *err) {
    bool only_stalled = relay->target >= 0 && relay->complete >= relay->target && relay->drained &&
                        relay->stalled_count > 0 && !relay->unrecorded;
    if (relay->stalled_count == 0)
        relay->stalled_since_us = -1;
    if (!only_stalled)
        return OK;
    if (relay->stalled_since_us < 0)
        relay->stalled_since_us = monotonic_us(relay);
    if (monotonic_us(relay) - relay->stalled_since_us < STALLED_PATIENCE_US)
        return OK;
    return err_set(err, FATAL, 0, "Kafka takes nothing for %.*s; all else is published",
                   TEXT_ARGS(relay->stalled_names[0]));
}

/* Once round: horizon, rows, publish, record; a nap when there was nothing. */
static enum outcome turn(struct relay *relay, struct err *err) {
    struct relay_rows rows;
    ready_beat(0);
    arena_reset(&relay->batch);
    enum outcome outcome = horizon(relay, err);
    if (outcome == OK)
        outcome = next_rows(relay, &rows, err);
    if (outcome == OK && rows.count) {
        outcome = relay_batch(relay, &rows, relay->scanned, err);
        if (outcome == OK)
            relay->scanned = rows.at[rows.count - 1].seq;
    }
    if (outcome == OK)
        outcome = probe_stalled(relay, err);
    if (outcome == OK)
        outcome = housekeeping(relay, rows.count == 0, err);
    if (outcome != OK)
        return outcome;
    show(relay);
    if (relay->drained && rows.count == 0)
        pause_us(relay, relay->config.poll_us);
    return OK;
}

/* ---- sessions ---- */

/* As standby and asked to end once all is through: the other relay has settled, and recorded so, every row
 * that was there at the start. */
static enum outcome settled_elsewhere(struct relay *relay, bool *settled, struct err *err) {
    struct relay_marks mirror = {NULL, 0, 0};
    struct relay_rows rows = {NULL, 0};
    struct relay_want want = {.limit = 1, .topic = TEXT_ABSENT};
    enum outcome outcome = OK;
    if (!relay->config.until_caught_up)
        return OK;
    relay->reaching = AWAY_REGISTER;
    if (relay->target < 0)
        outcome = relay->outbox_ops->last_value(relay->outbox, &relay->target, err);
    if (outcome == OK)
        outcome = relay->outbox_ops->mirror(relay->outbox, &relay->batch, &mirror, &want.after, err);
    want.up_to = relay->target;
    if (outcome == OK)
        outcome = relay->outbox_ops->ask(relay->outbox, &want, err);
    if (outcome == OK)
        outcome = relay->outbox_ops->rows(relay->outbox, &relay->batch, &rows, err);
    *settled = outcome == OK && rows.count == 0;
    return outcome;
}

/* One session: until the end is asked for, all is caught up (*done), or something breaks. */
static enum outcome session(struct relay *relay, bool *done, bool *worked, struct err *err) {
    bool ours = false;
    enum outcome outcome = relay_start(relay, &ours, err);
    if (outcome == OK && !ours) {
        metrics_set(METRIC_RELAY_ACTIVE, 0);
        ready_set(0, false, "standby: another relay is at work");
        outcome = settled_elsewhere(relay, done, err);
        relay_end(relay);
        *worked = true;
        if (outcome == OK && !*done)
            *done = !pause_us(relay, STANDBY_US);
        return outcome;
    }
    if (outcome == OK) {
        *worked = true;
        metrics_set(METRIC_RELAY_ACTIVE, 1);
        relay->dropped_at_us = relay->checked_at_us = monotonic_us(relay) - DROP_EVERY_US + SECOND_US;
        log_write(LOG_INFO, "relay_started", "The relay is at work.", LOG_INT("floor", relay->scanned),
                  LOG_INT("topics", relay->topic_count));
    }
    while (outcome == OK && !*done) {
        outcome = turn(relay, err);
        *done = outcome == OK && (caught_up(relay) || stop_requested());
        if (outcome == OK && !*done)
            outcome = await_stalled(relay, err);
    }
    if (outcome == OK && *done)
        outcome = relay_record(relay, err);
    relay_end(relay);
    metrics_set(METRIC_RELAY_ACTIVE, 0);
    return outcome;
}

/* What broke, for the log and /readyz. */
static void tell(const struct relay *relay, const struct err *err, int64_t wait_us) {
    static const char *const reasons[METRIC_AWAYS] = {
        [AWAY_BROKER] = "broker_away: Kafka cannot be reached or does not answer",
        [AWAY_REGISTER] = "register_away: the register cannot be reached or does not answer",
        [AWAY_VAULT] = "vault_away: the vault cannot be reached or does not answer"};
    metrics_add(METRIC_RETRIES, relay->reaching, 1);
    ready_set(0, false, reasons[relay->reaching]);
    log_write(LOG_WARNING, err->kind == FENCED ? "relay_fenced" : "relay_again",
              "The relay begins again after a pause.", LOG_STRING("reason", reasons[relay->reaching]),
              LOG_INT("wait_ms", wait_us / 1000), LOG_ERR(err));
}

enum outcome relay_run(struct relay *relay, struct err *err) {
    int64_t backoff_us = BACKOFF_FIRST_US;
    bool done = false;
    while (!done) {
        bool worked = false;
        enum outcome outcome = session(relay, &done, &worked, err);
        if (outcome == FATAL)
            return FATAL;
        if (outcome == OK)
            continue;
        backoff_us = worked                             ? BACKOFF_FIRST_US
                     : backoff_us * 2 < BACKOFF_MOST_US ? backoff_us * 2
                                                        : BACKOFF_MOST_US;
        /* Jitter from the clock: several relays that lost the same server do not come back in step. */
        int64_t wait_us = backoff_us / 2 + monotonic_us(relay) % (backoff_us / 2 + 1);
        tell(relay, err, wait_us);
        done = !pause_us(relay, wait_us) || stop_requested();
    }
    return OK;
}
