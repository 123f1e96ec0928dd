/* The erasing loop's world in memory: a register's part of it (what consumer/register_erase.c reads and
 * writes), a vault, and twelve persons whose keys are doomed. */
#ifndef KR_ERASE_WORLD_H
#define KR_ERASE_WORLD_H

#include "consumer/erase.h"
#include "tests/unit/memory_vault.h"

#define ERASE_PERSONS 12
#define ERASE_CUT_US INT64_C(1000000)
#define ERASE_PERIOD 200

struct stored_doom {
    struct key_doom doom;
    bool there;
};
struct stored_cut {
    struct erase_cut cut;
    char row[24], person[16], subject[16];
    int version;
    bool destroyed;
};

/* What consumer/register_erase.c reads and writes, in memory. */
struct memory_erase {
    struct stored_doom dooms[ERASE_PERSONS * 2];
    struct stored_cut cuts[ERASE_PERSONS];
    struct text guards[ERASE_PERSONS], address; /* packed; every person's hash is the same one */
    struct text hash;
    int64_t counter;
    int fail_pending, fail_before, fail_after, finished;
    void (*meanwhile)(struct memory_erase *memory); /* between what was read and that it is done */
};

struct erase_world {
    const struct erase_ops *erase_ops; /* memory_erase_ops, or what a test puts before it; so the vault's */
    const struct vault_ops *vault_ops;
    struct arena kept, arena;
    struct memory_vault vault;
    struct memory_erase memory;
    struct keyring *keyring;
    struct json_writer *writer;
    uint8_t kek[32];
    int64_t now_us;
    struct erase erase;
    struct err err;
};

extern const struct erase_ops memory_erase_ops; /* `reg` = struct memory_erase* */

/* Twelve persons, each with keys of three categories and a lookup; the profile's and the delivery's are
 * doomed, but a delivery's cell waits under a fresh key. */
struct erase_world *erase_world_new(void);
void erase_world_free(struct erase_world *world);
/* The process starts: nothing in memory is left of the one before. */
void erase_world_start(struct erase_world *world);
/* Turns, seconds apart, until nothing waits; how many failed. */
int erase_world_run(struct erase_world *world, int turns_most);
/* Does that person wait still? */
bool erase_world_waits(const struct memory_erase *memory, size_t person);
bool erase_world_has(struct erase_world *world, size_t person, enum category category, uint16_t floor);
void erase_world_expect_destroyed(struct erase_world *world, size_t person);
void erase_world_expect_all(struct erase_world *world);

#endif
