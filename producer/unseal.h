/* Opens the bodies of outbox rows with transit keys fetched from the vault for this one Kafka transaction,
 * and wiped after it: unseal_ops over PostgreSQL. One thread. */
#ifndef KR_UNSEAL_H
#define KR_UNSEAL_H

#include "core/vault.h"
#include "producer/relay.h"

struct unseal {
    const char *conninfo, *register_conninfo;
    uint8_t kek[32];
    char vault_id[33];
    bool checked; /* this is the vault that the register knows */
    struct db *vault;
};

/* The strings stay the caller's; the key is copied. */
void unseal_init(struct unseal *unseal, const char *conninfo, const char *register_conninfo,
                 const uint8_t kek[32]);
void unseal_release(struct unseal *unseal);

extern const struct unseal_ops unseal_postgres; /* `unseal` = struct unseal* */

/* How the rings' transit keys are fetched: from PostgreSQL, or from memory in tests. */
typedef enum outcome unseal_fetch(void *vault, struct arena *arena, struct ring_row *rings, size_t count,
                                  struct err *err);
/* unseal_ops.bodies over any vault. */
enum outcome unseal_bodies(const struct unseal *unseal, unseal_fetch *fetch, void *vault, struct arena *arena,
                           struct relay_row **rows, size_t count, struct err *err) MUST_CHECK;

#endif
