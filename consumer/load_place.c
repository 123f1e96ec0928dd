/* Stage 3 of 7, load: how rows become aggregates of the state. */
#include "consumer/load_place.h"
#include "core/decide/pack.h"
#include <stdio.h>

static enum outcome cell_loaded(struct load *load, struct load_entry *entry, struct cell *cell,
                                const struct row_cell *row, struct loaded_cell known) {
    cell->until = cell->sealed_until = row->until;
    cell->sealed = row->sealed;
    if (!text_present(row->sealed))
        return OK;
    struct loaded_cell *loaded = ARENA_NEW(load->arena, struct loaded_cell);
    if (!loaded)
        return load_full(load, NULL);
    *loaded = known;
    loaded->cell = cell;
    loaded->next = entry->cells;
    entry->cells = loaded;
    return OK;
}

static enum outcome place_person(struct load *load, const struct row_person *row, struct err *err) {
    struct load_entry *entry = load_entry_find(load, NEED_PERSON, row->person, TEXT_ABSENT);
    struct person *person = state_person(load->state, row->person, row->generation);
    if (!entry || !person)
        return load_full(load, err);
    person->revision = row->revision;
    if (unpack_person(row->merge, load->arena, person, err) != OK)
        return err->kind == FATAL ? load_damaged(load, "damaged_row", err) : load_full(load, err);
    struct loaded_cell known = {
        .bit = NEED_PROFILE,
        .category = CATEGORY_PROFILE,
        .place = {"person", "profile", person->person, TEXT_ABSENT, person->generation},
        .ring_person = person->person,
        .ring_generation = person->generation};
    return cell_loaded(load, entry, &person->profile, &row->profile, known);
}

static enum outcome place_order(struct load *load, const struct row_order *row, struct err *err) {
    struct load_entry *entry = load_entry_find(load, NEED_ORDER, row->customer_id, row->order_id);
    struct order *order = state_order(load->state, row->customer_id, row->order_id);
    if (!entry || !order)
        return load_full(load, err);
    order->stored = true;
    if (unpack_order(row->merge, load->arena, order, err) != OK)
        return err->kind == FATAL ? load_damaged(load, "damaged_row", err) : load_full(load, err);
    struct loaded_cell known = {.place = {"customer_order", "claim", order->customer_id, order->order_id, -1},
                                .ring_person = order->customer_id,
                                .ring_generation = order->generation};
    known.bit = NEED_CLAIM;
    known.category = CATEGORY_CLAIM;
    enum outcome outcome = cell_loaded(load, entry, &order->claim, &row->claim, known);
    known.bit = NEED_VOUCHER;
    known.category = CATEGORY_VOUCHER;
    known.place.column = "voucher";
    if (outcome == OK)
        outcome = cell_loaded(load, entry, &order->voucher, &row->voucher, known);
    known.bit = NEED_OSS;
    known.category = CATEGORY_OSS;
    known.place.column = "oss";
    return outcome == OK ? cell_loaded(load, entry, &order->oss, &row->oss, known) : outcome;
}

static enum outcome place_shipment(struct load *load, const struct row_shipment *row, struct err *err) {
    struct load_entry *entry = load_entry_find(load, NEED_SHIPMENT, row->customer_id, row->shipment_id);
    struct shipment *shipment = state_shipment(load->state, row->customer_id, row->shipment_id);
    if (!entry || !shipment)
        return load_full(load, err);
    shipment->stored = true;
    if (unpack_shipment(row->merge, load->arena, shipment, err) != OK)
        return err->kind == FATAL ? load_damaged(load, "damaged_row", err) : load_full(load, err);
    struct loaded_cell known = {
        .bit = NEED_DELIVERY,
        .category = CATEGORY_DELIVERY,
        .place = {"shipment", "delivery", shipment->customer_id, shipment->shipment_id, -1},
        .ring_person = shipment->person,
        .ring_generation = shipment->generation};
    return cell_loaded(load, entry, &shipment->delivery, &row->delivery, known);
}

static enum outcome place_notice(struct load *load, const struct row_notice *row, struct err *err) {
    struct load_entry *entry = load_entry_find(load, NEED_NOTICE, row->person, row->notice_ref);
    struct notice *notice = state_notice(load->state, row->person, row->notice_ref);
    if (!entry || !notice)
        return load_full(load, err);
    notice->stored = true;
    if (unpack_notice(row->merge, load->arena, notice, err) != OK)
        return err->kind == FATAL ? load_damaged(load, "damaged_row", err) : load_full(load, err);
    struct loaded_cell known = {.bit = NEED_GROUND,
                                .category = CATEGORY_LEDGER,
                                .place = {"notice", "ground", notice->person, notice->notice_ref, -1},
                                .ring_person = notice->person,
                                .ring_generation = notice->generation};
    return cell_loaded(load, entry, &notice->ground, &row->ground, known);
}

static enum outcome place_consent(struct load *load, const struct row_consent *row, struct err *err) {
    struct load_entry *entry = load_entry_find(load, NEED_CONSENTS, row->person, TEXT_ABSENT);
    struct consent *consent = state_consent(load->state, row->person, row->fact);
    if (!entry || !consent)
        return load_full(load, err);
    consent->stored = true;
    if (unpack_consent(row->merge, load->arena, consent, err) != OK)
        return err->kind == FATAL ? load_damaged(load, "damaged_row", err) : load_full(load, err);
    struct loaded_cell known = {.bit = NEED_PROOF,
                                .category = CATEGORY_CONSENT_PROOF,
                                .place = {"consent", "proof", consent->person, consent->fact, -1},
                                .ring_person = consent->person,
                                .ring_generation = consent->generation};
    return cell_loaded(load, entry, &consent->proof, &row->proof, known);
}

static enum outcome place_request(struct load *load, const struct row_guarded *row, struct err *err) {
    struct request *request = state_request(load->state, row->key);
    if (!request)
        return load_full(load, err);
    request->revision = row->revision;
    if (unpack_request(row->merge, load->arena, request, err) != OK)
        return err->kind == FATAL ? load_damaged(load, "damaged_row", err) : load_full(load, err);
    return OK;
}

static enum outcome place_address(struct load *load, const struct row_guarded *row, struct err *err) {
    struct address *address = state_address(load->state, row->key);
    if (!address)
        return load_full(load, err);
    address->revision = row->revision;
    if (unpack_address(row->merge, load->arena, address, err) != OK)
        return err->kind == FATAL ? load_damaged(load, "damaged_row", err) : load_full(load, err);
    return OK;
}

static enum outcome place_whole(struct load *load, const struct row_whole *row, struct err *err) {
    struct person *guard = state_person(load->state, row->person, GENERATION_FIRST);
    struct whole_key *key = !guard          ? NULL
                            : row->is_order ? ARENA_PUSH(load->arena, &guard->whole.orders)
                                            : ARENA_PUSH(load->arena, &guard->whole.shipments);
    if (!key)
        return load_full(load, err);
    *key = row->key;
    return OK;
}

/* A tombstone of a person whom the register meets for the first time: his guard takes it over. */
static enum outcome place_orphan(struct load *load, const struct row_orphan *row, struct err *err) {
    struct text owner = TEXT_ABSENT;
    for (size_t i = 0; i < load->orphaned.count && !text_present(owner); i++)
        if (text_equal(load->orphaned.at[i].owner, row->subject))
            owner = load->orphaned.at[i].object;
    struct person *guard = text_present(owner) ? state_person(load->state, owner, GENERATION_FIRST) : NULL;
    if (!guard)
        return load_full(load, err);
    if (guard->revision)
        return OK;
    struct person_facts *facts = &guard->facts;
    struct cut *cuts = ARENA_PUSH(load->arena, &facts->cuts) ? facts->cuts.at : NULL;
    if (!cuts)
        return load_full(load, err);
    size_t at = facts->cuts.count - 1;
    for (; at > 0 && cuts[at - 1].cut_us > row->cut.cut_us; at--)
        cuts[at] = cuts[at - 1];
    cuts[at] = row->cut;
    facts->cuts_changed = true;
    guard->ended |= row->cut.valid; /* his first generation */
    return OK;
}

static enum outcome place_ref(struct load *load, const struct row_ref *row, struct err *err) {
    struct ref_entry *ref = state_ref(load->state, row->ref);
    if (!ref)
        return load_full(load, err);
    ref->loaded = ref->now = text_present(row->recipient) ? REF_KNOWN : REF_PARKED;
    ref->kind = text_is(row->kind, "notice")  ? REF_NOTICE
                : text_is(row->kind, "token") ? REF_TOKEN
                                              : REF_SHIPMENT;
    ref->recipient = row->recipient;
    ref->customer_id = row->customer_id;
    ref->object_id = row->object_id;
    return OK;
}

struct seal_place load_parked_place(struct arena *arena, struct text ref, struct text topic,
                                    int32_t partition, int64_t offset) {
    char numbers[48];
    int size = snprintf(numbers, sizeof numbers, "/%d/%lld", partition, (long long)offset);
    char *object = arena_take(arena, topic.size + (size_t)size);
    if (object) {
        memcpy(object, topic.at, topic.size);
        memcpy(object + topic.size, numbers, (size_t)size);
    }
    struct text name = object ? (struct text){object, topic.size + (size_t)size} : TEXT_ABSENT;
    return (struct seal_place){"parked", "body", ref, name, -1};
}

/* Opened at once, all together. */
static enum outcome open_parked(struct load *load, const struct row_parked *rows, size_t count,
                                struct text *bodies, struct err *err) {
    struct cell *cells = ARENA_ARRAY(load->arena, struct cell, count);
    struct loaded_cell *known = ARENA_ARRAY(load->arena, struct loaded_cell, count);
    struct loaded_cell **all = ARENA_ARRAY(load->arena, struct loaded_cell *, count);
    if (!cells || !known || !all)
        return load_full(load, err);
    for (size_t i = 0; i < count; i++) {
        const struct row_parked *row = &rows[i];
        cells[i].sealed = row->body;
        known[i] = (struct loaded_cell){
            .cell = &cells[i],
            .category = CATEGORY_LEDGER,
            .place = load_parked_place(load->arena, row->ref, row->topic, row->partition, row->offset),
            .ring_person = TEXT(PARKING_PERSON),
            .ring_generation = GENERATION_FIRST};
        if (!text_present(known[i].place.object))
            return load_full(load, err);
        all[i] = &known[i];
    }
    enum outcome outcome = load_open(load, all, count, err);
    for (size_t i = 0; outcome == OK && i < count; i++)
        bodies[i] = cells[i].content;
    return outcome;
}

enum outcome load_parked(struct load *load, const struct row_parked *rows, size_t count,
                         struct parked *parked, struct err *err) {
    struct text *bodies = ARENA_ARRAY(load->arena, struct text, count ? count : 1);
    enum outcome outcome = bodies ? open_parked(load, rows, count, bodies, err) : load_full(load, err);
    for (size_t i = 0; outcome == OK && i < count; i++) {
        parked[i].stored = !load->lossy || !text_is(bodies[i], CONTENT_LOST);
        if (!parked[i].stored)
            continue;
        if (unpack_event(bodies[i], load->arena, &parked[i].event, err) != OK)
            return err->kind == FATAL ? load_damaged(load, "damaged_row", err) : load_full(load, err);
        parked[i].expires_us = rows[i].expires_us;
        if (rows[i].record_hash.size == sizeof parked[i].record_hash)
            memcpy(parked[i].record_hash, rows[i].record_hash.at, sizeof parked[i].record_hash);
    }
    return outcome;
}

/* What waits for a ref may be applied with the event that makes it known. */
static enum outcome place_parked(struct load *load, const struct read_rows *rows, struct err *err) {
    size_t count = rows->parked.count;
    struct parked *all = ARENA_ARRAY(load->arena, struct parked, count ? count : 1);
    enum outcome outcome = all ? load_parked(load, rows->parked.at, count, all, err) : load_full(load, err);
    for (size_t i = 0; outcome == OK && i < count; i++) {
        if (!all[i].stored)
            continue;
        struct ref_entry *ref = state_ref(load->state, rows->parked.at[i].ref);
        struct parked **listed = ref ? (struct parked **)ARENA_PUSH(load->arena, &ref->parked) : NULL;
        if (!listed)
            return load_full(load, err);
        *listed = &all[i];
    }
    return outcome;
}

#define PLACE_ALL(list, place)                                                                               \
    for (size_t i = 0; i < rows->list.count; i++) {                                                          \
        enum outcome placed = place(load, &rows->list.at[i], err);                                           \
        if (placed != OK)                                                                                    \
            return placed;                                                                                   \
    }
static enum outcome place_all(struct load *load, const struct read_rows *rows, struct err *err) {
    PLACE_ALL(refs, place_ref)
    PLACE_ALL(persons, place_person)
    PLACE_ALL(orphans, place_orphan)
    PLACE_ALL(orders, place_order)
    PLACE_ALL(shipments, place_shipment)
    PLACE_ALL(notices, place_notice)
    PLACE_ALL(consents, place_consent)
    PLACE_ALL(requests, place_request)
    PLACE_ALL(addresses, place_address)
    PLACE_ALL(wholes, place_whole)
    return rows->parked.count ? place_parked(load, rows, err) : OK;
}

/* What guards itself or others and has no row is there all the same, empty: so needs that hang on it are
 * asked for. */
static enum outcome make_asked(struct load *load, struct err *err) {
    bool fits = true;
    for (size_t i = 0; fits && i < load->persons.count; i++)
        fits = state_person(load->state, load->persons.at[i].owner, GENERATION_FIRST) != NULL;
    for (size_t i = 0; fits && i < load->requests.count; i++)
        fits = state_request(load->state, load->requests.at[i].owner) != NULL;
    for (size_t i = 0; fits && i < load->addresses.count; i++)
        fits = state_address(load->state, load->addresses.at[i].owner) != NULL;
    for (size_t i = 0; fits && i < load->wholes.count; i++) {
        struct person *guard = state_person(load->state, load->wholes.at[i].owner, GENERATION_FIRST);
        fits = guard != NULL;
        if (guard)
            guard->whole.known = true;
    }
    return fits ? OK : load_full(load, err);
}

enum outcome load_place_rows(struct load *load, const struct read_rows *rows, struct err *err) {
    enum outcome outcome = place_all(load, rows, err);
    return outcome == OK ? make_asked(load, err) : outcome;
}
