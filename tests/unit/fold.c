/* The register in memory: load, decide and store over packed rows. */
#include "tests/unit/fold.h"

#include "core/decide/pack.h"
#include "core/dump_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void complain(void *context, const char *path, const char *message) {
    (void)context;
    fail_msg("policy: %s: %s", path, message);
}

void fold_init(struct fold *fold) {
    struct err err = {0};
    *fold = (struct fold){0};
    arena_init(&fold->kept, (size_t)256 << 20);
    arena_init(&fold->batch, (size_t)256 << 20);
    fold->policy = policy_read(SOURCE_DIR "/schema/policy/jerone.json", complain, NULL, &err);
    assert_non_null(fold->policy);
    fold->writer = json_writer_new();
    assert_non_null(fold->writer);
    memset(fold->ref_key.bytes, 7, sizeof(fold->ref_key.bytes));
    assert_true(instant_parse(TEXT(FOLD_NOW), &fold->now_us));
    fold_reset(fold);
}

void fold_release(struct fold *fold) {
    arena_release(&fold->kept);
    arena_release(&fold->batch);
    json_writer_free(fold->writer);
    policy_free(fold->policy);
}

void fold_reset(struct fold *fold) {
    arena_reset(&fold->kept);
    fold->rows = state_new(&fold->kept);
    fold->outputs.at = NULL;
    fold->outputs.count = fold->outputs.room = 0;
    memset(fold->verdicts, 0, sizeof(fold->verdicts));
    fold->second_facts = 0;
}

/* ---- load ---- */

struct loading {
    struct fold *fold;
    struct state *state;
    bool news;
};

static void load_cell(struct loading *loading, const struct cell *row, struct cell *cell, bool open) {
    if (row->until == DATE_NONE)
        return;
    if (!text_present(cell->sealed)) {
        *cell = (struct cell){.until = row->until, .sealed_until = row->until};
        cell->sealed = arena_text(&loading->fold->batch, row->content);
    }
    if (open)
        cell->content = cell->sealed;
}

static void load_person(struct loading *loading, const struct need *need) {
    struct err err = {0};
    struct arena *arena = &loading->fold->batch;
    const struct person *row = state_find_person(loading->fold->rows, need->owner, GENERATION_FIRST);
    bool there = state_find_person(loading->state, need->owner, GENERATION_FIRST) != NULL;
    struct person *person = state_person(loading->state, need->owner, GENERATION_FIRST);
    loading->news |= !there;
    if (row && !there) {
        assert_int_equal(unpack_person(pack_person(row, arena), arena, person, &err), OK);
        person->revision = row->revision;
    }
    if (row)
        load_cell(loading, &row->profile, &person->profile, need->cells & NEED_PROFILE);
}

static void load_order(struct loading *loading, const struct need *need) {
    struct err err = {0};
    struct arena *arena = &loading->fold->batch;
    const struct order *row = state_find_order(loading->fold->rows, need->owner, need->object);
    bool there = state_find_order(loading->state, need->owner, need->object) != NULL;
    struct order *order = state_order(loading->state, need->owner, need->object);
    loading->news |= !there;
    if (row && !there) {
        assert_int_equal(unpack_order(pack_order(row, arena), arena, order, &err), OK);
        order->stored = true;
    }
    if (!row)
        return;
    load_cell(loading, &row->claim, &order->claim, need->cells & NEED_CLAIM);
    load_cell(loading, &row->voucher, &order->voucher, need->cells & NEED_VOUCHER);
    load_cell(loading, &row->oss, &order->oss, need->cells & NEED_OSS);
}

static void load_shipment(struct loading *loading, const struct need *need) {
    struct err err = {0};
    struct arena *arena = &loading->fold->batch;
    const struct shipment *row = state_find_shipment(loading->fold->rows, need->owner, need->object);
    bool there = state_find_shipment(loading->state, need->owner, need->object) != NULL;
    struct shipment *shipment = state_shipment(loading->state, need->owner, need->object);
    loading->news |= !there;
    if (row && !there) {
        assert_int_equal(unpack_shipment(pack_shipment(row, arena), arena, shipment, &err), OK);
        shipment->stored = true;
    }
    if (row)
        load_cell(loading, &row->delivery, &shipment->delivery, need->cells & NEED_DELIVERY);
}

static void load_notice(struct loading *loading, const struct need *need) {
    struct err err = {0};
    struct arena *arena = &loading->fold->batch;
    const struct notice *row = state_find_notice(loading->fold->rows, need->owner, need->object);
    bool there = state_find_notice(loading->state, need->owner, need->object) != NULL;
    struct notice *notice = state_notice(loading->state, need->owner, need->object);
    loading->news |= !there;
    if (row && !there) {
        assert_int_equal(unpack_notice(pack_notice(row, arena), arena, notice, &err), OK);
        notice->stored = true;
        load_cell(loading, &row->ground, &notice->ground, need->cells & NEED_GROUND);
    }
}

static void load_ref(struct loading *loading, const struct need *need) {
    struct arena *arena = &loading->fold->batch;
    const struct ref_entry *row = state_find_ref(loading->fold->rows, need->owner);
    bool there = state_find_ref(loading->state, need->owner) != NULL;
    struct ref_entry *entry = state_ref(loading->state, need->owner);
    loading->news |= !there;
    if (!row || there)
        return;
    entry->loaded = entry->now = row->now;
    entry->kind = row->kind;
    entry->recipient = arena_text(arena, row->recipient);
    entry->customer_id = arena_text(arena, row->customer_id);
    entry->object_id = arena_text(arena, row->object_id);
}

/* A portion so small that what is left over is met all the time. */
#define PARKED_MOST 1

static void load_parked(struct loading *loading, const struct need *need) {
    struct err err = {0};
    struct arena *arena = &loading->fold->batch;
    const struct ref_entry *row = state_find_ref(loading->fold->rows, need->owner);
    struct ref_entry *entry = state_ref(loading->state, need->owner);
    if (!row || row->now != REF_PARKED || entry->parked.count)
        return;
    for (size_t i = 0; i < row->parked.count && i < PARKED_MOST; i++) {
        struct parked *parked = ARENA_NEW(arena, struct parked);
        *parked = *row->parked.at[i];
        assert_int_equal(
            unpack_event(pack_event(&row->parked.at[i]->event, arena), arena, &parked->event, &err), OK);
        parked->stored = true;
        *ARENA_PUSH(arena, &entry->parked) = parked;
    }
}

static enum outcome load_need(void *context, const struct need *need) {
    static void (*const loads[])(struct loading *, const struct need *) = {
        [NEED_REF] = load_ref,           [NEED_PERSON] = load_person, [NEED_ORDER] = load_order,
        [NEED_SHIPMENT] = load_shipment, [NEED_NOTICE] = load_notice,
    };
    loads[need->kind](context, need);
    if (need->kind == NEED_REF && need->cells & NEED_PARKED)
        load_parked(context, need);
    return OK;
}

/* ---- store ---- */

static void store_cell(struct fold *fold, const struct cell *cell, struct cell *row) {
    struct text content = TEXT_ABSENT;
    if (cell->until != DATE_NONE) {
        assert_true(text_present(cell->content) || text_present(cell->sealed));
        content = text_present(cell->content) ? cell->content : cell->sealed;
    }
    if (!text_equal(content, row->content))
        row->content = arena_text(&fold->kept, content);
    row->until = cell->until;
}

static void store_persons(struct fold *fold, struct state *state) {
    struct err err = {0};
    size_t count;
    struct person *const *persons = state_persons(state, &count);
    for (size_t i = 0; i < count; i++) {
        if (!persons[i]->touched)
            continue;
        struct person *row = state_person(fold->rows, persons[i]->person, persons[i]->generation);
        assert_int_equal(row->revision, persons[i]->revision); /* else it was not loaded */
        assert_int_equal(unpack_person(pack_person(persons[i], &fold->batch), &fold->kept, row, &err), OK);
        store_cell(fold, &persons[i]->profile, &row->profile);
        row->revision++;
        fold->rows_written++;
    }
}

/* The person's guard must be written with whatever is his. */
static void assert_guarded(const struct state *state, struct text person) {
    const struct person *guard = state_find_person(state, person, GENERATION_FIRST);
    assert_non_null(guard);
    assert_true(guard->touched);
}

static void store_orders(struct fold *fold, struct state *state) {
    struct err err = {0};
    size_t count;
    struct order *const *orders = state_orders(state, &count);
    for (size_t i = 0; i < count; i++) {
        if (!orders[i]->touched)
            continue;
        assert_guarded(state, orders[i]->customer_id);
        bool stored = state_find_order(fold->rows, orders[i]->customer_id, orders[i]->order_id) != NULL;
        struct order *row = state_order(fold->rows, orders[i]->customer_id, orders[i]->order_id);
        assert_int_equal(stored, orders[i]->stored);
        assert_int_equal(unpack_order(pack_order(orders[i], &fold->batch), &fold->kept, row, &err), OK);
        store_cell(fold, &orders[i]->claim, &row->claim);
        store_cell(fold, &orders[i]->voucher, &row->voucher);
        store_cell(fold, &orders[i]->oss, &row->oss);
        fold->rows_written++;
    }
}

static void store_shipments(struct fold *fold, struct state *state) {
    struct err err = {0};
    size_t count;
    struct shipment *const *shipments = state_shipments(state, &count);
    for (size_t i = 0; i < count; i++) {
        const struct shipment *shipment = shipments[i];
        if (!shipment->touched)
            continue;
        assert_guarded(state, shipment->customer_id);
        assert_guarded(state, shipment->person);
        bool stored = state_find_shipment(fold->rows, shipment->customer_id, shipment->shipment_id) != NULL;
        struct shipment *row = state_shipment(fold->rows, shipment->customer_id, shipment->shipment_id);
        assert_int_equal(stored, shipment->stored);
        assert_int_equal(unpack_shipment(pack_shipment(shipment, &fold->batch), &fold->kept, row, &err), OK);
        store_cell(fold, &shipment->delivery, &row->delivery);
        fold->rows_written++;
    }
}

static void store_notices(struct fold *fold, struct state *state) {
    struct err err = {0};
    size_t count;
    struct notice *const *notices = state_notices(state, &count);
    for (size_t i = 0; i < count; i++) {
        if (!notices[i]->touched)
            continue;
        assert_guarded(state, notices[i]->person);
        bool stored = state_find_notice(fold->rows, notices[i]->person, notices[i]->notice_ref) != NULL;
        struct notice *row = state_notice(fold->rows, notices[i]->person, notices[i]->notice_ref);
        assert_int_equal(stored, notices[i]->stored);
        assert_int_equal(unpack_notice(pack_notice(notices[i], &fold->batch), &fold->kept, row, &err), OK);
        store_cell(fold, &notices[i]->ground, &row->ground);
        fold->rows_written++;
    }
}

static size_t find_parked(const struct ref_entry *row, const struct event *event) {
    for (size_t i = 0; i < row->parked.count; i++) {
        const struct event *there = &row->parked.at[i]->event;
        if (text_equal(there->topic, event->topic) && there->partition == event->partition &&
            there->offset == event->offset)
            return i;
    }
    return row->parked.count;
}

/* Inserts what is not there yet, deletes what must be there; true when that changed anything. */
static bool store_parked(struct fold *fold, const struct ref_entry *entry, struct ref_entry *row) {
    struct err err = {0};
    bool changed = false;
    for (size_t p = 0; p < entry->parked.count; p++) {
        const struct parked *at = entry->parked.at[p];
        if (at->stored == !at->removed)
            continue;
        size_t place = find_parked(row, &at->event);
        if (at->removed) {
            assert_true(place < row->parked.count);
            row->parked.count--;
            memmove(row->parked.at + place, row->parked.at + place + 1,
                    (row->parked.count - place) * sizeof(*row->parked.at));
        } else if (place < row->parked.count) {
            continue; /* read again */
        } else {
            struct parked *parked = ARENA_NEW(&fold->kept, struct parked);
            *parked = *at;
            assert_int_equal(
                unpack_event(pack_event(&at->event, &fold->batch), &fold->kept, &parked->event, &err), OK);
            *ARENA_PUSH(&fold->kept, &row->parked) = parked;
        }
        changed = true;
    }
    return changed;
}

static void store_refs(struct fold *fold, struct state *state) {
    size_t count;
    struct ref_entry *const *entries = state_refs(state, &count);
    for (size_t i = 0; i < count; i++) {
        const struct ref_entry *entry = entries[i];
        const struct ref_entry *held = state_find_ref(fold->rows, entry->ref);
        /* a row that was there must have been loaded */
        assert_int_equal(held ? held->now : REF_UNKNOWN, entry->loaded);
        if (entry->now == REF_UNKNOWN)
            continue;
        struct ref_entry *row = state_ref(fold->rows, entry->ref);
        bool changed = store_parked(fold, entry, row);
        if (entry->now == entry->loaded) {
            fold->rows_written += changed;
            continue;
        }
        row->now = entry->now;
        row->kind = entry->kind;
        row->recipient = arena_text(&fold->kept, entry->recipient);
        row->customer_id = arena_text(&fold->kept, entry->customer_id);
        row->object_id = arena_text(&fold->kept, entry->object_id);
        fold->rows_written++;
    }
}

static void keep_outputs(struct fold *fold, const struct decision *decision) {
    for (size_t i = 0; i < decision->outputs.count; i++) {
        struct output *output = ARENA_PUSH(&fold->kept, &fold->outputs);
        *output = decision->outputs.at[i];
        struct text *texts[] = {
            &output->topic,       &output->key,       &output->body,           &output->person,
            &output->subject,     &output->service,   &output->recipient,      &output->customer_id,
            &output->shipment_id, &output->role,      &output->disclosure_ref, &output->purpose,
            &output->cause,       &output->dead.topic};
        for (size_t t = 0; t < sizeof(texts) / sizeof(texts[0]); t++)
            *texts[t] = arena_text(&fold->kept, *texts[t]);
    }
}

/* ---- batches ---- */

static enum verdict run(struct fold *fold, const struct event *const *events, size_t count) {
    static const uint8_t hash[32] = {1, 2, 3};
    enum verdict verdict = VERDICT_APPLIED;
    arena_reset(&fold->batch);
    struct loading loading = {.fold = fold, .state = state_new(&fold->batch), .news = true};
    while (loading.news) {
        loading.news = false;
        for (size_t i = 0; i < count; i++)
            assert_int_equal(decide_needs(events[i], fold->policy, &fold->ref_key, loading.state,
                                          &fold->batch, load_need, &loading),
                             OK);
    }
    struct decision decision = {.policy = fold->policy,
                                .ref_key = &fold->ref_key,
                                .arena = &fold->batch,
                                .writer = fold->writer,
                                .state = loading.state,
                                .now_us = fold->now_us};
    for (size_t i = 0; i < count; i++)
        assert_int_equal(decide_event(&decision, events[i], hash, &verdict), OK);
    fold->rows_written = 0;
    store_refs(fold, loading.state);
    store_orders(fold, loading.state);
    store_shipments(fold, loading.state);
    store_notices(fold, loading.state);
    store_persons(fold, loading.state);
    keep_outputs(fold, &decision);
    for (size_t v = 0; v < VERDICTS; v++)
        fold->verdicts[v] += decision.verdicts[v];
    fold->second_facts += decision.second_facts;
    return verdict;
}

static struct event act_of(enum event_type type, struct text ref, const struct event *parked) {
    struct event act = {.type = type,
                        .topic = parked->topic,
                        .partition = parked->partition,
                        .offset = parked->offset,
                        .timestamp_ms = parked->timestamp_ms};
    act.as.parked.ref = ref;
    act.as.parked.waited = parked;
    return act;
}

/* The calendar's turn: what was left over under refs that are known takes effect. */
static void settle_left_over(struct fold *fold) {
    size_t count, written = fold->rows_written;
    struct ref_entry *const *refs = state_refs(fold->rows, &count);
    for (size_t i = 0; i < count; i++) {
        while (refs[i]->now == REF_KNOWN && refs[i]->parked.count) {
            struct event act = act_of(CALENDAR_PARKED_LEARNT, refs[i]->ref, &refs[i]->parked.at[0]->event);
            const struct event *acts[] = {&act};
            size_t before = refs[i]->parked.count;
            run(fold, acts, 1);
            assert_true(refs[i]->parked.count < before);
            refs = state_refs(fold->rows, &count);
        }
    }
    fold->rows_written = written;
}

void fold_batch(struct fold *fold, const struct event *const *events, size_t count) {
    (void)run(fold, events, count);
    settle_left_over(fold);
}

enum verdict fold_event(struct fold *fold, const struct event *event) {
    enum verdict verdict = run(fold, &event, 1);
    settle_left_over(fold);
    return verdict;
}

enum verdict fold_expire(struct fold *fold, const struct event *parked) {
    int64_t now_us = fold->now_us;
    struct text ref =
        parked->type == DELIVERY_STATUS ? parked->as.delivery.shipment_ref : parked->as.ack.notice_ref;
    const struct ref_entry *row = state_find_ref(fold->rows, ref);
    if (!row || find_parked(row, parked) == row->parked.count)
        return VERDICT_APPLIED; /* not due: settled already */
    struct event act = act_of(CALENDAR_PARKED_EXPIRED, ref, parked);
    fold->now_us = parked->timestamp_ms * 1000 + PARKING_US;
    enum verdict verdict = fold_event(fold, &act);
    fold->now_us = now_us;
    return verdict;
}

/* ---- dump ---- */

static enum outcome show_open(void *context, const struct cell *cell, struct text *json) {
    (void)context;
    *json = cell->content;
    return text_present(cell->content) ? OK : FATAL;
}

static int by_person(const void *a, const void *b) {
    return dump_compare_persons(*(struct person *const *)a, *(struct person *const *)b);
}

static int by_order(const void *a, const void *b) {
    return dump_compare_orders(*(struct order *const *)a, *(struct order *const *)b);
}

static int by_shipment(const void *a, const void *b) {
    return dump_compare_shipments(*(struct shipment *const *)a, *(struct shipment *const *)b);
}

struct lines {
    struct arena *arena;
    LIST(char) chars;
};

static void add_text(struct lines *lines, struct text text) {
    for (size_t i = 0; i < text.size; i++)
        *ARENA_PUSH(lines->arena, &lines->chars) = text.at[i];
}

static void *sorted(struct arena *arena, const void *items, size_t count,
                    int compare(const void *, const void *)) {
    void **copy = arena_array(arena, sizeof(void *), count ? count : 1);
    if (count)
        memcpy(copy, items, count * sizeof(void *));
    qsort(copy, count, sizeof(void *), compare);
    return copy;
}

struct text fold_dump(struct fold *fold) {
    struct lines lines = {.arena = &fold->kept};
    struct dump dump = {.writer = fold->writer, .show = show_open};
    size_t count;
    struct person *const *persons = state_persons(fold->rows, &count);
    persons = sorted(&fold->kept, persons, count, by_person);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(dump_person(&dump, persons[i]), OK);
        add_text(&lines, json_writer_text(fold->writer));
        add_text(&lines, TEXT("\n"));
    }
    struct order *const *orders = state_orders(fold->rows, &count);
    orders = sorted(&fold->kept, orders, count, by_order);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(dump_order(&dump, orders[i]), OK);
        add_text(&lines, json_writer_text(fold->writer));
        add_text(&lines, TEXT("\n"));
    }
    struct shipment *const *shipments = state_shipments(fold->rows, &count);
    shipments = sorted(&fold->kept, shipments, count, by_shipment);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(dump_shipment(&dump, shipments[i]), OK);
        add_text(&lines, json_writer_text(fold->writer));
        add_text(&lines, TEXT("\n"));
    }
    add_text(&lines, (struct text){"", 1});
    return (struct text){lines.chars.at, lines.chars.count - 1};
}

struct text fold_packed(struct fold *fold) {
    struct lines lines = {.arena = &fold->kept};
    size_t count;
    struct person *const *persons = state_persons(fold->rows, &count);
    persons = sorted(&fold->kept, persons, count, by_person);
    for (size_t i = 0; i < count; i++)
        add_text(&lines, pack_person(persons[i], &fold->kept));
    struct order *const *orders = state_orders(fold->rows, &count);
    orders = sorted(&fold->kept, orders, count, by_order);
    for (size_t i = 0; i < count; i++)
        add_text(&lines, pack_order(orders[i], &fold->kept));
    struct shipment *const *shipments = state_shipments(fold->rows, &count);
    shipments = sorted(&fold->kept, shipments, count, by_shipment);
    for (size_t i = 0; i < count; i++) {
        struct shipment shipment = *shipments[i];
        shipment.units.count = 0;
        add_text(&lines, pack_shipment(&shipment, &fold->kept));
    }
    return (struct text){lines.chars.at, lines.chars.count};
}

size_t fold_count(const struct fold *fold, const char *type) {
    size_t count = 0;
    for (size_t i = 0; i < fold->outputs.count; i++)
        count += strcmp(fold->outputs.at[i].type, type) == 0;
    return count;
}

const struct output *fold_output(const struct fold *fold, const char *type, size_t index) {
    for (size_t i = 0; i < fold->outputs.count; i++) {
        if (strcmp(fold->outputs.at[i].type, type) == 0 && !index--)
            return &fold->outputs.at[i];
    }
    fail_msg("there is no such output of type %s", type);
    return NULL;
}
