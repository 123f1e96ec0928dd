/* The state that decisions see and change: hash maps over the aggregates of a batch, all in its arena. */
#include "core/decide/state.h"

const char *const permission_reason_names[PERMISSION_REASONS] = {
    [PERMISSION_NONE] = "none",         [PERMISSION_NO_ADDRESS] = "no_address",
    [PERMISSION_ERASED] = "erased",     [PERMISSION_WITHDRAWN] = "withdrawn",
    [PERMISSION_OBJECTED] = "objected",
};
const char *const identity_names[IDENTITIES] = {
    [IDENTITY_NONE] = "none",     [IDENTITY_ACCOUNT] = "account", [IDENTITY_EMAIL_LOOP] = "email_loop",
    [IDENTITY_STRONG] = "strong", [IDENTITY_CLERK] = "clerk",
};
const char *const request_state_names[REQUEST_STATES] = {
    [REQUEST_AWAITING_IDENTITY] = "awaiting_identity",
    [REQUEST_OPEN] = "open",
    [REQUEST_DONE] = "done",
};

/* One open-addressed table; `items` keeps the order of making. */
struct map_slot {
    uint64_t hash;
    struct text owner, object;
    int64_t generation;
    void *item; /* NULL: free */
};
struct map {
    struct map_slot *slots;
    size_t room, count; /* room: a power of two */
};

struct state {
    struct arena *arena;
    struct map person_map, order_map, shipment_map, ref_map, notice_map, consent_map, consents_map,
        request_map, address_map;
    LIST(struct person *) persons;
    LIST(struct order *) orders;
    LIST(struct shipment *) shipments;
    LIST(struct ref_entry *) refs;
    LIST(struct notice *) notices;
    LIST(struct consent *) consents;
    LIST(struct request *) requests;
    LIST(struct address *) addresses;
    size_t hints;
};

/* The consents of one person. */
struct consent_list {
    LIST(struct consent *) consents;
};

#define MAP_FIRST_ROOM 64

static uint64_t mix(uint64_t value) {
    value ^= value >> 32;
    value *= UINT64_C(0xd6e8feb86659fd93);
    return value ^ value >> 32;
}

static uint64_t hash_text(uint64_t hash, struct text text) {
    size_t at = 0;
    for (; at + 8 <= text.size; at += 8) {
        uint64_t word;
        memcpy(&word, text.at + at, 8);
        hash = mix(hash ^ word);
    }
    uint64_t rest = text.size;
    for (; at < text.size; at++)
        rest = rest << 8 | (unsigned char)text.at[at];
    return mix(hash ^ rest);
}

static uint64_t key_hash(struct text owner, struct text object, int64_t generation) {
    return hash_text(hash_text(mix((uint64_t)generation + UINT64_C(0x9e3779b97f4a7c15)), owner), object);
}

/* The slot that holds the key, or the free one where it belongs. The table is never full. */
static struct map_slot *map_slot(const struct map *map, uint64_t hash, struct text owner, struct text object,
                                 int64_t generation) {
    size_t at = hash & (map->room - 1);
    for (;; at = (at + 1) & (map->room - 1)) {
        struct map_slot *slot = &map->slots[at];
        if (!slot->item || (slot->hash == hash && slot->generation == generation &&
                            text_equal(slot->owner, owner) && text_equal(slot->object, object)))
            return slot;
    }
}

/* Room for one more, at most half full. */
static bool map_reserve(struct map *map, struct arena *arena) {
    if ((map->count + 1) * 2 <= map->room)
        return true;
    struct map wider = {.room = map->room ? map->room * 2 : MAP_FIRST_ROOM, .count = map->count};
    wider.slots = ARENA_ARRAY(arena, struct map_slot, wider.room);
    if (!wider.slots)
        return false;
    for (size_t i = 0; i < map->room; i++) {
        const struct map_slot *old = &map->slots[i];
        if (old->item)
            *map_slot(&wider, old->hash, old->owner, old->object, old->generation) = *old;
    }
    *map = wider;
    return true;
}

/* The slot of a key, with its item made (zeroed, keys copied) when there was none; NULL when the arena is
 * full. */
static struct map_slot *map_find_or_make(struct map *map, struct arena *arena, struct text owner,
                                         struct text object, int64_t generation, size_t item_bytes,
                                         bool *made) {
    *made = false;
    if (!map_reserve(map, arena))
        return NULL;
    uint64_t hash = key_hash(owner, object, generation);
    struct map_slot *slot = map_slot(map, hash, owner, object, generation);
    if (slot->item)
        return slot;
    struct map_slot filled = {.hash = hash,
                              .owner = arena_text(arena, owner),
                              .object = arena_text(arena, object),
                              .generation = generation,
                              .item = arena_take(arena, item_bytes)};
    if (!filled.item || text_present(filled.owner) != text_present(owner) ||
        text_present(filled.object) != text_present(object))
        return NULL;
    *slot = filled;
    map->count++;
    *made = true;
    return slot;
}

struct state *state_new(struct arena *arena) {
    struct state *state = ARENA_NEW(arena, struct state);
    if (state)
        state->arena = arena;
    return state;
}

static const struct version no_version = {.time_us = VERSION_NONE};
static const struct cell no_cell = {.until = DATE_NONE, .sealed_until = DATE_NONE};

struct person *state_person(struct state *state, struct text id, int64_t generation) {
    bool made;
    struct map_slot *slot = map_find_or_make(&state->person_map, state->arena, id, TEXT_ABSENT, generation,
                                             sizeof(struct person), &made);
    if (!slot)
        return NULL;
    struct person *person = slot->item;
    if (!made)
        return person;
    person->person = slot->owner;
    person->generation = generation;
    person->closed_us = person->profile_activity_us = person->order_activity_us = TIME_NONE;
    person->recorded_us = person->facts.named_us = person->facts.opened_us = TIME_NONE;
    for (size_t f = 0; f < CONTACT_FIELDS; f++)
        person->field[f] = no_version;
    person->profile = no_cell;
    struct person **listed = ARENA_PUSH(state->arena, &state->persons);
    if (!listed)
        return NULL;
    return *listed = person;
}

struct order *state_order(struct state *state, struct text customer_id, struct text order_id) {
    bool made;
    struct map_slot *slot = map_find_or_make(&state->order_map, state->arena, customer_id, order_id, 0,
                                             sizeof(struct order), &made);
    if (!slot)
        return NULL;
    struct order *order = slot->item;
    if (!made)
        return order;
    order->customer_id = slot->owner;
    order->order_id = slot->object;
    order->version = no_version;
    order->first_version_us = order->first_fact_us = order->recorded_us = order->placed_us = TIME_NONE;
    order->cancelled_us = order->last_delivered_us = TIME_NONE;
    order->generation = GENERATION_FIRST;
    order->claim = order->voucher = order->oss = no_cell;
    struct order **listed = ARENA_PUSH(state->arena, &state->orders);
    if (!listed)
        return NULL;
    return *listed = order;
}

struct shipment *state_shipment(struct state *state, struct text customer_id, struct text shipment_id) {
    bool made;
    struct map_slot *slot = map_find_or_make(&state->shipment_map, state->arena, customer_id, shipment_id, 0,
                                             sizeof(struct shipment), &made);
    if (!slot)
        return NULL;
    struct shipment *shipment = slot->item;
    if (!made)
        return shipment;
    shipment->customer_id = slot->owner;
    shipment->shipment_id = slot->object;
    shipment->version = shipment->first_version = no_version;
    shipment->recorded_us = shipment->cancelled_us = TIME_NONE;
    shipment->person = slot->owner;
    shipment->generation = GENERATION_FIRST;
    shipment->delivery = no_cell;
    struct shipment **listed = ARENA_PUSH(state->arena, &state->shipments);
    if (!listed)
        return NULL;
    return *listed = shipment;
}

struct ref_entry *state_ref(struct state *state, struct text ref) {
    bool made;
    struct map_slot *slot =
        map_find_or_make(&state->ref_map, state->arena, ref, TEXT_ABSENT, 0, sizeof(struct ref_entry), &made);
    if (!slot)
        return NULL;
    struct ref_entry *entry = slot->item;
    if (!made)
        return entry;
    entry->ref = slot->owner;
    struct ref_entry **listed = ARENA_PUSH(state->arena, &state->refs);
    if (!listed)
        return NULL;
    return *listed = entry;
}

struct notice *state_notice(struct state *state, struct text person, struct text notice_ref) {
    bool made;
    struct map_slot *slot = map_find_or_make(&state->notice_map, state->arena, person, notice_ref, 0,
                                             sizeof(struct notice), &made);
    if (!slot)
        return NULL;
    struct notice *notice = slot->item;
    if (!made)
        return notice;
    notice->person = slot->owner;
    notice->notice_ref = slot->object;
    notice->generation = GENERATION_FIRST;
    notice->caused_us = notice->decided_us = TIME_NONE;
    notice->answer_by = notice->retained_until = DATE_NONE;
    notice->answer = no_version;
    notice->ground = no_cell;
    struct notice **listed = ARENA_PUSH(state->arena, &state->notices);
    if (!listed)
        return NULL;
    return *listed = notice;
}

struct consent *state_consent(struct state *state, struct text person, struct text fact) {
    bool made;
    struct map_slot *slot =
        map_find_or_make(&state->consent_map, state->arena, person, fact, 0, sizeof(struct consent), &made);
    if (!slot)
        return NULL;
    struct consent *consent = slot->item;
    if (!made)
        return consent;
    consent->person = slot->owner;
    consent->fact = slot->object;
    consent->version = no_version;
    consent->generation = GENERATION_FIRST;
    consent->proof = no_cell;
    slot = map_find_or_make(&state->consents_map, state->arena, consent->person, TEXT_ABSENT, 0,
                            sizeof(struct consent_list), &made);
    if (!slot)
        return NULL;
    struct consent_list *list = slot->item;
    struct consent **of_person = ARENA_PUSH(state->arena, &list->consents);
    struct consent **listed = ARENA_PUSH(state->arena, &state->consents);
    if (!of_person || !listed)
        return NULL;
    return *listed = *of_person = consent;
}

struct request *state_request(struct state *state, struct text request_id) {
    bool made;
    struct map_slot *slot = map_find_or_make(&state->request_map, state->arena, request_id, TEXT_ABSENT, 0,
                                             sizeof(struct request), &made);
    if (!slot)
        return NULL;
    struct request *request = slot->item;
    if (!made)
        return request;
    request->request_id = slot->owner;
    request->identified_us = TIME_NONE;
    request->due = request->until = DATE_NONE;
    struct request **listed = ARENA_PUSH(state->arena, &state->requests);
    if (!listed)
        return NULL;
    return *listed = request;
}

struct address *state_address(struct state *state, struct text hash) {
    bool made;
    struct map_slot *slot = map_find_or_make(&state->address_map, state->arena, hash, TEXT_ABSENT, 0,
                                             sizeof(struct address), &made);
    if (!slot)
        return NULL;
    struct address *address = slot->item;
    if (!made)
        return address;
    address->hash = slot->owner;
    struct address **listed = ARENA_PUSH(state->arena, &state->addresses);
    if (!listed)
        return NULL;
    return *listed = address;
}

/* The item of a key, or NULL when nobody made it. */
static void *map_find(const struct map *map, struct text owner, struct text object, int64_t generation) {
    if (!map->room)
        return NULL;
    return map_slot(map, key_hash(owner, object, generation), owner, object, generation)->item;
}

struct person *state_find_person(const struct state *state, struct text person, int64_t generation) {
    return map_find(&state->person_map, person, TEXT_ABSENT, generation);
}

struct order *state_find_order(const struct state *state, struct text customer_id, struct text order_id) {
    return map_find(&state->order_map, customer_id, order_id, 0);
}

struct shipment *state_find_shipment(const struct state *state, struct text customer_id,
                                     struct text shipment_id) {
    return map_find(&state->shipment_map, customer_id, shipment_id, 0);
}

struct ref_entry *state_find_ref(const struct state *state, struct text ref) {
    return map_find(&state->ref_map, ref, TEXT_ABSENT, 0);
}

struct notice *state_find_notice(const struct state *state, struct text person, struct text notice_ref) {
    return map_find(&state->notice_map, person, notice_ref, 0);
}

struct request *state_find_request(const struct state *state, struct text request_id) {
    return map_find(&state->request_map, request_id, TEXT_ABSENT, 0);
}

struct address *state_find_address(const struct state *state, struct text hash) {
    return map_find(&state->address_map, hash, TEXT_ABSENT, 0);
}

struct consent *const *state_consents_of(const struct state *state, struct text person, size_t *count) {
    const struct consent_list *list = map_find(&state->consents_map, person, TEXT_ABSENT, 0);
    *count = list ? list->consents.count : 0;
    return list ? list->consents.at : NULL;
}

void state_hinted(struct state *state) {
    state->hints++;
}

size_t state_hints(const struct state *state) {
    return state->hints;
}

struct person *state_find_guard(const struct state *state, struct text person) {
    return state_find_person(state, person, GENERATION_FIRST);
}

struct person *const *state_persons(const struct state *state, size_t *count) {
    *count = state->persons.count;
    return state->persons.at;
}

struct order *const *state_orders(const struct state *state, size_t *count) {
    *count = state->orders.count;
    return state->orders.at;
}

struct shipment *const *state_shipments(const struct state *state, size_t *count) {
    *count = state->shipments.count;
    return state->shipments.at;
}

struct ref_entry *const *state_refs(const struct state *state, size_t *count) {
    *count = state->refs.count;
    return state->refs.at;
}

struct notice *const *state_notices(const struct state *state, size_t *count) {
    *count = state->notices.count;
    return state->notices.at;
}

struct consent *const *state_consents(const struct state *state, size_t *count) {
    *count = state->consents.count;
    return state->consents.at;
}

struct request *const *state_requests(const struct state *state, size_t *count) {
    *count = state->requests.count;
    return state->requests.at;
}

struct address *const *state_addresses(const struct state *state, size_t *count) {
    *count = state->addresses.count;
    return state->addresses.at;
}

/* ---- what follows from a person's cuts ---- */

/* An instant equal to a cut is before it. */
int64_t state_generation_at(const struct state *state, struct text person, int64_t time_us) {
    const struct person *guard = state_find_guard(state, person);
    int64_t generation = GENERATION_FIRST;
    for (size_t i = 0; guard && i < guard->facts.cuts.count; i++) {
        const struct cut *cut = &guard->facts.cuts.at[i];
        if (cut->valid && cut->cut_us < time_us)
            generation = cut->cut_us;
    }
    return generation;
}

int64_t state_newest_generation(const struct state *state, struct text person) {
    return state_generation_at(state, person, INT64_MAX);
}

const struct cut *state_cut_of(const struct state *state, struct text person, int64_t generation) {
    const struct person *guard = state_find_guard(state, person);
    for (size_t i = 0; guard && i < guard->facts.cuts.count; i++) {
        const struct cut *cut = &guard->facts.cuts.at[i];
        if (cut->valid && cut->cut_us > generation)
            return cut;
    }
    return NULL;
}

const struct cut *state_delivery_cut(const struct state *state, struct text person, int64_t time_us) {
    const struct person *guard = state_find_guard(state, person);
    for (size_t i = 0; guard && i < guard->facts.cuts.count; i++) {
        const struct cut *cut = &guard->facts.cuts.at[i];
        if (cut->valid && cut->cause == CUT_REQUEST && cut->cut_us >= time_us)
            return cut;
    }
    return NULL;
}

/* The generation is the window between its cuts: (generation, cut]. */
static bool in_generation(const struct state *state, struct text person, int64_t generation,
                          int64_t time_us) {
    const struct cut *cut = state_cut_of(state, person, generation);
    return time_us > generation && (!cut || time_us <= cut->cut_us);
}

const struct registered_fact *person_registered(const struct state *state, struct text person,
                                                int64_t generation) {
    const struct person *guard = state_find_guard(state, person);
    for (size_t i = guard ? guard->facts.registered.count : 0; i > 0; i--) {
        const struct registered_fact *registered = &guard->facts.registered.at[i - 1];
        if (in_generation(state, person, generation, registered->version.time_us))
            return registered;
    }
    return NULL;
}

int64_t person_registered_us(const struct state *state, struct text person, int64_t generation) {
    const struct person *guard = state_find_guard(state, person);
    for (size_t i = 0; guard && i < guard->facts.registered.count; i++) {
        const struct registered_fact *registered = &guard->facts.registered.at[i];
        if (in_generation(state, person, generation, registered->version.time_us))
            return registered->version.time_us;
    }
    return TIME_NONE;
}

bool person_is_recipient(struct text person) {
    static const char prefix[] = "recipient:";
    return person.size >= sizeof(prefix) - 1 && memcmp(person.at, prefix, sizeof(prefix) - 1) == 0;
}

int64_t person_last_activity(const struct person *person) {
    int64_t last_us = person->order_activity_us;
    if (person_visible(person) && person->profile_activity_us > last_us)
        last_us = person->profile_activity_us;
    return last_us;
}

/* What is known of one parcel of the current carrier: its own statuses and those said of all parcels. NULL:
 * none. */
static const struct parcel_status *parcel_state(const struct shipment *shipment, int64_t parcel) {
    const struct parcel_status *best = NULL;
    for (size_t i = 0; i < shipment->statuses.count; i++) {
        const struct parcel_status *status = &shipment->statuses.at[i];
        if ((status->parcel != 0 && status->parcel != parcel) ||
            !text_equal(status->carrier, shipment->carrier))
            continue;
        if (!best || status->status > best->status ||
            (status->status == best->status && status->time_us < best->time_us))
            best = status;
    }
    return best;
}

int64_t shipment_closed_us(const struct shipment *shipment) {
    int64_t latest_us = TIME_NONE;
    if (shipment->cancelled_us != TIME_NONE)
        return shipment->cancelled_us;
    if (shipment->version.time_us == VERSION_NONE)
        return TIME_NONE;
    for (int64_t parcel = 1; parcel <= shipment->parcels; parcel++) {
        const struct parcel_status *status = parcel_state(shipment, parcel);
        if (!status || status->status < STATUS_CLOSES)
            return TIME_NONE;
        if (status->time_us > latest_us)
            latest_us = status->time_us;
    }
    return latest_us;
}

bool shipment_closed(const struct shipment *shipment) {
    return shipment_closed_us(shipment) != TIME_NONE;
}

int64_t shipment_delivered_us(const struct shipment *shipment) {
    int64_t latest_us = TIME_NONE;
    if (shipment->version.time_us == VERSION_NONE)
        return TIME_NONE;
    for (int64_t parcel = 1; parcel <= shipment->parcels; parcel++) {
        const struct parcel_status *status = parcel_state(shipment, parcel);
        if (!status || status->status != STATUS_DELIVERED)
            return TIME_NONE;
        if (status->time_us > latest_us)
            latest_us = status->time_us;
    }
    return latest_us;
}
