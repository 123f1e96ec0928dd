/* Seals what a transaction will store: cells that were rewritten or whose end moved to another quarter, the
 * bodies of outputs under transit keys, parked events under the ring of '/parking'. The vault commits every
 * key (and the lookups of e-mail and phone) before anything is sealed under it (SPEC 6, Create). */
#ifndef KR_CONSUMER_SEAL_BATCH_H
#define KR_CONSUMER_SEAL_BATCH_H

#include "consumer/work.h"

struct seal_batch {
    struct keyring *keyring;
    struct sealer *sealer;
};

/* Work's write must list the touched aggregates, parked events and outputs already. Results as load_batch. */
enum outcome seal_batch(const struct seal_batch *how, struct work *work, struct arena *arena,
                        struct err *err) MUST_CHECK;

#endif
