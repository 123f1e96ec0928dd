/* The write's rows as the parameters of its statements: one binary array a column. */
#include "consumer/register_rows.h"
#include "core/decide/pack.h"

/* Columns of one statement, made together. */
#define COLUMNS_MAX 24
struct columns {
    struct db_params *params;
    struct db_column *at[COLUMNS_MAX];
};

static bool columns_new(struct columns *columns, struct arena *arena, const enum db_type *types, size_t count,
                        size_t scalars, size_t rows) {
    columns->params = db_params_new(arena, (int)(count + scalars));
    if (!columns->params)
        return false;
    for (size_t i = 0; i < count; i++) {
        columns->at[i] = db_column(columns->params, types[i], rows);
        if (!columns->at[i])
            return false;
    }
    return true;
}
#define COLUMNS(columns, scalars, rows, ...)                                                                 \
    columns_new(columns, arena, (const enum db_type[]){__VA_ARGS__},                                         \
                sizeof((const enum db_type[]){__VA_ARGS__}) / sizeof(enum db_type), scalars, rows)

/* Puts a row's values into columns one after the other. */
struct row {
    struct db_column **next;
};
static void put_text(struct row *row, struct text value) {
    db_put_text(*row->next++, value);
}
static void put_int(struct row *row, int64_t value) {
    db_put_int(*row->next++, value);
}
static void put_bool(struct row *row, bool value) {
    db_put_bool(*row->next++, value);
}
static void put_time(struct row *row, int64_t value) {
    db_put_time(*row->next++, value);
}
static void put_null(struct row *row) {
    db_put_null(*row->next++);
}
static void put_cell(struct row *row, const struct cell *cell) {
    db_put_date(*row->next++, cell->until);
    db_put_text(*row->next++, cell->until == DATE_NONE ? TEXT_ABSENT : cell->sealed);
}
static struct text hash_text(const uint8_t *hash, size_t size) {
    return (struct text){(const char *)hash, size};
}

struct db_params *rows_advances(struct arena *arena, const struct write *write) {
    struct columns columns;
    if (!COLUMNS(&columns, 1, write->advances.count, DB_TEXT, DB_INT4, DB_INT8, DB_INT8, DB_INT8, DB_INT8,
                 DB_INT8, DB_BYTEA, DB_TIMESTAMPTZ))
        return NULL;
    for (size_t i = 0; i < write->advances.count; i++) {
        const struct advance *advance = &write->advances.at[i];
        struct row row = {columns.at};
        put_text(&row, advance->topic);
        put_int(&row, advance->partition);
        put_int(&row, advance->epoch);
        put_int(&row, advance->next);
        put_int(&row, advance->after);
        if (advance->fingerprint.offset >= 0) {
            put_int(&row, advance->fingerprint.offset);
            put_int(&row, advance->fingerprint.timestamp_ms);
            put_text(&row, hash_text(advance->fingerprint.hash, FINGERPRINT_BYTES));
        } else {
            put_null(&row);
            put_null(&row);
            put_null(&row);
        }
        put_time(&row, advance->decided_us);
    }
    db_param_text(columns.params, text_of(write->policy_digest));
    return columns.params;
}

struct db_params *rows_persons(struct arena *arena, const struct write *write) {
    struct columns columns;
    if (!COLUMNS(&columns, 1, write->persons.count, DB_TEXT, DB_INT8, DB_INT8, DB_BOOL, DB_TEXT, DB_TEXT,
                 DB_TEXT, DB_TIMESTAMPTZ, DB_TIMESTAMPTZ, DB_DATE, DB_BYTEA, DB_BYTEA))
        return NULL;
    for (size_t i = 0; i < write->persons.count; i++) {
        const struct person *person = write->persons.at[i].at;
        struct row row = {columns.at};
        put_text(&row, person->person);
        put_int(&row, person->generation);
        put_int(&row, person->revision + 1);
        put_bool(&row, person->opened);
        put_text(&row, person->kind);
        put_text(&row, person->notice.id);
        put_text(&row, person->notice.language);
        put_time(&row, person->closed_us);
        put_time(&row, person_last_activity(person));
        put_cell(&row, &person->profile);
        put_text(&row, write->persons.at[i].merge);
    }
    db_param_int4(columns.params, write->policy);
    return columns.params;
}

struct db_params *rows_orders(struct arena *arena, const struct write *write) {
    struct columns columns;
    if (!COLUMNS(&columns, 1, write->orders.count, DB_TEXT, DB_TEXT, DB_INT8, DB_BOOL, DB_BOOL,
                 DB_TIMESTAMPTZ, DB_TIMESTAMPTZ, DB_TIMESTAMPTZ, DB_TIMESTAMPTZ, DB_DATE, DB_BYTEA, DB_DATE,
                 DB_BYTEA, DB_DATE, DB_BYTEA, DB_BYTEA))
        return NULL;
    for (size_t i = 0; i < write->orders.count; i++) {
        const struct order *order = write->orders.at[i].at;
        bool known = order->version.time_us != VERSION_NONE;
        struct row row = {columns.at};
        put_text(&row, order->customer_id);
        put_text(&row, order->order_id);
        put_int(&row, order->generation);
        put_bool(&row, known);
        if (known)
            put_bool(&row, order->guest);
        else
            put_null(&row);
        put_time(&row, order->placed_us);
        put_time(&row, order->version.time_us);
        put_time(&row, order->cancelled_us);
        put_time(&row, order->last_delivered_us);
        put_cell(&row, &order->claim);
        put_cell(&row, &order->voucher);
        put_cell(&row, &order->oss);
        put_text(&row, write->orders.at[i].merge);
    }
    db_param_int4(columns.params, write->policy);
    return columns.params;
}

struct db_params *rows_shipments(struct arena *arena, const struct write *write) {
    struct columns columns;
    if (!COLUMNS(&columns, 1, write->shipments.count, DB_TEXT, DB_TEXT, DB_TEXT, DB_TEXT, DB_INT8, DB_TEXT,
                 DB_TEXT, DB_TEXT, DB_TEXT, DB_TEXT, DB_INT4, DB_TIMESTAMPTZ, DB_TIMESTAMPTZ, DB_BOOL,
                 DB_DATE, DB_BYTEA, DB_BYTEA))
        return NULL;
    for (size_t i = 0; i < write->shipments.count; i++) {
        const struct shipment *shipment = write->shipments.at[i].at;
        bool known = shipment->version.time_us != VERSION_NONE;
        struct row row = {columns.at};
        put_text(&row, shipment->customer_id);
        put_text(&row, shipment->shipment_id);
        put_text(&row, shipment->order_id);
        put_text(&row, shipment->person);
        put_int(&row, shipment->generation);
        put_text(&row, !known ? TEXT_ABSENT : shipment->is_return ? TEXT("return") : TEXT("outbound"));
        put_text(&row, shipment->country);
        put_text(&row, shipment->return_id);
        put_text(&row, shipment->carrier);
        put_text(&row, shipment->service);
        if (known)
            put_int(&row, shipment->parcels);
        else
            put_null(&row);
        put_time(&row, shipment->version.time_us);
        put_time(&row, shipment->cancelled_us);
        put_bool(&row, shipment_closed(shipment));
        put_cell(&row, &shipment->delivery);
        put_text(&row, write->shipments.at[i].merge);
    }
    db_param_int4(columns.params, write->policy);
    return columns.params;
}

/* ---- lists as one text, joined by commas ---- */

static struct text joined(struct arena *arena, const struct text *parts, size_t count) {
    size_t size = 0, used = 0;
    for (size_t i = 0; i < count; i++)
        size += parts[i].size + 1;
    char *bytes = arena_take(arena, size + 1);
    if (!bytes)
        return TEXT_ABSENT;
    for (size_t i = 0; i < count; i++) {
        if (i)
            bytes[used++] = ',';
        memcpy(bytes + used, parts[i].at, parts[i].size);
        used += parts[i].size;
    }
    return (struct text){bytes, used};
}

static struct text joined_fields(struct arena *arena, field_set fields) {
    struct text names[POLICY_FIELDS];
    size_t count = 0;
    for (int field = 0; field < POLICY_FIELDS; field++)
        if (fields & FIELD_BIT(field))
            names[count++] = text_of(policy_field_name((enum policy_field)field));
    return joined(arena, names, count);
}

struct db_params *rows_notices(struct arena *arena, const struct write *write) {
    struct columns columns;
    if (!COLUMNS(&columns, 1, write->notices.count, DB_TEXT, DB_TEXT, DB_INT8, DB_TEXT, DB_TEXT, DB_TEXT,
                 DB_TEXT, DB_TEXT, DB_TEXT, DB_TEXT, DB_TIMESTAMPTZ, DB_DATE, DB_INT4, DB_TEXT, DB_DATE,
                 DB_DATE, DB_BYTEA, DB_BYTEA))
        return NULL;
    for (size_t i = 0; i < write->notices.count; i++) {
        const struct notice *notice = write->notices.at[i].at;
        bool answered = notice->answer.time_us != VERSION_NONE;
        struct text disclosures = joined(arena, notice->disclosures.at, notice->disclosures.count);
        struct text fields = joined_fields(arena, notice->fields);
        if (!text_present(disclosures) || !text_present(fields))
            return NULL;
        struct row row = {columns.at};
        put_text(&row, notice->person);
        put_text(&row, notice->notice_ref);
        put_int(&row, notice->generation);
        put_text(&row, notice->recipient);
        put_text(&row, notice->kind);
        put_text(&row, notice->cause);
        put_text(&row, notice->customer_id);
        put_text(&row, notice->shipment_id);
        put_text(&row, disclosures);
        put_text(&row, fields);
        put_time(&row, notice->decided_us);
        db_put_date(*row.next++, notice->answer_by);
        put_int(&row, notice->reminder);
        put_text(&row, answered ? text_of(ack_outcome_names[notice->outcome]) : TEXT_ABSENT);
        db_put_date(*row.next++, notice->retained_until);
        put_cell(&row, &notice->ground);
        put_text(&row, write->notices.at[i].merge);
    }
    db_param_int4(columns.params, write->policy);
    return columns.params;
}

/* ---- refs and parked events ---- */

struct db_params *rows_refs(struct arena *arena, const struct ref_entry *const *refs, size_t count) {
    struct columns columns;
    if (!COLUMNS(&columns, 0, count, DB_TEXT, DB_TEXT, DB_TEXT, DB_TEXT, DB_TEXT))
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const struct ref_entry *ref = refs[i];
        bool known = ref->now == REF_KNOWN;
        struct row row = {columns.at};
        put_text(&row, ref->ref);
        put_text(&row, ref->kind == REF_SHIPMENT ? TEXT("shipment") : TEXT("notice"));
        put_text(&row, known ? ref->recipient : TEXT_ABSENT);
        put_text(&row, known ? ref->customer_id : TEXT_ABSENT);
        put_text(&row, known ? ref->object_id : TEXT_ABSENT);
    }
    return columns.params;
}

struct db_params *rows_settled(struct arena *arena, const struct write *write) {
    struct columns columns;
    if (!COLUMNS(&columns, 0, write->refs_settled.count, DB_TEXT))
        return NULL;
    for (size_t i = 0; i < write->refs_settled.count; i++)
        db_put_text(columns.at[0], write->refs_settled.at[i]->ref);
    return columns.params;
}

struct db_params *rows_parked(struct arena *arena, const struct write *write) {
    struct columns columns;
    if (!COLUMNS(&columns, 0, write->parked.count, DB_TEXT, DB_TEXT, DB_INT4, DB_INT8, DB_TIMESTAMPTZ,
                 DB_BYTEA, DB_BYTEA))
        return NULL;
    for (size_t i = 0; i < write->parked.count; i++) {
        const struct write_parked *parked = &write->parked.at[i];
        struct row row = {columns.at};
        put_text(&row, parked->ref);
        put_text(&row, parked->at->event.topic);
        put_int(&row, parked->at->event.partition);
        put_int(&row, parked->at->event.offset);
        put_time(&row, parked->at->expires_us);
        put_text(&row, parked->body);
        put_text(&row, hash_text(parked->at->record_hash, sizeof parked->at->record_hash));
    }
    return columns.params;
}

struct db_params *rows_unparked(struct arena *arena, const struct write *write) {
    struct columns columns;
    if (!COLUMNS(&columns, 0, write->unparked.count, DB_TEXT, DB_TEXT, DB_INT4, DB_INT8))
        return NULL;
    for (size_t i = 0; i < write->unparked.count; i++) {
        const struct row_parked *parked = &write->unparked.at[i];
        struct row row = {columns.at};
        put_text(&row, parked->ref);
        put_text(&row, parked->topic);
        put_int(&row, parked->partition);
        put_int(&row, parked->offset);
    }
    return columns.params;
}

/* ---- outputs ---- */

struct db_params *rows_outputs(struct arena *arena, const struct write *write) {
    struct columns columns;
    if (!COLUMNS(&columns, 1, write->outputs.count, DB_TEXT, DB_UUID, DB_BYTEA, DB_TEXT, DB_TEXT, DB_TEXT,
                 DB_TIMESTAMPTZ, DB_TEXT, DB_INT8, DB_INT2, DB_BYTEA, DB_BYTEA, DB_TEXT, DB_TEXT, DB_TEXT,
                 DB_TEXT, DB_TEXT, DB_TEXT, DB_TEXT, DB_TEXT, DB_TEXT))
        return NULL;
    for (size_t i = 0; i < write->outputs.count; i++) {
        const struct write_output *output = &write->outputs.at[i];
        const struct output *at = output->at;
        struct text fields = at->fields ? joined_fields(arena, at->fields) : TEXT_ABSENT;
        if (at->fields && !text_present(fields))
            return NULL;
        struct row row = {columns.at};
        put_text(&row, at->subject);
        put_text(&row, hash_text(at->id.bytes, sizeof at->id.bytes));
        put_text(&row, hash_text(output->row_id, ROW_ID_BYTES));
        put_text(&row, at->topic);
        put_text(&row, at->key);
        put_text(&row, text_of(at->type));
        put_time(&row, output->decided_us);
        put_text(&row, at->person);
        put_int(&row, at->generation);
        put_int(&row, at->category);
        put_text(&row, output->body);
        put_text(&row, output->headers);
        put_text(&row, at->recipient);
        put_text(&row, at->customer_id);
        put_text(&row, at->shipment_id);
        put_text(&row, at->service);
        put_text(&row, at->role);
        put_text(&row, at->disclosure_ref);
        put_text(&row, fields);
        put_text(&row, at->purpose);
        put_text(&row, at->cause);
    }
    db_param_int4(columns.params, write->policy);
    return columns.params;
}

struct db_params *rows_dead_letters(struct arena *arena, const struct write *write) {
    struct columns columns;
    if (!COLUMNS(&columns, 1, write->dead_letters.count, DB_TEXT, DB_INT4, DB_INT8, DB_TEXT, DB_TEXT,
                 DB_BYTEA, DB_TIMESTAMPTZ, DB_TIMESTAMPTZ))
        return NULL;
    for (size_t i = 0; i < write->dead_letters.count; i++) {
        const struct write_output *output = write->dead_letters.at[i];
        const struct output *at = output->at;
        struct row row = {columns.at};
        put_text(&row, at->dead.topic);
        put_int(&row, at->dead.partition);
        put_int(&row, at->dead.offset);
        put_text(&row, text_of(reason_names[at->dead.refusal.reason]));
        put_text(&row, at->dead.refusal.detail[0] ? text_of(at->dead.refusal.detail) : TEXT_ABSENT);
        put_text(&row, hash_text(at->dead.record_hash, sizeof at->dead.record_hash));
        put_time(&row, at->dead.timestamp_ms < 0 ? -1 : at->dead.timestamp_ms * 1000);
        put_time(&row, output->decided_us);
    }
    db_param_int4(columns.params, write->policy);
    return columns.params;
}
