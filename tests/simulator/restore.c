/* Backups of register and vault, and what follows when one of them, or both, come back from one: runbook.md,
 * "A backup is to be restored". */
#include "producer/reconcile_rows.h"
#include "tests/simulator/sim.h"

#include <assert.h>
#include <stdlib.h>

void restore_draw(struct sim *sim) {
    struct draw *draw = &sim->schedule;
    sim->restores_register = draw_chance(draw, 700);
    sim->restores_vault = !sim->restores_register || draw_chance(draw, 400);
    sim->publishes =
        draw_chance(draw, 500) ? sim->story.count : 1 + draw_below(draw, (unsigned)sim->story.count);
    sim->backup.register_step = draw_below(draw, 150);
    sim->backup.vault_step = draw_chance(draw, 300) ? sim->backup.register_step : draw_below(draw, 150);
}

/* ---- taken while all are at work ---- */

static void back_up_register(struct sim *sim) {
    struct sim_backup *backup = &sim->backup;
    sim_tell(sim, "a backup of the register");
    session_save_rows(sim, &backup->rows);
    backup->mirror = sim->mirror;
    backup->anchors = sim->anchors;
    backup->sequence = sim->sequence;
    backup->floor = sim->floor;
    backup->dropped_below = sim->dropped_below;
    backup->counter = sim->counter;
    backup->fate_count = sim->fates.count;
    backup->register_taken = true;
}

static void back_up_vault(struct sim *sim) {
    sim_tell(sim, "a backup of the vault");
    memory_vault_copy(&sim->backup.vault, &sim->vault);
    sim->backup.vault_taken = true;
}

void restore_back_up(struct sim *sim) {
    struct sim_backup *backup = &sim->backup;
    if (!backup->register_taken && sim->steps >= backup->register_step && !sim->doubt.open)
        back_up_register(sim);
    if (!backup->vault_taken && sim->steps >= backup->vault_step)
        back_up_vault(sim);
}

void restore_release(struct sim *sim) {
    memory_vault_release(&sim->backup.vault);
}

/* ---- and put in their places ---- */

static void bring_back(struct sim *sim) {
    struct sim_backup *backup = &sim->backup;
    if (sim->restores_register && backup->register_taken) {
        sim_tell(sim, "the register is restored");
        session_load_rows(sim, &backup->rows);
        sim->mirror = backup->mirror;
        sim->anchors = backup->anchors;
        sim->sequence = backup->sequence;
        sim->floor = backup->floor;
        sim->dropped_below = backup->dropped_below;
        sim->counter = backup->counter;
        sim->fates.count = backup->fate_count;
    }
    if (sim->restores_vault && backup->vault_taken) {
        sim_tell(sim, "the vault is restored");
        memory_vault_release(&sim->vault);
        sim->vault = backup->vault;
        backup->vault = (struct memory_vault){0};
    }
    sim->restores_register &= backup->register_taken;
    sim->restores_vault &= backup->vault_taken;
    sim->restored = sim->restores_register || sim->restores_vault;
    sim->lost_keys = sim->restores_vault;
    sim->memory.lossy = sim->restores_register;
}

/* Whether a worker would start as it is. */
static bool starts(struct sim *sim) {
    struct remember_sum sum;
    struct err err;
    return sim->counter <= sim->vault.counter &&
           remembered_compare(sim, NULL, &sum, NULL, NULL, &err) == OK && remember_judge(&sum, &err) == OK;
}

static bool is_mended(const struct sim *sim) {
    return !sim->mending && !sim->at[0];
}

/* ---- `kundregister-producer reconcile`: the real verdict over the simulated outbox and topics ---- */

static int by_id(const void *a, const void *b) {
    const struct reconcile_row *one = a, *two = b;
    return memcmp(one->output_id, two->output_id, sizeof one->output_id);
}

static void load_outbox(struct sim *sim, struct reconcile_rows *rows) {
    for (size_t i = 0; i < sim->mirror.count; i++)
        reconcile_rows_topic(rows, sim->mirror.at[i].topic)->mirrored = sim->mirror.at[i].seq;
    rows->at = calloc(sim->outputs.count + 1, sizeof *rows->at);
    assert(rows->at);
    rows->room = sim->outputs.count + 1;
    for (size_t i = 0; i < sim->outputs.count; i++) {
        const struct sim_output *output = &sim->outputs.at[i];
        if (output->seq <= sim->dropped_below)
            continue;
        struct reconcile_row *row = &rows->at[rows->count++];
        *row = (struct reconcile_row){
            .seq = output->seq,
            .topic = (uint32_t)(reconcile_rows_topic(rows, output->output.topic) - rows->topics),
            .settled = outputs_fate(sim, output->seq) != FATE_PUBLISH};
        memcpy(row->row_id, output->row_id, ROW_ID_BYTES);
        memcpy(row->output_id, output->output.id.bytes, sizeof row->output_id);
    }
    for (size_t i = 0; i < sim->anchors.count; i++) {
        struct reconcile_topic *topic = reconcile_rows_topic(rows, sim->anchors.at[i].topic);
        topic->position = sim->anchors.at[i].seq;
        memcpy(topic->row_id, sim->anchors.at[i].row_id, ROW_ID_BYTES);
    }
    qsort(rows->at, rows->count, sizeof *rows->at, by_id);
}

static void write_outbox(struct sim *sim, const struct reconcile_rows *rows) {
    for (size_t i = 0; i < rows->count; i++)
        if (rows->at[i].published && rows->at[i].seq > rows->topics[rows->at[i].topic].position)
            *ARENA_PUSH(&sim->memory.kept, &sim->fates) =
                (struct relay_row){.seq = rows->at[i].seq, .fate = FATE_ELSEWHERE};
    for (size_t i = 0; i < rows->unknown_count; i++)
        memcpy(ARENA_PUSH(&sim->memory.kept, &sim->before)->bytes, rows->unknown[i].bytes, 16);
    sim->mirror.count = sim->positions.count = 0;
    sim->floor = 0;
    for (size_t i = 0; i < rows->topic_count; i++) {
        const struct reconcile_topic *topic = &rows->topics[i];
        struct relay_mark mark = {.topic = sim_keep(sim, text_of(topic->name)), .seq = topic->position};
        memcpy(mark.row_id, topic->row_id, ROW_ID_BYTES);
        if (topic->position) {
            marks_put(&sim->mirror, &mark);
            marks_put(&sim->positions, &mark);
        }
    }
}

static void reconcile_outbox(struct sim *sim) {
    struct reconcile_rows rows;
    struct reconcile_report report = {0};
    reconcile_rows_init(&rows);
    load_outbox(sim, &rows);
    for (size_t i = 0; i < sim->positions.count; i++)
        (void)reconcile_rows_topic(&rows, sim->positions.at[i].topic);
    for (size_t i = 0; i < sim->log.count; i++)
        if (!reconcile_rows_seen(&rows, sim->log.at[i].id.bytes, INT64_MAX))
            abort();
    reconcile_rows_judge(&rows, &report);
    write_outbox(sim, &rows);
    reconcile_rows_release(&rows);
    sim_tell(sim, "producer reconcile: %zu rows published, %zu waiting, %zu ids remembered",
             report.rows_published, report.rows_waiting, report.ids_remembered);
}

/* ---- the whole ---- */

void restore_run(struct sim *sim) {
    process_kill_all(sim);
    bring_back(sim);
    if (sim->restores_register || !starts(sim)) { /* runbook.md: after a restored register in any case */
        sim->mending = true;
        process_start_later(sim, 0, 1000);
        process_run_all(sim, is_mended);
    }
    if (sim->wrong[0])
        return;
    if (sim->restores_register)
        reconcile_outbox(sim);
    for (unsigned slot = 0; slot < SIM_SLOTS; slot++)
        if (slot < SIM_WORKERS ? slot < sim->workers : slot - SIM_WORKERS < sim->relays)
            process_start_later(sim, slot, 1000);
    sim->publishes = sim->story.count;
}
