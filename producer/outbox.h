/* Stage 6 of 7: outbox. Before: store (it wrote the rows). After: publish.
 *
 * The outbox in PostgreSQL, as the relay's role may see it: outbox_ops over one connection, which holds the
 * relay's lock. One thread. */
#ifndef KR_OUTBOX_H
#define KR_OUTBOX_H

#include "core/db.h"
#include "producer/relay.h"

struct outbox {
    const char *conninfo;
    char policy_digest[65]; /* of the policy file that this program was started with */
    struct db *db;
    struct arena arena; /* parameters of one statement */
    bool asked;
    struct db_result *rows; /* received ahead, because another statement came in between */
    enum outcome rows_outcome;
    struct err rows_err;
};

/* conninfo stays the caller's. */
void outbox_init(struct outbox *outbox, const char *conninfo, const char *policy_digest);
void outbox_release(struct outbox *outbox);

extern const struct outbox_ops outbox_postgres; /* `outbox` = struct outbox* */

#endif
