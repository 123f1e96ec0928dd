/* Consents, requests, addresses, tombstones and their like in memory. */
#include "tests/unit/memory_facts.h"
#include <assert.h>
#include <stdio.h>

#define READ(list, condition)                                                                                \
    do {                                                                                                     \
        rows->list.at = arena_array(arena, sizeof(*rows->list.at), memory->list.count + 1);                  \
        assert(rows->list.at);                                                                               \
        for (size_t k = 0; k < request->list.count; k++) {                                                   \
            const struct read_key *key = &request->list.keys[k];                                             \
            for (size_t n = 0; n < memory->list.count; n++) {                                                \
                const __typeof__(*memory->list.at) *row = &memory->list.at[n];                               \
                if (condition)                                                                               \
                    rows->list.at[rows->list.count++] = *row;                                                \
            }                                                                                                \
        }                                                                                                    \
    } while (0)

/* ---- read ---- */

static void add_whole(struct read_rows *rows, struct text person, bool is_order, struct text customer_id,
                      struct text object_id) {
    for (size_t i = 0; i < rows->wholes.count; i++) {
        const struct row_whole *there = &rows->wholes.at[i];
        if (there->is_order == is_order && text_equal(there->person, person) &&
            text_equal(there->key.customer_id, customer_id) && text_equal(there->key.object_id, object_id))
            return;
    }
    rows->wholes.at[rows->wholes.count++] = (struct row_whole){person, is_order, {customer_id, object_id}};
}

static bool is_told(const struct memory_register *memory, struct text person, struct text customer_id,
                    struct text shipment_id) {
    for (size_t i = 0; i < memory->outbox.count; i++) {
        const struct row_unpublished *row = &memory->outbox.at[i];
        if (text_equal(row->person, person) && text_equal(row->customer_id, customer_id) &&
            text_equal(row->shipment_id, shipment_id))
            return true;
    }
    return false;
}

static void read_wholes(struct memory_register *memory, struct arena *arena,
                        const struct read_request *request, struct read_rows *rows) {
    size_t most = request->wholes.count * (memory->orders.count + memory->shipments.count);
    rows->wholes.at = ARENA_ARRAY(arena, struct row_whole, most + 1);
    assert(rows->wholes.at);
    for (size_t k = 0; k < request->wholes.count; k++) {
        struct text person = request->wholes.keys[k].owner;
        for (size_t i = 0; i < memory->orders.count; i++)
            if (text_equal(memory->orders.at[i].customer_id, person))
                add_whole(rows, person, true, person, memory->orders.at[i].order_id);
        for (size_t i = 0; i < memory->shipments.count; i++) {
            const struct row_shipment *row = &memory->shipments.at[i];
            if (text_equal(row->customer_id, person) || text_equal(memory->consignees.at[i], person) ||
                is_told(memory, person, row->customer_id, row->shipment_id))
                add_whole(rows, person, false, row->customer_id, row->shipment_id);
        }
    }
}

static void read_orphans(struct memory_register *memory, struct arena *arena,
                         const struct read_request *request, struct read_rows *rows) {
    rows->orphans.at = ARENA_ARRAY(arena, struct row_orphan, memory->tombstones.count + 1);
    assert(rows->orphans.at);
    for (size_t k = 0; k < request->orphans.count; k++)
        for (size_t i = 0; i < memory->tombstones.count; i++) {
            const struct memory_tombstone *row = &memory->tombstones.at[i];
            if (text_present(row->person) || !text_equal(row->subject, request->orphans.keys[k].owner))
                continue;
            struct row_orphan *orphan = &rows->orphans.at[rows->orphans.count++];
            *orphan = (struct row_orphan){row->subject, row->cut};
            orphan->cut.restored = true;
        }
}

void memory_facts_read(struct memory_register *memory, struct arena *arena,
                       const struct read_request *request, struct read_rows *rows) {
    READ(consents, text_equal(row->person, key->owner));
    READ(requests, text_equal(row->key, key->owner));
    READ(addresses, text_equal(row->key, key->owner));
    read_wholes(memory, arena, request, rows);
    read_orphans(memory, arena, request, rows);
}

size_t memory_facts_unpublished(struct memory_register *memory, struct arena *arena,
                                const struct key_doom *dooms, size_t count, struct row_unpublished **rows) {
    size_t found = 0;
    *rows = ARENA_ARRAY(arena, struct row_unpublished, memory->outbox.count + 1);
    assert(*rows);
    for (size_t i = 0; i < memory->outbox.count; i++) {
        const struct row_unpublished *row = &memory->outbox.at[i];
        for (size_t k = 0; row->seq > memory->published && k < count; k++)
            if (text_equal(row->person, dooms[k].person) && row->generation == dooms[k].generation &&
                row->category == dooms[k].category)
                (*rows)[found++] = *row;
    }
    return found;
}

/* ---- write ---- */

bool memory_facts_guarded(struct memory_register *memory, const struct write *write) {
    for (size_t i = 0; i < write->requests.count; i++) {
        const struct request *at = write->requests.at[i].at;
        const struct row_guarded *there = MEMORY_FIND(memory->requests, text_equal(row->key, at->request_id));
        if ((there ? there->revision : 0) != at->revision)
            return false;
    }
    for (size_t i = 0; i < write->addresses.count; i++) {
        const struct address *at = write->addresses.at[i].at;
        const struct row_guarded *there = MEMORY_FIND(memory->addresses, text_equal(row->key, at->hash));
        if ((there ? there->revision : 0) != at->revision)
            return false;
    }
    return true;
}

static void apply_erasures(struct memory_register *memory, const struct write *write) {
    for (size_t i = 0; i < write->tombstones.count; i++) {
        const struct write_tombstone *at = &write->tombstones.at[i];
        struct memory_tombstone *to = MEMORY_ROW(memory->tombstones, text_equal(row->subject, at->subject) &&
                                                                         row->cut.cut_us == at->at->cut_us);
        *to = (struct memory_tombstone){.subject = memory_keep(memory, at->subject),
                                        .person = memory_keep(memory, at->person),
                                        .generation = at->generation,
                                        .cut = *at->at,
                                        .categories = memory_keep(memory, at->categories),
                                        .version = ++memory->version};
    }
    for (size_t i = 0; i < write->doomed.count; i++) {
        const struct key_doom *at = &write->doomed.at[i];
        struct key_doom *to = MEMORY_ROW(memory->doomed, text_equal(row->person, at->person) &&
                                                             row->generation == at->generation &&
                                                             row->category == at->category);
        struct key_doom kept = *at;
        kept.person = memory_keep(memory, at->person);
        kept.cells = to->cells > at->cells ? to->cells : at->cells;
        kept.transit = to->transit > at->transit ? to->transit : at->transit;
        *to = kept;
    }
    for (size_t i = 0; i < write->resealed.count; i++) {
        const struct write_resealed *at = &write->resealed.at[i];
        struct row_unpublished *to =
            MEMORY_FIND(memory->outbox, row->seq == at->seq && text_equal(row->row_id, at->row_id));
        if (to) /* else its partition was dropped meanwhile: it is published */
            to->body = memory_keep(memory, at->body);
    }
}

void memory_facts_apply(struct memory_register *memory, const struct write *write) {
    for (size_t i = 0; i < write->consents.count; i++) {
        const struct consent *at = write->consents.at[i].at;
        struct row_consent *to = MEMORY_ROW(memory->consents, text_equal(row->person, at->person) &&
                                                                  text_equal(row->fact, at->fact));
        *to = (struct row_consent){memory_keep(memory, at->person), memory_keep(memory, at->fact),
                                   memory_keep_cell(memory, &at->proof),
                                   memory_keep(memory, write->consents.at[i].merge)};
    }
    for (size_t i = 0; i < write->requests.count; i++) {
        const struct request *at = write->requests.at[i].at;
        struct row_guarded *to = MEMORY_ROW(memory->requests, text_equal(row->key, at->request_id));
        *to = (struct row_guarded){memory_keep(memory, at->request_id), at->revision + 1,
                                   memory_keep(memory, write->requests.at[i].merge)};
    }
    for (size_t i = 0; i < write->addresses.count; i++) {
        const struct address *at = write->addresses.at[i].at;
        struct row_guarded *to = MEMORY_ROW(memory->addresses, text_equal(row->key, at->hash));
        *to = (struct row_guarded){memory_keep(memory, at->hash), at->revision + 1,
                                   memory_keep(memory, write->addresses.at[i].merge)};
    }
    apply_erasures(memory, write);
}

void memory_facts_sent(struct memory_register *memory, const struct write_output *output, int64_t seq) {
    const struct output *at = output->at;
    struct row_unpublished *to = ARENA_PUSH(&memory->kept, &memory->outbox);
    assert(to);
    *to = (struct row_unpublished){
        .seq = seq,
        .row_id = memory_keep(memory, (struct text){(const char *)output->row_id, ROW_ID_BYTES}),
        .person = memory_keep(memory, at->person),
        .generation = at->generation,
        .category = at->category,
        .customer_id = memory_keep(memory, at->customer_id),
        .shipment_id = memory_keep(memory, at->shipment_id),
        .body = memory_keep(memory, output->body)};
}

static bool holds(struct text line, const char *type) {
    return memmem(line.at, line.size, type, strlen(type)) != NULL;
}

static bool is_type(const struct output *output, const char *type) {
    return strcmp(output->type, type) == 0;
}

void memory_facts_told(struct memory_register *memory, const struct output *output, struct text line) {
    char text[4096];
    bool one_by_one =
        is_type(output, "register.disclosure.shipment") || is_type(output, "register.dead-letter");
    bool notice = is_type(output, "register.disclosure.corrected") ||
                  is_type(output, "register.disclosure.withdrawn") ||
                  is_type(output, "register.notice.anonymize");
    struct memory_told *to = one_by_one
                                 ? NULL
                                 : MEMORY_FIND(memory->told, text_equal(row->topic, output->topic) &&
                                                                 text_equal(row->key, output->key) &&
                                                                 (!notice || holds(row->line, output->type)));
    int size =
        snprintf(text, sizeof text, "%.*s %.*s %s %.*s", TEXT_ARGS(output->subject), TEXT_ARGS(output->topic),
                 output->type, notice ? 0 : (int)output->body.size, output->body.at);
    assert(size > 0 && (size_t)size < sizeof text);
    if (!to)
        to = ARENA_PUSH(&memory->kept, &memory->told);
    assert(to);
    *to = (struct memory_told){memory_keep(memory, output->topic), memory_keep(memory, output->key),
                               one_by_one ? line : memory_keep(memory, text_of(text))};
}
