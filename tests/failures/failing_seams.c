/* The loops' function tables with counting switched off, or on, inside. */
#include "tests/failures/failing_seams.h"

#include "tests/failures/failing.h"

struct failing_behind failing_behind;

static void enter_double(void) {
    failing_rest();
}
static void leave_double(void) {
    failing_wake();
}
static void enter_server(void) {
    failing_behind.tried ? failing_wake() : failing_rest();
}
static void leave_server(void) {
    failing_behind.tried ? failing_rest() : failing_wake();
}

static struct arena *room(struct arena *arena) {
    return failing_behind.room ? failing_behind.room : arena;
}

/* A call of the table behind, between entering and leaving. */
#define SEAM(whose, result, table, name, parameters, arguments)                                              \
    static result table##_##name parameters {                                                                \
        enter_##whose();                                                                                     \
        result given = failing_behind.table->name arguments;                                                 \
        leave_##whose();                                                                                     \
        return given;                                                                                        \
    }
#define SEAM_VOID(whose, table, name, parameters, arguments)                                                 \
    static void table##_##name parameters {                                                                  \
        enter_##whose();                                                                                     \
        failing_behind.table->name arguments;                                                                \
        leave_##whose();                                                                                     \
    }

/* ---- topics ---- */

SEAM(double, enum outcome, topics, poll,
     (void *topics, int timeout_ms, struct topic_polled *polled, struct err *err),
     (topics, timeout_ms, polled, err))
SEAM(double, enum outcome, topics, view,
     (void *topics, void *message, struct arena *arena, struct record *record),
     (topics, message, room(arena), record))
SEAM_VOID(double, topics, release, (void *topics, void *message), (topics, message))
SEAM(double, enum outcome, topics, assigned,
     (void *topics, struct arena *arena, struct topic_place **places, size_t *count, struct err *err),
     (topics, room(arena), places, count, err))
SEAM(double, enum outcome, topics, assign,
     (void *topics, const struct topic_place *places, size_t count, struct err *err),
     (topics, places, count, err))
SEAM(double, enum outcome, topics, watermarks,
     (void *topics, struct text topic, int32_t partition, int64_t *low, int64_t *high, struct err *err),
     (topics, topic, partition, low, high, err))
SEAM_VOID(double, topics, commit, (void *topics, const struct topic_place *places, size_t count),
          (topics, places, count))
SEAM(double, enum outcome, topics, cluster_id,
     (void *topics, struct arena *arena, struct text *cluster_id, struct err *err),
     (topics, room(arena), cluster_id, err))
SEAM(double, enum outcome, topics, check, (void *topics, struct err *err), (topics, err))

const struct topic_ops failing_topics = {.poll = topics_poll,
                                         .view = topics_view,
                                         .release = topics_release,
                                         .assigned = topics_assigned,
                                         .assign = topics_assign,
                                         .watermarks = topics_watermarks,
                                         .commit = topics_commit,
                                         .cluster_id = topics_cluster_id,
                                         .check = topics_check};

/* ---- register ---- */

SEAM(server, enum outcome, reg, open, (void *reg, struct err *err), (reg, err))
SEAM(server, bool, reg, is_open, (void *reg), (reg))
SEAM_VOID(server, reg, close, (void *reg), (reg))
SEAM(server, enum outcome, reg, claim,
     (void *reg, const struct claim *claim, struct arena *arena, struct claimed *claimed, struct err *err),
     (reg, claim, room(arena), claimed, err))
SEAM(server, enum outcome, reg, park,
     (void *reg, struct text topic, int32_t partition, int64_t epoch, struct text reason, struct err *err),
     (reg, topic, partition, epoch, reason, err))
SEAM(server, enum outcome, reg, lock,
     (void *reg, struct arena *arena, const struct text *persons, size_t count, struct err *err),
     (reg, room(arena), persons, count, err))
SEAM(server, enum outcome, reg, read,
     (void *reg, struct arena *arena, const struct read_request *request, struct read_rows *rows,
      struct err *err),
     (reg, room(arena), request, rows, err))
SEAM(server, enum outcome, reg, unpublished,
     (void *reg, struct arena *arena, const struct key_doom *dooms, size_t count,
      struct row_unpublished **rows, size_t *row_count, struct err *err),
     (reg, room(arena), dooms, count, rows, row_count, err))
SEAM(server, enum outcome, reg, write, (void *reg, struct arena *arena, struct write *write, struct err *err),
     (reg, room(arena), write, err))
SEAM(server, enum outcome, reg, commit, (void *reg, struct err *err), (reg, err))
SEAM_VOID(server, reg, rollback, (void *reg), (reg))
SEAM(server, enum outcome, reg, keep_calendar, (void *reg, bool *mine, struct err *err), (reg, mine, err))
SEAM(server, enum outcome, reg, due,
     (void *reg, struct arena *arena, enum due_kind kind, int64_t now_us, const struct row_parked *after,
      size_t limit, struct row_parked **rows, size_t *count, struct err *err),
     (reg, room(arena), kind, now_us, after, limit, rows, count, err))

const struct register_ops failing_register = {.open = reg_open,
                                              .is_open = reg_is_open,
                                              .close = reg_close,
                                              .claim = reg_claim,
                                              .park = reg_park,
                                              .lock = reg_lock,
                                              .read = reg_read,
                                              .unpublished = reg_unpublished,
                                              .write = reg_write,
                                              .commit = reg_commit,
                                              .rollback = reg_rollback,
                                              .keep_calendar = reg_keep_calendar,
                                              .due = reg_due};

/* ---- vault ---- */

SEAM(server, enum outcome, vault, fetch,
     (void *vault, struct arena *arena, struct ring_row *rows, size_t count, struct err *err),
     (vault, room(arena), rows, count, err))
SEAM(server, enum outcome, vault, put,
     (void *vault, struct arena *arena, const struct ring_row *rows, size_t count, bool *done,
      const struct lookup_row *lookups, size_t lookup_count, struct err *err),
     (vault, room(arena), rows, count, done, lookups, lookup_count, err))
SEAM(server, enum outcome, vault, tombstones,
     (void *vault, struct arena *arena, struct tombstone_row *rows, size_t count, struct err *err),
     (vault, room(arena), rows, count, err))
SEAM(server, enum outcome, vault, destroy,
     (void *vault, struct arena *arena, const struct ring_row *rows, size_t count,
      const struct tombstone_row *tombstones, size_t tombstone_count, int64_t *counter, bool *missed,
      struct err *err),
     (vault, room(arena), rows, count, tombstones, tombstone_count, counter, missed, err))

const struct vault_ops failing_vault = {
    .fetch = vault_fetch, .put = vault_put, .tombstones = vault_tombstones, .destroy = vault_destroy};

/* ---- erasing ---- */

SEAM(server, enum outcome, erase, pending,
     (void *reg, struct arena *arena, struct text after, size_t limit, struct erase_portion *portion,
      struct err *err),
     (reg, room(arena), after, limit, portion, err))
SEAM(server, enum outcome, erase, addresses,
     (void *reg, struct arena *arena, const struct text *hashes, size_t count, struct erase_address **rows,
      size_t *row_count, struct err *err),
     (reg, room(arena), hashes, count, rows, row_count, err))
SEAM(server, enum outcome, erase, destroyed,
     (void *reg, struct arena *arena, const struct erase_portion *portion, int64_t counter, struct err *err),
     (reg, room(arena), portion, counter, err))
SEAM(server, enum outcome, erase, count, (void *reg, int64_t *persons, struct err *err), (reg, persons, err))

const struct erase_ops failing_erase = {.pending = erase_pending,
                                        .addresses = erase_addresses,
                                        .destroyed = erase_destroyed,
                                        .count = erase_count};

/* ---- the relay's ---- */

SEAM(server, enum outcome, outbox, open, (void *outbox, bool *ours, struct err *err), (outbox, ours, err))
SEAM_VOID(server, outbox, close, (void *outbox), (outbox))
SEAM(server, enum outcome, outbox, alive, (void *outbox, struct err *err), (outbox, err))
SEAM(server, enum outcome, outbox, policy, (void *outbox, struct err *err), (outbox, err))
SEAM(server, enum outcome, outbox, last_value, (void *outbox, int64_t *seq, struct err *err),
     (outbox, seq, err))
SEAM(server, enum outcome, outbox, transaction_id, (void *outbox, int64_t *id, struct err *err),
     (outbox, id, err))
SEAM(server, enum outcome, outbox, oldest_transaction, (void *outbox, int64_t *id, struct err *err),
     (outbox, id, err))
SEAM(server, enum outcome, outbox, holders, (void *outbox, char *buffer, size_t room, struct err *err),
     (outbox, buffer, room, err))
SEAM(server, enum outcome, outbox, ask, (void *outbox, const struct relay_want *want, struct err *err),
     (outbox, want, err))
SEAM(server, enum outcome, outbox, rows,
     (void *outbox, struct arena *arena, struct relay_rows *rows, struct err *err),
     (outbox, room(arena), rows, err))
SEAM(server, enum outcome, outbox, bodies,
     (void *outbox, struct arena *arena, struct relay_row **rows, size_t count, struct err *err),
     (outbox, room(arena), rows, count, err))
SEAM(server, enum outcome, outbox, mirror,
     (void *outbox, struct arena *arena, struct relay_marks *marks, int64_t *floor, struct err *err),
     (outbox, room(arena), marks, floor, err))
SEAM(server, enum outcome, outbox, find,
     (void *outbox, struct arena *arena, const struct relay_marks *marks, bool *same, struct err *err),
     (outbox, room(arena), marks, same, err))
SEAM(server, enum outcome, outbox, record,
     (void *outbox, struct arena *arena, const struct relay_news *news, struct err *err),
     (outbox, room(arena), news, err))
SEAM(server, enum outcome, outbox, drop, (void *outbox, int *dropped, struct err *err),
     (outbox, dropped, err))

const struct outbox_ops failing_outbox = {.open = outbox_open,
                                          .close = outbox_close,
                                          .alive = outbox_alive,
                                          .policy = outbox_policy,
                                          .last_value = outbox_last_value,
                                          .transaction_id = outbox_transaction_id,
                                          .oldest_transaction = outbox_oldest_transaction,
                                          .holders = outbox_holders,
                                          .ask = outbox_ask,
                                          .rows = outbox_rows,
                                          .bodies = outbox_bodies,
                                          .mirror = outbox_mirror,
                                          .find = outbox_find,
                                          .record = outbox_record,
                                          .drop = outbox_drop};

SEAM(server, enum outcome, unseal, open, (void *unseal, struct err *err), (unseal, err))
SEAM_VOID(server, unseal, close, (void *unseal), (unseal))
SEAM(server, enum outcome, unseal, bodies,
     (void *unseal, struct arena *arena, struct relay_row **rows, size_t count, struct err *err),
     (unseal, room(arena), rows, count, err))

const struct unseal_ops failing_unseal = {
    .open = unseal_open, .close = unseal_close, .bodies = unseal_bodies};

SEAM(double, enum outcome, publish, open, (void *publish, struct err *err), (publish, err))
SEAM_VOID(double, publish, close, (void *publish), (publish))
SEAM(double, enum outcome, publish, positions,
     (void *publish, struct arena *arena, struct relay_marks *marks, bool *missing, struct err *err),
     (publish, room(arena), marks, missing, err))
SEAM(double, enum outcome, publish, begin, (void *publish, struct err *err), (publish, err))
SEAM(double, enum outcome, publish, send, (void *publish, const struct relay_row *row, struct err *err),
     (publish, row, err))
SEAM(double, enum outcome, publish, position, (void *publish, const struct relay_mark *mark, struct err *err),
     (publish, mark, err))
SEAM(double, enum outcome, publish, commit, (void *publish, struct err *err), (publish, err))
SEAM(double, enum outcome, publish, abort, (void *publish, struct err *err), (publish, err))

static bool publish_refuses_topic(const struct err *err) {
    return failing_behind.publish->refuses_topic(err);
}

const struct publish_ops failing_publish = {.open = publish_open,
                                            .close = publish_close,
                                            .positions = publish_positions,
                                            .begin = publish_begin,
                                            .send = publish_send,
                                            .position = publish_position,
                                            .commit = publish_commit,
                                            .abort = publish_abort,
                                            .refuses_topic = publish_refuses_topic};
