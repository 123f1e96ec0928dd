/* The checks of a seed: S, O1 to O5, and what erasure claims. */
#ifndef KR_SIMULATOR_CHECK_H
#define KR_SIMULATOR_CHECK_H

#include "tests/simulator/sim.h"

/* At each COMMIT: each disclosure of it is permitted by the state that it writes (O2). What is written is
 * remembered, as logs and backups remember it. check_write.c */
void check_written(struct sim *sim, const struct write *write, const int64_t *seqs);
/* At rest. expired: 31 days have passed. check.c */
void check_end(struct sim *sim, bool expired, struct arena *arena);
/* The register with open cells. */
struct text check_dump(struct sim *sim, struct arena *arena);
/* Who is erased is told of to each who was told of him (O4), and nothing of him opens, from whatever was ever
 * written. halted: a partition is parked. check_forgotten.c */
void check_forgotten(struct sim *sim, bool halted, struct arena *arena);

#endif
