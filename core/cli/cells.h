/* Opening sealed cells on the command line: the vault as clerk or auditor, with the key-encryption key. The
 * caller has audited the read before. One thread. */
#ifndef KR_CELLS_H
#define KR_CELLS_H

#include "core/cli/session.h"
#include "core/keyring.h"

struct cells {
    struct keyring *keyring;
    char vault_id[33];
};

/* One sealed cell and where it belongs. */
struct sealed {
    struct text person; /* whose ring */
    int64_t generation;
    enum category category;
    struct seal_place place;
    struct text bytes; /* absent: nothing to open */
    struct text plain; /* filled in: canonical JSON */
};

/* Connects to the vault as that role and checks that it is the register's. Returns an exit code. */
int cells_open(struct cells *cells, struct session *session, struct db *reg, enum role role);
void cells_close(struct cells *cells);
/* Opens count cells with one fetch of their rings. FATAL names no content: "a key is missing" with the first
 * such cell's index in *failed (may be NULL). */
enum outcome cells_read(struct cells *cells, struct arena *arena, struct sealed *sealed, size_t count,
                        size_t *failed, struct err *err) MUST_CHECK;

#endif
