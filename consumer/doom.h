/* Stage 5 of 7, store: what an erasing transaction does to keys, before anything is sealed (SPEC 6).
 *
 * 1. The rings are read afresh: every key that a doomed category has by now gets a floor above it. Floors
 * stand in the persons' facts, so that whoever loads them later seals under no doomed key.
 * 2. What stays of a doomed ring and category is touched, so that it is sealed anew; unpublished outbox rows
 * of what stays are opened, to be sealed anew as well.
 * 3. After the vault has committed the fresh keys, the register's transaction writes all of it and the
 * `doomed` rows; only then the vault destroys the keys below the floors. A worker that sealed under one of
 * those meanwhile misses the person's guard, here or there. */
#ifndef KR_CONSUMER_DOOM_H
#define KR_CONSUMER_DOOM_H

#include "consumer/work.h"

/* Fills write.doomed and work.waiting and the floors of the persons' facts, out of decision.dooms. Results as
 * load_batch and keyring_floors. */
enum outcome doom_prepare(const struct register_ops *ops, void *reg, struct keyring *keyring,
                          struct work *work, struct arena *arena, struct err *err) MUST_CHECK;
/* The first serial of the ring's category that is not doomed. */
uint16_t doom_floor_cells(const struct state *state, struct text person, int64_t generation,
                          enum category category);
uint16_t doom_floor_transit(const struct state *state, struct text person, int64_t generation,
                            enum category category);
/* A disclosure decided in this very transaction, of what the transaction erases: nobody may ever open it. */
bool doom_takes(const struct work *work, const struct output *output);

#endif
