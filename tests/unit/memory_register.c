/* A register and topics in memory, with a fault at any call. */
#include "tests/unit/memory_register.h"
#include "core/decide/pack.h"
#include "tests/unit/memory_facts.h"
#include "tests/unit/memory_parked.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- faults ---- */

/* Before a call's effect: true when the call is to fail with *outcome instead. */
static bool fails(struct memory_register *memory, enum outcome *outcome, struct err *err) {
    if (++memory->calls != memory->fault_at || memory->faulted)
        return false;
    memory->faulted = true;
    switch (memory->fault) {
    case FAULT_CRASH_BEFORE:
        longjmp(memory->crashed, 1);
    case FAULT_AWAY:
        memory->connected = false;
        memory->pending = NULL;
        *outcome = err_set(err, RETRY, 0, "planted: away");
        return true;
    case FAULT_FENCED:
        for (size_t i = 0; i < memory->positions.count; i++)
            memory->positions.at[i].row.epoch += memory->positions.at[i].row.epoch > 0;
        return false;
    case FAULT_REBALANCE:
        memory->reassigned = true;
        return false;
    default:
        return false;
    }
}
static bool fails_now(const struct memory_register *memory, enum memory_fault fault) {
    return memory->faulted && memory->fault == fault && memory->calls == memory->fault_at;
}
/* After a call's effect. */
static enum outcome done(struct memory_register *memory, struct err *err) {
    if (fails_now(memory, FAULT_CRASH_AFTER))
        longjmp(memory->crashed, 1);
    if (!fails_now(memory, FAULT_LOST_REPLY))
        return OK;
    memory->connected = false;
    memory->pending = NULL;
    return err_set(err, RETRY, 0, "planted: the answer was lost");
}
/* The same of a call into the client's own memory: no answer can be lost there. */
static enum outcome done_locally(struct memory_register *memory) {
    if (fails_now(memory, FAULT_CRASH_AFTER))
        longjmp(memory->crashed, 1);
    return OK;
}
#define MAY_FAIL()                                                                                           \
    do {                                                                                                     \
        enum outcome planted;                                                                                \
        if (fails(memory, &planted, err))                                                                    \
            return planted;                                                                                  \
    } while (0)
#define NEEDS_CONNECTION()                                                                                   \
    do {                                                                                                     \
        if (!memory->connected)                                                                              \
            return err_set(err, RETRY, 0, "not connected");                                                  \
    } while (0)

/* ---- setting up ---- */

struct text memory_keep(struct memory_register *memory, struct text text) {
    struct text copy = arena_text(&memory->kept, text);
    assert(text_present(copy) == text_present(text));
    return copy;
}

static struct memory_position *position_of(struct memory_register *memory, struct text topic,
                                           int32_t partition) {
    for (size_t i = 0; i < memory->positions.count; i++)
        if (text_is(topic, memory->positions.at[i].topic) && memory->positions.at[i].partition == partition)
            return &memory->positions.at[i];
    return NULL;
}

static struct memory_position *add_position(struct memory_register *memory, const char *topic) {
    struct memory_position *position = ARENA_PUSH(&memory->kept, &memory->positions);
    assert(position);
    snprintf(position->topic, sizeof position->topic, "%s", topic);
    position->row = (struct claimed){.decided_us = TIME_NONE, .fingerprint.offset = -1};
    position->fetch = -1;
    return position;
}

void memory_register_init(struct memory_register *memory) {
    *memory = (struct memory_register){.now_us = INT64_C(1779267600000000)}; /* 2026-05-20 */
    arena_init(&memory->kept, (size_t)1 << 28);
    memory->writer = json_writer_new();
    add_position(memory, "calendar");
}

void memory_register_release(struct memory_register *memory) {
    json_writer_free(memory->writer);
    arena_release(&memory->kept);
}

void memory_register_restart(struct memory_register *memory) {
    memory->connected = false;
    memory->pending = NULL;
    memory->reassigned = true;
    for (size_t i = 0; i < memory->positions.count; i++)
        memory->positions.at[i].fetch = -1;
}

struct memory_position *memory_position(struct memory_register *memory, const char *topic) {
    struct memory_position *position = position_of(memory, text_of(topic), 0);
    return position ? position : add_position(memory, topic);
}

void memory_register_publish(struct memory_register *memory, const char *topic, const char *key,
                             const char *type, const char *id, const char *time, const char *data) {
    struct memory_position *position = memory_position(memory, topic);
    struct memory_record *record = ARENA_PUSH(&memory->kept, &memory->records);
    char value[4096];
    int size = snprintf(value, sizeof value,
                        "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"urn:shop\",\"type\":\"%s.v1\","
                        "\"time\":\"%s\",\"data\":%s}",
                        id, type, time, data);
    assert(record && size > 0 && (size_t)size < sizeof value);
    snprintf(record->topic, sizeof record->topic, "%s", topic);
    snprintf(record->key, sizeof record->key, "%s", key);
    record->offset = position->end++;
    record->timestamp_ms = memory->now_us / 1000;
    record->value = memory_keep(memory, (struct text){value, (size_t)size});
    record->turn = (int64_t)memory->records.count;
}

/* ---- the clock ---- */

static int64_t memory_now(void *context) {
    return ((struct memory_register *)context)->now_us += 1000;
}
static bool memory_sleep(void *context, int64_t sleep_us) {
    ((struct memory_register *)context)->now_us += sleep_us;
    return true;
}
const struct clock_ops memory_clock_ops = {memory_now, memory_now, memory_sleep};

/* ---- topics ---- */

static enum outcome memory_poll(void *context, int timeout_ms, struct topic_polled *polled, struct err *err) {
    struct memory_register *memory = context;
    *polled = (struct topic_polled){.news = TOPIC_NOTHING};
    MAY_FAIL();
    memory->now_us += timeout_ms * 1000;
    if (memory->reassigned) {
        memory->reassigned = false;
        for (size_t i = 0; i < memory->positions.count; i++)
            memory->positions.at[i].fetch = -1;
        polled->news = TOPIC_REASSIGNED;
        return done_locally(memory);
    }
    for (size_t i = 0; i < memory->records.count; i++) {
        struct memory_record *record = &memory->records.at[i];
        struct memory_position *position = position_of(memory, text_of(record->topic), record->partition);
        /* In the order of turns, so that disturbed runs see what the undisturbed one saw. */
        if (position->fetch < 0 && position->row.next <= record->offset)
            return OK;
        bool stale =
            memory->stale && strcmp(record->topic, memory->stale) == 0 && record->offset < position->fetch;
        if (!stale && (position->fetch < 0 || record->offset < position->fetch))
            continue;
        if (stale)
            memory->stale = NULL;
        else
            position->fetch = record->offset + 1;
        *polled = (struct topic_polled){TOPIC_RECORD,   text_of(record->topic), record->partition,
                                        record->offset, record->value.size,     record};
        return done_locally(memory);
    }
    return done_locally(memory);
}

static enum outcome memory_view(void *context, void *message, struct arena *arena, struct record *record) {
    static const struct record_header content_type = {TEXT("content-type"),
                                                      TEXT("application/cloudevents+json")};
    const struct memory_record *kept = message;
    (void)context;
    (void)arena;
    *record = (struct record){.topic = text_of(kept->topic),
                              .partition = kept->partition,
                              .offset = kept->offset,
                              .timestamp_ms = kept->timestamp_ms,
                              .key = text_of(kept->key),
                              .value = kept->value,
                              .headers = &content_type,
                              .header_count = 1};
    return OK;
}

static void memory_release_message(void *context, void *message) {
    (void)context;
    (void)message;
}

static enum outcome memory_assigned(void *context, struct arena *arena, struct topic_place **places,
                                    size_t *count, struct err *err) {
    struct memory_register *memory = context;
    MAY_FAIL();
    *places = ARENA_ARRAY(arena, struct topic_place, memory->positions.count);
    *count = 0;
    for (size_t i = 1; i < memory->positions.count; i++)
        (*places)[(*count)++] = (struct topic_place){.topic = text_of(memory->positions.at[i].topic)};
    return OK;
}

static enum outcome memory_assign(void *context, const struct topic_place *places, size_t count,
                                  struct err *err) {
    struct memory_register *memory = context;
    MAY_FAIL();
    for (size_t i = 0; i < memory->positions.count; i++)
        memory->positions.at[i].fetch = -1;
    for (size_t i = 0; i < count; i++)
        position_of(memory, places[i].topic, places[i].partition)->fetch = places[i].offset;
    return done_locally(memory);
}

static enum outcome memory_watermarks(void *context, struct text topic, int32_t partition, int64_t *low,
                                      int64_t *high, struct err *err) {
    struct memory_register *memory = context;
    MAY_FAIL();
    if (memory->broker_away)
        return err_set(err, RETRY, 0, "Kafka is away");
    *low = 0;
    *high = position_of(memory, topic, partition)->end;
    return OK;
}

static void memory_commit_offsets(void *context, const struct topic_place *places, size_t count) {
    (void)context;
    (void)places;
    (void)count;
}
static enum outcome memory_cluster(void *context, struct arena *arena, struct text *cluster_id,
                                   struct err *err) {
    struct memory_register *memory = context;
    MAY_FAIL();
    *cluster_id = arena_text(arena, TEXT("memory"));
    return OK;
}
static enum outcome memory_check(void *context, struct err *err) {
    const struct memory_register *memory = context;
    return memory->broker_away ? err_set(err, RETRY, 0, "Kafka is away") : OK;
}

const struct topic_ops memory_topic_ops = {.poll = memory_poll,
                                           .view = memory_view,
                                           .release = memory_release_message,
                                           .assigned = memory_assigned,
                                           .assign = memory_assign,
                                           .watermarks = memory_watermarks,
                                           .commit = memory_commit_offsets,
                                           .cluster_id = memory_cluster,
                                           .check = memory_check};

/* ---- the register: positions ---- */

static enum outcome memory_open(void *context, struct err *err) {
    struct memory_register *memory = context;
    if (memory->register_away)
        return err_set(err, RETRY, 0, "the register is away");
    if (memory->connected)
        return OK;
    MAY_FAIL();
    memory->connected = true;
    return done(memory, err);
}
static bool memory_is_open(void *context) {
    return ((struct memory_register *)context)->connected;
}
static void memory_close(void *context) {
    ((struct memory_register *)context)->connected = false;
}

static enum outcome memory_claim(void *context, const struct claim *claim, struct arena *arena,
                                 struct claimed *claimed, struct err *err) {
    struct memory_register *memory = context;
    NEEDS_CONNECTION();
    MAY_FAIL();
    struct memory_position *position = position_of(memory, claim->topic, claim->partition);
    if (position->row.epoch++ == 0) {
        position->row.next = claim->first;
        snprintf(position->cluster_id, sizeof position->cluster_id, "%.*s", TEXT_ARGS(claim->cluster_id));
    }
    *claimed = position->row;
    claimed->cluster_id = arena_text(arena, text_of(position->cluster_id));
    claimed->parked = position->parked[0] ? arena_text(arena, text_of(position->parked)) : TEXT_ABSENT;
    return done(memory, err);
}

static enum outcome memory_park(void *context, struct text topic, int32_t partition, int64_t epoch,
                                struct text reason, struct err *err) {
    struct memory_register *memory = context;
    NEEDS_CONNECTION();
    MAY_FAIL();
    struct memory_position *position = position_of(memory, topic, partition);
    if (position->row.epoch != epoch)
        return err_set(err, FENCED, 0, "claimed by somebody else");
    snprintf(position->parked, sizeof position->parked, "%.*s", TEXT_ARGS(reason));
    return done(memory, err);
}

/* ---- the register: rows ---- */

#define FIND(memory, list, condition)                                                                        \
    ({                                                                                                       \
        __typeof__((memory)->list.at) found = NULL;                                                          \
        for (size_t n_ = 0; n_ < (memory)->list.count && !found; n_++) {                                     \
            __typeof__((memory)->list.at) row = &(memory)->list.at[n_];                                      \
            if (condition)                                                                                   \
                found = row;                                                                                 \
        }                                                                                                    \
        found;                                                                                               \
    })

#define READ(list, keys_of, condition)                                                                       \
    do {                                                                                                     \
        rows->list.at = arena_array(arena, sizeof(*rows->list.at), memory->list.count + 1);                  \
        for (size_t k = 0; k < request->keys_of.count; k++) {                                                \
            const struct read_key *key = &request->keys_of.keys[k];                                          \
            for (size_t n = 0; n < memory->list.count; n++) {                                                \
                const __typeof__(*memory->list.at) *row = &memory->list.at[n];                               \
                if (condition)                                                                               \
                    rows->list.at[rows->list.count++] = *row;                                                \
            }                                                                                                \
        }                                                                                                    \
    } while (0)

static enum outcome memory_read(void *context, struct arena *arena, const struct read_request *request,
                                struct read_rows *rows, struct err *err) {
    struct memory_register *memory = context;
    NEEDS_CONNECTION();
    MAY_FAIL();
    *rows = (struct read_rows){0};
    READ(refs, refs, text_equal(row->ref, key->owner));
    memory_parked_read(memory, arena, request, rows);
    READ(persons, persons, text_equal(row->person, key->owner));
    if (memory->between_reads)
        memory->between_reads(memory);
    READ(orders, orders, text_equal(row->customer_id, key->owner) && text_equal(row->order_id, key->object));
    READ(shipments, shipments,
         text_equal(row->customer_id, key->owner) && text_equal(row->shipment_id, key->object));
    READ(notices, notices, text_equal(row->person, key->owner) && text_equal(row->notice_ref, key->object));
    memory_facts_read(memory, arena, request, rows);
    return done(memory, err);
}

static enum outcome memory_unpublished(void *context, struct arena *arena, const struct key_doom *dooms,
                                       size_t count, struct row_unpublished **rows, size_t *row_count,
                                       struct err *err) {
    struct memory_register *memory = context;
    NEEDS_CONNECTION();
    MAY_FAIL();
    *row_count = memory_facts_unpublished(memory, arena, dooms, count, rows);
    return done(memory, err);
}

static enum outcome memory_lock(void *context, struct arena *arena, const struct text *persons, size_t count,
                                struct err *err) {
    struct memory_register *memory = context;
    (void)arena;
    (void)persons;
    (void)count;
    NEEDS_CONNECTION();
    MAY_FAIL();
    return done(memory, err);
}

static bool guards_hold(struct memory_register *memory, const struct write *write) {
    for (size_t i = 0; i < write->persons.count; i++) {
        const struct person *person = write->persons.at[i].at;
        struct row_person *there =
            FIND(memory, persons,
                 text_equal(row->person, person->person) && row->generation == person->generation);
        if ((there ? there->revision : 0) != person->revision)
            return false;
    }
    for (size_t i = 0; i < write->refs_new.count; i++)
        if (FIND(memory, refs, text_equal(row->ref, write->refs_new.at[i]->ref)))
            return false;
    for (size_t i = 0; i < write->refs_parked.count; i++) {
        struct row_ref *there = FIND(memory, refs, text_equal(row->ref, write->refs_parked.at[i]->ref));
        if (!there || text_present(there->recipient))
            return false;
    }
    for (size_t i = 0; i < write->unparked.count; i++) {
        if (!memory_parked_find(memory, &write->unparked.at[i]))
            return false;
    }
    return memory_facts_guarded(memory, write);
}

static bool is_poison(const struct memory_register *memory, const struct write *write) {
    for (size_t i = 0; memory->poison && i < write->orders.count; i++)
        if (text_is(write->orders.at[i].at->order_id, memory->poison))
            return true;
    return false;
}

static enum outcome memory_write(void *context, struct arena *arena, struct write *write, struct err *err) {
    struct memory_register *memory = context;
    bool lost = false;
    (void)arena;
    NEEDS_CONNECTION();
    MAY_FAIL();
    for (size_t i = 0; i < write->advances.count; i++) {
        struct advance *advance = &write->advances.at[i];
        const struct memory_position *position = position_of(memory, advance->topic, advance->partition);
        advance->lost = position->row.epoch != advance->epoch || position->row.next != advance->next ||
                        position->parked[0];
        lost |= advance->lost;
    }
    if (lost)
        return err_set(err, FENCED, 0, "claimed by somebody else");
    write->guard_missed = !guards_hold(memory, write) || fails_now(memory, FAULT_GUARD);
    if (write->guard_missed)
        return err_set(err, RETRY, 0, "a guard was missed");
    if (is_poison(memory, write)) {
        err_set(err, POISON, 0, "refused");
        snprintf(err->sqlstate, sizeof err->sqlstate, "22P05");
        return POISON;
    }
    memory->pending = write;
    return done(memory, err);
}

struct row_cell memory_keep_cell(struct memory_register *memory, const struct cell *cell) {
    return (struct row_cell){cell->until,
                             cell->until == DATE_NONE ? TEXT_ABSENT : memory_keep(memory, cell->sealed)};
}

/* The stored row, or a new one. */
#define ROW(list, condition)                                                                                 \
    ({                                                                                                       \
        __typeof__(memory->list.at) there = FIND(memory, list, condition);                                   \
        if (!there)                                                                                          \
            there = ARENA_PUSH(&memory->kept, &memory->list);                                                \
        assert(there);                                                                                       \
        there;                                                                                               \
    })

static void apply_aggregates(struct memory_register *memory, const struct write *write) {
    for (size_t i = 0; i < write->persons.count; i++) {
        const struct person *at = write->persons.at[i].at;
        struct row_person *to =
            ROW(persons, text_equal(row->person, at->person) && row->generation == at->generation);
        *to = (struct row_person){memory_keep(memory, at->person), at->generation, at->revision + 1,
                                  memory_keep_cell(memory, &at->profile),
                                  memory_keep(memory, write->persons.at[i].merge)};
    }
    for (size_t i = 0; i < write->orders.count; i++) {
        const struct order *at = write->orders.at[i].at;
        struct row_order *to = ROW(orders, text_equal(row->customer_id, at->customer_id) &&
                                               text_equal(row->order_id, at->order_id));
        *to = (struct row_order){
            memory_keep(memory, at->customer_id), memory_keep(memory, at->order_id),
            memory_keep_cell(memory, &at->claim), memory_keep_cell(memory, &at->voucher),
            memory_keep_cell(memory, &at->oss),   memory_keep(memory, write->orders.at[i].merge)};
    }
    for (size_t i = 0; i < write->shipments.count; i++) {
        const struct shipment *at = write->shipments.at[i].at;
        size_t before = memory->shipments.count;
        struct row_shipment *to = ROW(shipments, text_equal(row->customer_id, at->customer_id) &&
                                                     text_equal(row->shipment_id, at->shipment_id));
        *to = (struct row_shipment){
            memory_keep(memory, at->customer_id), memory_keep(memory, at->shipment_id),
            memory_keep_cell(memory, &at->delivery), memory_keep(memory, write->shipments.at[i].merge)};
        if (memory->shipments.count > before)
            (void)ARENA_PUSH(&memory->kept, &memory->consignees);
        memory->consignees.at[to - memory->shipments.at] = memory_keep(memory, at->person);
    }
    for (size_t i = 0; i < write->notices.count; i++) {
        const struct notice *at = write->notices.at[i].at;
        struct row_notice *to =
            ROW(notices, text_equal(row->person, at->person) && text_equal(row->notice_ref, at->notice_ref));
        *to = (struct row_notice){memory_keep(memory, at->person), memory_keep(memory, at->notice_ref),
                                  memory_keep_cell(memory, &at->ground),
                                  memory_keep(memory, write->notices.at[i].merge)};
    }
}

static struct text output_line(struct memory_register *memory, const struct output *output, bool with_body) {
    char line[4096], id[37];
    output_id_write(&output->id, id);
    int size = snprintf(line, sizeof line, "%.*s %.*s %s %s%s%.*s", TEXT_ARGS(output->subject),
                        TEXT_ARGS(output->topic), output->type, id, with_body ? " " : "",
                        with_body ? (int)output->body.size : 0, output->body.at);
    assert(size > 0 && (size_t)size < sizeof line);
    return memory_keep(memory, (struct text){line, (size_t)size});
}

static void apply_outputs(struct memory_register *memory, const struct write *write) {
    for (size_t i = 0; i < write->outputs.count; i++) {
        const struct output *output = write->outputs.at[i].at;
        struct text identity = output_line(memory, output, false);
        if (FIND(memory, outputs,
                 row->size > identity.size && memcmp(row->at, identity.at, identity.size) == 0))
            continue; /* emitted before */
        struct text *to = ARENA_PUSH(&memory->kept, &memory->outputs);
        *to = output_line(memory, output, true);
        memory_facts_told(memory, output, *to);
        if (text_present(output->person))
            memory_facts_sent(memory, &write->outputs.at[i]);
    }
    for (size_t i = 0; i < write->dead_letters.count; i++) {
        const struct output *output = write->dead_letters.at[i]->at;
        char line[256];
        snprintf(line, sizeof line, "%.*s/%d/%lld %s %s", TEXT_ARGS(output->dead.topic),
                 output->dead.partition, (long long)output->dead.offset,
                 reason_names[output->dead.refusal.reason], output->dead.refusal.detail);
        struct text *to = ARENA_PUSH(&memory->kept, &memory->dead_letters);
        *to = memory_keep(memory, text_of(line));
    }
}

static enum outcome memory_commit(void *context, struct err *err) {
    struct memory_register *memory = context;
    NEEDS_CONNECTION();
    MAY_FAIL();
    const struct write *write = memory->pending;
    assert(write);
    memory->pending = NULL;
    if (!fails_now(memory,
                   FAULT_FENCED)) /* else whoever claimed was first; the row's lock makes that impossible */
        for (size_t i = 0; i < write->advances.count; i++) {
            const struct advance *advance = &write->advances.at[i];
            struct claimed *row = &position_of(memory, advance->topic, advance->partition)->row;
            row->next = advance->after;
            row->decided_us = advance->decided_us;
            if (advance->fingerprint.offset >= 0)
                row->fingerprint = advance->fingerprint;
        }
    else
        return err_set(err, RETRY, 0, "planted: the backend was ended before its COMMIT");
    apply_aggregates(memory, write);
    memory_facts_apply(memory, write);
    memory_parked_apply(memory, write);
    apply_outputs(memory, write);
    return done(memory, err);
}

static void memory_rollback(void *context) {
    ((struct memory_register *)context)->pending = NULL;
}

static enum outcome memory_keep_calendar(void *context, bool *mine, struct err *err) {
    struct memory_register *memory = context;
    NEEDS_CONNECTION();
    MAY_FAIL();
    *mine = true;
    return done(memory, err);
}

static enum outcome memory_due(void *context, struct arena *arena, enum due_kind kind, int64_t now_us,
                               const struct row_parked *after, size_t limit, struct row_parked **rows,
                               size_t *count, struct err *err) {
    struct memory_register *memory = context;
    NEEDS_CONNECTION();
    MAY_FAIL();
    *count = memory_parked_due(memory, arena, kind, now_us, after, limit, rows);
    return OK;
}

const struct register_ops memory_register_ops = {.open = memory_open,
                                                 .is_open = memory_is_open,
                                                 .close = memory_close,
                                                 .claim = memory_claim,
                                                 .park = memory_park,
                                                 .lock = memory_lock,
                                                 .read = memory_read,
                                                 .unpublished = memory_unpublished,
                                                 .write = memory_write,
                                                 .commit = memory_commit,
                                                 .rollback = memory_rollback,
                                                 .keep_calendar = memory_keep_calendar,
                                                 .due = memory_due};
