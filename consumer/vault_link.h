/* A worker's connection to the vault, made again when it broke: vault_ops over it, after a pause that grows.
 * One thread. */
#ifndef KR_CONSUMER_VAULT_LINK_H
#define KR_CONSUMER_VAULT_LINK_H

#include "core/db.h"
#include "core/keyring.h"

struct vault_link {
    const char *conninfo, *application; /* not owned */
    struct db *db;                      /* NULL: not connected */
    int64_t retry_at_us;                /* monotonic: no try before */
    unsigned tries;                     /* in vain, in a row */
};

extern const struct vault_ops vault_linked; /* `vault` = struct vault_link* */

/* OK when there is a connection afterwards; RETRY while the vault is away. */
enum outcome vault_link_open(void *link, struct err *err) MUST_CHECK;
void vault_link_close(struct vault_link *link);

#endif
