/* The register in memory as its dump: every line that `kundregister dump --open` would print, sorted. */
#ifndef KR_MEMORY_DUMP_H
#define KR_MEMORY_DUMP_H

#include "core/keyring.h"
#include "tests/unit/memory_register.h"

/* Opens every cell on the way; fails the test when one does not open (but of a lossy register), or lies under
 * another quarter's key than its end's. */
struct text memory_dump(struct memory_register *memory, struct keyring *keyring, const struct policy *policy,
                        struct arena *arena);
/* Lines sorted bytewise, each with a line feed. */
struct text memory_sorted(struct arena *arena, const struct text *lines, size_t count);

#endif
