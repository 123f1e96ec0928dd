/* Lines of the dump, member by member in the order that SEMANTICS.md names. */
#include "core/dump_line.h"

static void line_begin(struct dump *dump, const char *line) {
    json_writer_reset(dump->writer);
    json_object(dump->writer);
    json_key(dump->writer, "line");
    json_string(dump->writer, line);
}

static enum outcome line_end(struct dump *dump) {
    json_object_end(dump->writer);
    return text_present(json_writer_text(dump->writer)) ? OK : RETRY;
}

static void member_text(struct dump *dump, const char *key, struct text text) {
    json_key(dump->writer, key);
    json_text(dump->writer, text);
}

static void member_bool(struct dump *dump, const char *key, bool value) {
    json_key(dump->writer, key);
    json_bool(dump->writer, value);
}

static void member_int_or_null(struct dump *dump, const char *key, int64_t value, bool present) {
    json_key(dump->writer, key);
    if (present)
        json_int(dump->writer, value);
    else
        json_null(dump->writer);
}

static void member_time(struct dump *dump, const char *key, int64_t time_us) {
    char chars[28];
    json_key(dump->writer, key);
    if (time_us == TIME_NONE) {
        json_null(dump->writer);
        return;
    }
    instant_write(time_us, chars);
    json_string(dump->writer, chars);
}

/* The cut before it; none for the first. */
static void member_generation(struct dump *dump, int64_t generation) {
    member_time(dump, "generation", generation == GENERATION_FIRST ? TIME_NONE : generation);
}

static void member_date(struct dump *dump, const char *key, int32_t date) {
    char chars[11];
    json_key(dump->writer, key);
    if (date == DATE_NONE) {
        json_null(dump->writer);
        return;
    }
    date_write(date, chars);
    json_string(dump->writer, chars);
}

static enum outcome member_cell(struct dump *dump, const char *key, const struct cell *cell) {
    json_key(dump->writer, key);
    if (cell->until == DATE_NONE) {
        json_null(dump->writer);
        return OK;
    }
    char until[11];
    struct text value;
    enum outcome shown = dump->show(dump->context, cell, &value);
    if (shown != OK)
        return shown;
    date_write(cell->until, until);
    json_object(dump->writer);
    json_key(dump->writer, "until");
    json_string(dump->writer, until);
    json_key(dump->writer, "value");
    json_raw(dump->writer, value);
    json_object_end(dump->writer);
    return OK;
}

/* When each field was last stated, cleared ones included; null while nothing may be seen. */
static void member_field_times(struct dump *dump, const struct person *person) {
    json_key(dump->writer, "field_times");
    if (!person_visible(person)) {
        json_null(dump->writer);
        return;
    }
    json_object(dump->writer);
    for (size_t f = 0; f < CONTACT_FIELDS; f++) {
        if (person->field[f].time_us != VERSION_NONE)
            member_time(dump, contact_field_names[f], person->field[f].time_us);
    }
    json_object_end(dump->writer);
}

/* Of a generation that a cut has ended only the notice is shown. */
enum outcome dump_person(struct dump *dump, const struct person *person) {
    static const struct cell unseen = {.until = DATE_NONE};
    line_begin(dump, "person");
    member_text(dump, "person", person->person);
    member_generation(dump, person->generation);
    json_key(dump->writer, "opened");
    if (person->ended)
        json_null(dump->writer);
    else
        json_bool(dump->writer, person->opened);
    member_text(dump, "kind", person->kind);
    member_text(dump, "notice", person->notice.id);
    member_text(dump, "language", person->ended ? TEXT_ABSENT : person->notice.language);
    member_time(dump, "closed", person->closed_us);
    member_time(dump, "last_activity", person_last_activity(person));
    member_field_times(dump, person);
    enum outcome shown = member_cell(dump, "profile", person_visible(person) ? &person->profile : &unseen);
    return shown == OK ? line_end(dump) : shown;
}

static void member_payments(struct dump *dump, const struct order *order) {
    json_key(dump->writer, "payments");
    json_array(dump->writer);
    for (size_t i = 0; i < order->payments.count; i++) {
        const struct version *version = &order->payments.at[i].version;
        json_object(dump->writer);
        member_text(dump, "source", version->source);
        member_text(dump, "id", version->id);
        member_time(dump, "time", version->time_us);
        json_object_end(dump->writer);
    }
    json_array_end(dump->writer);
}

enum outcome dump_order(struct dump *dump, const struct order *order) {
    bool known = order->version.time_us != VERSION_NONE;
    line_begin(dump, "order");
    member_text(dump, "customer", order->customer_id);
    member_generation(dump, order->generation);
    member_text(dump, "order", order->order_id);
    member_bool(dump, "known", known);
    json_key(dump->writer, "guest");
    if (known)
        json_bool(dump->writer, order->guest);
    else
        json_null(dump->writer);
    member_time(dump, "placed", order->placed_us);
    member_time(dump, "version_time", order->version.time_us);
    member_time(dump, "cancelled", order->cancelled_us);
    member_payments(dump, order);
    member_time(dump, "last_delivered", order->last_delivered_us);
    enum outcome shown = member_cell(dump, "claim", &order->claim);
    if (shown == OK)
        shown = member_cell(dump, "voucher", &order->voucher);
    if (shown == OK)
        shown = member_cell(dump, "oss", &order->oss);
    return shown == OK ? line_end(dump) : shown;
}

static void member_statuses(struct dump *dump, const struct shipment *shipment) {
    json_key(dump->writer, "statuses");
    json_array(dump->writer);
    for (size_t i = 0; i < shipment->statuses.count; i++) {
        const struct parcel_status *status = &shipment->statuses.at[i];
        json_object(dump->writer);
        member_text(dump, "carrier", status->carrier);
        member_int_or_null(dump, "parcel", status->parcel, status->parcel != 0);
        json_key(dump->writer, "status");
        json_string(dump->writer, delivery_status_names[status->status]);
        member_time(dump, "time", status->time_us);
        json_object_end(dump->writer);
    }
    json_array_end(dump->writer);
}

enum outcome dump_shipment(struct dump *dump, const struct shipment *shipment) {
    bool known = shipment->version.time_us != VERSION_NONE;
    line_begin(dump, "shipment");
    member_text(dump, "customer", shipment->customer_id);
    member_text(dump, "shipment", shipment->shipment_id);
    member_text(dump, "order", shipment->order_id);
    member_text(dump, "person", shipment->person);
    member_generation(dump, shipment->generation);
    json_key(dump->writer, "direction");
    json_string(dump->writer, !known ? NULL : shipment->is_return ? "return" : "outbound");
    member_text(dump, "country", shipment->country);
    member_text(dump, "return", shipment->return_id);
    member_text(dump, "carrier", shipment->carrier);
    member_text(dump, "service", shipment->service);
    json_key(dump->writer, "role");
    json_string(dump->writer, !known ? NULL : shipment->is_return ? "consignor" : "consignee");
    member_int_or_null(dump, "parcels", shipment->parcels, known);
    member_time(dump, "version_time", shipment->version.time_us);
    member_time(dump, "cancelled", shipment->cancelled_us);
    member_bool(dump, "closed", shipment_closed(shipment));
    member_bool(dump, "waiting", shipment->erasure == SHIPMENT_WAITS);
    member_statuses(dump, shipment);
    enum outcome shown = member_cell(dump, "delivery", &shipment->delivery);
    return shown == OK ? line_end(dump) : shown;
}

/* ---- consents, permissions, suppressed addresses ---- */

enum outcome dump_consent(struct dump *dump, const struct consent *consent) {
    static const struct {
        enum event_type type;
        const char *act;
    } acts[] = {
        {CONSENT_GRANTED, "granted"}, {CONSENT_WITHDRAWN, "withdrawn"}, {CONSENT_OBJECTED, "objected"}};
    const char *act = NULL;
    for (size_t i = 0; i < sizeof(acts) / sizeof(*acts); i++)
        act = acts[i].type == consent->act ? acts[i].act : act;
    line_begin(dump, "consent");
    member_text(dump, "person", consent->person);
    member_generation(dump, consent->generation);
    member_time(dump, "time", consent->version.time_us);
    member_text(dump, "source", consent->version.source);
    member_text(dump, "id", consent->version.id);
    member_text(dump, "act", text_of(act));
    member_text(dump, "purpose", consent->purpose);
    member_text(dump, "channel", consent->channel);
    member_text(dump, "basis", consent->basis);
    json_key(dump->writer, "confirmed");
    if (consent->has_confirmed)
        json_bool(dump->writer, consent->confirmed);
    else
        json_null(dump->writer);
    member_text(dump, "order", consent->order_id);
    enum outcome shown = member_cell(dump, "proof", &consent->proof);
    return shown == OK ? line_end(dump) : shown;
}

enum outcome dump_permission(struct dump *dump, const struct person *person,
                             const struct permission *permission) {
    line_begin(dump, "permission");
    member_text(dump, "person", person->person);
    member_generation(dump, person->generation);
    member_text(dump, "purpose", permission->purpose);
    member_text(dump, "channel", permission->channel);
    member_bool(dump, "allowed", permission->reason == PERMISSION_ALLOWED);
    member_text(dump, "basis", permission->basis);
    member_text(dump, "reason", text_of(permission_reason_names[permission->reason]));
    member_time(dump, "since", permission->since_us);
    return line_end(dump);
}

/* Kept from the latest of the objection and whatever registered or changed has the address, anybody's. */
int32_t dump_suppressed_until(const struct address *address, const struct address_entry *entry,
                              const struct policy *policy) {
    struct clocks clocks;
    int64_t last_us = entry->objected_last_us;
    for (size_t i = 0; i < CLOCKS; i++)
        clocks.at_us[i] = TIME_NONE;
    for (size_t i = 0; i < address->entries.count; i++) {
        if (address->entries.at[i].matched_us > last_us)
            last_us = address->entries.at[i].matched_us;
    }
    clocks.at_us[CLOCK_LAST_MATCHED] = last_us;
    return policy ? policy_until(policy, CATEGORY_SUPPRESSION, &clocks, NULL, 0) : DATE_NONE;
}

enum outcome dump_suppression(struct dump *dump, const struct address *address,
                              const struct address_entry *entry, const struct policy *policy) {
    int64_t since_us = entry->objected_first_us;
    if (since_us == TIME_NONE || (entry->withdrawn_us != TIME_NONE && entry->withdrawn_us < since_us))
        since_us = entry->withdrawn_us;
    line_begin(dump, "suppression");
    member_text(dump, "contact_hash", address->hash);
    member_text(dump, "person", entry->person);
    member_time(dump, "since", since_us);
    member_date(dump, "until", dump_suppressed_until(address, entry, policy));
    return line_end(dump);
}

/* ---- requests, tombstones ---- */

/* A case is tied by the highest tie. */
static struct text request_person(const struct request *request, const struct received_fact *shown) {
    if (shown && !text_present(shown->contact_hash))
        return shown->person;
    return shown && request->ties.count ? request->ties.at[request->ties.count - 1].person : TEXT_ABSENT;
}

enum outcome dump_request(struct dump *dump, const struct request *request) {
    size_t received = request->received.count;
    const struct received_fact *shown = received ? &request->received.at[received - 1] : NULL;
    line_begin(dump, "request");
    member_text(dump, "request", request->request_id);
    member_text(dump, "kind", shown ? TEXT("erasure") : TEXT_ABSENT);
    member_text(dump, "person", request_person(request, shown));
    json_key(dump->writer, "case");
    if (shown && text_present(shown->contact_hash))
        json_bool(dump->writer, true);
    else
        json_null(dump->writer);
    member_text(dump, "channel", shown ? shown->channel : TEXT_ABSENT);
    member_text(dump, "identity", text_of(identity_names[request->strongest]));
    member_time(dump, "received", shown ? shown->version.time_us : TIME_NONE);
    member_time(dump, "identified", request->identified_us);
    member_text(dump, "state", text_of(request_state_names[request->state]));
    member_date(dump, "due", request->due);
    member_date(dump, "until", request->until);
    return line_end(dump);
}

enum outcome dump_tombstone(struct dump *dump, const struct dump_tombstone *tombstone) {
    struct text rest = tombstone->categories;
    line_begin(dump, "tombstone");
    member_text(dump, "subject", tombstone->subject);
    member_text(dump, "person", tombstone->person);
    member_generation(dump, tombstone->generation);
    member_time(dump, "cut", tombstone->cut_us);
    member_text(dump, "cause", tombstone->cause);
    json_key(dump->writer, "categories");
    json_array(dump->writer);
    while (rest.size) {
        const char *comma = memchr(rest.at, ',', rest.size);
        size_t size = comma ? (size_t)(comma - rest.at) : rest.size;
        json_text(dump->writer, (struct text){rest.at, size});
        size += comma ? 1 : 0;
        rest = (struct text){rest.at + size, rest.size - size};
    }
    json_array_end(dump->writer);
    member_bool(dump, "complete", tombstone->complete);
    return line_end(dump);
}

/* ---- order of lines ---- */

int dump_compare_persons(const struct person *a, const struct person *b) {
    int order = text_compare(a->person, b->person);
    return order ? order : (a->generation > b->generation) - (a->generation < b->generation);
}

int dump_compare_orders(const struct order *a, const struct order *b) {
    int order = text_compare(a->customer_id, b->customer_id);
    return order ? order : text_compare(a->order_id, b->order_id);
}

int dump_compare_shipments(const struct shipment *a, const struct shipment *b) {
    int order = text_compare(a->customer_id, b->customer_id);
    return order ? order : text_compare(a->shipment_id, b->shipment_id);
}

static int compare_times(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

int dump_compare_consents(const struct consent *a, const struct consent *b) {
    int order = text_compare(a->person, b->person);
    order = order ? order : compare_times(a->generation, b->generation);
    order = order ? order : compare_times(a->version.time_us, b->version.time_us);
    order = order ? order : text_compare(a->version.source, b->version.source);
    order = order ? order : text_compare(a->version.id, b->version.id);
    return order ? order : text_compare(a->fact, b->fact);
}

int dump_compare_permissions(const struct permission *a, const struct permission *b) {
    int order = text_compare(a->purpose, b->purpose);
    return order ? order : text_compare(a->channel, b->channel);
}
