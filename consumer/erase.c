/* The erasing loop: a portion of doomed persons after the other. */
#include "consumer/erase.h"
#include "core/killpoint.h"
#include "core/log.h"
#include "core/metrics.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define PERSONS_MAX 500
#define LOOK_EVERY_US 1000000
#define SOON_US 100000 /* after the last portion: several erasing transactions share one of the vault's */
#define AGAIN_AFTER_US 30000000
#define PAUSE_FIRST_US 250000
#define PAUSE_MOST_US 5000000

static int64_t monotonic_us(const struct erase *erase) {
    return erase->clock->monotonic_us(erase->clock_context);
}

static void from_start(struct erase *erase) {
    erase->passed = false;
    erase->after_bytes = 0;
}

void erase_init(struct erase *erase) {
    erase->limit = PERSONS_MAX;
    erase->failures = 0;
    erase->vault_away = false;
    from_start(erase);
    erase_rest(erase);
}

void erase_rest(struct erase *erase) {
    if (erase->done_at_us) /* whoever keeps the calendar now shows how many wait */
        metrics_set(METRIC_ERASURES_PENDING, 0);
    erase->more = true;
    erase->vault_away = false;
    erase->failures = 0;
    erase->look_at_us = erase->count_at_us = erase->done_at_us = 0;
}

void erase_wake(struct erase *erase) {
    erase->more = true;
    if (!erase->failures && erase->look_at_us > erase->done_at_us + SOON_US)
        erase->look_at_us = erase->done_at_us + SOON_US;
}

bool erase_busy(const struct erase *erase) {
    return erase->ops && erase->more;
}

bool erase_at_once(const struct erase *erase) {
    return erase_busy(erase) && !erase->look_at_us;
}

/* ---- one portion ---- */

static enum outcome full(struct err *err) {
    return err_set(err, RETRY, ENOMEM, "the erasures do not fit the batch's memory");
}

static int by_text(const void *a, const void *b) {
    return text_compare(*(const struct text *)a, *(const struct text *)b);
}

/* Who used the addresses of these persons: each asked for once. */
static enum outcome read_addresses(struct erase *erase, struct arena *arena,
                                   const struct erase_portion *portion, struct erase_address **rows,
                                   size_t *count, struct err *err) {
    struct text *hashes = NULL;
    size_t hash_count = 0, room = 0, distinct = 0;
    for (size_t i = 0; i < portion->guards.count; i++) {
        enum outcome outcome =
            erase_hashes(arena, portion->guards.at[i].merge, &hashes, &hash_count, &room, err);
        if (outcome != OK)
            return outcome;
    }
    *rows = NULL;
    *count = 0;
    if (!hash_count)
        return OK;
    qsort(hashes, hash_count, sizeof *hashes, by_text);
    for (size_t i = 0; i < hash_count; i++)
        if (!distinct || !text_equal(hashes[distinct - 1], hashes[i]))
            hashes[distinct++] = hashes[i];
    return erase->ops->addresses(erase->reg, arena, hashes, distinct, rows, count, err);
}

/* One tombstone a person that has any. */
static enum outcome vault_says(struct erase *erase, enum outcome outcome, const struct err *err) {
    erase->vault_away = outcome == RETRY && err->code != ENOMEM;
    return outcome;
}

/* Where the cuts of a person end. */
static size_t cuts_end(const struct erase_portion *portion, size_t from) {
    size_t to = from;
    while (to < portion->cuts.count && text_equal(portion->cuts.at[to].person, portion->cuts.at[from].person))
        to++;
    return to;
}

static enum outcome make_tombstones(struct erase *erase, struct arena *arena,
                                    const struct erase_portion *portion, struct tombstone_row *rows,
                                    size_t *count, struct err *err) {
    struct erase_address *addresses;
    size_t address_count, guard = 0, made = 0;
    *count = 0;
    for (size_t from = 0; from < portion->cuts.count; from = cuts_end(portion, from))
        rows[(*count)++] = (struct tombstone_row){.person = portion->cuts.at[from].person,
                                                  .subject = portion->cuts.at[from].subject,
                                                  .read_us = portion->read_us};
    enum outcome outcome = read_addresses(erase, arena, portion, &addresses, &address_count, err);
    if (outcome == OK)
        outcome = vault_says(erase, keyring_tombstones(erase->keyring, arena, rows, *count, err), err);
    for (size_t from = 0, to; outcome == OK && from < portion->cuts.count; from = to) {
        const struct erase_cut *cuts = portion->cuts.at + from;
        to = cuts_end(portion, from);
        while (guard < portion->guards.count &&
               text_compare(portion->guards.at[guard].person, cuts->person) < 0)
            guard++;
        bool known =
            guard < portion->guards.count && text_equal(portion->guards.at[guard].person, cuts->person);
        outcome = erase_body(erase->writer, arena, cuts, to - from,
                             known ? portion->guards.at[guard].merge : TEXT_ABSENT, addresses, address_count,
                             &rows[made++], err);
    }
    return outcome;
}

static enum outcome destroy_portion(struct erase *erase, struct arena *arena,
                                    const struct erase_portion *portion, struct err *err) {
    struct tombstone_row *tombstones = ARENA_ARRAY(arena, struct tombstone_row, portion->cuts.count + 1);
    size_t count;
    int64_t counter = 0;
    if (!tombstones)
        return full(err);
    enum outcome outcome = make_tombstones(erase, arena, portion, tombstones, &count, err);
    if (outcome != OK)
        return outcome;
    KILL_POINT("consumer.before_destroy");
    outcome = vault_says(erase,
                         keyring_destroy(erase->keyring, arena, portion->dooms.at, portion->dooms.count,
                                         tombstones, count, &counter, err),
                         err);
    KILL_POINT("consumer.after_destroy");
    if (outcome != OK)
        return outcome;
    return erase->ops->destroyed(erase->reg, arena, portion, counter, err);
}

/* ---- what became of it ---- */

static void done(struct erase *erase, const struct erase_portion *portion) {
    erase->failures = 0;
    erase->done_at_us = monotonic_us(erase);
    if (portion->persons)
        metrics_add(METRIC_ERASURES_DESTROYED, 0, portion->persons);
    erase->more = portion->persons == erase->limit;
    if (erase->more)
        erase->look_at_us = 0;
    else if (erase->passed && erase->done_at_us >= erase->again_at_us)
        from_start(erase);
    erase->limit = erase->limit * 2 < PERSONS_MAX ? erase->limit * 2 : PERSONS_MAX;
}

/* A person whose ring does not open or whose row is damaged holds up no other: passed over and tried again
 * later, and until then counted among those that wait. */
static void pass(struct erase *erase, const struct erase_portion *portion, const struct err *err) {
    assert(portion->last.size <= sizeof erase->after);
    memcpy(erase->after, portion->last.at, portion->last.size);
    erase->after_bytes = portion->last.size;
    erase->passed = true;
    erase->again_at_us = monotonic_us(erase) + AGAIN_AFTER_US;
    erase->look_at_us = 0;
    log_write(LOG_ERROR, "erasure_stuck",
              "The keys of an erased person cannot be destroyed; the others go on, this is tried again.",
              LOG_ERR(err));
}

static enum outcome failed(struct erase *erase, const struct erase_portion *portion, enum outcome outcome,
                           struct err *err) {
    bool ours = outcome == POISON || (outcome == RETRY && err->code == ENOMEM && !err->sqlstate[0]);
    erase->more = true;
    if (outcome == FATAL)
        return FATAL;
    if (ours && erase->limit > 1) {
        erase->limit =
            (portion->persons && portion->persons < erase->limit ? portion->persons + 1 : erase->limit) / 2;
        erase->look_at_us = 0;
        return OK;
    }
    if (ours && portion->persons) {
        pass(erase, portion, err);
        return OK;
    }
    int64_t pause_us = PAUSE_FIRST_US << (erase->failures < 5 ? erase->failures : 5);
    erase->failures++;
    erase->look_at_us = monotonic_us(erase) + (pause_us < PAUSE_MOST_US ? pause_us : PAUSE_MOST_US);
    return RETRY;
}

static enum outcome count_pending(struct erase *erase, struct err *err) {
    int64_t now_us = monotonic_us(erase), persons = 0;
    if (now_us < erase->count_at_us)
        return OK;
    erase->count_at_us = now_us + LOOK_EVERY_US;
    enum outcome outcome = erase->ops->count(erase->reg, &persons, err);
    if (outcome == OK)
        metrics_set(METRIC_ERASURES_PENDING, persons);
    return outcome;
}

enum outcome erase_turn(struct erase *erase, struct arena *arena, struct err *err) {
    int64_t now_us;
    if (!erase->ops || (now_us = monotonic_us(erase)) < erase->look_at_us)
        return OK;
    struct erase_portion portion = {.persons = 0};
    struct text after = {erase->after, erase->after_bytes};
    erase->look_at_us = now_us + LOOK_EVERY_US;
    erase->vault_away = false;
    arena_reset(arena);
    enum outcome outcome = count_pending(erase, err);
    if (outcome == OK)
        outcome = erase->ops->pending(erase->reg, arena, after, erase->limit, &portion, err);
    if (outcome == OK && portion.persons)
        outcome = destroy_portion(erase, arena, &portion, err);
    if (outcome == OK) {
        done(erase, &portion);
        if (portion.persons && !erase->more)
            erase->count_at_us = 0;
        return count_pending(erase, err);
    }
    return failed(erase, &portion, outcome, err);
}
