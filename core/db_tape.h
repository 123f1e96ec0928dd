/* A record of all that one connection is asked, to be played again by tests/bench/tape. Compiled in with
 * KR_TAPE only; otherwise these are nothing.
 *
 * With KUNDREGISTER_TAPE=DIR each connection writes DIR/PID-NUMBER.tape: role and database, then the calls of
 * core/db.h in their order: what was sent, where a round trip ended, where an answer was awaited and how many
 * rows it brought. A counter of ended round trips of the whole process stands at each sync, so that the
 * connections of one process can be kept as close to one another as they were. The tape holds ids and sealed
 * values: benchmarks only. */
#ifndef KR_DB_TAPE_H
#define KR_DB_TAPE_H

#include "core/db.h"
#include <stdint.h>

/* "KRTAPE1\n", role, database, then records. Numbers in the machine's own order; a text is its size (uint32)
 * and bytes. */
#define TAPE_MAGIC "KRTAPE1\n"
enum tape_record {
    TAPE_DEFINE = 'D', /* uint32 number, uint32 parameters, uint32 type each, text name, text SQL */
    TAPE_SEND = 'Q',   /* uint32 number; a parameter: int32 size, bytes; -1 = NULL */
    TAPE_SYNC = 'S',   /* uint64 round trips ended so far, by all connections */
    TAPE_NEXT = 'N',   /* int64 rows, -1 = it failed; uint8 1: it was the round trip's last */
    TAPE_ABANDON = 'A',
};

struct db_tape;

#ifdef KR_TAPE
/* NULL when nothing is to be recorded. */
struct db_tape *db_tape_new(const char *role, const char *database);
void db_tape_free(struct db_tape *tape);
/* Each does nothing with NULL. */
void db_tape_send(struct db_tape *tape, const struct query *query, const struct db_params *params);
void db_tape_sync(struct db_tape *tape);
void db_tape_next(struct db_tape *tape, int64_t rows, bool last);
void db_tape_abandon(struct db_tape *tape);
#else
static inline struct db_tape *db_tape_new(const char *role, const char *database) {
    (void)role;
    (void)database;
    return NULL;
}
static inline void db_tape_free(struct db_tape *tape) {
    (void)tape;
}
static inline void db_tape_send(struct db_tape *tape, const struct query *query,
                                const struct db_params *params) {
    (void)tape;
    (void)query;
    (void)params;
}
static inline void db_tape_sync(struct db_tape *tape) {
    (void)tape;
}
static inline void db_tape_next(struct db_tape *tape, int64_t rows, bool last) {
    (void)tape;
    (void)rows;
    (void)last;
}
static inline void db_tape_abandon(struct db_tape *tape) {
    (void)tape;
}
#endif

#endif
