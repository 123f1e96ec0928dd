/* Stage 3 of 7, load: the rounds of asking and reading, and how cells are opened. */
#include "consumer/load_place.h"

/* More rounds than any chain of needs is long: ref, request, persons, their wholes, shipments, orders,
 * whoever has their addresses, and refs with what is parked under them. */
#define ROUNDS_MAX 32

enum outcome load_full(struct load *load, struct err *err) {
    load->arena_full = true;
    return err_set(err, RETRY, 0, "the batch does not fit its memory");
}

enum outcome load_damaged(struct load *load, const char *reason, struct err *err) {
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
    wider.room = load->room ? load->room * 2 : 64;
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

struct load_entry *load_entry_find(struct load *load, enum need_kind kind, struct text owner,
                                   struct text object) {
    if (!load->room)
        return NULL;
    struct load_entry *entry = entry_slot(load, entry_hash(kind, owner, object), kind, owner, object);
    return entry->used ? entry : NULL;
}

/* A person without a row may have been erased before the register was lost: looked up by subject. */
static bool ask_orphan(struct load *load, struct text person) {
    char subject[SUBJECT_CHARS + 1];
    struct read_key *asked = ARENA_PUSH(load->arena, &load->orphaned);
    if (!asked)
        return false;
    ref_subject(load->ref_key, person, subject);
    *asked = (struct read_key){arena_text(load->arena, text_of(subject)), person};
    return text_present(asked->owner);
}

/* Lists the key for this round's read. */
static bool ask_row(struct load *load, enum need_kind kind, struct read_key key) {
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
    case NEED_CONSENTS:
        asked = ARENA_PUSH(load->arena, &load->consents);
        break;
    case NEED_REQUEST:
        asked = ARENA_PUSH(load->arena, &load->requests);
        break;
    case NEED_ADDRESS:
        asked = ARENA_PUSH(load->arena, &load->addresses);
        break;
    case NEED_WHOLE:
        asked = ARENA_PUSH(load->arena, &load->wholes);
        break;
    }
    if (!asked)
        return false;
    *asked = key;
    return kind != NEED_PERSON || !load->orphans || ask_orphan(load, key.owner);
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
    return ask_row(load, kind, key) ? entry : NULL;
}

struct loaded_cell *load_cell(struct load *load, enum need_kind kind, struct text owner, struct text object,
                              const struct cell *cell) {
    struct load_entry *entry = load_entry_find(load, kind, owner, object);
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
    bool has_object = need->kind == NEED_ORDER || need->kind == NEED_SHIPMENT || need->kind == NEED_NOTICE;
    bool has_owner_row = has_object || need->kind == NEED_CONSENTS || need->kind == NEED_WHOLE;
    if (has_owner_row && !entry_make(load, NEED_PERSON, need->owner, TEXT_ABSENT))
        return load_full(load, NULL);
    struct load_entry *entry =
        entry_make(load, need->kind, need->owner, has_object ? need->object : TEXT_ABSENT);
    if (!entry)
        return load_full(load, NULL);
    bool more = (entry->wanted | need->cells) != entry->wanted;
    if (more && need->kind == NEED_REF && !want_parked(load, entry->owner))
        return load_full(load, NULL);
    entry->wanted |= need->cells;
    if (!entry->loaded)
        load->waits = true;
    else if (more && !want_cells(load, entry))
        return load_full(load, NULL);
    return OK;
}

/* ---- opening ---- */

static enum outcome rings_into_cache(struct load *load, struct loaded_cell *const *cells, size_t count,
                                     struct err *err) {
    struct key_want *wants = ARENA_ARRAY(load->arena, struct key_want, count);
    if (!wants)
        return load_full(load, err);
    for (size_t i = 0; i < count; i++)
        wants[i] = (struct key_want){.person = cells[i]->ring_person,
                                     .generation = cells[i]->ring_generation,
                                     .category = cells[i]->category};
    enum outcome outcome = keyring_load(load->keyring, load->arena, wants, count, load->now_s, err);
    return outcome == POISON && !err->sqlstate[0] ? load_damaged(load, "damaged_ring", err) : outcome;
}

/* The register was restored to before the last of an erased person went: what lay under the keys of an ended
 * generation, and a cut erases, is empty. Of a living generation a key is only ever lost. */
static bool is_forgotten(const struct load *load, const struct loaded_cell *loaded) {
    const struct person *guard = state_find_guard(load->state, loaded->ring_person);
    enum on_request on_request = load->policy->categories[loaded->category].on_request;
    bool by_request = false, ended = false;
    for (size_t i = 0; guard && i < guard->facts.cuts.count; i++) {
        const struct cut *cut = &guard->facts.cuts.at[i];
        bool ends = cut->valid && cut->cut_us > loaded->ring_generation;
        ended |= ends;
        by_request |= ends && cut->cause == CUT_REQUEST;
    }
    return loaded->category == CATEGORY_DELIVERY ? by_request && on_request != ON_REQUEST_KEEP
                                                 : ended && on_request == ON_REQUEST_ERASE;
}

/* lossy: an older register beside the vault that has destroyed the key already, or an older vault that never
 * had it; nobody opens it any more, and the act of erasure must not hang on it. */
static bool may_lose(struct load *load, const struct loaded_cell *loaded) {
    if (!load->lossy && !is_forgotten(load, loaded))
        return false;
    loaded->cell->content = TEXT(CONTENT_LOST);
    load->lost++;
    return true;
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
            if (again && may_lose(load, cells[i])) {
                again = false;
                continue;
            }
            if (again)
                return load_damaged(load, "missing_key", err);
            again = true;
            outcome = rings_into_cache(load, cells, count, err);
            i--;
            continue;
        }
        again = false;
        outcome = open_cell(&key, &cells[i]->place, cell->sealed, load->arena, &cell->content, err);
        secret_wipe(&key, sizeof key);
        if (outcome == FATAL && load->lossy && may_lose(load, cells[i]))
            outcome = OK; /* a ring that was made anew has another key of that number */
        if (outcome == FATAL)
            return load_damaged(load, "damaged_row", err);
        if (outcome == RETRY)
            return load_full(load, err);
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
                                   .consents = ASKED(consents),
                                   .requests = ASKED(requests),
                                   .addresses = ASKED(addresses),
                                   .wholes = ASKED(wholes),
                                   .orphans = ASKED(orphaned),
                                   .parked_most = LOAD_PARKED_MOST};
    if (!(request.refs.count + request.parked.count + request.persons.count + request.orders.count +
          request.shipments.count + request.notices.count + request.consents.count + request.requests.count +
          request.addresses.count + request.wholes.count))
        return OK;
    struct read_rows rows = {0};
    enum outcome outcome = load->ops->read(load->reg, load->arena, &request, &rows, err);
    if (outcome == OK)
        outcome = load_place_rows(load, &rows, err);
    load->refs.count = load->parked.count = load->persons.count = load->orphaned.count = 0;
    load->orders.count = load->shipments.count = load->notices.count = load->consents.count = 0;
    load->requests.count = load->addresses.count = load->wholes.count = 0;
    for (size_t i = 0; outcome == OK && i < load->room; i++) {
        struct load_entry *entry = &load->entries[i];
        if (!entry->used || entry->loaded)
            continue;
        entry->loaded = true;
        if (!want_cells(load, entry))
            return load_full(load, err);
    }
    return outcome;
}

/* As many consents as the person's guard counts: decide relies on having them all. */
static enum outcome check_whole(struct load *load, struct err *err) {
    for (size_t i = 0; i < load->room; i++) {
        const struct load_entry *entry = &load->entries[i];
        if (!entry->used || entry->kind != NEED_CONSENTS)
            continue;
        const struct person *guard = state_find_guard(load->state, entry->owner);
        size_t count;
        (void)state_consents_of(load->state, entry->owner, &count);
        if (count != (guard ? (size_t)guard->facts.consents : 0))
            return load_damaged(load, "damaged_row", err);
    }
    return OK;
}

enum outcome load_batch(struct load *load, const struct event *const *events, size_t count, struct err *err) {
    const struct event **asking = ARENA_ARRAY(load->arena, const struct event *, count ? count : 1);
    size_t all = count;
    if (!asking)
        return load_full(load, err);
    memcpy(asking, events, count * sizeof(*asking));
    for (size_t i = 0; i < load->also_refs.count; i++) {
        const struct need need = {.kind = NEED_REF, .owner = load->also_refs.at[i], .cells = NEED_PARKED};
        if (touch(load, &need) != OK)
            return load_full(load, err);
    }
    for (int round = 0; count; round++) {
        if (round == ROUNDS_MAX)
            return err_set(err, FATAL, 0, "an event's needs have no end");
        size_t still = 0, hints = state_hints(load->state);
        for (size_t i = 0; i < count; i++) {
            load->waits = false;
            if (decide_needs(asking[i], load->policy, load->ref_key, load->state, load->arena, touch, load) !=
                OK)
                return load_full(load, err);
            if (load->waits)
                asking[still++] = asking[i];
        }
        count = still;
        if (hints != state_hints(load->state)) { /* word for those asked before, too */
            count = all;
            memcpy(asking, events, count * sizeof(*asking));
        }
        enum outcome outcome = read_round(load, err);
        if (outcome == OK)
            outcome = load_open(load, load->unopened.at, load->unopened.count, err);
        if (outcome != OK)
            return outcome;
        load->unopened.count = 0;
    }
    return check_whole(load, err);
}
