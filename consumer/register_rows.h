/* The write's rows as the parameters of its statements: one binary array a column. NULL when the arena is
 * full. */
#ifndef KR_CONSUMER_REGISTER_ROWS_H
#define KR_CONSUMER_REGISTER_ROWS_H

#include "consumer/rows.h"
#include "core/db.h"

struct db_params *rows_advances(struct arena *arena, const struct write *write);
struct db_params *rows_persons(struct arena *arena, const struct write *write);
struct db_params *rows_orders(struct arena *arena, const struct write *write);
struct db_params *rows_shipments(struct arena *arena, const struct write *write);
struct db_params *rows_notices(struct arena *arena, const struct write *write);
struct db_params *rows_consents(struct arena *arena, const struct write *write);
struct db_params *rows_requests(struct arena *arena, const struct write *write);
struct db_params *rows_addresses(struct arena *arena, const struct write *write);
struct db_params *rows_tombstones(struct arena *arena, const struct write *write);
struct db_params *rows_doomed(struct arena *arena, const struct write *write);
struct db_params *rows_resealed(struct arena *arena, const struct write *write);
struct db_params *rows_refs(struct arena *arena, const struct ref_entry *const *refs, size_t count);
struct db_params *rows_settled(struct arena *arena, const struct write *write);
struct db_params *rows_parked(struct arena *arena, const struct write *write);
struct db_params *rows_unparked(struct arena *arena, const struct write *write);
struct db_params *rows_outputs(struct arena *arena, const struct write *write);
struct db_params *rows_dead_letters(struct arena *arena, const struct write *write);

#endif
