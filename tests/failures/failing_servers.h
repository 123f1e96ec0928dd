/* A real register and a real vault for tests that fail each call: a stack's own, emptied again and again,
 * with the consumer's loop over them and over topics in memory.
 *
 * $KUNDREGISTER_CONFIG names the stack; without it, or when the register holds anybody else than the samples'
 * persons, nothing is done. KUNDREGISTER_FAILURES_FROM=N begins at the N-th call,
 * KUNDREGISTER_FAILURES_STEP=N tries only each N-th. */
#ifndef KR_FAILING_SERVERS_H
#define KR_FAILING_SERVERS_H

#include "consumer/consume.h"
#include "consumer/register_postgres.h"
#include "consumer/vault_link.h"
#include "core/config.h"
#include "core/clock.h"
#include "tests/unit/memory_register.h"

struct servers {
    struct config config;
    struct policy *policy;
    uint8_t kek[32];
    char vault_id[33];
    struct db *owner, *vault_owner;
    struct arena arena;
    struct err err;
    bool there;
    /* one run of the consumer */
    struct memory_register topics; /* and the clock */
    struct register_postgres reg;
    struct vault_link vault;
    struct keyring *keyring;
    struct consumer consumer;
    bool running;
};

/* cmocka's group fixtures: *state is a struct servers. */
int servers_set_up(void **state);
int servers_tear_down(void **state);
/* The servers; the test is skipped when they are not there. */
struct servers *servers_of(void **state);
/* Ends a consumer that a failed test has left, too. */
void servers_empty(struct servers *servers);
/* The only column of the only row that a query gives, in `arena`. */
struct text servers_look(struct servers *servers, struct db *db, const struct query *query,
                         struct arena *arena);
/* Fails with the first lines that differ. */
void servers_expect_same(struct text is, struct text was, unsigned long at);
unsigned long servers_from(void);
unsigned long servers_step(void);

/* Time stands still for what is decided, so that two runs decide the same; it goes on for who waits. Over the
 * topics. */
extern const struct clock_ops servers_clock;

/* The consumer's loop: every table that it writes is written. Its calls of the servers go by failing_seams.
 */
void servers_publish(struct servers *servers);
void servers_begin(struct servers *servers);
/* Turns it until all is in and all that is doomed destroyed, and somewhat longer than the erasing loop waits
 * between two looks. POISON: it goes on for ever. */
enum outcome servers_turn_through(struct servers *servers) MUST_CHECK;
void servers_end(struct servers *servers);

#endif
