/* The packed form of a parked event: a carrier's two types, and consents by token. */
#include "core/decide/pack.h"
#include "core/decide/packer.h"

static void pack_said(struct packer *packer, const struct event *event) {
    packer_text(packer, event->as.consent.token);
    packer_text(packer, event->as.consent.purpose);
    packer_text(packer, event->as.consent.channel);
    packer_text(packer, event->as.consent.basis);
    packer_text(packer, event->as.consent.order_id);
    packer_text(packer, event->as.consent.method);
    packer_unsigned(packer,
                    (unsigned)event->as.consent.has_confirmed | (unsigned)event->as.consent.confirmed << 1);
    packer_text(packer, event->as.consent.wording.id);
    packer_text(packer, event->as.consent.wording.sha256);
    packer_text(packer, event->as.consent.wording.language);
}

static void unpack_said(struct unpacker *unpacker, struct event *event) {
    event->as.consent.token = unpacker_text(unpacker);
    event->as.consent.purpose = unpacker_text(unpacker);
    event->as.consent.channel = unpacker_text(unpacker);
    event->as.consent.basis = unpacker_text(unpacker);
    event->as.consent.order_id = unpacker_text(unpacker);
    event->as.consent.method = unpacker_text(unpacker);
    uint64_t flags = unpacker_bounded(unpacker, 3);
    event->as.consent.has_confirmed = flags & 1;
    event->as.consent.confirmed = flags >> 1;
    event->as.consent.wording.id = unpacker_text(unpacker);
    event->as.consent.wording.sha256 = unpacker_text(unpacker);
    event->as.consent.wording.language = unpacker_text(unpacker);
}

struct text pack_event(const struct event *event, struct arena *arena) {
    struct packer packer;
    packer_begin(&packer, arena, PACK_EVENT);
    packer_unsigned(&packer, event->type);
    packer_version(&packer, &event->version);
    packer_text(&packer, event->topic);
    packer_int(&packer, event->partition);
    packer_int(&packer, event->offset);
    packer_int(&packer, event->timestamp_ms);
    packer_text(&packer, event->sender);
    packer_text(&packer, event->customer_id);
    if (event->type == DELIVERY_STATUS) {
        packer_text(&packer, event->as.delivery.shipment_ref);
        packer_int(&packer, event->as.delivery.parcel);
        packer_unsigned(&packer, event->as.delivery.status);
    } else if (event->type == NOTICE_ACKNOWLEDGED) {
        packer_text(&packer, event->as.ack.notice_ref);
        packer_unsigned(&packer, event->as.ack.outcome);
        packer_text(&packer, event->as.ack.ground);
        packer_text(&packer, event->as.ack.until);
    } else {
        pack_said(&packer, event);
    }
    return packer_end(&packer);
}

enum outcome unpack_event(struct text packed, struct arena *arena, struct event *event, struct err *err) {
    struct unpacker unpacker;
    *event = (struct event){0};
    unpacker_begin(&unpacker, arena, packed, PACK_EVENT);
    event->type = (enum event_type)unpacker_bounded(&unpacker, EVENT_INPUT_TYPES - 1);
    event->version = unpacker_version(&unpacker);
    event->topic = unpacker_text(&unpacker);
    event->partition = unpacker_int32(&unpacker);
    event->offset = unpacker_int(&unpacker);
    event->timestamp_ms = unpacker_int(&unpacker);
    event->sender = unpacker_text(&unpacker);
    event->customer_id = unpacker_text(&unpacker);
    switch (event->type) {
    case DELIVERY_STATUS:
        event->as.delivery.shipment_ref = unpacker_text(&unpacker);
        event->as.delivery.parcel = unpacker_int(&unpacker);
        event->as.delivery.status = (enum delivery_status)unpacker_bounded(&unpacker, DELIVERY_STATUSES - 1);
        break;
    case NOTICE_ACKNOWLEDGED:
        event->as.ack.notice_ref = unpacker_text(&unpacker);
        event->as.ack.outcome = (enum ack_outcome)unpacker_bounded(&unpacker, ACK_OUTCOMES - 1);
        event->as.ack.ground = unpacker_text(&unpacker);
        event->as.ack.until = unpacker_text(&unpacker);
        break;
    case CONSENT_GRANTED:
    case CONSENT_WITHDRAWN:
    case CONSENT_OBJECTED:
        unpack_said(&unpacker, event);
        break;
    default:
        unpacker.damaged = true;
    }
    return unpacker_end(&unpacker, err);
}
