/* What `restore reconcile` reads and writes beside the acts of erasure themselves. Parts of reconcile.c. */
#ifndef KR_CONSUMER_RECONCILE_ROWS_H
#define KR_CONSUMER_RECONCILE_ROWS_H

#include "consumer/remember.h"
#include "core/json_write.h"

/* FATAL, saying so, when somebody else is connected as the consumer's role. */
enum outcome reconcile_alone(struct db *reg, struct err *err) MUST_CHECK;
/* Into the audit, durable before anything is changed. */
enum outcome reconcile_audit(struct db *reg, const char *reason, const struct remember_sum *found,
                             struct err *err) MUST_CHECK;
/* From now on, in microseconds: the register has come back from a backup, maybe. */
enum outcome reconcile_restored(struct db *reg, int64_t *restored_us, struct err *err) MUST_CHECK;
/* The active policy's number. */
enum outcome reconcile_policy(struct db *reg, const char *digest, int *policy, struct err *err) MUST_CHECK;
/* The first persons behind `after` that the register knows or the vault has keys of, at most `most`, texts in
 * the arena. */
enum outcome reconcile_persons(struct db *reg, struct db *vault, struct arena *arena, const char *after,
                               int most, struct text **persons, size_t *count, struct err *err) MUST_CHECK;
/* Tombstones without a person, for these cuts, which are in order. */
enum outcome reconcile_orphans(struct db *reg, const struct remembered *cuts, size_t count, int policy,
                               struct err *err) MUST_CHECK;
/* Dooms again whatever was ever destroyed of all erased persons; *persons: how many those are. */
enum outcome reconcile_redoom(struct db *reg, size_t *persons, struct err *err) MUST_CHECK;
/* Gives the vault the tombstones of subjects that the register does not know, where it has none of a subject;
 * *told: how many. */
enum outcome reconcile_tell(struct db *reg, struct db *vault, struct json_writer *writer, size_t *told,
                            struct err *err) MUST_CHECK;

#endif
