/* The relay's world in memory. */
#include "tests/unit/memory_outbox.h"

#include <stdio.h>

/* ---- faults: each call may crash or fail, before or after its effect ---- */

static enum outcome enter(struct world *world, struct err *err) {
    if (world->dead)
        return err_set(err, FATAL, 0, "crashed");
    world->calls++;
    if (world->calls == world->crash_before) {
        world->dead = true;
        return err_set(err, FATAL, 0, "crashed");
    }
    return world->calls == world->fail_before ? err_set(err, RETRY, 0, "failed") : OK;
}

static enum outcome leave(struct world *world, struct err *err) {
    if (world->calls == world->crash_after) {
        world->dead = true;
        return err_set(err, FATAL, 0, "crashed");
    }
    return world->calls == world->fail_after ? err_set(err, RETRY, 0, "the reply was lost") : OK;
}

#define ENTER(world, opaque)                                                                                 \
    struct world *world = (opaque);                                                                          \
    enum outcome entered = enter(world, err);                                                                \
    if (entered != OK)                                                                                       \
    return entered

/* ---- clock ---- */

static int64_t clock_now_us(void *clock) {
    struct world *world = clock;
    return ++world->clock_us;
}

static bool clock_sleep_us(void *clock, int64_t sleep_us) {
    struct world *world = clock;
    world->clock_us += sleep_us;
    return true;
}

const struct clock_ops memory_clock = {
    .now_us = clock_now_us, .monotonic_us = clock_now_us, .sleep_us = clock_sleep_us};

/* ---- marks ---- */

static void marks_put(struct relay_mark *marks, size_t *count, const struct relay_mark *mark,
                      const struct world *world) {
    size_t at = 0;
    while (at < *count && !text_equal(marks[at].topic, mark->topic))
        at++;
    *count += at == *count;
    marks[at] = *mark;
    for (size_t i = 0; i < world->row_count; i++) /* the relay's own text will not last */
        if (text_equal(world->rows[i].row.topic, mark->topic))
            marks[at].topic = world->rows[i].row.topic;
}

static void marks_copy(struct arena *arena, struct relay_marks *marks, const struct relay_mark *from,
                       size_t count) {
    for (size_t i = 0; i < count; i++)
        *ARENA_PUSH(arena, marks) = from[i];
}

/* ---- register ---- */

struct world_row *world_add(struct world *world, const char *topic, const char *key) {
    struct world_row *added = &world->rows[world->row_count++];
    *added = (struct world_row){.committed = true};
    added->row = (struct relay_row){.seq = ++world->last_value,
                                    .topic = text_of(topic),
                                    .key = text_of(key),
                                    .type = TEXT("test"),
                                    .person = TEXT(""),
                                    .body = TEXT("body")};
    snprintf((char *)added->row.row_id, ROW_ID_BYTES, "row %d", (int)added->row.seq);
    return added;
}

static enum outcome open_outbox(void *opaque, bool *ours, struct err *err) {
    ENTER(world, opaque);
    *ours = world->locked = !world->elsewhere;
    return leave(world, err);
}

static void close_nothing(void *opaque) {
    (void)opaque;
}

static enum outcome alive(void *opaque, struct err *err) {
    ENTER(world, opaque);
    return leave(world, err);
}

static enum outcome last_value(void *opaque, int64_t *seq, struct err *err) {
    ENTER(world, opaque);
    *seq = world->last_value;
    return leave(world, err);
}

static enum outcome transaction_id(void *opaque, int64_t *id, struct err *err) {
    ENTER(world, opaque);
    *id = 10;
    return leave(world, err);
}

static enum outcome oldest_transaction(void *opaque, int64_t *id, struct err *err) {
    ENTER(world, opaque);
    if (world->late_polls > 0 && --world->late_polls == 0)
        for (size_t i = 0; i < world->row_count; i++)
            world->rows[i].committed = true;
    *id = world->late_polls > 0 ? 10 : 11;
    return leave(world, err);
}

static enum outcome holders(void *opaque, char *buffer, size_t room, struct err *err) {
    ENTER(world, opaque);
    snprintf(buffer, room, "pid 1");
    return leave(world, err);
}

static enum outcome ask(void *opaque, const struct relay_want *want, struct err *err) {
    ENTER(world, opaque);
    world->wanted = *want;
    return leave(world, err);
}

static bool is_wanted(const struct relay_want *want, const struct relay_row *row) {
    if (row->seq <= want->after || row->seq > want->up_to)
        return false;
    if (text_present(want->topic))
        return text_equal(want->topic, row->topic);
    for (size_t i = 0; i < want->stalled_count; i++)
        if (text_equal(want->stalled[i], row->topic))
            return false;
    return true;
}

static enum outcome rows(void *opaque, struct arena *arena, struct relay_rows *rows_out, struct err *err) {
    ENTER(world, opaque);
    rows_out->at = ARENA_ARRAY(arena, struct relay_row, WORLD_ROWS);
    rows_out->count = 0;
    for (size_t i = 0; i < world->row_count && rows_out->count < (size_t)world->wanted.limit; i++) {
        const struct world_row *row = &world->rows[i];
        if (!row->committed || !is_wanted(&world->wanted, &row->row))
            continue;
        rows_out->at[rows_out->count] = row->row;
        rows_out->at[rows_out->count++].fate = row->recorded ? FATE_SETTLED : FATE_PUBLISH;
    }
    return leave(world, err);
}

static struct world_row *stored(struct world *world, const struct relay_row *row) {
    for (size_t i = 0; i < world->row_count; i++)
        if (world->rows[i].row.seq == row->seq)
            return &world->rows[i];
    return NULL;
}

static enum outcome again(void *opaque, struct arena *arena, struct relay_row **rows_in, size_t count,
                          struct err *err) {
    (void)arena;
    ENTER(world, opaque);
    for (size_t i = 0; i < count; i++)
        if (stored(world, rows_in[i])->resealed)
            rows_in[i]->body = TEXT("anew");
    return leave(world, err);
}

static enum outcome mirror(void *opaque, struct arena *arena, struct relay_marks *marks, int64_t *floor,
                           struct err *err) {
    ENTER(world, opaque);
    marks_copy(arena, marks, world->mirror, world->mirror_count);
    *floor = world->floor;
    return leave(world, err);
}

static enum outcome find(void *opaque, struct arena *arena, const struct relay_marks *marks, bool *same,
                         struct err *err) {
    (void)arena;
    ENTER(world, opaque);
    for (size_t i = 0; i < marks->count; i++)
        for (size_t k = 0; k < world->row_count; k++)
            if (world->rows[k].row.seq == marks->at[i].seq &&
                text_equal(world->rows[k].row.topic, marks->at[i].topic))
                same[i] = memcmp(world->rows[k].row.row_id, marks->at[i].row_id, ROW_ID_BYTES) == 0;
    return leave(world, err);
}

static enum outcome record(void *opaque, struct arena *arena, const struct relay_news *news,
                           struct err *err) {
    (void)arena;
    ENTER(world, opaque);
    for (size_t i = 0; i < news->row_count; i++)
        for (size_t k = 0; k < world->row_count; k++)
            if (world->rows[k].row.seq == news->rows[i].seq)
                world->rows[k].recorded = news->rows[i].fate == FATE_WITHHELD ? "withheld" : "unpublishable";
    for (size_t i = 0; i < news->mark_count; i++)
        marks_put(world->mirror, &world->mirror_count, &news->marks[i], world);
    world->floor = news->floor;
    return leave(world, err);
}

static enum outcome drop(void *opaque, int *dropped, struct err *err) {
    ENTER(world, opaque);
    *dropped = 0;
    return leave(world, err);
}

const struct outbox_ops memory_outbox = {.open = open_outbox,
                                         .close = close_nothing,
                                         .alive = alive,
                                         .policy = alive,
                                         .last_value = last_value,
                                         .transaction_id = transaction_id,
                                         .oldest_transaction = oldest_transaction,
                                         .holders = holders,
                                         .ask = ask,
                                         .rows = rows,
                                         .bodies = again,
                                         .mirror = mirror,
                                         .find = find,
                                         .record = record,
                                         .drop = drop};

/* ---- vault ---- */

static enum outcome open_bodies(void *opaque, struct arena *arena, struct relay_row **rows_in, size_t count,
                                struct err *err) {
    (void)arena;
    ENTER(world, opaque);
    for (size_t i = 0; i < count; i++) {
        rows_in[i]->plain = rows_in[i]->body;
        rows_in[i]->keyless = stored(world, rows_in[i])->keyless && !text_is(rows_in[i]->body, "anew");
    }
    return leave(world, err);
}

const struct unseal_ops memory_unseal = {.open = alive, .close = close_nothing, .bodies = open_bodies};

/* ---- Kafka ---- */

static void discard(struct world *world) {
    world->in_transaction = false;
    world->sent_count = world->mark_count = 0;
}

static enum outcome open_producer(void *opaque, struct err *err) {
    ENTER(world, opaque);
    discard(world); /* the predecessor is fenced, its transaction aborted */
    return leave(world, err);
}

static enum outcome positions(void *opaque, struct arena *arena, struct relay_marks *marks, bool *missing,
                              struct err *err) {
    ENTER(world, opaque);
    if (!world->forgets_positions)
        marks_copy(arena, marks, world->positions, world->position_count);
    *missing = world->no_position_topic;
    return leave(world, err);
}

static enum outcome begin(void *opaque, struct err *err) {
    ENTER(world, opaque);
    world->in_transaction = true;
    return leave(world, err);
}

static enum outcome send_row(void *opaque, const struct relay_row *row, struct err *err) {
    ENTER(world, opaque);
    world->sent[world->sent_count++] = stored(world, row);
    return leave(world, err);
}

static enum outcome send_position(void *opaque, const struct relay_mark *mark, struct err *err) {
    ENTER(world, opaque);
    marks_put(world->marks, &world->mark_count, mark, world);
    return leave(world, err);
}

static enum outcome commit(void *opaque, struct err *err) {
    ENTER(world, opaque);
    for (size_t i = 0; i < world->sent_count; i++) {
        if (world->denials > 0 && text_is(world->sent[i]->row.topic, world->denied)) {
            world->denials--;
            return err_set(err, POISON, 1, "denied");
        }
        if (world->sent[i]->too_large)
            return err_set(err, POISON, 2, "too large");
    }
    for (size_t i = 0; i < world->sent_count; i++)
        world->log[world->log_count++] = world->sent[i];
    for (size_t i = 0; i < world->mark_count; i++)
        marks_put(world->positions, &world->position_count, &world->marks[i], world);
    discard(world);
    return leave(world, err);
}

static bool is_published(const struct world *world, const struct world_row *row) {
    for (size_t i = 0; i < world->log_count; i++)
        if (world->log[i] == row)
            return true;
    return false;
}

static enum outcome abort_transaction(void *opaque, struct err *err) {
    ENTER(world, opaque);
    discard(world);
    for (size_t i = 0; i < world->row_count; i++)
        if (world->rows[i].goes_at_abort && !is_published(world, &world->rows[i]))
            world->rows[i].keyless = true;
    return leave(world, err);
}

static bool refuses_topic(const struct err *err) {
    return err->code == 1;
}

const struct publish_ops memory_publish = {.open = open_producer,
                                           .close = close_nothing,
                                           .positions = positions,
                                           .begin = begin,
                                           .send = send_row,
                                           .position = send_position,
                                           .commit = commit,
                                           .abort = abort_transaction,
                                           .refuses_topic = refuses_topic};

/* ---- worlds, and a relay over them ---- */

void world_plain(struct world *world) {
    *world = (struct world){.row_count = 0};
    for (int i = 0; i < 10; i++)
        world_add(world, i % 3 ? "disclosure.a.v1" : "disclosure.b.v1", i % 2 ? "x" : "y");
}

void world_hard(struct world *world) {
    world_plain(world);
    world->rows[3].committed = false;
    world->rows[6].committed = false;
    world->late_polls = 3;
    world->rows[2].keyless = true;
    world->rows[9].keyless = true;
    world->rows[8].keyless = world->rows[8].resealed = true;
    world->rows[7].goes_at_abort = true;
    world->rows[5].too_large = true;
    world->denied = "disclosure.b.v1";
    world->denials = 3;
}

struct relay world_relay(struct world *world) {
    return (struct relay){.clock_ops = &memory_clock,
                          .clock = world,
                          .outbox_ops = &memory_outbox,
                          .outbox = world,
                          .unseal_ops = &memory_unseal,
                          .unseal = world,
                          .publish_ops = &memory_publish,
                          .publish = world};
}

enum outcome world_relay_run(struct relay *relay, int32_t batch_outputs, struct err *err) {
    const struct relay_config config = {.batch_outputs = batch_outputs,
                                        .batch_bytes = 1 << 16,
                                        .poll_us = 5000,
                                        .horizon_alarm_us = 10000000,
                                        .until_caught_up = true};
    enum outcome outcome = relay_init(relay, &config, err);
    if (outcome == OK)
        outcome = relay_run(relay, err);
    relay_release(relay);
    return outcome;
}

/* ---- the judge ---- */

const char *world_check(const struct world *world) {
    for (size_t i = 0; i < world->row_count; i++) {
        const struct world_row *row = &world->rows[i];
        size_t times = 0;
        for (size_t k = 0; k < world->log_count; k++)
            times += world->log[k] == row;
        bool publishable = (!row->keyless || row->resealed) && !row->too_large;
        if (times > 1)
            return "a row is published twice";
        if (publishable && times == 0)
            return "a row is missing";
        if (!publishable && (times || !row->recorded))
            return "a row that cannot be published is not recorded so";
        if (publishable && row->recorded)
            return "a published row is recorded as something else";
    }
    for (size_t i = 0; i < world->log_count; i++)
        for (size_t k = i + 1; k < world->log_count; k++)
            if (text_equal(world->log[i]->row.topic, world->log[k]->row.topic) &&
                world->log[i]->row.seq > world->log[k]->row.seq)
                return "a topic is out of order";
    return NULL;
}
