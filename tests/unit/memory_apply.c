/* The register in memory: everything that a committed write does. */
#include "tests/unit/memory_register.h"
#include "tests/unit/memory_facts.h"
#include "tests/unit/memory_parked.h"
#include <assert.h>
#include <stdio.h>

struct row_cell memory_keep_cell(struct memory_register *memory, const struct cell *cell) {
    return (struct row_cell){cell->until,
                             cell->until == DATE_NONE ? TEXT_ABSENT : memory_keep(memory, cell->sealed)};
}

static void apply_aggregates(struct memory_register *memory, const struct write *write) {
    for (size_t i = 0; i < write->persons.count; i++) {
        const struct person *at = write->persons.at[i].at;
        struct row_person *to = MEMORY_ROW(memory->persons, text_equal(row->person, at->person) &&
                                                                row->generation == at->generation);
        *to = (struct row_person){memory_keep(memory, at->person), at->generation, at->revision + 1,
                                  memory_keep_cell(memory, &at->profile),
                                  memory_keep(memory, write->persons.at[i].merge)};
    }
    for (size_t i = 0; i < write->orders.count; i++) {
        const struct order *at = write->orders.at[i].at;
        struct row_order *to = MEMORY_ROW(memory->orders, text_equal(row->customer_id, at->customer_id) &&
                                                              text_equal(row->order_id, at->order_id));
        *to = (struct row_order){
            memory_keep(memory, at->customer_id), memory_keep(memory, at->order_id),
            memory_keep_cell(memory, &at->claim), memory_keep_cell(memory, &at->voucher),
            memory_keep_cell(memory, &at->oss),   memory_keep(memory, write->orders.at[i].merge)};
    }
    for (size_t i = 0; i < write->shipments.count; i++) {
        const struct shipment *at = write->shipments.at[i].at;
        size_t before = memory->shipments.count;
        struct row_shipment *to =
            MEMORY_ROW(memory->shipments, text_equal(row->customer_id, at->customer_id) &&
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
        struct row_notice *to = MEMORY_ROW(memory->notices, text_equal(row->person, at->person) &&
                                                                text_equal(row->notice_ref, at->notice_ref));
        *to = (struct row_notice){memory_keep(memory, at->person), memory_keep(memory, at->notice_ref),
                                  memory_keep_cell(memory, &at->ground),
                                  memory_keep(memory, write->notices.at[i].merge)};
    }
}

static struct text output_line(struct memory_register *memory, const struct output *output) {
    char line[4096], id[37];
    output_id_write(&output->id, id);
    int size = snprintf(line, sizeof line, "%.*s %.*s %s %s %.*s", TEXT_ARGS(output->subject),
                        TEXT_ARGS(output->topic), output->type, id, TEXT_ARGS(output->body));
    assert(size > 0 && (size_t)size < sizeof line);
    return memory_keep(memory, (struct text){line, (size_t)size});
}

bool memory_emitted(const struct memory_register *memory, const struct output_id *id) {
    for (size_t i = 0; i < memory->emitted.count; i++)
        if (memcmp(&memory->emitted.at[i], id, sizeof *id) == 0)
            return true;
    return false;
}

static void apply_output(struct memory_register *memory, const struct write_output *written, int64_t seq) {
    const struct output *output = written->at;
    *ARENA_PUSH(&memory->kept, &memory->emitted) = output->id;
    if (text_present(output->person))
        memory_facts_sent(memory, written, seq);
    if (memory->tell) {
        memory->tell(memory->tell_context, written, seq);
        return;
    }
    struct text *to = ARENA_PUSH(&memory->kept, &memory->outputs);
    *to = output_line(memory, output);
    memory_facts_told(memory, output, *to);
}

static void apply_outputs(struct memory_register *memory, const struct write *write, const int64_t *seqs) {
    for (size_t i = 0; i < write->outputs.count; i++) {
        const struct write_output *written = &write->outputs.at[i];
        if (seqs ? seqs[i] != 0 : !memory_emitted(memory, &written->at->id))
            apply_output(memory, written, seqs ? seqs[i] : (int64_t)memory->outbox.count + 1);
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

void memory_apply(struct memory_register *memory, const struct write *write, const int64_t *seqs) {
    for (size_t i = 0; i < write->advances.count; i++) {
        const struct advance *advance = &write->advances.at[i];
        struct claimed *row = &memory_position_of(memory, advance->topic, advance->partition)->row;
        row->next = advance->after;
        row->decided_us = advance->decided_us > row->decided_us ? advance->decided_us : row->decided_us;
        if (advance->fingerprint.offset >= 0)
            row->fingerprint = advance->fingerprint;
    }
    apply_aggregates(memory, write);
    memory_facts_apply(memory, write);
    memory_parked_apply(memory, write);
    apply_outputs(memory, write, seqs);
}
