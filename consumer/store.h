/* Stage 5 of 7: store. Before: decide. After: the producer's outbox.
 *
 * Turns a decided state into the one write of its transaction: touched aggregates packed, sealed and sorted
 * by primary key, guards against whoever changed them meanwhile, outputs in their order. What is durable
 * after store_commit: everything the batch's events did, their positions and their outputs, or nothing of it.
 */
#ifndef KR_CONSUMER_STORE_H
#define KR_CONSUMER_STORE_H

#include "consumer/seal_batch.h"

/* Fills work->write but for the advances, seals it and hands it to the register's open transaction. Results
 * as register_ops.write and load_batch. */
enum outcome store_batch(const struct register_ops *ops, void *reg, const struct seal_batch *how,
                         struct work *work, struct arena *arena, struct err *err) MUST_CHECK;
/* RETRY with the connection gone: nobody knows whether it was committed; claiming again tells. */
enum outcome store_commit(const struct register_ops *ops, void *reg, struct err *err) MUST_CHECK;

#endif
