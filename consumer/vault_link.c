/* A worker's connection to the vault. */
#include "consumer/vault_link.h"
#include "core/clock.h"
#include "core/vault.h"

#define RECONNECT_FIRST_US 50000
#define RECONNECT_MOST_US 2000000

static enum outcome link_noted(struct vault_link *link, enum outcome outcome) {
    if (link->db && db_broken(link->db)) {
        db_close(link->db);
        link->db = NULL;
    }
    return outcome;
}

enum outcome vault_link_open(void *context, struct err *err) {
    struct vault_link *link = context;
    (void)link_noted(link, OK);
    if (link->db)
        return OK;
    if (clock_system.monotonic_us(NULL) < link->retry_at_us)
        return err_set(err, RETRY, 0, "the vault is away; the next try is soon");
    enum outcome outcome = db_open(&link->db, link->conninfo, link->application, err);
    if (outcome == OK) {
        link->tries = 0;
        return OK;
    }
    int64_t pause_us = (int64_t)RECONNECT_FIRST_US << (link->tries < 6 ? link->tries : 6);
    link->tries++;
    link->retry_at_us =
        clock_system.monotonic_us(NULL) + (pause_us < RECONNECT_MOST_US ? pause_us : RECONNECT_MOST_US);
    return outcome;
}

static enum outcome link_fetch(void *context, struct arena *arena, struct ring_row *rows, size_t count,
                               struct err *err) {
    struct vault_link *link = context;
    enum outcome outcome = vault_link_open(link, err);
    return outcome == OK ? link_noted(link, vault_postgres.fetch(link->db, arena, rows, count, err))
                         : outcome;
}

static enum outcome link_put(void *context, struct arena *arena, const struct ring_row *rows, size_t count,
                             bool *done, const struct lookup_row *lookups, size_t lookup_count,
                             struct err *err) {
    struct vault_link *link = context;
    enum outcome outcome = vault_link_open(link, err);
    if (outcome != OK)
        return outcome;
    return link_noted(link,
                      vault_postgres.put(link->db, arena, rows, count, done, lookups, lookup_count, err));
}

static enum outcome link_tombstones(void *context, struct arena *arena, struct tombstone_row *rows,
                                    size_t count, struct err *err) {
    struct vault_link *link = context;
    enum outcome outcome = vault_link_open(link, err);
    return outcome == OK ? link_noted(link, vault_postgres.tombstones(link->db, arena, rows, count, err))
                         : outcome;
}

static enum outcome link_destroy(void *context, struct arena *arena, const struct ring_row *rows,
                                 size_t count, const struct tombstone_row *tombstones, size_t tombstone_count,
                                 int64_t *counter, bool *missed, struct err *err) {
    struct vault_link *link = context;
    enum outcome outcome = vault_link_open(link, err);
    if (outcome != OK)
        return outcome;
    return link_noted(link, vault_postgres.destroy(link->db, arena, rows, count, tombstones, tombstone_count,
                                                   counter, missed, err));
}

const struct vault_ops vault_linked = {
    .fetch = link_fetch, .put = link_put, .tombstones = link_tombstones, .destroy = link_destroy};

void vault_link_close(struct vault_link *link) {
    db_close(link->db);
    link->db = NULL;
}
