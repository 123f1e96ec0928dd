/* The packed form of what decides between facts: varints and length-prefixed texts behind a format byte. */
#include "core/decide/pack.h"

#define PACK_FORMAT 1
/* Versions that may be named again by number: the fields of a contact mostly share one or two. */
#define PACK_VERSIONS 24
#define STACK_BYTES 2048

enum pack_kind { PACK_PERSON = 1, PACK_ORDER, PACK_SHIPMENT, PACK_NOTICE, PACK_EVENT };

/* ---- writing ---- */

struct packer {
    struct arena *arena;
    unsigned char *at; /* `stack` until that is full */
    size_t size, room;
    bool failed;
    struct version versions[PACK_VERSIONS];
    size_t version_count;
    struct text source; /* the last one written */
    unsigned char stack[STACK_BYTES];
};

static void packer_begin(struct packer *packer, struct arena *arena, enum pack_kind kind) {
    packer->arena = arena;
    packer->at = packer->stack;
    packer->size = 2;
    packer->room = STACK_BYTES;
    packer->failed = false;
    packer->version_count = 0;
    packer->source = TEXT_ABSENT;
    packer->at[0] = PACK_FORMAT;
    packer->at[1] = (unsigned char)kind;
}

static struct text packer_end(struct packer *packer) {
    if (packer->failed)
        return TEXT_ABSENT;
    return arena_text(packer->arena, (struct text){(const char *)packer->at, packer->size});
}

static bool packer_room(struct packer *packer, size_t more) {
    if (packer->failed)
        return false;
    if (more <= packer->room - packer->size)
        return true;
    size_t room = packer->room * 2 > packer->size + more ? packer->room * 2 : packer->size + more;
    unsigned char *moved = arena_take(packer->arena, room);
    if (!moved) {
        packer->failed = true;
        return false;
    }
    memcpy(moved, packer->at, packer->size);
    packer->at = moved;
    packer->room = room;
    return true;
}

static void pack_unsigned(struct packer *packer, uint64_t value) {
    if (!packer_room(packer, 10))
        return;
    while (value > 127) {
        packer->at[packer->size++] = (unsigned char)(value | 128);
        value >>= 7;
    }
    packer->at[packer->size++] = (unsigned char)value;
}

/* Small magnitudes of either sign are short. */
static void pack_int(struct packer *packer, int64_t value) {
    pack_unsigned(packer, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

static void pack_bytes(struct packer *packer, const void *bytes, size_t size) {
    if (!size || !packer_room(packer, size))
        return;
    memcpy(packer->at + packer->size, bytes, size);
    packer->size += size;
}

/* Size + 1, so that 0 is absent. */
static void pack_text(struct packer *packer, struct text text) {
    pack_unsigned(packer, text.at ? text.size + 1 : 0);
    pack_bytes(packer, text.at, text.at ? text.size : 0);
}

static bool same_fact(const struct version *a, const struct version *b) {
    return a->time_us == b->time_us && text_equal(a->source, b->source) && text_equal(a->id, b->id) &&
           text_equal(a->sequence, b->sequence) && memcmp(a->digest, b->digest, DIGEST_BYTES) == 0;
}

/* 0: none; 1: a new one follows; n + 2: that of number n again. Bit 0 of the number says `protective`. */
static void pack_version(struct packer *packer, const struct version *version) {
    if (version->time_us == VERSION_NONE) {
        pack_unsigned(packer, 0);
        return;
    }
    size_t seen = 0;
    while (seen < packer->version_count && !same_fact(&packer->versions[seen], version))
        seen++;
    bool again = seen < packer->version_count;
    pack_unsigned(packer, (again ? seen + 2 : 1) << 1 | version->protective);
    if (again)
        return;
    pack_int(packer, version->time_us);
    bool same_source = packer->source.at && text_equal(packer->source, version->source);
    pack_text(packer, same_source ? TEXT_ABSENT : version->source);
    pack_text(packer, version->id);
    pack_text(packer, version->sequence);
    pack_bytes(packer, version->digest, DIGEST_BYTES);
    packer->source = version->source;
    if (packer->version_count < PACK_VERSIONS)
        packer->versions[packer->version_count++] = *version;
}

/* ---- reading ---- */

struct unpacker {
    struct arena *arena;
    const unsigned char *at, *end;
    bool damaged, full; /* full: the arena is */
    struct version versions[PACK_VERSIONS];
    size_t version_count;
    struct text source;
};

/* The packed text is copied once; the texts read from it point into the copy. */
static void unpacker_begin(struct unpacker *unpacker, struct arena *arena, struct text packed,
                           enum pack_kind kind) {
    struct text copy = arena_text(arena, packed);
    unpacker->arena = arena;
    unpacker->full = text_present(packed) && !text_present(copy);
    unpacker->at = (const unsigned char *)copy.at;
    unpacker->end = unpacker->at + copy.size;
    unpacker->version_count = 0;
    unpacker->source = TEXT_ABSENT;
    unpacker->damaged = copy.size < 2 || unpacker->at[0] != PACK_FORMAT || unpacker->at[1] != kind;
    if (!unpacker->damaged)
        unpacker->at += 2;
}

static enum outcome unpacker_end(const struct unpacker *unpacker, struct err *err) {
    if (unpacker->full)
        return err_set(err, RETRY, 0, "the batch's memory is full");
    if (unpacker->damaged || unpacker->at != unpacker->end)
        return err_set(err, FATAL, 0, "a packed column of the register is damaged");
    return OK;
}

static uint64_t unpack_unsigned(struct unpacker *unpacker) {
    uint64_t value = 0;
    for (unsigned shift = 0; !unpacker->damaged; shift += 7) {
        if (unpacker->at == unpacker->end || shift > 63 || (shift == 63 && *unpacker->at > 1)) {
            unpacker->damaged = true;
            return 0;
        }
        unsigned char byte = *unpacker->at++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return value;
    }
    return 0;
}

static int64_t unpack_int(struct unpacker *unpacker) {
    uint64_t value = unpack_unsigned(unpacker);
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* A whole number of at most `most`. */
static uint64_t unpack_bounded(struct unpacker *unpacker, uint64_t most) {
    uint64_t value = unpack_unsigned(unpacker);
    if (value <= most)
        return value;
    unpacker->damaged = true;
    return 0;
}

static bool unpack_flag(struct unpacker *unpacker) {
    return unpack_bounded(unpacker, 1) == 1;
}

static int32_t unpack_int32(struct unpacker *unpacker) {
    int64_t value = unpack_int(unpacker);
    if (value >= INT32_MIN && value <= INT32_MAX)
        return (int32_t)value;
    unpacker->damaged = true;
    return 0;
}

/* Items of a list: each takes a byte at least, which bounds what a damaged count could claim. */
static size_t unpack_count(struct unpacker *unpacker) {
    return (size_t)unpack_bounded(unpacker, (uint64_t)(unpacker->end - unpacker->at));
}

static struct text unpack_text(struct unpacker *unpacker) {
    uint64_t size = unpack_unsigned(unpacker);
    if (!size || unpacker->damaged)
        return TEXT_ABSENT;
    if (--size > (uint64_t)(unpacker->end - unpacker->at)) {
        unpacker->damaged = true;
        return TEXT_ABSENT;
    }
    struct text text = {(const char *)unpacker->at, (size_t)size};
    unpacker->at += size;
    return text;
}

static void unpack_digest(struct unpacker *unpacker, uint8_t *digest, size_t size) {
    if (unpacker->damaged || (size_t)(unpacker->end - unpacker->at) < size) {
        unpacker->damaged = true;
        return;
    }
    memcpy(digest, unpacker->at, size);
    unpacker->at += size;
}

static struct version unpack_version(struct unpacker *unpacker) {
    struct version version = {.time_us = VERSION_NONE};
    uint64_t tag = unpack_bounded(unpacker, (PACK_VERSIONS + 2) * 2);
    if (tag < 2) {
        unpacker->damaged |= tag == 1;
        return version;
    }
    size_t number = (size_t)(tag >> 1);
    if (number >= 2) {
        if (number - 2 >= unpacker->version_count) {
            unpacker->damaged = true;
            return version;
        }
        version = unpacker->versions[number - 2];
        version.protective = tag & 1;
        return version;
    }
    version.protective = tag & 1;
    version.time_us = unpack_int(unpacker);
    version.source = unpack_text(unpacker);
    if (!version.source.at)
        version.source = unpacker->source;
    version.id = unpack_text(unpacker);
    version.sequence = unpack_text(unpacker);
    unpack_digest(unpacker, version.digest, DIGEST_BYTES);
    unpacker->source = version.source;
    unpacker->damaged |= version.time_us < 0;
    if (unpacker->version_count < PACK_VERSIONS)
        unpacker->versions[unpacker->version_count++] = version;
    return version;
}

/* A list with exactly `count` zeroed items. */
#define UNPACK_LIST(unpacker, list)                                                                          \
    do {                                                                                                     \
        (list)->count = (list)->room = unpack_count(unpacker);                                               \
        (list)->at =                                                                                         \
            (list)->count ? arena_array((unpacker)->arena, sizeof(*(list)->at), (list)->count) : NULL;       \
        if ((list)->count && !(list)->at) {                                                                  \
            (list)->count = (list)->room = 0;                                                                \
            (unpacker)->full = true;                                                                         \
        }                                                                                                    \
    } while (0)

/* ---- person ---- */

struct text pack_person(const struct person *person, struct arena *arena) {
    struct packer packer;
    packer_begin(&packer, arena, PACK_PERSON);
    pack_unsigned(&packer, person->opened);
    pack_version(&packer, &person->registered);
    pack_text(&packer, person->kind);
    pack_text(&packer, person->notice.id);
    pack_text(&packer, person->notice.sha256);
    pack_text(&packer, person->notice.language);
    pack_unsigned(&packer, person->registered_times.count);
    for (size_t i = 0; i < person->registered_times.count; i++)
        pack_int(&packer, person->registered_times.at[i]);
    pack_int(&packer, person->closed_us);
    pack_int(&packer, person->profile_activity_us);
    pack_int(&packer, person->order_activity_us);
    pack_int(&packer, person->recorded_us);
    for (size_t f = 0; f < CONTACT_FIELDS; f++)
        pack_version(&packer, &person->field[f]);
    return packer_end(&packer);
}

enum outcome unpack_person(struct text packed, struct arena *arena, struct person *person, struct err *err) {
    struct unpacker unpacker;
    unpacker_begin(&unpacker, arena, packed, PACK_PERSON);
    person->opened = unpack_flag(&unpacker);
    person->registered = unpack_version(&unpacker);
    person->kind = unpack_text(&unpacker);
    person->notice.id = unpack_text(&unpacker);
    person->notice.sha256 = unpack_text(&unpacker);
    person->notice.language = unpack_text(&unpacker);
    UNPACK_LIST(&unpacker, &person->registered_times);
    for (size_t i = 0; i < person->registered_times.count; i++)
        person->registered_times.at[i] = unpack_int(&unpacker);
    person->closed_us = unpack_int(&unpacker);
    person->profile_activity_us = unpack_int(&unpacker);
    person->order_activity_us = unpack_int(&unpacker);
    person->recorded_us = unpack_int(&unpacker);
    for (size_t f = 0; f < CONTACT_FIELDS; f++)
        person->field[f] = unpack_version(&unpacker);
    return unpacker_end(&unpacker, err);
}

/* ---- order ---- */

static void pack_order_shipment(struct packer *packer, const struct order_shipment *shipment) {
    pack_text(packer, shipment->shipment_id);
    pack_unsigned(packer, (unsigned)shipment->outbound | (unsigned)shipment->cancelled << 1);
    pack_int(packer, shipment->delivered_us);
    pack_text(packer, shipment->country);
    pack_version(packer, &shipment->first_version);
}

struct text pack_order(const struct order *order, struct arena *arena) {
    struct packer packer;
    packer_begin(&packer, arena, PACK_ORDER);
    pack_version(&packer, &order->version);
    pack_int(&packer, order->first_version_us);
    pack_int(&packer, order->first_fact_us);
    pack_int(&packer, order->recorded_us);
    pack_int(&packer, order->placed_us);
    pack_unsigned(&packer, order->guest);
    pack_int(&packer, order->cancelled_us);
    pack_unsigned(&packer, order->payments.count);
    for (size_t i = 0; i < order->payments.count; i++)
        pack_version(&packer, &order->payments.at[i].version);
    pack_unsigned(&packer, order->shipments.count);
    for (size_t i = 0; i < order->shipments.count; i++)
        pack_order_shipment(&packer, &order->shipments.at[i]);
    pack_unsigned(&packer, order->product_classes.count);
    for (size_t i = 0; i < order->product_classes.count; i++)
        pack_text(&packer, order->product_classes.at[i]);
    pack_int(&packer, order->last_delivered_us);
    pack_int(&packer, order->generation);
    return packer_end(&packer);
}

static void unpack_order_shipment(struct unpacker *unpacker, struct order_shipment *shipment) {
    shipment->shipment_id = unpack_text(unpacker);
    uint64_t flags = unpack_bounded(unpacker, 3);
    shipment->outbound = flags & 1;
    shipment->cancelled = flags >> 1;
    shipment->delivered_us = unpack_int(unpacker);
    shipment->country = unpack_text(unpacker);
    shipment->first_version = unpack_version(unpacker);
}

enum outcome unpack_order(struct text packed, struct arena *arena, struct order *order, struct err *err) {
    struct unpacker unpacker;
    unpacker_begin(&unpacker, arena, packed, PACK_ORDER);
    order->version = unpack_version(&unpacker);
    order->first_version_us = unpack_int(&unpacker);
    order->first_fact_us = unpack_int(&unpacker);
    order->recorded_us = unpack_int(&unpacker);
    order->placed_us = unpack_int(&unpacker);
    order->guest = unpack_flag(&unpacker);
    order->cancelled_us = unpack_int(&unpacker);
    UNPACK_LIST(&unpacker, &order->payments);
    for (size_t i = 0; i < order->payments.count; i++)
        order->payments.at[i].version = unpack_version(&unpacker);
    UNPACK_LIST(&unpacker, &order->shipments);
    for (size_t i = 0; i < order->shipments.count; i++)
        unpack_order_shipment(&unpacker, &order->shipments.at[i]);
    UNPACK_LIST(&unpacker, &order->product_classes);
    for (size_t i = 0; i < order->product_classes.count; i++)
        order->product_classes.at[i] = unpack_text(&unpacker);
    order->last_delivered_us = unpack_int(&unpacker);
    order->generation = unpack_int(&unpacker);
    return unpacker_end(&unpacker, err);
}

/* ---- shipment ---- */

static void pack_status(struct packer *packer, const struct parcel_status *status) {
    pack_text(packer, status->carrier);
    pack_int(packer, status->parcel);
    pack_unsigned(packer, status->status);
    pack_int(packer, status->time_us);
}

static void pack_unit(struct packer *packer, const struct unit *unit) {
    pack_text(packer, unit->carrier);
    pack_text(packer, unit->service);
    pack_text(packer, unit->role);
    pack_text(packer, unit->person);
    pack_int(packer, unit->generation);
    pack_int(packer, unit->parcels);
    pack_unsigned(packer, unit->state);
}

struct text pack_shipment(const struct shipment *shipment, struct arena *arena) {
    struct packer packer;
    packer_begin(&packer, arena, PACK_SHIPMENT);
    pack_version(&packer, &shipment->version);
    pack_version(&packer, &shipment->first_version);
    pack_int(&packer, shipment->recorded_us);
    pack_text(&packer, shipment->order_id);
    pack_text(&packer, shipment->person);
    pack_int(&packer, shipment->generation);
    pack_unsigned(&packer, shipment->is_return);
    pack_text(&packer, shipment->country);
    pack_text(&packer, shipment->return_id);
    pack_text(&packer, shipment->carrier);
    pack_text(&packer, shipment->service);
    pack_int(&packer, shipment->parcels);
    pack_int(&packer, shipment->cancelled_us);
    pack_unsigned(&packer, shipment->statuses.count);
    for (size_t i = 0; i < shipment->statuses.count; i++)
        pack_status(&packer, &shipment->statuses.at[i]);
    pack_unsigned(&packer, shipment->units.count);
    for (size_t i = 0; i < shipment->units.count; i++)
        pack_unit(&packer, &shipment->units.at[i]);
    return packer_end(&packer);
}

static void unpack_status(struct unpacker *unpacker, struct parcel_status *status) {
    status->carrier = unpack_text(unpacker);
    status->parcel = unpack_int(unpacker);
    status->status = (enum delivery_status)unpack_bounded(unpacker, DELIVERY_STATUSES - 1);
    status->time_us = unpack_int(unpacker);
}

static void unpack_unit(struct unpacker *unpacker, struct unit *unit) {
    unit->carrier = unpack_text(unpacker);
    unit->service = unpack_text(unpacker);
    unit->role = unpack_text(unpacker);
    unit->person = unpack_text(unpacker);
    unit->generation = unpack_int(unpacker);
    unit->parcels = unpack_int(unpacker);
    unit->state = (enum unit_state)unpack_bounded(unpacker, UNIT_ANONYMIZED);
}

enum outcome unpack_shipment(struct text packed, struct arena *arena, struct shipment *shipment,
                             struct err *err) {
    struct unpacker unpacker;
    unpacker_begin(&unpacker, arena, packed, PACK_SHIPMENT);
    shipment->version = unpack_version(&unpacker);
    shipment->first_version = unpack_version(&unpacker);
    shipment->recorded_us = unpack_int(&unpacker);
    shipment->order_id = unpack_text(&unpacker);
    shipment->person = unpack_text(&unpacker);
    shipment->generation = unpack_int(&unpacker);
    shipment->is_return = unpack_flag(&unpacker);
    shipment->country = unpack_text(&unpacker);
    shipment->return_id = unpack_text(&unpacker);
    shipment->carrier = unpack_text(&unpacker);
    shipment->service = unpack_text(&unpacker);
    shipment->parcels = unpack_int(&unpacker);
    shipment->cancelled_us = unpack_int(&unpacker);
    UNPACK_LIST(&unpacker, &shipment->statuses);
    for (size_t i = 0; i < shipment->statuses.count; i++)
        unpack_status(&unpacker, &shipment->statuses.at[i]);
    UNPACK_LIST(&unpacker, &shipment->units);
    for (size_t i = 0; i < shipment->units.count; i++)
        unpack_unit(&unpacker, &shipment->units.at[i]);
    unpacker.damaged |= shipment->parcels < 0 || shipment->parcels > 99;
    return unpacker_end(&unpacker, err);
}

/* ---- notice ---- */

struct text pack_notice(const struct notice *notice, struct arena *arena) {
    struct packer packer;
    packer_begin(&packer, arena, PACK_NOTICE);
    pack_text(&packer, notice->recipient);
    pack_text(&packer, notice->kind);
    pack_text(&packer, notice->cause);
    pack_int(&packer, notice->generation);
    pack_text(&packer, notice->customer_id);
    pack_text(&packer, notice->shipment_id);
    pack_unsigned(&packer, notice->disclosures.count);
    for (size_t i = 0; i < notice->disclosures.count; i++)
        pack_text(&packer, notice->disclosures.at[i]);
    pack_unsigned(&packer, notice->fields);
    pack_int(&packer, notice->caused_us);
    pack_int(&packer, notice->decided_us);
    pack_int(&packer, notice->answer_by);
    pack_int(&packer, notice->reminder);
    pack_version(&packer, &notice->answer);
    pack_unsigned(&packer, notice->outcome);
    pack_int(&packer, notice->retained_until);
    return packer_end(&packer);
}

enum outcome unpack_notice(struct text packed, struct arena *arena, struct notice *notice, struct err *err) {
    struct unpacker unpacker;
    unpacker_begin(&unpacker, arena, packed, PACK_NOTICE);
    notice->recipient = unpack_text(&unpacker);
    notice->kind = unpack_text(&unpacker);
    notice->cause = unpack_text(&unpacker);
    notice->generation = unpack_int(&unpacker);
    notice->customer_id = unpack_text(&unpacker);
    notice->shipment_id = unpack_text(&unpacker);
    UNPACK_LIST(&unpacker, &notice->disclosures);
    for (size_t i = 0; i < notice->disclosures.count; i++)
        notice->disclosures.at[i] = unpack_text(&unpacker);
    notice->fields = (field_set)unpack_bounded(&unpacker, FIELD_BIT(POLICY_FIELDS) - 1);
    notice->caused_us = unpack_int(&unpacker);
    notice->decided_us = unpack_int(&unpacker);
    notice->answer_by = unpack_int32(&unpacker);
    notice->reminder = unpack_int(&unpacker);
    notice->answer = unpack_version(&unpacker);
    notice->outcome = (enum ack_outcome)unpack_bounded(&unpacker, ACK_OUTCOMES - 1);
    notice->retained_until = unpack_int32(&unpacker);
    return unpacker_end(&unpacker, err);
}

/* ---- a parked event ---- */

struct text pack_event(const struct event *event, struct arena *arena) {
    struct packer packer;
    packer_begin(&packer, arena, PACK_EVENT);
    pack_unsigned(&packer, event->type);
    pack_version(&packer, &event->version);
    pack_text(&packer, event->topic);
    pack_int(&packer, event->partition);
    pack_int(&packer, event->offset);
    pack_int(&packer, event->timestamp_ms);
    pack_text(&packer, event->sender);
    if (event->type == DELIVERY_STATUS) {
        pack_text(&packer, event->as.delivery.shipment_ref);
        pack_int(&packer, event->as.delivery.parcel);
        pack_unsigned(&packer, event->as.delivery.status);
    } else {
        pack_text(&packer, event->as.ack.notice_ref);
        pack_unsigned(&packer, event->as.ack.outcome);
        pack_text(&packer, event->as.ack.ground);
        pack_text(&packer, event->as.ack.until);
    }
    return packer_end(&packer);
}

enum outcome unpack_event(struct text packed, struct arena *arena, struct event *event, struct err *err) {
    struct unpacker unpacker;
    *event = (struct event){0};
    unpacker_begin(&unpacker, arena, packed, PACK_EVENT);
    event->type = (enum event_type)unpack_bounded(&unpacker, EVENT_INPUT_TYPES - 1);
    unpacker.damaged |= event->type != DELIVERY_STATUS && event->type != NOTICE_ACKNOWLEDGED;
    event->version = unpack_version(&unpacker);
    event->topic = unpack_text(&unpacker);
    event->partition = unpack_int32(&unpacker);
    event->offset = unpack_int(&unpacker);
    event->timestamp_ms = unpack_int(&unpacker);
    event->sender = unpack_text(&unpacker);
    if (event->type == DELIVERY_STATUS) {
        event->as.delivery.shipment_ref = unpack_text(&unpacker);
        event->as.delivery.parcel = unpack_int(&unpacker);
        event->as.delivery.status = (enum delivery_status)unpack_bounded(&unpacker, DELIVERY_STATUSES - 1);
    } else {
        event->as.ack.notice_ref = unpack_text(&unpacker);
        event->as.ack.outcome = (enum ack_outcome)unpack_bounded(&unpacker, ACK_OUTCOMES - 1);
        event->as.ack.ground = unpack_text(&unpacker);
        event->as.ack.until = unpack_text(&unpacker);
    }
    return unpacker_end(&unpacker, err);
}
