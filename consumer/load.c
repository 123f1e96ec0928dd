/* Stage 3 of 7, load: the rounds, and how rows become aggregates. */
#include "consumer/load.h"
#include "core/decide/pack.h"
#include <stdio.h>

/* More rounds than any chain of needs is long: ref, shipment, order and their parked events'. */
#define ROUNDS_MAX 8

struct load_entry {
    uint64_t hash;
    struct text owner, object;
    enum need_kind kind;
    bool used, loaded;
    unsigned wanted; /* NEED_... bits */
    struct loaded_cell *cells;
};

static enum outcome full(struct load *load, struct err *err) {
    load->arena_full = true;
    return err_set(err, RETRY, 0, "the batch does not fit its memory");
}

static enum outcome damaged(struct load *load, const char *reason, struct err *err) {
    load->park_reason = reason;
    return err_set(err, POISON, 0, "a stored row cannot be read: %s", reason);
}

/* ---- what is loaded ---- */

static uint64_t hash_bytes(uint64_t hash, struct text text) {
    for (size_t i = 0; i < text.size; i++)
        hash = (hash ^ (unsigned char)text.at[i]) * UINT64_C(0x100000001b3);
    return (hash ^ 0xff) * UINT64_C(0x100000001b3);
}

static struct load_entry *entry_slot(const struct load *load, uint64_t hash, enum need_kind kind,
                                     struct text owner, struct text object) {
    for (size_t at = (hash ^ hash >> 29) & (load->room - 1);; at = (at + 1) & (load->room - 1)) {
        struct load_entry *entry = &load->entries[at];
        if (!entry->used || (entry->hash == hash && entry->kind == kind && text_equal(entry->owner, owner) &&
                             text_equal(entry->object, object)))
            return entry;
    }
}

static uint64_t entry_hash(enum need_kind kind, struct text owner, struct text object) {
    return hash_bytes(hash_bytes(UINT64_C(0xcbf29ce484222325) + (uint64_t)kind, owner), object);
}

static bool entries_widen(struct load *load) {
    struct load wider = *load;
    wider.room = load->room ? load->room * 2 : 256;
    wider.entries = ARENA_ARRAY(load->arena, struct load_entry, wider.room);
    if (!wider.entries)
        return false;
    for (size_t i = 0; i < load->room; i++) {
        const struct load_entry *old = &load->entries[i];
        if (old->used)
            *entry_slot(&wider, old->hash, old->kind, old->owner, old->object) = *old;
    }
    load->room = wider.room;
    load->entries = wider.entries;
    return true;
}

static struct load_entry *entry_find(struct load *load, enum need_kind kind, struct text owner,
                                     struct text object) {
    if (!load->room)
        return NULL;
    struct load_entry *entry = entry_slot(load, entry_hash(kind, owner, object), kind, owner, object);
    return entry->used ? entry : NULL;
}

static struct load_entry *entry_make(struct load *load, enum need_kind kind, struct text owner,
                                     struct text object) {
    if ((load->count + 1) * 2 > load->room && !entries_widen(load))
        return NULL;
    uint64_t hash = entry_hash(kind, owner, object);
    struct load_entry *entry = entry_slot(load, hash, kind, owner, object);
    if (entry->used)
        return entry;
    struct read_key key = {arena_text(load->arena, owner), arena_text(load->arena, object)};
    if (text_present(key.owner) != text_present(owner) || text_present(key.object) != text_present(object))
        return NULL;
    *entry = (struct load_entry){
        .hash = hash, .owner = key.owner, .object = key.object, .kind = kind, .used = true};
    load->count++;
    struct read_key *asked = NULL;
    switch (kind) {
    case NEED_REF:
        asked = ARENA_PUSH(load->arena, &load->refs);
        break;
    case NEED_PERSON:
        asked = ARENA_PUSH(load->arena, &load->persons);
        break;
    case NEED_ORDER:
        asked = ARENA_PUSH(load->arena, &load->orders);
        break;
    case NEED_SHIPMENT:
        asked = ARENA_PUSH(load->arena, &load->shipments);
        break;
    case NEED_NOTICE:
        asked = ARENA_PUSH(load->arena, &load->notices);
        break;
    default:
        break;
    }
    if (!asked)
        return NULL;
    *asked = key;
    return entry;
}

struct loaded_cell *load_cell(struct load *load, enum need_kind kind, struct text owner, struct text object,
                              const struct cell *cell) {
    struct load_entry *entry = entry_find(load, kind, owner, object);
    for (struct loaded_cell *loaded = entry ? entry->cells : NULL; loaded; loaded = loaded->next)
        if (loaded->cell == cell)
            return loaded;
    return NULL;
}

/* ---- what is asked for ---- */

/* Wanted cells that are sealed still are opened at the round's end. */
static bool want_cells(struct load *load, const struct load_entry *entry) {
    for (struct loaded_cell *loaded = entry->cells; loaded; loaded = loaded->next) {
        if (!(entry->wanted & loaded->bit) || text_present(loaded->cell->content))
            continue;
        struct loaded_cell **listed = ARENA_PUSH(load->arena, &load->unopened);
        if (!listed)
            return false;
        *listed = loaded;
        load->waits = true;
    }
    return true;
}

/* Whatever is parked under the ref is read in this round; a ref has nothing else that could be wanted. */
static bool want_parked(struct load *load, struct text ref) {
    struct read_key *asked = ARENA_PUSH(load->arena, &load->parked);
    if (asked)
        *asked = (struct read_key){ref, TEXT_ABSENT};
    load->waits = true;
    return asked != NULL;
}

static enum outcome touch(void *context, const struct need *need) {
    struct load *load = context;
    bool has_owner_row = need->kind == NEED_ORDER || need->kind == NEED_SHIPMENT || need->kind == NEED_NOTICE;
    if (has_owner_row && !entry_make(load, NEED_PERSON, need->owner, TEXT_ABSENT))
        return full(load, NULL);
    bool single = need->kind == NEED_REF || need->kind == NEED_PERSON;
    struct load_entry *entry = entry_make(load, need->kind, need->owner, single ? TEXT_ABSENT : need->object);
    if (!entry)
        return full(load, NULL);
    bool more = (entry->wanted | need->cells) != entry->wanted;
    if (more && need->kind == NEED_REF && !want_parked(load, entry->owner))
        return full(load, NULL);
    entry->wanted |= need->cells;
    if (!entry->loaded)
        load->waits = true;
    else if (more && !want_cells(load, entry))
        return full(load, NULL);
    return OK;
}

/* ---- rows to aggregates ---- */

static enum outcome cell_loaded(struct load *load, struct load_entry *entry, struct cell *cell,
                                const struct row_cell *row, struct loaded_cell known) {
    cell->until = cell->sealed_until = row->until;
    cell->sealed = row->sealed;
    if (!text_present(row->sealed))
        return OK;
    struct loaded_cell *loaded = ARENA_NEW(load->arena, struct loaded_cell);
    if (!loaded)
        return full(load, NULL);
    *loaded = known;
    loaded->cell = cell;
    loaded->next = entry->cells;
    entry->cells = loaded;
    return OK;
}

/* The entry that asked for a row; everything that is read was asked for. */
static struct load_entry *row_entry(struct load *load, enum need_kind kind, struct text owner,
                                    struct text object) {
    return entry_find(load, kind, owner, object);
}

static enum outcome place_person(struct load *load, const struct row_person *row, struct err *err) {
    struct load_entry *entry = row_entry(load, NEED_PERSON, row->person, TEXT_ABSENT);
    struct person *person = state_person(load->state, row->person, row->generation);
    if (!entry || !person)
        return full(load, err);
    person->revision = row->revision;
    if (unpack_person(row->merge, load->arena, person, err) != OK)
        return err->kind == FATAL ? damaged(load, "damaged_row", err) : full(load, err);
    struct loaded_cell known = {
        .bit = NEED_PROFILE,
        .category = CATEGORY_PROFILE,
        .place = {"person", "profile", person->person, TEXT_ABSENT, person->generation},
        .ring_person = person->person,
        .ring_generation = person->generation};
    return cell_loaded(load, entry, &person->profile, &row->profile, known);
}

static enum outcome place_order(struct load *load, const struct row_order *row, struct err *err) {
    struct load_entry *entry = row_entry(load, NEED_ORDER, row->customer_id, row->order_id);
    struct order *order = state_order(load->state, row->customer_id, row->order_id);
    if (!entry || !order)
        return full(load, err);
    order->stored = true;
    if (unpack_order(row->merge, load->arena, order, err) != OK)
        return err->kind == FATAL ? damaged(load, "damaged_row", err) : full(load, err);
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
    struct load_entry *entry = row_entry(load, NEED_SHIPMENT, row->customer_id, row->shipment_id);
    struct shipment *shipment = state_shipment(load->state, row->customer_id, row->shipment_id);
    if (!entry || !shipment)
        return full(load, err);
    shipment->stored = true;
    if (unpack_shipment(row->merge, load->arena, shipment, err) != OK)
        return err->kind == FATAL ? damaged(load, "damaged_row", err) : full(load, err);
    struct loaded_cell known = {
        .bit = NEED_DELIVERY,
        .category = CATEGORY_DELIVERY,
        .place = {"shipment", "delivery", shipment->customer_id, shipment->shipment_id, -1},
        .ring_person = shipment->person,
        .ring_generation = shipment->generation};
    return cell_loaded(load, entry, &shipment->delivery, &row->delivery, known);
}

static enum outcome place_notice(struct load *load, const struct row_notice *row, struct err *err) {
    struct load_entry *entry = row_entry(load, NEED_NOTICE, row->person, row->notice_ref);
    struct notice *notice = state_notice(load->state, row->person, row->notice_ref);
    if (!entry || !notice)
        return full(load, err);
    notice->stored = true;
    if (unpack_notice(row->merge, load->arena, notice, err) != OK)
        return err->kind == FATAL ? damaged(load, "damaged_row", err) : full(load, err);
    struct loaded_cell known = {.bit = NEED_GROUND,
                                .category = CATEGORY_LEDGER,
                                .place = {"notice", "ground", notice->person, notice->notice_ref, -1},
                                .ring_person = notice->person,
                                .ring_generation = notice->generation};
    return cell_loaded(load, entry, &notice->ground, &row->ground, known);
}

static enum outcome place_ref(struct load *load, const struct row_ref *row, struct err *err) {
    struct ref_entry *ref = state_ref(load->state, row->ref);
    if (!ref)
        return full(load, err);
    ref->loaded = ref->now = text_present(row->recipient) ? REF_KNOWN : REF_PARKED;
    ref->kind = text_is(row->kind, "notice") ? REF_NOTICE : REF_SHIPMENT;
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
        return full(load, err);
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
            return full(load, err);
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
    enum outcome outcome = bodies ? open_parked(load, rows, count, bodies, err) : full(load, err);
    for (size_t i = 0; outcome == OK && i < count; i++) {
        if (unpack_event(bodies[i], load->arena, &parked[i].event, err) != OK)
            return err->kind == FATAL ? damaged(load, "damaged_row", err) : full(load, err);
        parked[i].expires_us = rows[i].expires_us;
        if (rows[i].record_hash.size == sizeof parked[i].record_hash)
            memcpy(parked[i].record_hash, rows[i].record_hash.at, sizeof parked[i].record_hash);
        parked[i].stored = true;
    }
    return outcome;
}

/* What waits for a ref may be applied with the event that makes it known. */
static enum outcome place_parked(struct load *load, const struct read_rows *rows, struct err *err) {
    size_t count = rows->parked.count;
    struct parked *all = ARENA_ARRAY(load->arena, struct parked, count ? count : 1);
    enum outcome outcome = all ? load_parked(load, rows->parked.at, count, all, err) : full(load, err);
    for (size_t i = 0; outcome == OK && i < count; i++) {
        struct ref_entry *ref = state_ref(load->state, rows->parked.at[i].ref);
        struct parked **listed = ref ? (struct parked **)ARENA_PUSH(load->arena, &ref->parked) : NULL;
        if (!listed)
            return full(load, err);
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
static enum outcome place_rows(struct load *load, const struct read_rows *rows, struct err *err) {
    PLACE_ALL(refs, place_ref)
    PLACE_ALL(persons, place_person)
    PLACE_ALL(orders, place_order)
    PLACE_ALL(shipments, place_shipment)
    PLACE_ALL(notices, place_notice)
    return rows->parked.count ? place_parked(load, rows, err) : OK;
}

/* ---- opening ---- */

static enum outcome rings_into_cache(struct load *load, struct loaded_cell *const *cells, size_t count,
                                     struct err *err) {
    struct key_want *wants = ARENA_ARRAY(load->arena, struct key_want, count);
    if (!wants)
        return full(load, err);
    for (size_t i = 0; i < count; i++)
        wants[i] = (struct key_want){.person = cells[i]->ring_person,
                                     .generation = cells[i]->ring_generation,
                                     .category = cells[i]->category};
    enum outcome outcome = keyring_load(load->keyring, load->arena, wants, count, load->now_s, err);
    return outcome == POISON && !err->sqlstate[0] ? damaged(load, "damaged_ring", err) : outcome;
}

enum outcome load_open(struct load *load, struct loaded_cell *const *cells, size_t count, struct err *err) {
    if (!count)
        return OK;
    enum outcome outcome = rings_into_cache(load, cells, count, err);
    bool again = false;
    for (size_t i = 0; outcome == OK && i < count; i++) {
        struct cell *cell = cells[i]->cell;
        struct seal_key key;
        if (text_present(cell->content))
            continue;
        if (!keyring_sealed_key(load->keyring, cells[i]->ring_person, cells[i]->ring_generation,
                                cells[i]->category, cell->sealed, &key)) {
            /* Another worker may have added the key after this ring was cached: read once more. */
            if (again)
                return damaged(load, "missing_key", err);
            again = true;
            outcome = rings_into_cache(load, cells, count, err);
            i--;
            continue;
        }
        again = false;
        outcome = open_cell(&key, &cells[i]->place, cell->sealed, load->arena, &cell->content, err);
        secret_wipe(&key, sizeof key);
        if (outcome == FATAL)
            return damaged(load, "damaged_row", err);
        if (outcome == RETRY)
            return full(load, err);
    }
    return outcome;
}

/* ---- rounds ---- */

#define ASKED(list) ((struct read_keys){load->list.at, load->list.count})
static enum outcome read_round(struct load *load, struct err *err) {
    struct read_request request = {.refs = ASKED(refs),
                                   .parked = ASKED(parked),
                                   .persons = ASKED(persons),
                                   .orders = ASKED(orders),
                                   .shipments = ASKED(shipments),
                                   .notices = ASKED(notices),
                                   .parked_most = LOAD_PARKED_MOST};
    if (!(request.refs.count + request.parked.count + request.persons.count + request.orders.count +
          request.shipments.count + request.notices.count))
        return OK;
    struct read_rows rows = {0};
    enum outcome outcome = load->ops->read(load->reg, load->arena, &request, &rows, err);
    if (outcome == OK)
        outcome = place_rows(load, &rows, err);
    load->refs.count = load->parked.count = load->persons.count = load->orders.count = load->shipments.count =
        load->notices.count = 0;
    for (size_t i = 0; outcome == OK && i < load->room; i++) {
        struct load_entry *entry = &load->entries[i];
        if (!entry->used || entry->loaded)
            continue;
        entry->loaded = true;
        if (!want_cells(load, entry))
            return full(load, err);
    }
    return outcome;
}

enum outcome load_batch(struct load *load, const struct event *const *events, size_t count, struct err *err) {
    const struct event **asking = ARENA_ARRAY(load->arena, const struct event *, count ? count : 1);
    if (!asking)
        return full(load, err);
    memcpy(asking, events, count * sizeof(*asking));
    for (int round = 0; count; round++) {
        if (round == ROUNDS_MAX)
            return err_set(err, FATAL, 0, "an event's needs have no end");
        size_t still = 0;
        for (size_t i = 0; i < count; i++) {
            load->waits = false;
            if (decide_needs(asking[i], load->policy, load->ref_key, load->state, load->arena, touch, load) !=
                OK)
                return full(load, err);
            if (load->waits)
                asking[still++] = asking[i];
        }
        count = still;
        enum outcome outcome = read_round(load, err);
        if (outcome == OK)
            outcome = load_open(load, load->unopened.at, load->unopened.count, err);
        if (outcome != OK)
            return outcome;
        load->unopened.count = 0;
    }
    return OK;
}
