/* The loops' function tables, each call of which makes counting rest (memory's own tables, which stand for
 * servers), or wakes it (PostgreSQL's, where only they are tried). */
#ifndef KR_FAILING_SEAMS_H
#define KR_FAILING_SEAMS_H

#include "consumer/erase.h"
#include "consumer/seams.h"
#include "producer/relay.h"

/* What stands behind: set before use. */
struct failing_behind {
    const struct topic_ops *topics;
    const struct register_ops *reg;
    const struct vault_ops *vault;
    const struct erase_ops *erase;
    const struct outbox_ops *outbox;
    const struct unseal_ops *unseal;
    const struct publish_ops *publish;
    struct arena
        *room;  /* where answers lie instead of the loop's own arena, which may be full; may be NULL */
    bool tried; /* calls of register, vault, erase, outbox and unseal wake; else they rest */
};
extern struct failing_behind failing_behind;

extern const struct topic_ops failing_topics;
extern const struct register_ops failing_register;
extern const struct vault_ops failing_vault;
extern const struct erase_ops failing_erase;
extern const struct outbox_ops failing_outbox;
extern const struct unseal_ops failing_unseal;
extern const struct publish_ops failing_publish;

#endif
