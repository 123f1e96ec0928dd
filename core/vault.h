/* The vault over PostgreSQL: the struct vault_ops of keyring.h, and the checks at start. Always another
 * cluster than the register's. One connection a thread. */
#ifndef KR_VAULT_H
#define KR_VAULT_H

#include "core/db.h"
#include "core/keyring.h"

extern const struct vault_ops
    vault_postgres; /* `vault` = struct db* on the vault as kr_consumer, kr_clerk or kr_auditor */
/* Transit column only, for kr_producer: fills key_id and transit. */
enum outcome vault_fetch_transit(struct db *vault, struct arena *arena, struct ring_row *rows, size_t count,
                                 struct err *err) MUST_CHECK;

/* What vault_check compares but the counters: *behind is by how much the register's is ahead of the vault's,
 * 0 when it is not. For restore reconcile, which mends exactly that. */
enum outcome vault_belongs(struct db *vault, struct db *reg, const uint8_t kek[32], char vault_id[33],
                           int64_t *behind, struct err *err) MUST_CHECK;
/* Compared before the first partition opens (SPEC 6): the vault's id is the one that the register remembers
 * (both learn it at `migrate`), the key-encryption key opens the check value, the register's counter is not
 * ahead of the vault's. FATAL with the way out in err.text. vault_id: 33 bytes, terminated. */
enum outcome vault_check(struct db *vault, struct db *reg, const uint8_t kek[32], char vault_id[33],
                         struct err *err) MUST_CHECK;
/* At each start of a consumer, after vault_check: raises the counter, in the vault first, then the register,
 * so that a vault restored from before this start is known by it. Rings lost since are found one by one,
 * later. */
enum outcome vault_count(struct db *vault, struct db *reg, struct err *err) MUST_CHECK;
/* After an older vault was mended: its counter goes past the register's, then the register's follows. */
enum outcome vault_overtake(struct db *vault, struct db *reg, struct err *err) MUST_CHECK;
/* At migrate: writes id, check value and counter where they are missing, in the vault first, then the
 * register. */
enum outcome vault_introduce(struct db *vault_owner, struct db *register_owner, const uint8_t kek[32],
                             struct err *err) MUST_CHECK;

#endif
