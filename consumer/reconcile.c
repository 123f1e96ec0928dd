/* `restore reconcile`: the steps, and the acts of erasure done again. */
#include "consumer/reconcile.h"

#include "consumer/consume.h"
#include "consumer/reconcile_rows.h"
#include "consumer/register_postgres.h"
#include "consumer/start.h"
#include "core/log.h"
#include "core/stop.h"
#include "core/vault.h"
#include "queries.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define APPLICATION "kundregister-consumer reconcile"
#define PERSONS_PORTION 5000
#define ACTS_PORTION 100
#define MISSES_MOST 20
#define PERSONS_ARENA_BYTES ((size_t)64 << 20)
#define ERASE_PAUSE_MS 20
#define ERASE_FAILURES_MOST 4

struct reconcile {
    struct worker_shared *shared;
    struct reconcile_sum *sum;
    struct start start;
    struct db *vault;
    struct register_postgres reg;
    struct keyring *keyring;
    struct consumer consumer;
    bool has_consumer;
    struct remember_list lacking; /* what the register lacks */
    struct remember_list untold;  /* what the register holds and the vault lacks */
    int policy;
    struct arena arena; /* of one portion of persons */
    /* the acts in hand */
    const struct event *acts;
    size_t act_count;
};

static enum outcome no_memory(struct err *err) {
    return err_set(err, RETRY, 0, "no memory to reconcile");
}

static enum outcome interrupted(struct err *err) {
    return stop_requested() ? err_set(err, RETRY, 0, "the end was asked for; run it again") : OK;
}

/* ---- comparing ---- */

static enum outcome see_difference(void *context, const struct remembered *cut, struct err *err) {
    struct reconcile *reconcile = context;
    struct remembered item = *cut;
    if (cut->where & IN_REGISTER) {
        bool untold = !(cut->where & IN_VAULT) && !cut->void_cut;
        return !untold || remember_add(&reconcile->untold, &item) ? OK : no_memory(err);
    }
    item.record = 0; /* from here on: 1 = a person is known by it */
    return remember_add(&reconcile->lacking, &item) ? OK : no_memory(err);
}

static enum outcome compare(struct reconcile *reconcile, struct remember_sum *sum, bool collects,
                            struct err *err) {
    return remember_compare(reconcile->shared->config, reconcile->vault, reconcile->start.reg, sum,
                            collects ? see_difference : NULL, reconcile, err);
}

/* ---- the acts of erasure, done again ---- */

/* What stands for the topic: the acts in hand. */
static enum outcome take_acts(struct consumer *consumer, struct err *err) {
    struct reconcile *reconcile =
        (struct reconcile *)((char *)consumer - offsetof(struct reconcile, consumer));
    struct work *work = &consumer->work;
    work->load.lossy = true;
    work->items = ARENA_ARRAY(&consumer->arena, struct item, reconcile->act_count);
    if (!work->items) {
        work->load.arena_full = true;
        return no_memory(err);
    }
    for (size_t i = 0; i < reconcile->act_count; i++)
        work->items[work->count++] =
            (struct item){.event = reconcile->acts[i], .now_us = consumer->work.now_us};
    return OK;
}

/* One portion of acts, in transactions as large as fit. */
static enum outcome do_acts(struct reconcile *reconcile, const struct event *acts, size_t count, size_t *sum,
                            struct err *err) {
    struct consumer *consumer = &reconcile->consumer;
    size_t limit = ACTS_PORTION, misses = 0;
    for (size_t done = 0; done < count;) {
        reconcile->acts = acts + done;
        reconcile->act_count = limit < count - done ? limit : count - done;
        enum outcome outcome = consume_transact(consumer, take_acts, err);
        if (outcome == OK) {
            done += reconcile->act_count;
            *sum += reconcile->act_count;
            reconcile->sum->unreadable += consumer->work.load.lost;
            misses = 0;
            outcome = interrupted(err);
            if (outcome != OK)
                return outcome;
            continue;
        }
        register_postgres.rollback(&reconcile->reg);
        bool too_large = outcome == RETRY && consumer->work.load.arena_full;
        bool missed = outcome == RETRY && consumer->work.write.guard_missed && ++misses < MISSES_MOST;
        if (too_large && reconcile->act_count > 1)
            limit = reconcile->act_count / 2;
        else if (!missed)
            return outcome == RETRY ? RETRY : outcome == POISON ? FATAL : outcome;
    }
    return OK;
}

/* The subject's cuts among those that the register lacks. */
static struct remembered *cuts_of(const struct remember_list *list, const uint8_t subject[SUBJECT_BYTES],
                                  size_t *count) {
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(list->at[middle].subject, subject, SUBJECT_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (*count = 0;
         low + *count < list->count && memcmp(list->at[low + *count].subject, subject, SUBJECT_BYTES) == 0;)
        ++*count;
    return *count ? &list->at[low] : NULL;
}

struct acts {
    LIST(struct event) list;
};

static bool add_act(struct arena *arena, struct text person, struct text subject, int64_t cut_us,
                    bool by_request, struct acts *acts) {
    struct event *event = ARENA_PUSH(arena, &acts->list);
    struct text id = arena_text(arena, subject);
    if (!event || !text_present(id))
        return false;
    event->type = CALENDAR_RESTORED;
    /* The same act whenever it is done: its outputs have the same ids. */
    event->version = (struct version){.time_us = cut_us, .source = TEXT("restore"), .id = id};
    event->as.restored.person = person;
    event->as.restored.by_request = by_request;
    return true;
}

static bool add_acts(struct reconcile *reconcile, struct text person, struct acts *acts) {
    char hex[SUBJECT_HEX + 1];
    uint8_t subject[SUBJECT_BYTES];
    size_t count;
    ref_subject(&reconcile->shared->ref_key, person, hex);
    if (!remember_subject_read(text_of(hex), subject))
        return false;
    struct remembered *cuts = cuts_of(&reconcile->lacking, subject, &count);
    for (size_t i = 0; i < count; i++) {
        if (!add_act(&reconcile->arena, person, text_of(hex), cuts[i].cut_us, cuts[i].by_request, acts))
            return false;
        cuts[i].record = 1;
    }
    return true;
}

/* Whom of the register's persons the cuts concern: their subjects are one-way. */
static enum outcome erase_known(struct reconcile *reconcile, struct err *err) {
    char after[ERASE_PERSON_BYTES + 1] = "";
    enum outcome outcome = OK;
    size_t count = reconcile->lacking.count;
    while (outcome == OK && count) {
        struct text *persons;
        struct acts acts = {{0}};
        arena_reset(&reconcile->arena);
        outcome = reconcile_persons(reconcile->start.reg, &reconcile->arena, after, PERSONS_PORTION, &persons,
                                    &count, err);
        for (size_t i = 0; outcome == OK && i < count; i++)
            if (!add_acts(reconcile, persons[i], &acts))
                outcome = no_memory(err);
        if (outcome == OK && count)
            snprintf(after, sizeof after, "%.*s", TEXT_ARGS(persons[count - 1]));
        if (outcome == OK)
            outcome = do_acts(reconcile, acts.list.at, acts.list.count, &reconcile->sum->erased_again, err);
    }
    return outcome;
}

/* What waits was sealed anew when its person was erased, under keys that a vault from before does not have:
 * it goes now. */
static enum outcome let_go_waiting(struct reconcile *reconcile, struct err *err) {
    struct db_result *result = NULL;
    struct acts acts = {{0}};
    enum outcome outcome = db_run(reconcile->start.reg, &query_reconcile_waiting, NULL, &result, err);
    arena_reset(&reconcile->arena);
    for (size_t row = 0; outcome == OK && row < db_rows(result); row++) {
        uint8_t subject[SUBJECT_BYTES];
        size_t count = 0;
        int64_t cut_us = db_time(result, row, 2);
        const struct remembered *cuts = remember_subject_read(db_text(result, row, 1), subject)
                                            ? cuts_of(&reconcile->untold, subject, &count)
                                            : NULL;
        for (size_t i = 0; outcome == OK && i < count; i++)
            if (cuts[i].cut_us == cut_us && !add_act(&reconcile->arena, db_text(result, row, 0),
                                                     db_text(result, row, 1), cut_us, true, &acts))
                outcome = no_memory(err);
    }
    if (outcome == OK)
        outcome = do_acts(reconcile, acts.list.at, acts.list.count, &reconcile->sum->let_go, err);
    db_result_release(result);
    return outcome;
}

/* Those that nobody was found for. */
static enum outcome keep_unknown(struct reconcile *reconcile, struct err *err) {
    struct remember_list *list = &reconcile->lacking;
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++)
        if (!list->at[i].record)
            list->at[kept++] = list->at[i];
    list->count = reconcile->sum->unknown = kept;
    return reconcile_orphans(reconcile->start.reg, list->at, kept, reconcile->policy, err);
}

/* ---- the vault ---- */

/* The erasing loop, until nothing waits or what waits is stuck. */
static enum outcome destroy(struct reconcile *reconcile, struct err *err) {
    struct erase *erase = &reconcile->consumer.erase;
    enum outcome outcome = OK;
    erase_rest(erase);
    while (outcome == OK && erase_busy(erase) && !erase->passed) {
        outcome = erase_turn(erase, &reconcile->consumer.arena, err);
        if (outcome == RETRY && erase->failures < ERASE_FAILURES_MOST)
            outcome = OK;
        if (outcome == OK)
            outcome = interrupted(err);
        if (outcome == OK && !erase_at_once(erase))
            (void)stop_sleep_ms(ERASE_PAUSE_MS);
    }
    return outcome == OK ? erase->ops->count(&reconcile->reg, &reconcile->sum->waiting, err) : outcome;
}

static enum outcome mend_vault(struct reconcile *reconcile, struct err *err) {
    struct reconcile_sum *sum = reconcile->sum;
    enum outcome outcome = OK;
    if (sum->vault_older || sum->found.vault_lacks)
        outcome = reconcile_redoom(reconcile->start.reg, &sum->destroyed, err);
    if (outcome == OK)
        outcome = destroy(reconcile, err);
    if (outcome == OK && sum->waiting)
        outcome = err_set(err, FATAL, 0,
                          "the keys of %lld erased persons cannot be destroyed: see the log, mend the vault, "
                          "run this again",
                          (long long)sum->waiting);
    if (outcome == OK && (sum->unknown || sum->found.vault_lacks))
        outcome = reconcile_tell(reconcile->start.reg, reconcile->vault, reconcile->consumer.writer,
                                 &sum->told, err);
    return outcome;
}

/* ---- the whole ---- */

static enum outcome open_parts(struct reconcile *reconcile, struct err *err) {
    const struct worker_shared *shared = reconcile->shared;
    const struct config *config = shared->config;
    register_postgres_init(&reconcile->reg, config->register_as.consumer, APPLICATION,
                           config->consumer.lock_timeout_ms);
    reconcile->keyring =
        keyring_new(&vault_postgres, reconcile->vault, shared->kek, shared->vault_id,
                    (size_t)config->consumer.cache_rings, (int)config->consumer.cache_seconds);
    if (!reconcile->keyring)
        return no_memory(err);
    struct consume_setup setup = {.reg_ops = &register_postgres,
                                  .reg = &reconcile->reg,
                                  .erase_ops = &erase_postgres,
                                  .clock = &clock_system,
                                  .keyring = reconcile->keyring,
                                  .policy = shared->policy,
                                  .ref_key = &shared->ref_key,
                                  .digest_key = shared->digest_key,
                                  .owner = TEXT("reconcile"),
                                  .orphan_tombstones = true,
                                  .batch_records = ACTS_PORTION,
                                  .batch_bytes = (size_t)config->consumer.batch_bytes,
                                  .arena_bytes = (size_t)config->consumer.arena_bytes};
    reconcile->has_consumer = true;
    enum outcome outcome = consumer_init(&reconcile->consumer, &setup, err);
    return outcome == OK ? register_postgres.open(&reconcile->reg, err) : outcome;
}

static void release(struct reconcile *reconcile) {
    if (reconcile->has_consumer)
        consumer_release(&reconcile->consumer);
    register_postgres.close(&reconcile->reg);
    keyring_free(reconcile->keyring);
    db_close(reconcile->vault);
    start_release(&reconcile->start);
    remember_release(&reconcile->lacking);
    remember_release(&reconcile->untold);
    arena_release(&reconcile->arena);
}

static enum outcome prepare(struct reconcile *reconcile, const char *reason, struct err *err) {
    struct reconcile_sum *sum = reconcile->sum;
    enum outcome outcome = start_mend(&reconcile->start, &reconcile->vault, &sum->vault_older, err);
    if (outcome == OK)
        outcome = reconcile_alone(reconcile->start.reg, err);
    if (outcome == OK)
        outcome = reconcile_policy(reconcile->start.reg, reconcile->shared->policy->digest,
                                   &reconcile->policy, err);
    if (outcome == OK)
        outcome = compare(reconcile, &sum->found, true, err);
    if (outcome == OK)
        outcome = reconcile_audit(reconcile->start.reg, reason, &sum->found, err);
    return outcome == OK ? open_parts(reconcile, err) : outcome;
}

enum outcome reconcile_run(struct worker_shared *shared, const char *reason, struct reconcile_sum *sum,
                           struct err *err) {
    struct reconcile *reconcile = calloc(1, sizeof *reconcile);
    if (!reconcile)
        return no_memory(err);
    *sum = (struct reconcile_sum){.waiting = 0};
    reconcile->shared = shared;
    reconcile->sum = sum;
    reconcile->start.shared = shared;
    arena_init(&reconcile->arena, PERSONS_ARENA_BYTES);
    enum outcome outcome = prepare(reconcile, reason, err);
    if (outcome == OK)
        outcome = erase_known(reconcile, err);
    if (outcome == OK)
        outcome = keep_unknown(reconcile, err);
    if (outcome == OK)
        outcome = let_go_waiting(reconcile, err);
    if (outcome == OK)
        outcome = mend_vault(reconcile, err);
    if (outcome == OK)
        outcome = compare(reconcile, &sum->left, false, err);
    if (outcome == OK)
        outcome = remember_judge(&sum->left, err);
    if (outcome == OK && sum->vault_older)
        outcome = vault_overtake(reconcile->vault, reconcile->start.reg, err);
    release(reconcile);
    free(reconcile);
    return outcome;
}
