/* Stage 5 of 7, store: what is touched becomes one sorted, guarded, sealed write. */
#include "consumer/store.h"
#include "consumer/dead_letter.h"
#include "consumer/doom.h"
#include "core/decide/pack.h"
#include "core/killpoint.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

static enum outcome full(struct work *work, struct err *err) {
    work->load.arena_full = true;
    return err_set(err, RETRY, 0, "the batch does not fit its memory");
}

/* ---- order of primary keys: two workers that lock in the same order do not deadlock ---- */

static int order_keys(struct text owner_a, struct text object_a, struct text owner_b, struct text object_b) {
    int order = text_compare(owner_a, owner_b);
    return order ? order : text_compare(object_a, object_b);
}
static int by_person(const void *a, const void *b) {
    const struct person *one = ((const struct write_person *)a)->at,
                        *two = ((const struct write_person *)b)->at;
    int order = text_compare(one->person, two->person);
    return order ? order : (one->generation > two->generation) - (one->generation < two->generation);
}
static int by_order(const void *a, const void *b) {
    const struct order *one = ((const struct write_order *)a)->at, *two = ((const struct write_order *)b)->at;
    return order_keys(one->customer_id, one->order_id, two->customer_id, two->order_id);
}
static int by_shipment(const void *a, const void *b) {
    const struct shipment *one = ((const struct write_shipment *)a)->at,
                          *two = ((const struct write_shipment *)b)->at;
    return order_keys(one->customer_id, one->shipment_id, two->customer_id, two->shipment_id);
}
static int by_notice(const void *a, const void *b) {
    const struct notice *one = ((const struct write_notice *)a)->at,
                        *two = ((const struct write_notice *)b)->at;
    return order_keys(one->person, one->notice_ref, two->person, two->notice_ref);
}
static int by_consent(const void *a, const void *b) {
    const struct consent *one = ((const struct write_consent *)a)->at,
                         *two = ((const struct write_consent *)b)->at;
    return order_keys(one->person, one->fact, two->person, two->fact);
}
static int by_request(const void *a, const void *b) {
    return text_compare(((const struct write_request *)a)->at->request_id,
                        ((const struct write_request *)b)->at->request_id);
}
static int by_address(const void *a, const void *b) {
    return text_compare(((const struct write_address *)a)->at->hash,
                        ((const struct write_address *)b)->at->hash);
}
static int by_cut(const void *a, const void *b) {
    const struct write_tombstone *one = a, *two = b;
    int order = text_compare(one->subject, two->subject);
    return order ? order : (one->at->cut_us > two->at->cut_us) - (one->at->cut_us < two->at->cut_us);
}
static int by_ref(const void *a, const void *b) {
    return text_compare((*(const struct ref_entry *const *)a)->ref,
                        (*(const struct ref_entry *const *)b)->ref);
}

/* ---- what is touched ---- */

/* Whoever changes what belongs to a person raises the person's revision. */
static bool guard(struct work *work, struct text owner) {
    struct person *person = state_person(work->state, owner, GENERATION_FIRST);
    if (person)
        person->touched = true;
    return person != NULL;
}

/* A consignee whom his first fact made has a row already; whoever erases him must not miss a shipment. */
static void guard_consignee(struct work *work, struct text consignee) {
    struct person *person = state_find_guard(work->state, consignee);
    if (person)
        person->touched = true;
}

static enum outcome guard_owners(struct work *work, struct err *err) {
    size_t count;
    bool fits = true;
    struct order *const *orders = state_orders(work->state, &count);
    for (size_t i = 0; fits && i < count; i++)
        fits = !orders[i]->touched || guard(work, orders[i]->customer_id);
    struct shipment *const *shipments = state_shipments(work->state, &count);
    for (size_t i = 0; fits && i < count; i++) {
        if (!shipments[i]->touched)
            continue;
        fits = guard(work, shipments[i]->customer_id);
        guard_consignee(work, shipments[i]->person);
    }
    struct consent *const *consents = state_consents(work->state, &count);
    for (size_t i = 0; fits && i < count; i++)
        fits = !consents[i]->touched || guard(work, consents[i]->person);
    struct notice *const *notices = state_notices(work->state, &count);
    for (size_t i = 0; fits && i < count; i++)
        fits = !notices[i]->touched || guard(work, notices[i]->person);
    struct person *const *persons = state_persons(work->state, &count);
    for (size_t i = 0; fits && i < count; i++)
        fits = !persons[i]->touched || persons[i]->generation == GENERATION_FIRST ||
               guard(work, persons[i]->person);
    return fits ? OK : full(work, err);
}

#define TAKE_TOUCHED(list, items, order)                                                                     \
    do {                                                                                                     \
        size_t count, touched = 0;                                                                           \
        __auto_type all = items(work->state, &count);                                                        \
        for (size_t i = 0; i < count; i++)                                                                   \
            touched += all[i]->touched;                                                                      \
        write->list.at = arena_array(arena, sizeof(*write->list.at), touched ? touched : 1);                 \
        if (!write->list.at)                                                                                 \
            return full(work, err);                                                                          \
        for (size_t i = 0; i < count; i++)                                                                   \
            if (all[i]->touched)                                                                             \
                write->list.at[write->list.count++].at = all[i];                                             \
        qsort(write->list.at, write->list.count, sizeof(*write->list.at), order);                            \
    } while (0)
static enum outcome take_touched(struct work *work, struct arena *arena, struct err *err) {
    struct write *write = &work->write;
    TAKE_TOUCHED(persons, state_persons, by_person);
    TAKE_TOUCHED(orders, state_orders, by_order);
    TAKE_TOUCHED(shipments, state_shipments, by_shipment);
    TAKE_TOUCHED(notices, state_notices, by_notice);
    TAKE_TOUCHED(consents, state_consents, by_consent);
    TAKE_TOUCHED(requests, state_requests, by_request);
    TAKE_TOUCHED(addresses, state_addresses, by_address);
    return OK;
}

/* ---- tombstones: one a cut, as the person's guard has them now ---- */

static struct text cut_categories(const struct policy *policy, struct text person, const struct cut *cut,
                                  struct arena *arena) {
    char names[256] = "";
    size_t size = 0;
    for (enum category c = 0; c < CATEGORIES; c++)
        if (cut_erases(policy, person, cut, c))
            size += (size_t)snprintf(names + size, sizeof names - size, "%s%s", size ? "," : "",
                                     category_names[c]);
    return arena_text(arena, (struct text){names, size});
}

static enum outcome take_tombstones(struct work *work, struct arena *arena, struct err *err) {
    struct write *write = &work->write;
    size_t count = 0;
    for (size_t i = 0; i < write->persons.count; i++)
        count += write->persons.at[i].at->facts.cuts_changed ? write->persons.at[i].at->facts.cuts.count : 0;
    write->tombstones.at = ARENA_ARRAY(arena, struct write_tombstone, count + 1);
    if (!write->tombstones.at)
        return full(work, err);
    for (size_t i = 0; i < write->persons.count; i++) {
        const struct person *guard = write->persons.at[i].at;
        char subject[SUBJECT_CHARS + 1];
        if (!guard->facts.cuts_changed)
            continue;
        ref_subject(work->decision.ref_key, guard->person, subject);
        struct text name = arena_text(arena, text_of(subject));
        for (size_t c = 0; c < guard->facts.cuts.count; c++) {
            const struct cut *cut = &guard->facts.cuts.at[c];
            struct text categories = cut_categories(work->decision.policy, guard->person, cut, arena);
            if (!text_present(name) || !text_present(categories))
                return full(work, err);
            write->tombstones.at[write->tombstones.count++] = (struct write_tombstone){
                .subject = name,
                .person = guard->person,
                .generation = state_generation_at(work->state, guard->person, cut->cut_us),
                .at = cut,
                .categories = categories};
        }
    }
    qsort(write->tombstones.at, write->tombstones.count, sizeof(*write->tombstones.at), by_cut);
    return OK;
}

static enum outcome pack_all(struct work *work, struct arena *arena, struct err *err) {
    struct write *write = &work->write;
    bool fits = true;
    for (size_t i = 0; fits && i < write->persons.count; i++)
        fits = text_present(write->persons.at[i].merge = pack_person(write->persons.at[i].at, arena));
    for (size_t i = 0; fits && i < write->orders.count; i++)
        fits = text_present(write->orders.at[i].merge = pack_order(write->orders.at[i].at, arena));
    for (size_t i = 0; fits && i < write->shipments.count; i++)
        fits = text_present(write->shipments.at[i].merge = pack_shipment(write->shipments.at[i].at, arena));
    for (size_t i = 0; fits && i < write->notices.count; i++)
        fits = text_present(write->notices.at[i].merge = pack_notice(write->notices.at[i].at, arena));
    for (size_t i = 0; fits && i < write->consents.count; i++)
        fits = text_present(write->consents.at[i].merge = pack_consent(write->consents.at[i].at, arena));
    for (size_t i = 0; fits && i < write->requests.count; i++)
        fits = text_present(write->requests.at[i].merge = pack_request(write->requests.at[i].at, arena));
    for (size_t i = 0; fits && i < write->addresses.count; i++)
        fits = text_present(write->addresses.at[i].merge = pack_address(write->addresses.at[i].at, arena));
    return fits ? OK : full(work, err);
}

/* ---- refs and what is parked under them ----
 *
 * 1. A status meets a ref that nobody knows: its transaction inserts the ref without meaning, and the event.
 * 2. A shipment that learns the ref was loaded before that: its insert of the ref affects no row. Redone, it
 * finds the parked event and applies it.
 * 3. A second status loads the ref without meaning and parks beside the first; to do so it locks the ref's
 * row where that still means nothing, so that it comes wholly before or wholly after whoever learns the ref.
 * 4. Whoever learns it waits for 3 at that lock, applies and deletes those parked rows that it had loaded (a
 * portion: the calendar may have let one of them expire since, then all is done again), and writes down at
 * the ref whether others lie there still. Nobody parks under a ref that is known.
 * 5. The calendar applies what was left over, portion by portion, until the ref has none. */
struct ref_lists {
    const struct ref_entry **fresh, **parked, **settled;
};
static enum outcome take_ref(struct work *work, const struct ref_entry *ref, const struct ref_lists *lists,
                             size_t *room, struct err *err) {
    struct write *write = &work->write;
    bool changed = ref->now != ref->loaded;
    for (size_t i = 0; i < ref->parked.count; i++) {
        const struct parked *parked = ref->parked.at[i];
        const struct event *event = &parked->event;
        if (parked->stored == !parked->removed)
            continue; /* lies there already, or came and went within this batch */
        changed = true;
        if ((*room)-- == 0)
            return err_set(err, FATAL, 0, "more parked events than were counted");
        if (parked->removed)
            write->unparked.at[write->unparked.count++] = (struct row_parked){.ref = ref->ref,
                                                                              .topic = event->topic,
                                                                              .partition = event->partition,
                                                                              .offset = event->offset};
        else
            write->parked.at[write->parked.count++] = (struct write_parked){.ref = ref->ref, .at = parked};
    }
    if (!changed)
        return OK;
    if (ref->loaded == REF_UNKNOWN)
        lists->fresh[write->refs_new.count++] = ref;
    else if (ref->loaded == REF_PARKED)
        lists->parked[write->refs_parked.count++] = ref;
    if (ref->loaded != REF_UNKNOWN && ref->now == REF_KNOWN)
        lists->settled[write->refs_settled.count++] = ref;
    return OK;
}

static enum outcome take_refs(struct work *work, struct arena *arena, struct err *err) {
    struct write *write = &work->write;
    size_t count, parked = 0;
    struct ref_entry *const *refs = state_refs(work->state, &count);
    for (size_t i = 0; i < count; i++)
        parked += refs[i]->parked.count;
    struct ref_lists lists = {ARENA_ARRAY(arena, const struct ref_entry *, count + 1),
                              ARENA_ARRAY(arena, const struct ref_entry *, count + 1),
                              ARENA_ARRAY(arena, const struct ref_entry *, count + 1)};
    write->parked.at = ARENA_ARRAY(arena, struct write_parked, parked + 1);
    write->unparked.at = ARENA_ARRAY(arena, struct row_parked, parked + 1);
    if (!lists.fresh || !lists.parked || !lists.settled || !write->parked.at || !write->unparked.at)
        return full(work, err);
    write->refs_new.at = lists.fresh;
    write->refs_parked.at = lists.parked;
    write->refs_settled.at = lists.settled;
    for (size_t i = 0; i < count; i++) {
        enum outcome outcome = take_ref(work, refs[i], &lists, &parked, err);
        if (outcome != OK)
            return outcome;
    }
    qsort(lists.fresh, write->refs_new.count, sizeof(*lists.fresh), by_ref);
    qsort(lists.parked, write->refs_parked.count, sizeof(*lists.parked), by_ref);
    qsort(lists.settled, write->refs_settled.count, sizeof(*lists.settled), by_ref);
    return OK;
}

/* ---- outputs ---- */

static enum outcome take_outputs(struct work *work, struct arena *arena, struct err *err) {
    struct write *write = &work->write;
    size_t count = work->decision.outputs.count;
    write->outputs.at = ARENA_ARRAY(arena, struct write_output, count + 1);
    write->dead_letters.at = ARENA_ARRAY(arena, const struct write_output *, count + 1);
    if (!write->outputs.at || !write->dead_letters.at)
        return full(work, err);
    for (size_t i = 0; i < count; i++) {
        const struct output *output = &work->decision.outputs.at[i];
        struct write_output *row = &write->outputs.at[write->outputs.count++];
        *row = (struct write_output){.at = output, .decided_us = work->decided_us.at[i]};
        if (!dead_letter_is(output))
            continue;
        row->headers = dead_letter_headers(output, arena);
        if (!text_present(row->headers))
            return full(work, err);
        write->dead_letters.at[write->dead_letters.count++] = row;
    }
    /* A row's id is random on purpose: it tells this register from a restored one that decided the same
     * again. */
    uint8_t *ids = arena_array(arena, ROW_ID_BYTES, count + 1);
    if (!ids)
        return full(work, err);
    randombytes_buf(ids, count * ROW_ID_BYTES);
    for (size_t i = 0; i < write->outputs.count; i++)
        memcpy(write->outputs.at[i].row_id, ids + i * ROW_ID_BYTES, ROW_ID_BYTES);
    return OK;
}

enum outcome store_batch(const struct register_ops *ops, void *reg, const struct seal_batch *how,
                         struct work *work, struct arena *arena, struct err *err) {
    work->write.now_us = work->now_us;
    enum outcome outcome = doom_prepare(ops, reg, how->keyring, work, arena, err);
    if (outcome == OK)
        outcome = guard_owners(work, err);
    if (outcome == OK)
        outcome = take_touched(work, arena, err);
    if (outcome == OK)
        outcome = take_tombstones(work, arena, err);
    if (outcome == OK)
        outcome = take_refs(work, arena, err);
    if (outcome == OK)
        outcome = take_outputs(work, arena, err);
    if (outcome == OK)
        outcome = seal_batch(how, work, arena, err);
    if (outcome == OK)
        outcome = pack_all(work, arena, err);
    KILL_POINT("consumer.before_write");
    if (outcome == OK)
        outcome = ops->write(reg, arena, &work->write, err);
    return outcome;
}

enum outcome store_commit(const struct register_ops *ops, void *reg, struct err *err) {
    KILL_POINT("consumer.before_commit");
    enum outcome outcome = ops->commit(reg, err);
    KILL_POINT("consumer.after_commit");
    return outcome;
}
