/* The parked events of the register in memory. */
#include "tests/unit/memory_parked.h"
#include <assert.h>
#include <stdlib.h>

static int by_ref_and_place(const void *a, const void *b) {
    const struct row_parked *one = a, *two = b;
    int order = text_compare(one->ref, two->ref);
    order = order ? order : text_compare(one->topic, two->topic);
    order = order ? order : (one->partition > two->partition) - (one->partition < two->partition);
    return order ? order : (one->offset > two->offset) - (one->offset < two->offset);
}

static int by_expiry(const void *a, const void *b) {
    const struct row_parked *one = a, *two = b;
    int order = (one->expires_us > two->expires_us) - (one->expires_us < two->expires_us);
    return order ? order : by_ref_and_place(a, b);
}

static bool is_known(const struct memory_register *memory, struct text ref) {
    bool known = false;
    for (size_t i = 0; i < memory->refs.count; i++)
        known |= text_equal(memory->refs.at[i].ref, ref) && text_present(memory->refs.at[i].recipient);
    return known;
}

struct row_parked *memory_parked_find(struct memory_register *memory, const struct row_parked *place) {
    for (size_t i = 0; i < memory->parked.count; i++)
        if (memory->parked.at[i].offset == place->offset &&
            by_ref_and_place(&memory->parked.at[i], place) == 0)
            return &memory->parked.at[i];
    return NULL;
}

void memory_parked_read(struct memory_register *memory, struct arena *arena,
                        const struct read_request *request, struct read_rows *rows) {
    struct row_parked *found = calloc(memory->parked.count + 1, sizeof *found);
    size_t taken = 0;
    assert(found);
    for (size_t k = 0; k < request->parked.count; k++) {
        struct text ref = request->parked.keys[k].owner;
        size_t count = 0;
        for (size_t n = 0; n < memory->parked.count && !is_known(memory, ref); n++)
            if (text_equal(memory->parked.at[n].ref, ref))
                found[taken + count++] = memory->parked.at[n];
        qsort(found + taken, count, sizeof *found, by_ref_and_place);
        taken += count < request->parked_most ? count : request->parked_most;
    }
    rows->parked.at = ARENA_ARRAY(arena, struct row_parked, taken + 1);
    assert(rows->parked.at);
    memcpy(rows->parked.at, found, taken * sizeof *found);
    rows->parked.count = taken;
    free(found);
}

size_t memory_parked_due(struct memory_register *memory, struct arena *arena, enum due_kind kind,
                         int64_t now_us, const struct row_parked *after, size_t limit,
                         struct row_parked **rows) {
    int (*const order)(const void *, const void *) = kind == DUE_EXPIRED ? by_expiry : by_ref_and_place;
    struct row_parked *due = calloc(memory->parked.count + 1, sizeof *due);
    size_t found = 0;
    assert(due);
    for (size_t i = 0; i < memory->parked.count; i++) {
        const struct row_parked *row = &memory->parked.at[i];
        bool known = is_known(memory, row->ref);
        if ((kind == DUE_EXPIRED ? !known && row->expires_us <= now_us : known) && order(row, after) > 0)
            due[found++] = *row;
    }
    qsort(due, found, sizeof *due, order);
    size_t count = found < limit ? found : limit;
    *rows = ARENA_ARRAY(arena, struct row_parked, count + 1);
    assert(*rows);
    memcpy(*rows, due, count * sizeof *due);
    free(due);
    return count;
}

void memory_parked_settled(struct memory_register *memory, const struct write *write) {
    for (size_t i = 0; i < write->unparked.count; i++) {
        bool listed = !is_known(memory, write->unparked.at[i].ref);
        for (size_t n = 0; n < write->refs_settled.count; n++)
            listed |= text_equal(write->refs_settled.at[n]->ref, write->unparked.at[i].ref);
        assert(listed);
    }
}

static void apply_ref(struct memory_register *memory, const struct ref_entry *at) {
    struct row_ref *to = NULL;
    for (size_t i = 0; i < memory->refs.count && !to; i++)
        if (text_equal(memory->refs.at[i].ref, at->ref))
            to = &memory->refs.at[i];
    if (!to)
        to = ARENA_PUSH(&memory->kept, &memory->refs);
    bool known = at->now == REF_KNOWN;
    *to = (struct row_ref){memory_keep(memory, at->ref),
                           at->kind == REF_SHIPMENT ? TEXT("shipment")
                           : at->kind == REF_NOTICE ? TEXT("notice")
                                                    : TEXT("token"),
                           known ? memory_keep(memory, at->recipient) : TEXT_ABSENT,
                           known ? memory_keep(memory, at->customer_id) : TEXT_ABSENT,
                           known ? memory_keep(memory, at->object_id) : TEXT_ABSENT};
}

void memory_parked_apply(struct memory_register *memory, const struct write *write) {
    for (size_t i = 0; i < write->refs_new.count; i++)
        apply_ref(memory, write->refs_new.at[i]);
    for (size_t i = 0; i < write->refs_parked.count; i++)
        apply_ref(memory, write->refs_parked.at[i]);
    for (size_t i = 0; i < write->unparked.count; i++) {
        struct row_parked *there = memory_parked_find(memory, &write->unparked.at[i]);
        assert(there);
        *there = memory->parked.at[--memory->parked.count];
    }
    memory_parked_settled(memory, write);
    for (size_t i = 0; i < write->parked.count; i++) {
        const struct write_parked *at = &write->parked.at[i];
        const struct event *event = &at->at->event;
        const struct row_parked place = {
            .ref = at->ref, .topic = event->topic, .partition = event->partition, .offset = event->offset};
        if (memory_parked_find(memory, &place))
            continue; /* read again */
        struct row_parked *to = ARENA_PUSH(&memory->kept, &memory->parked);
        *to = (struct row_parked){memory_keep(memory, at->ref),
                                  memory_keep(memory, event->topic),
                                  event->partition,
                                  event->offset,
                                  at->at->expires_us,
                                  memory_keep(memory, at->body),
                                  memory_keep(memory, (struct text){(const char *)at->at->record_hash,
                                                                    sizeof at->at->record_hash})};
    }
}
