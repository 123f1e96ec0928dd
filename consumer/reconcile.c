/* `restore reconcile`: the steps, and the acts of erasure done again. */
#include "consumer/reconcile.h"

#include "core/stop.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PERSONS_PORTION 5000
#define ACTS_PORTION 100
#define MISSES_MOST 20
#define PERSONS_ARENA_BYTES ((size_t)64 << 20)
#define ERASE_PAUSE_US 20000
#define ERASE_FAILURES_MOST 4

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

enum outcome reconcile_look(struct reconcile *reconcile, struct err *err) {
    arena_init(&reconcile->arena, PERSONS_ARENA_BYTES);
    return reconcile->ops->compare(reconcile->world, &reconcile->sum->found, see_difference, reconcile, err);
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
            reconcile->outputs += consumer->work.decision.outputs.count;
            reconcile->sum->unreadable += consumer->work.load.lost;
            misses = 0;
            outcome = interrupted(err);
            if (outcome != OK)
                return outcome;
            continue;
        }
        consumer->setup.reg_ops->rollback(consumer->setup.reg);
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

static bool add_act(struct arena *arena, enum event_type type, struct text person, struct text subject,
                    int64_t time_us, bool by_request, struct acts *acts) {
    struct event *event = ARENA_PUSH(arena, &acts->list);
    struct text id = arena_text(arena, subject);
    if (!event || !text_present(id))
        return false;
    event->type = type;
    /* The same act whenever it is done: its outputs have the same ids. */
    event->version = (struct version){.time_us = time_us, .source = TEXT("restore"), .id = id};
    event->as.restored.person = person;
    event->as.restored.by_request = by_request;
    return true;
}

static bool add_acts(struct reconcile *reconcile, struct text person, struct acts *acts) {
    char hex[SUBJECT_HEX + 1];
    uint8_t subject[SUBJECT_BYTES];
    size_t count;
    ref_subject(reconcile->consumer.setup.ref_key, person, hex);
    if (!remember_subject_read(text_of(hex), subject))
        return false;
    struct remembered *cuts = cuts_of(&reconcile->lacking, subject, &count);
    for (size_t i = 0; i < count; i++) {
        if (!add_act(&reconcile->arena, CALENDAR_RESTORED, person, text_of(hex), cuts[i].cut_us,
                     cuts[i].by_request, acts))
            return false;
        cuts[i].record = 1;
    }
    return true;
}

/* The acts for all persons whom the register knows or the vault has keys of, portion by portion. */
static enum outcome do_for_all(struct reconcile *reconcile,
                               bool (*add)(struct reconcile *reconcile, struct text person,
                                           struct acts *acts),
                               size_t *sum, struct err *err) {
    char after[ERASE_PERSON_BYTES + 1] = "";
    enum outcome outcome = OK;
    size_t count = 1;
    while (outcome == OK && count) {
        struct text *persons;
        struct acts acts = {{0}};
        arena_reset(&reconcile->arena);
        outcome = reconcile->ops->persons(reconcile->world, &reconcile->arena, after, PERSONS_PORTION,
                                          &persons, &count, err);
        for (size_t i = 0; outcome == OK && i < count; i++)
            if (!add(reconcile, persons[i], &acts))
                outcome = no_memory(err);
        if (outcome == OK && count)
            snprintf(after, sizeof after, "%.*s", TEXT_ARGS(persons[count - 1]));
        if (outcome == OK)
            outcome = do_acts(reconcile, acts.list.at, acts.list.count, sum, err);
    }
    return outcome;
}

/* Whom of the persons the cuts concern: their subjects are one-way. */
static enum outcome erase_known(struct reconcile *reconcile, struct err *err) {
    return reconcile->lacking.count ? do_for_all(reconcile, add_acts, &reconcile->sum->erased_again, err)
                                    : OK;
}

/* What waits was sealed anew when its person was erased, under keys that a vault from before does not have:
 * it goes now. */
static enum outcome let_go_waiting(struct reconcile *reconcile, struct err *err) {
    struct reconcile_waiting *rows;
    struct acts acts = {{0}};
    size_t row_count = 0;
    arena_reset(&reconcile->arena);
    enum outcome outcome =
        reconcile->ops->waiting(reconcile->world, &reconcile->arena, &rows, &row_count, err);
    for (size_t row = 0; outcome == OK && row < row_count; row++) {
        const struct reconcile_waiting *at = &rows[row];
        uint8_t subject[SUBJECT_BYTES];
        size_t count = 0;
        const struct remembered *cuts =
            remember_subject_read(at->subject, subject) ? cuts_of(&reconcile->untold, subject, &count) : NULL;
        for (size_t i = 0; outcome == OK && i < count; i++)
            if (cuts[i].cut_us == at->cut_us && !add_act(&reconcile->arena, CALENDAR_RESTORED, at->person,
                                                         at->subject, at->cut_us, true, &acts))
                outcome = no_memory(err);
    }
    return outcome == OK ? do_acts(reconcile, acts.list.at, acts.list.count, &reconcile->sum->let_go, err)
                         : outcome;
}

/* Those that nobody was found for. */
static enum outcome keep_unknown(struct reconcile *reconcile, struct err *err) {
    struct remember_list *list = &reconcile->lacking;
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++)
        if (!list->at[i].record)
            list->at[kept++] = list->at[i];
    list->count = reconcile->sum->unknown = kept;
    return reconcile->ops->orphans(reconcile->world, list->at, kept, err);
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
            (void)erase->clock->sleep_us(erase->clock_context, ERASE_PAUSE_US);
    }
    return outcome == OK ? erase->ops->count(erase->reg, &reconcile->sum->waiting, err) : outcome;
}

static enum outcome mend_vault(struct reconcile *reconcile, struct err *err) {
    struct reconcile_sum *sum = reconcile->sum;
    enum outcome outcome = OK;
    if (sum->vault_older || sum->found.vault_lacks)
        outcome = reconcile->ops->redoom(reconcile->world, &sum->destroyed, err);
    if (outcome == OK)
        outcome = destroy(reconcile, err);
    if (outcome == OK && sum->waiting)
        outcome = err_set(err, FATAL, 0,
                          "the keys of %lld erased persons cannot be destroyed: see the log, mend the vault, "
                          "run this again",
                          (long long)sum->waiting);
    if (outcome == OK && (sum->unknown || sum->found.vault_lacks))
        outcome = reconcile->ops->tell(reconcile->world, reconcile->consumer.writer, &sum->told, err);
    return outcome;
}

/* ---- permissions ---- */

static bool add_retelling(struct reconcile *reconcile, struct text person, struct acts *acts) {
    char hex[SUBJECT_HEX + 1];
    if (person_is_recipient(person))
        return true;
    ref_subject(reconcile->consumer.setup.ref_key, person, hex);
    return add_act(&reconcile->arena, CALENDAR_RETOLD, person, text_of(hex),
                   reconcile->consumer.setup.restored_us, false, acts);
}

static enum outcome tell_again(struct reconcile *reconcile, struct err *err) {
    size_t before = reconcile->outputs, acts = 0;
    enum outcome outcome = do_for_all(reconcile, add_retelling, &acts, err);
    reconcile->sum->retold = reconcile->outputs - before;
    return outcome;
}

/* ---- the whole ---- */

enum outcome reconcile_mend(struct reconcile *reconcile, struct err *err) {
    struct reconcile_sum *sum = reconcile->sum;
    enum outcome outcome = erase_known(reconcile, err);
    if (outcome == OK)
        outcome = keep_unknown(reconcile, err);
    if (outcome == OK)
        outcome = let_go_waiting(reconcile, err);
    if (outcome == OK)
        outcome = mend_vault(reconcile, err);
    if (outcome == OK)
        outcome = tell_again(reconcile, err);
    if (outcome == OK)
        outcome = reconcile->ops->compare(reconcile->world, &sum->left, NULL, NULL, err);
    return outcome == OK ? remember_judge(&sum->left, err) : outcome;
}

void reconcile_release(struct reconcile *reconcile) {
    remember_release(&reconcile->lacking);
    remember_release(&reconcile->untold);
    arena_release(&reconcile->arena);
}
