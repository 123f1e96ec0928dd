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
static void put_date(struct row *row, int32_t value) {
    db_put_date(*row->next++, value);
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
        bool ended = person->ended;
        if (ended)
            put_null(&row);
        else
            put_bool(&row, person->opened);
        put_text(&row, ended ? TEXT_ABSENT : person->kind);
        put_text(&row, person->notice.id);
        put_text(&row, ended ? TEXT_ABSENT : person->notice.language);
        put_time(&row, ended ? TIME_NONE : person->closed_us);
        put_time(&row, ended ? TIME_NONE : person_last_activity(person));
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
        put_date(&row, notice->answer_by);
        put_int(&row, notice->reminder);
        put_text(&row, answered ? text_of(ack_outcome_names[notice->outcome]) : TEXT_ABSENT);
        put_date(&row, notice->retained_until);
        put_cell(&row, &notice->ground);
        put_text(&row, write->notices.at[i].merge);
    }
    db_param_int4(columns.params, write->policy);
    return columns.params;
}

/* ---- consents, requests, addresses ---- */

static struct text act_name(enum event_type act) {
    return act == CONSENT_GRANTED     ? TEXT("granted")
           : act == CONSENT_WITHDRAWN ? TEXT("withdrawn")
                                      : TEXT("objected");
}

struct db_params *rows_consents(struct arena *arena, const struct write *write) {
    struct columns columns;
    if (!COLUMNS(&columns, 1, write->consents.count, DB_TEXT, DB_TEXT, DB_INT8, DB_TIMESTAMPTZ, DB_TEXT,
                 DB_TEXT, DB_TEXT, DB_TEXT, DB_BOOL, DB_TEXT, DB_DATE, DB_BYTEA, DB_BYTEA))
        return NULL;
    for (size_t i = 0; i < write->consents.count; i++) {
        const struct consent *consent = write->consents.at[i].at;
        struct row row = {columns.at};
        put_text(&row, consent->person);
        put_text(&row, consent->fact);
        put_int(&row, consent->generation);
        put_time(&row, consent->version.time_us);
        put_text(&row, act_name(consent->act));
        put_text(&row, consent->purpose);
        put_text(&row, consent->channel);
        put_text(&row, consent->basis);
        if (consent->has_confirmed)
            put_bool(&row, consent->confirmed);
        else
            put_null(&row);
        put_text(&row, consent->order_id);
        put_cell(&row, &consent->proof);
        put_text(&row, write->consents.at[i].merge);
    }
    db_param_int4(columns.params, write->policy);
    return columns.params;
}

struct db_params *rows_requests(struct arena *arena, const struct write *write) {
    struct columns columns;
    if (!COLUMNS(&columns, 1, write->requests.count, DB_TEXT, DB_INT8, DB_TEXT, DB_BOOL, DB_TEXT, DB_TEXT,
                 DB_TIMESTAMPTZ, DB_TIMESTAMPTZ, DB_TEXT, DB_DATE, DB_DATE, DB_BYTEA))
        return NULL;
    for (size_t i = 0; i < write->requests.count; i++) {
        const struct request *request = write->requests.at[i].at;
        const struct received_fact *received =
            request->received.count ? &request->received.at[request->received.count - 1] : NULL;
        const struct tie *tie = request->ties.count ? &request->ties.at[request->ties.count - 1] : NULL;
        bool is_case = received && !text_present(received->person);
        bool seen = received || request->identified_us != TIME_NONE;
        struct row row = {columns.at};
        put_text(&row, request->request_id);
        put_int(&row, request->revision + 1);
        put_text(&row, received && !is_case ? received->person : is_case && tie ? tie->person : TEXT_ABSENT);
        put_bool(&row, is_case);
        put_text(&row, received ? received->channel : TEXT_ABSENT);
        put_text(&row, seen ? text_of(identity_names[request->strongest]) : TEXT_ABSENT);
        put_time(&row, received ? received->version.time_us : TIME_NONE);
        put_time(&row, request->identified_us);
        put_text(&row, text_of(request_state_names[request->state]));
        put_date(&row, request->due);
        put_date(&row, request->until);
        put_text(&row, write->requests.at[i].merge);
    }
    db_param_int4(columns.params, write->policy);
    return columns.params;
}

static bool is_armed(const struct address *address) {
    for (size_t i = 0; i < address->entries.count; i++) {
        const struct address_entry *entry = &address->entries.at[i];
        if (entry->objected_first_us != TIME_NONE || entry->withdrawn_us != TIME_NONE)
            return true;
    }
    return false;
}

struct db_params *rows_addresses(struct arena *arena, const struct write *write) {
    struct columns columns;
    if (!COLUMNS(&columns, 0, write->addresses.count, DB_TEXT, DB_INT8, DB_BOOL, DB_BYTEA))
        return NULL;
    for (size_t i = 0; i < write->addresses.count; i++) {
        const struct address *address = write->addresses.at[i].at;
        struct row row = {columns.at};
        put_text(&row, address->hash);
        put_int(&row, address->revision + 1);
        put_bool(&row, is_armed(address));
        put_text(&row, write->addresses.at[i].merge);
    }
    return columns.params;
}

/* ---- what an erasure leaves ---- */

struct db_params *rows_tombstones(struct arena *arena, const struct write *write) {
    struct columns columns;
    if (!COLUMNS(&columns, 1, write->tombstones.count, DB_TEXT, DB_TIMESTAMPTZ, DB_TEXT, DB_INT8, DB_TEXT,
                 DB_TEXT, DB_BOOL, DB_BOOL, DB_TIMESTAMPTZ, DB_BOOL))
        return NULL;
    for (size_t i = 0; i < write->tombstones.count; i++) {
        const struct write_tombstone *tombstone = &write->tombstones.at[i];
        const struct cut *cut = tombstone->at;
        struct row row = {columns.at};
        put_text(&row, tombstone->subject);
        put_time(&row, cut->cut_us);
        put_text(&row, tombstone->person);
        put_int(&row, tombstone->generation);
        put_text(&row, cut->cause == CUT_REQUEST ? TEXT("request") : TEXT("closed"));
        put_text(&row, tombstone->categories);
        put_bool(&row, cut->valid);
        put_bool(&row, cut->complete);
        put_time(&row, cut->completed_us);
        put_bool(&row, cut->restored);
    }
    db_param_int4(columns.params, write->policy);
    return columns.params;
}

struct db_params *rows_doomed(struct arena *arena, const struct write *write) {
    struct columns columns;
    if (!COLUMNS(&columns, 1, write->doomed.count, DB_TEXT, DB_INT8, DB_INT2, DB_INT4, DB_INT4))
        return NULL;
    for (size_t i = 0; i < write->doomed.count; i++) {
        const struct key_doom *doom = &write->doomed.at[i];
        struct row row = {columns.at};
        put_text(&row, doom->person);
        put_int(&row, doom->generation);
        put_int(&row, doom->category);
        put_int(&row, doom->cells);
        put_int(&row, doom->transit);
    }
    db_param_time(columns.params, write->now_us);
    return columns.params;
}

struct db_params *rows_resealed(struct arena *arena, const struct write *write) {
    struct columns columns;
    if (!COLUMNS(&columns, 0, write->resealed.count, DB_INT8, DB_BYTEA, DB_BYTEA))
        return NULL;
    for (size_t i = 0; i < write->resealed.count; i++) {
        const struct write_resealed *resealed = &write->resealed.at[i];
        struct row row = {columns.at};
        put_int(&row, resealed->seq);
        put_text(&row, resealed->row_id);
        put_text(&row, resealed->body);
    }
    return columns.params;
}

/* ---- refs and parked events ---- */

static struct text ref_kind_name(enum ref_kind kind) {
    return kind == REF_SHIPMENT ? TEXT("shipment") : kind == REF_NOTICE ? TEXT("notice") : TEXT("token");
}

struct db_params *rows_refs(struct arena *arena, const struct ref_entry *const *refs, size_t count) {
    struct columns columns;
    if (!COLUMNS(&columns, 0, count, DB_TEXT, DB_TEXT, DB_TEXT, DB_TEXT, DB_TEXT))
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const struct ref_entry *ref = refs[i];
        bool known = ref->now == REF_KNOWN;
        struct row row = {columns.at};
        put_text(&row, ref->ref);
        put_text(&row, ref_kind_name(ref->kind));
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
