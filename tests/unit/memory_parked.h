/* The parked events of the register in memory: what is read of them, and what is due. */
#ifndef KR_MEMORY_PARKED_H
#define KR_MEMORY_PARKED_H

#include "tests/unit/memory_register.h"

/* The row of that ref and place; NULL when there is none. */
struct row_parked *memory_parked_find(struct memory_register *memory, const struct row_parked *place);
/* A portion under each ref asked for that nobody knows yet. */
void memory_parked_read(struct memory_register *memory, struct arena *arena,
                        const struct read_request *request, struct read_rows *rows);
/* As register_ops.due; returns how many. */
size_t memory_parked_due(struct memory_register *memory, struct arena *arena, enum due_kind kind,
                         int64_t now_us, const struct row_parked *after, size_t limit,
                         struct row_parked **rows);
/* Fails when a known ref under which something was deleted is not among those that are looked at anew: that
 * is how the calendar's real query learns that nothing is left over. */
void memory_parked_settled(struct memory_register *memory, const struct write *write);

/* Refs and parked events of a committed write. */
void memory_parked_apply(struct memory_register *memory, const struct write *write);

#endif
