/* Fetches transit keys and opens bodies. */
#include "producer/unseal.h"

#include "core/schema.h"
#include "core/seal.h"
#include <errno.h>
#include <stdlib.h>

#define OUTBOX_TABLE "outbox"
#define OUTBOX_COLUMN "body"

void unseal_init(struct unseal *unseal, const char *conninfo, const char *register_conninfo,
                 const uint8_t kek[32]) {
    *unseal = (struct unseal){.conninfo = conninfo, .register_conninfo = register_conninfo};
    memcpy(unseal->kek, kek, sizeof(unseal->kek));
}

static void unseal_close(void *opaque) {
    struct unseal *unseal = opaque;
    db_close(unseal->vault);
    unseal->vault = NULL;
}

void unseal_release(struct unseal *unseal) {
    unseal_close(unseal);
    secret_wipe(unseal->kek, sizeof(unseal->kek));
}

/* Each session compares vault and register anew: either may have been restored meanwhile. */
static enum outcome unseal_open(void *opaque, struct err *err) {
    struct unseal *unseal = opaque;
    struct db *reg = NULL;
    enum outcome outcome = db_open(&unseal->vault, unseal->conninfo, "kundregister-producer", err);
    if (outcome == OK)
        outcome = db_open(&reg, unseal->register_conninfo, "kundregister-producer", err);
    if (outcome == OK)
        outcome = schema_check(unseal->vault, "vault", vault_migrations, err);
    if (outcome == OK)
        outcome = vault_check(unseal->vault, reg, unseal->kek, unseal->vault_id, err);
    db_close(reg);
    return outcome;
}

static int by_person(const void *a, const void *b) {
    const struct relay_row *left = *(struct relay_row *const *)a, *right = *(struct relay_row *const *)b;
    int order = text_compare(left->person, right->person);
    return order ? order : (left->generation > right->generation) - (left->generation < right->generation);
}

static enum outcome no_memory(struct err *err) {
    return err_set(err, FATAL, ENOMEM, "no memory for a batch: lower producer.batch.outputs");
}

static void set_aside(struct relay_row *row, enum relay_fate fate, const char *detail) {
    row->fate = fate;
    row->detail = detail;
}

/* Opens one body with its ring; `ring` NULL: the person has none any more. Which key the body names counts,
 * not which is the newest: an act of erasure adds a fresh one before it seals anything anew. */
static enum outcome open_body(const struct unseal *unseal, struct relay_row *row, const struct ring_row *ring,
                              struct arena *arena, struct err *err) {
    struct seal_key key;
    int16_t period;
    uint16_t serial;
    const struct seal_place place = {.table = OUTBOX_TABLE,
                                     .column = OUTBOX_COLUMN,
                                     .owner = row->person,
                                     .object = {(const char *)row->row_id, ROW_ID_BYTES},
                                     .generation = row->generation};
    if (row->category < 0 || row->category >= CATEGORIES || !sealed_period(row->body, &period, &serial)) {
        set_aside(row, FATE_UNPUBLISHABLE, "the stored body is damaged");
        return OK;
    }
    enum outcome found =
        ring ? transit_open(unseal->kek, unseal->vault_id, ring, (enum category)row->category, serial, &key)
             : POISON;
    if (found == RETRY)
        return err_set(err, RETRY, ENOMEM, "no memory for a key ring");
    if (found == POISON) {
        row->keyless = true;
        return OK;
    }
    if (found != OK) {
        set_aside(row, FATE_UNPUBLISHABLE, "its key ring does not open");
        return OK;
    }
    enum outcome opened = open_cell(&key, &place, row->body, arena, &row->plain, NULL);
    secret_wipe(&key, sizeof(key));
    if (opened == RETRY)
        return no_memory(err);
    if (opened != OK)
        set_aside(row, FATE_UNPUBLISHABLE, "the stored body does not open");
    return OK;
}

/* The distinct rings that the rows need, in their order. */
static struct ring_row *wanted_rings(struct relay_row **sealed, size_t count, struct arena *arena,
                                     size_t *rings) {
    struct ring_row *wanted = ARENA_ARRAY(arena, struct ring_row, count + 1);
    *rings = 0;
    for (size_t i = 0; wanted && i < count; i++)
        if (i == 0 || by_person(&sealed[i - 1], &sealed[i]) != 0)
            wanted[(*rings)++] =
                (struct ring_row){.person = sealed[i]->person, .generation = sealed[i]->generation};
    return wanted;
}

enum outcome unseal_bodies(const struct unseal *unseal, unseal_fetch *fetch, void *vault, struct arena *arena,
                           struct relay_row **rows, size_t count, struct err *err) {
    size_t sealed_count = 0, ring_count;
    struct relay_row **sealed = ARENA_ARRAY(arena, struct relay_row *, count + 1);
    if (!sealed)
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        rows[i]->keyless = false;
        if (rows[i]->fate != FATE_PUBLISH)
            continue;
        rows[i]->plain = rows[i]->body;
        if (rows[i]->person.size)
            sealed[sealed_count++] = rows[i];
    }
    if (!sealed_count)
        return OK;
    qsort(sealed, sealed_count, sizeof(*sealed), by_person);
    struct ring_row *rings = wanted_rings(sealed, sealed_count, arena, &ring_count);
    if (!rings)
        return no_memory(err);
    enum outcome outcome = fetch(vault, arena, rings, ring_count, err);
    for (size_t i = 0, ring = 0; i < sealed_count && outcome == OK; i++) {
        if (i > 0 && by_person(&sealed[i - 1], &sealed[i]) != 0)
            ring++;
        outcome =
            open_body(unseal, sealed[i], text_present(rings[ring].transit) ? &rings[ring] : NULL, arena, err);
    }
    return outcome;
}

static enum outcome fetch_transit(void *vault, struct arena *arena, struct ring_row *rings, size_t count,
                                  struct err *err) {
    return vault_fetch_transit(vault, arena, rings, count, err);
}

static enum outcome open_bodies(void *opaque, struct arena *arena, struct relay_row **rows, size_t count,
                                struct err *err) {
    const struct unseal *unseal = opaque;
    return unseal_bodies(unseal, fetch_transit, unseal->vault, arena, rows, count, err);
}

const struct unseal_ops unseal_postgres = {.open = unseal_open, .close = unseal_close, .bodies = open_bodies};
