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
