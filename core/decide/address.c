/* Addresses as keyed hashes: who ever stated one, whose it is now, and for whom an objection by somebody else
 * suppresses it (SEMANTICS.md, Suppression). */
#include "core/decide/marketing.h"

static const enum contact_field address_fields[2] = {[ADDRESS_EMAIL] = EMAIL, [ADDRESS_PHONE] = PHONE};

struct text address_seen(const struct person *row, size_t which) {
    const struct version *version = &row->field[address_fields[which]];
    bool seen = person_visible(row) && version->time_us != VERSION_NONE && !version->protective;
    return seen ? row->address[which] : TEXT_ABSENT;
}

/* ---- what arms a person's addresses ---- */

struct arming {
    LIST(int64_t) objected; /* ascending, each once */
    int64_t withdrawn_us;
};

static enum outcome enter_objection(struct decision *decision, struct arming *arming, int64_t time_us) {
    size_t at = arming->objected.count;
    while (at && arming->objected.at[at - 1] >= time_us)
        at--;
    if (at < arming->objected.count && arming->objected.at[at] == time_us)
        return OK;
    if (!ARENA_PUSH(decision->arena, &arming->objected))
        return RETRY;
    int64_t *times = arming->objected.at;
    memmove(times + at + 1, times + at, (arming->objected.count - 1 - at) * sizeof(*times));
    times[at] = time_us;
    return OK;
}

/* Objections of any generation; withdrawals once their generation is erased. */
static enum outcome arming_of(struct decision *decision, struct text person, struct arming *arming) {
    const struct state *state = decision->state;
    size_t count;
    struct consent *const *all = consent_all(state, person, &count);
    *arming = (struct arming){.withdrawn_us = TIME_NONE};
    for (size_t i = 0; i < count; i++) {
        if (all[i]->act == CONSENT_OBJECTED)
            TRY(enter_objection(decision, arming, all[i]->version.time_us));
        else if (all[i]->act == CONSENT_WITHDRAWN &&
                 state_cut_of(state, person, consent_generation(state, all[i])))
            (void)earliest(&arming->withdrawn_us, all[i]->version.time_us);
    }
    return OK;
}

static struct address_entry entry_of(struct text person, const struct arming *arming) {
    struct address_entry entry = {.person = person,
                                  .objected_first_us = TIME_NONE,
                                  .objected_last_us = TIME_NONE,
                                  .withdrawn_us = arming->withdrawn_us};
    size_t count = arming->objected.count;
    if (count) {
        entry.objected_first_us = arming->objected.at[0];
        entry.objected_last_us = arming->objected.at[count - 1];
    }
    if (count > 2) {
        entry.objected_between.at = arming->objected.at + 1; /* never pushed to */
        entry.objected_between.count = entry.objected_between.room = count - 2;
    }
    return entry;
}

/* Objections only ever become more: the same number is the same. */
static bool same_objections(const struct address_entry *a, const struct address_entry *b) {
    return a->objected_first_us == b->objected_first_us && a->objected_last_us == b->objected_last_us &&
           a->objected_between.count == b->objected_between.count;
}

/* ---- an address and its entries ---- */

/* Everybody else whose address it is now hears of it. Their rows are written even when nothing of theirs
 * changes: a grant of theirs that is decided at this moment elsewhere has not seen this, and must be redone.
 */
static enum outcome follow_others(struct decision *decision, const struct event *event,
                                  const struct address *address, struct text person) {
    for (size_t i = 0; i < address->entries.count; i++) {
        struct text other = address->entries.at[i].person;
        if (!address->entries.at[i].current || text_equal(other, person))
            continue;
        TRY(person_touch(decision, other, state_newest_generation(decision->state, other)));
        TRY(permission_follow(decision, event, other, TEXT_ABSENT));
    }
    return OK;
}

/* The person's place among the entries; *there says whether he has one. */
static size_t entry_place(const struct address *address, struct text person, bool *there) {
    size_t at = 0;
    while (at < address->entries.count && text_compare(address->entries.at[at].person, person) < 0)
        at++;
    *there = at < address->entries.count && text_equal(address->entries.at[at].person, person);
    return at;
}

static enum outcome enter_entry(struct decision *decision, struct address *address, size_t at, bool there,
                                const struct address_entry *entry) {
    if (!there) {
        if (!ARENA_PUSH(decision->arena, &address->entries))
            return RETRY;
        struct address_entry *list = address->entries.at;
        memmove(list + at + 1, list + at, (address->entries.count - 1 - at) * sizeof(*list));
    }
    address->entries.at[at] = *entry;
    address->touched = true;
    return OK;
}

static void drop_entry(struct address *address, size_t at) {
    struct address_entry *list = address->entries.at;
    address->entries.count--;
    memmove(list + at, list + at + 1, (address->entries.count - at) * sizeof(*list));
    address->touched = true;
}

/* Latest time at which the person stated the address; TIME_NONE: he never did. */
static int64_t stated_us(const struct person *guard, struct text hash) {
    int64_t last_us = TIME_NONE;
    for (size_t i = 0; i < guard->facts.addresses.count; i++) {
        const struct address_fact *fact = &guard->facts.addresses.at[i];
        if (text_equal(fact->hash, hash))
            (void)latest(&last_us, fact->times.at[fact->times.count - 1]);
    }
    return last_us;
}

static bool is_current(const struct state *state, struct text person, struct text hash) {
    const struct person *row = state_find_person(state, person, state_newest_generation(state, person));
    return row && (text_equal(address_seen(row, ADDRESS_EMAIL), hash) ||
                   text_equal(address_seen(row, ADDRESS_PHONE), hash));
}

/* The person's entry of the address says what his facts say. */
static enum outcome refresh(struct decision *decision, const struct event *event, const struct person *guard,
                            struct text hash, const struct arming *arming) {
    struct address *address = state_find_address(decision->state, hash);
    assert(address); /* decide_needs must ask for it */
    bool there;
    size_t at = entry_place(address, guard->person, &there);
    struct address_entry before = {.objected_first_us = TIME_NONE, .objected_last_us = TIME_NONE};
    if (there)
        before = address->entries.at[at];
    struct address_entry entry = entry_of(guard->person, arming);
    entry.matched_us = stated_us(guard, hash);
    entry.current = is_current(decision->state, guard->person, hash);
    if (entry.matched_us == TIME_NONE) {
        if (!there)
            return OK;
        drop_entry(address, at);
        return before.objected_first_us == TIME_NONE ? OK
                                                     : follow_others(decision, event, address, guard->person);
    }
    bool objected = !same_objections(&before, &entry);
    if (there && !objected && before.matched_us == entry.matched_us && before.current == entry.current &&
        before.withdrawn_us == entry.withdrawn_us)
        return OK;
    TRY(enter_entry(decision, address, at, there, &entry));
    return objected ? follow_others(decision, event, address, guard->person) : OK;
}

static enum outcome refresh_all(struct decision *decision, const struct event *event,
                                const struct person *guard) {
    if (!guard->facts.addresses.count)
        return OK;
    struct arming arming;
    TRY(arming_of(decision, guard->person, &arming));
    for (size_t i = 0; i < guard->facts.addresses.count; i++)
        TRY(refresh(decision, event, guard, guard->facts.addresses.at[i].hash, &arming));
    return OK;
}

enum outcome address_consented(struct decision *decision, const struct event *event, struct text person) {
    return refresh_all(decision, event, state_find_guard(decision->state, person));
}

/* ---- addresses stated ---- */

/* A changed after a cut needs a registered of its generation; a registered is one itself. */
static bool may_stay(const struct state *state, struct text person, int64_t time_us) {
    int64_t generation = state_generation_at(state, person, time_us);
    int64_t registered_us = person_registered_us(state, person, generation);
    return generation == GENERATION_FIRST || (registered_us != TIME_NONE && registered_us <= time_us);
}

static enum outcome enter_time(struct decision *decision, struct address_fact *fact, int64_t time_us,
                               bool *changed) {
    size_t at = fact->times.count;
    while (at && fact->times.at[at - 1] >= time_us)
        at--;
    if (at < fact->times.count && fact->times.at[at] == time_us)
        return OK;
    if (!ARENA_PUSH(decision->arena, &fact->times))
        return RETRY;
    memmove(fact->times.at + at + 1, fact->times.at + at,
            (fact->times.count - 1 - at) * sizeof(*fact->times.at));
    fact->times.at[at] = time_us;
    *changed = true;
    return OK;
}

static enum outcome enter_fact(struct decision *decision, struct person *guard, struct text hash,
                               enum contact_field field, int64_t time_us, bool *changed) {
    size_t at = 0;
    for (; at < guard->facts.addresses.count; at++) {
        struct address_fact *fact = &guard->facts.addresses.at[at];
        int order = text_compare(fact->hash, hash);
        if (!order && fact->field == field)
            return enter_time(decision, fact, time_us, changed);
        if (order > 0 || (!order && fact->field > field))
            break;
    }
    if (!ARENA_PUSH(decision->arena, &guard->facts.addresses))
        return RETRY;
    struct address_fact *list = guard->facts.addresses.at;
    memmove(list + at + 1, list + at, (guard->facts.addresses.count - 1 - at) * sizeof(*list));
    list[at] = (struct address_fact){.hash = hash, .field = field};
    return enter_time(decision, &list[at], time_us, changed);
}

/* The row's field is what the event stated. */
static bool won(const struct person *row, const struct event *event, enum contact_field field) {
    struct version version = event->version;
    version.protective = row->field[field].protective;
    return event->as.customer.contact.stated[field] && version_compare(&row->field[field], &version) == 0;
}

enum outcome address_stated(struct decision *decision, const struct event *event) {
    struct text person = event->customer_id;
    struct text stated[2] = {
        [ADDRESS_EMAIL] = event->as.customer.email_hash, [ADDRESS_PHONE] = event->as.customer.phone_hash};
    struct person *guard = state_person(decision->state, person, GENERATION_FIRST);
    struct person *row =
        state_find_person(decision->state, person, state_newest_generation(decision->state, person));
    bool stays = may_stay(decision->state, person, event->version.time_us), changed = false;
    struct text before[2] = {TEXT_ABSENT, TEXT_ABSENT};
    if (!guard)
        return RETRY;
    for (size_t i = 0; i < 2; i++) {
        if (stays && text_present(stated[i]))
            TRY(enter_fact(decision, guard, stated[i], address_fields[i], event->version.time_us, &changed));
        if (!row)
            continue;
        before[i] = row->address[i];
        if (!won(row, event, address_fields[i]) || text_equal(row->address[i], stated[i]))
            continue;
        row->address[i] = stated[i];
        TRY(person_touch(decision, person, row->generation));
    }
    if (changed) {
        size_t cuts = guard->facts.cuts.count;
        TRY(person_touch(decision, person, GENERATION_FIRST));
        if (cuts && event->version.time_us <= guard->facts.cuts.at[cuts - 1].cut_us)
            guard->facts.cuts_changed = true; /* the vault keeps it with the tombstone */
    }
    struct arming arming;
    TRY(arming_of(decision, person, &arming));
    for (size_t i = 0; i < 2; i++) {
        if (text_present(before[i]))
            TRY(refresh(decision, event, guard, before[i], &arming));
        if (stays && text_present(stated[i]) && !text_equal(before[i], stated[i]))
            TRY(refresh(decision, event, guard, stated[i], &arming));
    }
    return OK;
}

/* ---- cuts ---- */

/* The hash of a field goes where the field is: the only profile that is alive. */
static enum outcome move_seen(struct decision *decision, const struct person *guard) {
    struct person *newest = state_find_person(decision->state, guard->person,
                                              state_newest_generation(decision->state, guard->person));
    for (size_t i = 0; i < 2; i++) {
        struct text hash = TEXT_ABSENT;
        /* rows of all generations that are or were */
        for (size_t g = 0; g <= guard->facts.cuts.count; g++) {
            int64_t generation = g ? guard->facts.cuts.at[g - 1].cut_us : GENERATION_FIRST;
            struct person *row = state_find_person(decision->state, guard->person, generation);
            if (!row || !text_present(row->address[i]))
                continue;
            hash = row->address[i];
            if (row == newest)
                continue;
            row->address[i] = TEXT_ABSENT;
            TRY(person_touch(decision, guard->person, generation));
        }
        if (!newest)
            continue;
        const struct version *version = &newest->field[address_fields[i]];
        if (version->time_us == VERSION_NONE || version->protective)
            hash = TEXT_ABSENT;
        if (text_equal(newest->address[i], hash))
            continue;
        newest->address[i] = hash;
        TRY(person_touch(decision, guard->person, newest->generation));
    }
    return OK;
}

/* Takes out what a cut made want a registered; *gone are the addresses that nothing is left of. */
static enum outcome drop_orphans(struct decision *decision, struct person *guard, struct text *gone,
                                 size_t *gone_count) {
    size_t kept = 0;
    *gone_count = 0;
    for (size_t i = 0; i < guard->facts.addresses.count; i++) {
        struct address_fact fact = guard->facts.addresses.at[i];
        size_t times = 0;
        for (size_t t = 0; t < fact.times.count; t++) {
            if (may_stay(decision->state, guard->person, fact.times.at[t]))
                fact.times.at[times++] = fact.times.at[t];
        }
        if (times != fact.times.count)
            TRY(person_touch(decision, guard->person, GENERATION_FIRST));
        fact.times.count = times;
        if (times)
            guard->facts.addresses.at[kept++] = fact;
        else
            gone[(*gone_count)++] = fact.hash;
    }
    guard->facts.addresses.count = kept;
    return OK;
}

enum outcome address_recut(struct decision *decision, const struct event *event, struct text person) {
    struct person *guard = state_find_guard(decision->state, person);
    if (!guard || !guard->facts.addresses.count)
        return OK;
    size_t gone_count;
    struct text *gone = ARENA_ARRAY(decision->arena, struct text, guard->facts.addresses.count);
    if (!gone)
        return RETRY;
    TRY(drop_orphans(decision, guard, gone, &gone_count));
    TRY(move_seen(decision, guard));
    struct arming arming;
    TRY(arming_of(decision, person, &arming));
    for (size_t i = 0; i < gone_count; i++)
        TRY(refresh(decision, event, guard, gone[i], &arming));
    return refresh_all(decision, event, guard);
}
