/* What shipments' events and carriers' statuses do: the delivery data of a consignee, and where its parcels
 * are. */
#include "core/decide/cell_content.h"
#include "core/decide/effect.h"
#include "core/decide/erasure.h"

const char *shipment_role(bool is_return) {
    return is_return ? "consignor" : "consignee";
}

struct text shipment_consignee(const struct event *event, struct arena *arena) {
    static const char prefix[] = "recipient:";
    struct text recipient_id = event->as.shipment.recipient_id;
    if (!text_present(recipient_id))
        return event->customer_id;
    size_t prefix_size = sizeof(prefix) - 1;
    char *chars = arena_take(arena, prefix_size + recipient_id.size);
    if (!chars)
        return TEXT_ABSENT;
    memcpy(chars, prefix, prefix_size);
    memcpy(chars + prefix_size, recipient_id.at, recipient_id.size);
    return (struct text){chars, prefix_size + recipient_id.size};
}

enum outcome shipment_touch(struct decision *decision, struct shipment *shipment) {
    shipment->touched = true;
    TRY(person_touch(decision, shipment->customer_id, GENERATION_FIRST));
    return person_touch(decision, shipment->person, shipment->generation);
}

enum outcome shipment_keep_until(struct decision *decision, struct shipment *shipment,
                                 const struct order *order) {
    if (shipment->version.time_us == VERSION_NONE || shipment->erasure == SHIPMENT_ERASED)
        return OK;
    struct clocks clocks = clocks_none();
    clocks.at_us[CLOCK_LAST_DELIVERED] =
        shipment->is_return ? shipment_delivered_us(shipment) : order->last_delivered_us;
    clocks.at_us[CLOCK_RECORDED] = shipment->recorded_us;
    if (!cell_keep_until(&shipment->delivery,
                         policy_until(decision->policy, CATEGORY_DELIVERY, &clocks, NULL, 0)))
        return OK;
    return shipment_touch(decision, shipment);
}

/* ---- requested, changed ---- */

/* The highest version wins whole. */
static enum outcome shipment_take(struct decision *decision, struct shipment *shipment,
                                  const struct event *event, struct text person) {
    const struct policy_category *delivery = &decision->policy->categories[CATEGORY_DELIVERY];
    struct text country = event->as.shipment.consignee.field[COUNTRY];
    shipment->version = event->version;
    shipment->order_id = event->as.shipment.order_id;
    shipment->person = person;
    shipment->is_return = event->as.shipment.is_return;
    shipment->country = text_present(country) ? country : decision->policy->controller.country;
    shipment->return_id = event->as.shipment.return_id;
    shipment->carrier = event->as.shipment.carrier;
    shipment->service = event->as.shipment.service;
    shipment->parcels = event->as.shipment.parcels;
    if (!delivery->present)
        return OK;
    json_writer_reset(decision->writer);
    contact_write(decision->writer, &event->as.shipment.consignee, event->as.shipment.pickup_point,
                  delivery->fields);
    struct text content = json_writer_take(decision->writer, decision->arena);
    if (!text_present(content))
        return RETRY;
    cell_write(&shipment->delivery, content);
    return OK;
}

/* Enters the shipment among those of the recipient, since its earliest version. */
static enum outcome enter_shipped(struct decision *decision, struct person *guard,
                                  const struct shipment *shipment) {
    struct person_facts *facts = &guard->facts;
    size_t at = 0;
    int order = 1;
    for (; at < facts->shipped.count; at++) {
        order = text_compare(facts->shipped.at[at].customer_id, shipment->customer_id);
        order = order ? order : text_compare(facts->shipped.at[at].shipment_id, shipment->shipment_id);
        if (order >= 0)
            break;
    }
    if (at == facts->shipped.count || order) {
        if (!ARENA_PUSH(decision->arena, &facts->shipped))
            return RETRY;
        memmove(facts->shipped.at + at + 1, facts->shipped.at + at,
                (facts->shipped.count - 1 - at) * sizeof(*facts->shipped.at));
    }
    facts->shipped.at[at] = (struct shipped){.customer_id = shipment->customer_id,
                                             .shipment_id = shipment->shipment_id,
                                             .first_us = shipment->first_version.time_us};
    facts->opened_us = TIME_NONE;
    for (size_t i = 0; i < facts->shipped.count; i++)
        (void)latest(&facts->opened_us, facts->shipped.at[i].first_us);
    guard->touched = true;
    return OK;
}

/* A recipient is opened in the generation of each shipment that was ever meant for him: when the shipment
 * turns out to be older than was known, perhaps in another one. */
static enum outcome recipients_follow(struct decision *decision, const struct shipment *shipment) {
    for (size_t i = 0; i < shipment->named.count; i++) {
        struct text id = shipment->named.at[i];
        struct person *guard = state_find_guard(decision->state, id);
        assert(guard); /* decide_needs asks for it */
        TRY(enter_shipped(decision, guard, shipment));
        int64_t newest = state_newest_generation(decision->state, id);
        struct person *row = state_find_person(decision->state, id, newest);
        bool opened = guard->facts.opened_us > newest;
        if (!row || row->opened == opened || !(opened || row->revision || row->touched))
            continue;
        row->opened = opened;
        TRY(person_touch(decision, id, newest));
    }
    return OK;
}

/* Whom a requested or changed meant it for. *changed: he was not named before. */
static enum outcome name_consignee(struct decision *decision, struct shipment *shipment,
                                   const struct event *event, struct text id, bool *changed) {
    struct person *person;
    TRY(person_named(decision, id, event->version.time_us, &person));
    *changed = false;
    if (!text_present(event->as.shipment.recipient_id))
        return OK;
    size_t at = 0;
    while (at < shipment->named.count && text_compare(shipment->named.at[at], id) < 0)
        at++;
    if (at < shipment->named.count && text_equal(shipment->named.at[at], id))
        return OK;
    if (!ARENA_PUSH(decision->arena, &shipment->named))
        return RETRY;
    memmove(shipment->named.at + at + 1, shipment->named.at + at,
            (shipment->named.count - 1 - at) * sizeof(*shipment->named.at));
    shipment->named.at[at] = id;
    *changed = true;
    return OK;
}

/* The order that the shipment belongs to now, and the one that it has left, follow. */
static enum outcome orders_follow(struct decision *decision, struct shipment *shipment,
                                  struct text left_order_id) {
    struct order *order;
    if (text_present(left_order_id) && !text_equal(left_order_id, shipment->order_id)) {
        order = state_order(decision->state, shipment->customer_id, left_order_id);
        if (!order)
            return RETRY;
        TRY(order_drop_shipment(decision, order, shipment->shipment_id));
    }
    order = state_order(decision->state, shipment->customer_id, shipment->order_id);
    if (!order)
        return RETRY;
    TRY(order_take_shipment(decision, order, shipment));
    return shipment_keep_until(decision, shipment, order);
}

/* Any fact that names the carrier makes its ref for the shipment known, also one that does not win and
 * discloses nothing: had it come first, the carrier would have been told and could have answered, and its
 * answers must count the same in every order of arrival. */
static enum outcome carrier_known(struct decision *decision, const struct shipment *shipment,
                                  struct text carrier) {
    if (carrier_told(shipment, carrier))
        return OK;
    struct ref ref = ref_shipment(decision->ref_key, carrier, shipment->customer_id, shipment->shipment_id);
    return ref_known(decision, &ref, REF_SHIPMENT, carrier, shipment->customer_id, shipment->shipment_id);
}

/* What a fact of a shipment found before it. */
struct before {
    struct text person, order_id, told; /* order_id: absent when only a cancel was known */
    int64_t generation;
    enum shipment_erasure erasure;
};
static struct before before_of(const struct shipment *shipment) {
    bool known = shipment->version.time_us != VERSION_NONE;
    return (struct before){.person = shipment->person,
                           .order_id = known ? shipment->order_id : TEXT_ABSENT,
                           .generation = shipment->generation,
                           .erasure = shipment->erasure};
}

/* The shipment's generation, rows and orders follow from what it is now. */
static enum outcome shipment_moved(struct decision *decision, struct shipment *shipment,
                                   const struct before *before) {
    (void)shipment_regenerate(decision, shipment);
    TRY(shipment_touch(decision, shipment));
    TRY(person_touch(decision, before->person, before->generation));
    TRY(erasure_lists_shipment(decision, shipment->customer_id, shipment));
    TRY(erasure_lists_shipment(decision, shipment->person, shipment));
    TRY(erasure_shipment(decision, shipment));
    return orders_follow(decision, shipment, before->order_id);
}

/* Erased persons follow, of whom it was or is. */
static enum outcome persons_follow(struct decision *decision, const struct event *event,
                                   const struct shipment *shipment, const struct before *before) {
    if (before->erasure != SHIPMENT_KEPT && !text_equal(before->person, shipment->person)) {
        TRY(erasure_doom_rings(decision, before->person, CATEGORY_DELIVERY)); /* it waits for him no more */
        TRY(erasure_follow(decision, event, before->person));
    }
    if (before->erasure == SHIPMENT_KEPT && shipment->erasure == SHIPMENT_KEPT)
        return OK;
    return erasure_follow(decision, event, shipment->person);
}

enum outcome shipment_requested(struct decision *decision, const struct event *event,
                                const uint8_t record_hash[32], enum verdict *verdict) {
    (void)record_hash;
    struct person *customer;
    struct order *order;
    struct text consignee = shipment_consignee(event, decision->arena);
    if (!text_present(consignee))
        return RETRY;
    if (erasure_refuses(decision, consignee, event->version.time_us)) {
        *verdict = VERDICT_FORGOTTEN;
        return erasure_tell_lost(decision, event, consignee);
    }
    TRY(person_named(decision, event->customer_id, event->version.time_us, &customer));
    TRY(order_named(decision, event->customer_id, event->as.shipment.order_id, event->version.time_us,
                    &order));
    struct shipment *shipment =
        state_shipment(decision->state, event->customer_id, event->as.shipment.shipment_id);
    if (!shipment)
        return RETRY;
    struct before before = before_of(shipment);
    bool wins = version_compare(&event->version, &shipment->version) > 0;
    bool changed = earliest(&shipment->recorded_us, event->version.time_us);
    bool first = shipment->first_version.time_us == VERSION_NONE ||
                 version_compare(&event->version, &shipment->first_version) < 0;
    bool named;
    decision->second_facts += second_fact(&shipment->version, &event->version);
    before.told = wins ? disclosure_told(shipment) : TEXT_ABSENT;
    if (first)
        shipment->first_version = event->version;
    if (wins)
        TRY(shipment_take(decision, shipment, event, consignee));
    TRY(name_consignee(decision, shipment, event, consignee, &named));
    if (first || named)
        TRY(recipients_follow(decision, shipment));
    if (changed || first || wins)
        TRY(shipment_moved(decision, shipment, &before));
    else if (named)
        TRY(shipment_touch(decision, shipment));
    TRY(carrier_known(decision, shipment, event->as.shipment.carrier)); /* before its unit says so */
    if (wins || shipment->generation != before.generation)
        TRY(disclosure_settle(decision, event, shipment, before.told));
    TRY(erasure_tell_lost(decision, event, consignee));
    return changed || first || wins ? persons_follow(decision, event, shipment, &before) : OK;
}

/* ---- cancelled ---- */

/* Sticky. What is known of a shipment that only a cancel names comes from its earliest cancel. */
/* What only cancels say of it. */
static enum outcome cancel_unknown(struct decision *decision, const struct event *event,
                                   struct shipment *shipment, bool changed, int64_t before_us) {
    int64_t time_us = event->version.time_us;
    bool names_order =
        time_us == shipment->cancelled_us &&
        (before_us != time_us || text_compare(event->as.shipment.order_id, shipment->order_id) < 0);
    if (names_order) {
        shipment->order_id = event->as.shipment.order_id;
        (void)shipment_regenerate(decision, shipment);
        changed = true;
    }
    TRY(erasure_lists_shipment(decision, shipment->person, shipment));
    return changed ? shipment_touch(decision, shipment) : OK;
}

enum outcome shipment_cancelled(struct decision *decision, const struct event *event,
                                const uint8_t record_hash[32], enum verdict *verdict) {
    (void)record_hash;
    struct person *customer;
    int64_t time_us = event->version.time_us, before_us;
    struct shipment *shipment =
        state_shipment(decision->state, event->customer_id, event->as.shipment.shipment_id);
    if (!shipment)
        return RETRY;
    if (erasure_refuses(decision, shipment->person, time_us)) {
        *verdict = VERDICT_FORGOTTEN;
        return OK;
    }
    TRY(person_named(decision, event->customer_id, time_us, &customer));
    before_us = shipment->cancelled_us;
    bool changed = earliest(&shipment->recorded_us, time_us);
    changed |= earliest(&shipment->cancelled_us, time_us);
    if (shipment->version.time_us == VERSION_NONE)
        return cancel_unknown(decision, event, shipment, changed, before_us);
    if (!changed)
        return OK;
    struct before before = before_of(shipment);
    TRY(shipment_touch(decision, shipment));
    TRY(erasure_shipment(decision, shipment));
    TRY(orders_follow(decision, shipment, TEXT_ABSENT));
    if (before_us == TIME_NONE)
        TRY(disclosure_settle(decision, event, shipment, TEXT_ABSENT));
    return persons_follow(decision, event, shipment, &before);
}

/* ---- statuses ---- */

/* Enters a status where it belongs: the highest rank, then its earliest time. *changed says whether it
 * counts. */
static enum outcome enter_status(struct decision *decision, struct shipment *shipment,
                                 const struct event *event, bool *changed) {
    struct parcel_status status = {.carrier = event->sender,
                                   .parcel = event->as.delivery.parcel,
                                   .status = event->as.delivery.status,
                                   .time_us = event->version.time_us};
    size_t at = 0;
    int order = 1;
    for (; at < shipment->statuses.count; at++) {
        const struct parcel_status *held = &shipment->statuses.at[at];
        order = text_compare(held->carrier, status.carrier);
        if (!order)
            order = (held->parcel > status.parcel) - (held->parcel < status.parcel);
        if (order >= 0)
            break;
    }
    *changed = true;
    if (at < shipment->statuses.count && order == 0) {
        struct parcel_status *held = &shipment->statuses.at[at];
        *changed =
            status.status > held->status || (status.status == held->status && status.time_us < held->time_us);
        if (*changed)
            *held = status;
        return OK;
    }
    if (!ARENA_PUSH(decision->arena, &shipment->statuses))
        return RETRY;
    struct parcel_status *list = shipment->statuses.at;
    memmove(list + at + 1, list + at, (shipment->statuses.count - 1 - at) * sizeof(*list));
    list[at] = status;
    return OK;
}

enum outcome shipment_status(struct decision *decision, const struct event *event,
                             const struct ref_entry *entry, enum verdict *verdict) {
    struct shipment *shipment = state_shipment(decision->state, entry->customer_id, entry->object_id);
    if (!shipment)
        return RETRY;
    assert(shipment->version.time_us !=
           VERSION_NONE); /* a ref is known only once its shipment was disclosed */
    if (erasure_refuses(decision, shipment->person, event->version.time_us)) {
        *verdict = VERDICT_FORGOTTEN;
        return OK;
    }
    const struct before before = before_of(shipment);
    int64_t delivered_us = shipment_delivered_us(shipment);
    bool changed;
    TRY(enter_status(decision, shipment, event, &changed));
    if (!changed)
        return OK;
    TRY(shipment_touch(decision, shipment));
    TRY(erasure_shipment(decision, shipment));
    if (delivered_us != shipment_delivered_us(shipment)) /* else no clock moves */
        TRY(orders_follow(decision, shipment, TEXT_ABSENT));
    return persons_follow(decision, event, shipment, &before);
}
