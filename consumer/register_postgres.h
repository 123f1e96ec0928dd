/* The register as the loop's seam sees it, over PostgreSQL: one connection of the consumer's role. Claims in
 * register_claim.c, reads in register_read.c, the write in register_write.c. One thread. */
#ifndef KR_CONSUMER_REGISTER_POSTGRES_H
#define KR_CONSUMER_REGISTER_POSTGRES_H

#include "consumer/seams.h"
#include "core/db.h"

struct register_postgres {
    const char *conninfo, *application; /* not owned */
    int64_t lock_timeout_ms;
    struct db *db;           /* NULL: not connected */
    bool in_snapshot;        /* a load has begun: all that it reads is of one instant */
    bool in_transaction;     /* persons are locked, or more */
    int policy;              /* number of the active policy, 0 = not looked up on this connection */
    int64_t extended_to;     /* outbox numbers below have a partition; 0 = not asked on this connection */
    int64_t last_seq;        /* the highest outbox number seen */
    int64_t reconnect_at_us; /* monotonic: no try before */
    unsigned reconnects;     /* in vain, in a row */
};

extern const struct register_ops register_postgres;

void register_postgres_init(struct register_postgres *reg, const char *conninfo, const char *application,
                            int64_t lock_timeout_ms);

/* Parts of the table. */
enum outcome register_claim(void *reg, const struct claim *claim, struct arena *arena,
                            struct claimed *claimed, struct err *err);
enum outcome register_park(void *reg, struct text topic, int32_t partition, int64_t epoch, struct text reason,
                           struct err *err);
enum outcome register_lock(void *reg, struct arena *arena, const struct text *persons, size_t count,
                           struct err *err);
enum outcome register_read(void *reg, struct arena *arena, const struct read_request *request,
                           struct read_rows *rows, struct err *err);
enum outcome register_due(void *reg, struct arena *arena, enum due_kind kind, int64_t now_us,
                          const struct row_parked *after, size_t limit, struct row_parked **rows,
                          size_t *count, struct err *err);
enum outcome register_unpublished(void *reg, struct arena *arena, const struct key_doom *dooms, size_t count,
                                  struct row_unpublished **rows, size_t *row_count, struct err *err);
enum outcome register_write(void *reg, struct arena *arena, struct write *write, struct err *err);

/* For the parts: closes a connection that broke; returns outcome. */
enum outcome register_noted(struct register_postgres *reg, enum outcome outcome);
enum outcome register_no_memory(struct err *err);

/* What is doomed, as the columns person, generation, category, cells, transit of a statement that begins with
 * them. */
struct key_doom;
struct db_params *erase_dooms_params(struct arena *arena, const struct query *query,
                                     const struct key_doom *dooms, size_t count);

#endif
