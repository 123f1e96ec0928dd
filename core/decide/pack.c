/* The packed forms of what decides between facts, but for persons (pack_person.c). */
#include "core/decide/pack.h"
#include "core/decide/packer.h"

/* ---- order ---- */

static void pack_order_shipment(struct packer *packer, const struct order_shipment *shipment) {
    packer_text(packer, shipment->shipment_id);
    packer_unsigned(packer, (unsigned)shipment->outbound | (unsigned)shipment->cancelled << 1);
    packer_int(packer, shipment->delivered_us);
    packer_text(packer, shipment->country);
    packer_version(packer, &shipment->first_version);
}

struct text pack_order(const struct order *order, struct arena *arena) {
    struct packer packer;
    packer_begin(&packer, arena, PACK_ORDER);
    packer_version(&packer, &order->version);
    packer_int(&packer, order->first_version_us);
    packer_int(&packer, order->first_fact_us);
    packer_int(&packer, order->recorded_us);
    packer_int(&packer, order->placed_us);
    packer_unsigned(&packer, order->placed_again.count);
    for (size_t i = 0; i < order->placed_again.count; i++)
        packer_int(&packer, order->placed_again.at[i]);
    packer_unsigned(&packer, order->guest);
    packer_int(&packer, order->cancelled_us);
    packer_unsigned(&packer, order->payments.count);
    for (size_t i = 0; i < order->payments.count; i++)
        packer_version(&packer, &order->payments.at[i].version);
    packer_unsigned(&packer, order->shipments.count);
    for (size_t i = 0; i < order->shipments.count; i++)
        pack_order_shipment(&packer, &order->shipments.at[i]);
    packer_unsigned(&packer, order->product_classes.count);
    for (size_t i = 0; i < order->product_classes.count; i++)
        packer_text(&packer, order->product_classes.at[i]);
    packer_int(&packer, order->last_delivered_us);
    packer_int(&packer, order->generation);
    return packer_end(&packer);
}

static void unpack_order_shipment(struct unpacker *unpacker, struct order_shipment *shipment) {
    shipment->shipment_id = unpacker_text(unpacker);
    uint64_t flags = unpacker_bounded(unpacker, 3);
    shipment->outbound = flags & 1;
    shipment->cancelled = flags >> 1;
    shipment->delivered_us = unpacker_int(unpacker);
    shipment->country = unpacker_text(unpacker);
    shipment->first_version = unpacker_version(unpacker);
}

enum outcome unpack_order(struct text packed, struct arena *arena, struct order *order, struct err *err) {
    struct unpacker unpacker;
    unpacker_begin(&unpacker, arena, packed, PACK_ORDER);
    order->version = unpacker_version(&unpacker);
    order->first_version_us = unpacker_int(&unpacker);
    order->first_fact_us = unpacker_int(&unpacker);
    order->recorded_us = unpacker_int(&unpacker);
    order->placed_us = unpacker_int(&unpacker);
    UNPACKER_LIST(&unpacker, &order->placed_again);
    for (size_t i = 0; i < order->placed_again.count; i++)
        order->placed_again.at[i] = unpacker_int(&unpacker);
    order->guest = unpacker_flag(&unpacker);
    order->cancelled_us = unpacker_int(&unpacker);
    UNPACKER_LIST(&unpacker, &order->payments);
    for (size_t i = 0; i < order->payments.count; i++)
        order->payments.at[i].version = unpacker_version(&unpacker);
    UNPACKER_LIST(&unpacker, &order->shipments);
    for (size_t i = 0; i < order->shipments.count; i++)
        unpack_order_shipment(&unpacker, &order->shipments.at[i]);
    UNPACKER_LIST(&unpacker, &order->product_classes);
    for (size_t i = 0; i < order->product_classes.count; i++)
        order->product_classes.at[i] = unpacker_text(&unpacker);
    order->last_delivered_us = unpacker_int(&unpacker);
    order->generation = unpacker_int(&unpacker);
    return unpacker_end(&unpacker, err);
}

/* ---- shipment ---- */

static void pack_status(struct packer *packer, const struct parcel_status *status) {
    packer_text(packer, status->carrier);
    packer_int(packer, status->parcel);
    packer_unsigned(packer, status->status);
    packer_int(packer, status->time_us);
}

static void pack_unit(struct packer *packer, const struct unit *unit) {
    packer_text(packer, unit->carrier);
    packer_text(packer, unit->service);
    packer_text(packer, unit->role);
    packer_text(packer, unit->person);
    packer_int(packer, unit->generation);
    packer_int(packer, unit->parcels);
    packer_unsigned(packer, unit->state);
}

struct text pack_shipment(const struct shipment *shipment, struct arena *arena) {
    struct packer packer;
    packer_begin(&packer, arena, PACK_SHIPMENT);
    packer_version(&packer, &shipment->version);
    packer_version(&packer, &shipment->first_version);
    packer_int(&packer, shipment->recorded_us);
    packer_text(&packer, shipment->order_id);
    packer_text(&packer, shipment->person);
    packer_int(&packer, shipment->generation);
    packer_unsigned(&packer, shipment->is_return);
    packer_text(&packer, shipment->country);
    packer_text(&packer, shipment->return_id);
    packer_text(&packer, shipment->carrier);
    packer_text(&packer, shipment->service);
    packer_int(&packer, shipment->parcels);
    packer_int(&packer, shipment->cancelled_us);
    packer_unsigned(&packer, shipment->erasure);
    packer_unsigned(&packer, shipment->named.count);
    for (size_t i = 0; i < shipment->named.count; i++)
        packer_text(&packer, shipment->named.at[i]);
    packer_unsigned(&packer, shipment->statuses.count);
    for (size_t i = 0; i < shipment->statuses.count; i++)
        pack_status(&packer, &shipment->statuses.at[i]);
    packer_unsigned(&packer, shipment->units.count);
    for (size_t i = 0; i < shipment->units.count; i++)
        pack_unit(&packer, &shipment->units.at[i]);
    return packer_end(&packer);
}

static void unpack_status(struct unpacker *unpacker, struct parcel_status *status) {
    status->carrier = unpacker_text(unpacker);
    status->parcel = unpacker_int(unpacker);
    status->status = (enum delivery_status)unpacker_bounded(unpacker, DELIVERY_STATUSES - 1);
    status->time_us = unpacker_int(unpacker);
}

static void unpack_unit(struct unpacker *unpacker, struct unit *unit) {
    unit->carrier = unpacker_text(unpacker);
    unit->service = unpacker_text(unpacker);
    unit->role = unpacker_text(unpacker);
    unit->person = unpacker_text(unpacker);
    unit->generation = unpacker_int(unpacker);
    unit->parcels = unpacker_int(unpacker);
    unit->state = (enum unit_state)unpacker_bounded(unpacker, UNIT_ERASED);
}

enum outcome unpack_shipment(struct text packed, struct arena *arena, struct shipment *shipment,
                             struct err *err) {
    struct unpacker unpacker;
    unpacker_begin(&unpacker, arena, packed, PACK_SHIPMENT);
    shipment->version = unpacker_version(&unpacker);
    shipment->first_version = unpacker_version(&unpacker);
    shipment->recorded_us = unpacker_int(&unpacker);
    shipment->order_id = unpacker_text(&unpacker);
    shipment->person = unpacker_text(&unpacker);
    shipment->generation = unpacker_int(&unpacker);
    shipment->is_return = unpacker_flag(&unpacker);
    shipment->country = unpacker_text(&unpacker);
    shipment->return_id = unpacker_text(&unpacker);
    shipment->carrier = unpacker_text(&unpacker);
    shipment->service = unpacker_text(&unpacker);
    shipment->parcels = unpacker_int(&unpacker);
    shipment->cancelled_us = unpacker_int(&unpacker);
    shipment->erasure = (enum shipment_erasure)unpacker_bounded(&unpacker, SHIPMENT_ERASURES - 1);
    UNPACKER_LIST(&unpacker, &shipment->named);
    for (size_t i = 0; i < shipment->named.count; i++)
        shipment->named.at[i] = unpacker_text(&unpacker);
    UNPACKER_LIST(&unpacker, &shipment->statuses);
    for (size_t i = 0; i < shipment->statuses.count; i++)
        unpack_status(&unpacker, &shipment->statuses.at[i]);
    UNPACKER_LIST(&unpacker, &shipment->units);
    for (size_t i = 0; i < shipment->units.count; i++)
        unpack_unit(&unpacker, &shipment->units.at[i]);
    unpacker.damaged |= shipment->parcels < 0 || shipment->parcels > 99;
    return unpacker_end(&unpacker, err);
}

/* ---- notice ---- */

struct text pack_notice(const struct notice *notice, struct arena *arena) {
    struct packer packer;
    packer_begin(&packer, arena, PACK_NOTICE);
    packer_text(&packer, notice->recipient);
    packer_text(&packer, notice->kind);
    packer_text(&packer, notice->cause);
    packer_int(&packer, notice->generation);
    packer_text(&packer, notice->customer_id);
    packer_text(&packer, notice->shipment_id);
    packer_unsigned(&packer, notice->disclosures.count);
    for (size_t i = 0; i < notice->disclosures.count; i++)
        packer_text(&packer, notice->disclosures.at[i]);
    packer_unsigned(&packer, notice->fields);
    packer_int(&packer, notice->caused_us);
    packer_int(&packer, notice->decided_us);
    packer_int(&packer, notice->answer_by);
    packer_int(&packer, notice->reminder);
    packer_version(&packer, &notice->answer);
    packer_unsigned(&packer, notice->outcome);
    packer_int(&packer, notice->retained_until);
    return packer_end(&packer);
}

enum outcome unpack_notice(struct text packed, struct arena *arena, struct notice *notice, struct err *err) {
    struct unpacker unpacker;
    unpacker_begin(&unpacker, arena, packed, PACK_NOTICE);
    notice->recipient = unpacker_text(&unpacker);
    notice->kind = unpacker_text(&unpacker);
    notice->cause = unpacker_text(&unpacker);
    notice->generation = unpacker_int(&unpacker);
    notice->customer_id = unpacker_text(&unpacker);
    notice->shipment_id = unpacker_text(&unpacker);
    UNPACKER_LIST(&unpacker, &notice->disclosures);
    for (size_t i = 0; i < notice->disclosures.count; i++)
        notice->disclosures.at[i] = unpacker_text(&unpacker);
    notice->fields = (field_set)unpacker_bounded(&unpacker, FIELD_BIT(POLICY_FIELDS) - 1);
    notice->caused_us = unpacker_int(&unpacker);
    notice->decided_us = unpacker_int(&unpacker);
    notice->answer_by = unpacker_int32(&unpacker);
    notice->reminder = unpacker_int(&unpacker);
    notice->answer = unpacker_version(&unpacker);
    notice->outcome = (enum ack_outcome)unpacker_bounded(&unpacker, ACK_OUTCOMES - 1);
    notice->retained_until = unpacker_int32(&unpacker);
    return unpacker_end(&unpacker, err);
}

/* ---- consents ---- */

struct text pack_consent(const struct consent *consent, struct arena *arena) {
    struct packer packer;
    packer_begin(&packer, arena, PACK_CONSENT);
    packer_unsigned(&packer, consent->act);
    packer_version(&packer, &consent->version);
    packer_unsigned(&packer, (unsigned)consent->by_token | (unsigned)consent->has_confirmed << 1 |
                                 (unsigned)consent->confirmed << 2);
    packer_int(&packer, consent->generation);
    packer_text(&packer, consent->purpose);
    packer_text(&packer, consent->channel);
    packer_text(&packer, consent->basis);
    packer_text(&packer, consent->order_id);
    packer_text(&packer, consent->method);
    return packer_end(&packer);
}

enum outcome unpack_consent(struct text packed, struct arena *arena, struct consent *consent,
                            struct err *err) {
    struct unpacker unpacker;
    unpacker_begin(&unpacker, arena, packed, PACK_CONSENT);
    consent->act = (enum event_type)unpacker_bounded(&unpacker, CONSENT_OBJECTED);
    unpacker.damaged |= consent->act < CONSENT_GRANTED;
    consent->version = unpacker_version(&unpacker);
    uint64_t flags = unpacker_bounded(&unpacker, 7);
    consent->by_token = flags & 1;
    consent->has_confirmed = flags >> 1 & 1;
    consent->confirmed = flags >> 2 & 1;
    consent->generation = unpacker_int(&unpacker);
    consent->purpose = unpacker_text(&unpacker);
    consent->channel = unpacker_text(&unpacker);
    consent->basis = unpacker_text(&unpacker);
    consent->order_id = unpacker_text(&unpacker);
    consent->method = unpacker_text(&unpacker);
    return unpacker_end(&unpacker, err);
}

/* ---- requests ---- */

static void pack_received(struct packer *packer, const struct received_fact *received) {
    packer_version(packer, &received->version);
    packer_text(packer, received->person);
    packer_text(packer, received->contact_hash);
    packer_text(packer, received->channel);
    packer_unsigned(packer, received->identity);
}

struct text pack_request(const struct request *request, struct arena *arena) {
    struct packer packer;
    packer_begin(&packer, arena, PACK_REQUEST);
    packer_unsigned(&packer, request->received.count);
    for (size_t i = 0; i < request->received.count; i++)
        pack_received(&packer, &request->received.at[i]);
    packer_unsigned(&packer, request->ties.count);
    for (size_t i = 0; i < request->ties.count; i++) {
        packer_version(&packer, &request->ties.at[i].version);
        packer_text(&packer, request->ties.at[i].person);
    }
    packer_int(&packer, request->identified_us);
    packer_unsigned(&packer, request->strongest);
    packer_unsigned(&packer, request->state);
    packer_int(&packer, request->due);
    packer_int(&packer, request->until);
    return packer_end(&packer);
}

static void unpack_received(struct unpacker *unpacker, struct received_fact *received) {
    received->version = unpacker_version(unpacker);
    received->person = unpacker_text(unpacker);
    received->contact_hash = unpacker_text(unpacker);
    received->channel = unpacker_text(unpacker);
    received->identity = (enum identity)unpacker_bounded(unpacker, IDENTITIES - 1);
}

enum outcome unpack_request(struct text packed, struct arena *arena, struct request *request,
                            struct err *err) {
    struct unpacker unpacker;
    unpacker_begin(&unpacker, arena, packed, PACK_REQUEST);
    UNPACKER_LIST(&unpacker, &request->received);
    for (size_t i = 0; i < request->received.count; i++)
        unpack_received(&unpacker, &request->received.at[i]);
    UNPACKER_LIST(&unpacker, &request->ties);
    for (size_t i = 0; i < request->ties.count; i++) {
        request->ties.at[i].version = unpacker_version(&unpacker);
        request->ties.at[i].person = unpacker_text(&unpacker);
    }
    request->identified_us = unpacker_int(&unpacker);
    request->strongest = (enum identity)unpacker_bounded(&unpacker, IDENTITIES - 1);
    request->state = (enum request_state)unpacker_bounded(&unpacker, REQUEST_STATES - 1);
    request->due = unpacker_int32(&unpacker);
    request->until = unpacker_int32(&unpacker);
    return unpacker_end(&unpacker, err);
}

/* ---- address hashes ---- */

struct text pack_address(const struct address *address, struct arena *arena) {
    struct packer packer;
    packer_begin(&packer, arena, PACK_ADDRESS);
    packer_unsigned(&packer, address->entries.count);
    for (size_t i = 0; i < address->entries.count; i++) {
        const struct address_entry *entry = &address->entries.at[i];
        packer_text(&packer, entry->person);
        packer_int(&packer, entry->matched_us);
        packer_unsigned(&packer, entry->current);
        packer_int(&packer, entry->objected_first_us);
        packer_int(&packer, entry->objected_last_us);
        packer_unsigned(&packer, entry->objected_between.count);
        for (size_t t = 0; t < entry->objected_between.count; t++)
            packer_int(&packer, entry->objected_between.at[t]);
        packer_int(&packer, entry->withdrawn_us);
    }
    return packer_end(&packer);
}

enum outcome unpack_address(struct text packed, struct arena *arena, struct address *address,
                            struct err *err) {
    struct unpacker unpacker;
    unpacker_begin(&unpacker, arena, packed, PACK_ADDRESS);
    UNPACKER_LIST(&unpacker, &address->entries);
    for (size_t i = 0; i < address->entries.count; i++) {
        struct address_entry *entry = &address->entries.at[i];
        entry->person = unpacker_text(&unpacker);
        entry->matched_us = unpacker_int(&unpacker);
        entry->current = unpacker_flag(&unpacker);
        entry->objected_first_us = unpacker_int(&unpacker);
        entry->objected_last_us = unpacker_int(&unpacker);
        UNPACKER_LIST(&unpacker, &entry->objected_between);
        for (size_t t = 0; t < entry->objected_between.count; t++)
            entry->objected_between.at[t] = unpacker_int(&unpacker);
        entry->withdrawn_us = unpacker_int(&unpacker);
    }
    return unpacker_end(&unpacker, err);
}
