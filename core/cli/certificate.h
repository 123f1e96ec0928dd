/* What the parts of an erasure certificate share: `customer erasure`. */
#ifndef KR_CLI_CERTIFICATE_H
#define KR_CLI_CERTIFICATE_H

#include "core/cli/session.h"
#include "core/decide/state.h"

struct certificate {
    struct session *session;
    struct db *reg;
    const char *person;
    char subject[65];             /* the person's name in tombstones */
    struct policy *policy;        /* the active one; NULL: there is none */
    int64_t newest_us;            /* the last cut: what came later is no matter of this certificate */
    int64_t requested_us;         /* the last cut by request; GENERATION_FIRST: none */
    int64_t destroyed_us;         /* the latest destruction of keys; TIME_NONE: some are not destroyed yet */
    bool complete;                /* nothing waits */
    LIST(struct text) recipients; /* who received something */
};

/* Until when copies may exist that the register cannot reach: topics as Kafka has them set now, backups of
 * the vault, recipients. An exit code. */
int certificate_remnants(struct certificate *certificate);

#endif
