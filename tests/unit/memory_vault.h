/* A vault in memory: the struct vault_ops of keyring.h for tests, with failures and rivals on demand. */
#ifndef KR_MEMORY_VAULT_H
#define KR_MEMORY_VAULT_H

#include "core/keyring.h"

struct memory_vault {
    struct ring_row *rings; /* own copies */
    size_t ring_count;
    struct lookup_row *lookups;
    size_t lookup_count;
    struct tombstone_row *tombstones;
    size_t tombstone_count;
    int64_t counter;
    size_t fetches, fetched_rows, puts, destroys; /* calls so far */
    /* While > 0: that many calls fail with RETRY, of puts and destroys either before or after the commit. */
    int fail_fetches, fail_puts_before, fail_puts_after, fail_destroys_before, fail_destroys_after;
    /* Called at the start of each put or destroy: another worker gets in between. */
    void (*before_put)(struct memory_vault *vault, void *context);
    void *context;
};

extern const struct vault_ops memory_vault_ops; /* `vault` = struct memory_vault* */

void memory_vault_init(struct memory_vault *vault);
void memory_vault_release(struct memory_vault *vault);
/* The rows and the counter as they are: `to` is new, and released on its own. */
void memory_vault_copy(struct memory_vault *to, const struct memory_vault *from);
/* The stored row, or NULL. */
struct ring_row *memory_vault_ring(struct memory_vault *vault, struct text person, int64_t generation);
struct tombstone_row *memory_vault_tombstone(struct memory_vault *vault, struct text subject);
/* As an erasure of the whole ring leaves it. */
void memory_vault_destroy(struct memory_vault *vault, struct text person, int64_t generation);

#endif
