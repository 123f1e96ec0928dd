/* The register in memory, what forgetting and consents need of it: consents, requests, addresses, wholes,
 * tombstones, doomed keys, and the outbox rows that are sealed anew. */
#ifndef KR_MEMORY_FACTS_H
#define KR_MEMORY_FACTS_H

#include "tests/unit/memory_register.h"

/* As register_ops.read and write do for these rows. */
void memory_facts_read(struct memory_register *memory, struct arena *arena,
                       const struct read_request *request, struct read_rows *rows);
bool memory_facts_guarded(struct memory_register *memory, const struct write *write);
void memory_facts_apply(struct memory_register *memory, const struct write *write);
/* A new output; line: as it stands in `outputs`. */
void memory_facts_told(struct memory_register *memory, const struct output *output, struct text line);
/* A sealed row of the outbox. */
void memory_facts_sent(struct memory_register *memory, const struct write_output *output, int64_t seq);
/* As register_ops.unpublished. */
size_t memory_facts_unpublished(struct memory_register *memory, struct arena *arena,
                                const struct key_doom *dooms, size_t count, struct row_unpublished **rows);

#endif
