/* A real register and a real vault, and the consumer's loop over them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/log.h"
#include "core/seal.h"
#include "core/vault.h"
#include "tests/failures/failing.h"
#include "tests/failures/failing_seams.h"
#include "tests/failures/failing_servers.h"
#include "tests/unit/consume_sample.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PATIENCE_US (180 * INT64_C(1000000))

static const uint8_t digest_key[32] = {2};

/* ---- the servers ---- */

static const struct query strangers = {
    .name = "failures_strangers",
    .sql = "SELECT count(*) FROM person WHERE person NOT IN ('c1', 'c2', 'recipient:r1')"};

void servers_empty(struct servers *servers) {
    static const char reg[] =
        "DELETE FROM person; DELETE FROM customer_order; DELETE FROM shipment; DELETE FROM consent;"
        "DELETE FROM request; DELETE FROM address; DELETE FROM tombstone; DELETE FROM doomed;"
        "DELETE FROM ref; DELETE FROM parked; DELETE FROM notice; DELETE FROM ledger; DELETE FROM "
        "dead_letter;"
        "DELETE FROM outbox; DELETE FROM position";
    static const char vault[] = "DELETE FROM ring; DELETE FROM lookup; DELETE FROM tombstone";
    (void)failing_disarm();
    servers_end(servers);
    if (db_run_script(servers->owner, reg, &servers->err) != OK ||
        db_run_script(servers->vault_owner, vault, &servers->err) != OK)
        fail_msg("%s", servers->err.text);
}

struct text servers_look(struct servers *servers, struct db *db, const struct query *query,
                         struct arena *arena) {
    struct db_result *result = NULL;
    if (db_run(db, query, NULL, &result, &servers->err) != OK)
        fail_msg("%s", servers->err.text);
    struct text seen = arena_text(arena, db_text(result, 0, 0));
    db_result_release(result);
    return seen;
}

int servers_set_up(void **state) {
    struct servers *servers = calloc(1, sizeof *servers);
    *state = servers;
    log_to(open("/dev/null", O_WRONLY | O_CLOEXEC));
    if (!servers || seal_start(NULL) != OK || !getenv("KUNDREGISTER_CONFIG"))
        return servers ? 0 : -1;
    struct config_options options = {0};
    const struct config *config = &servers->config;
    struct db *vault = NULL, *reg = NULL;
    struct db_result *result = NULL;
    arena_init(&servers->arena, (size_t)1 << 26);
    bool fine =
        config_read(&servers->config, &options, &servers->err) == OK &&
        (servers->policy = policy_read(config->policy_file, NULL, NULL, &servers->err)) &&
        secret_read(config->keys.kek_file, servers->kek, &servers->err) == OK &&
        db_open(&servers->owner, config->register_as.owner, "failures_test", &servers->err) == OK &&
        db_open(&servers->vault_owner, config->vault_as.owner, "failures_test", &servers->err) == OK &&
        db_open(&vault, config->vault_as.consumer, "failures_test", &servers->err) == OK &&
        db_open(&reg, config->register_as.consumer, "failures_test", &servers->err) == OK &&
        vault_check(vault, reg, servers->kek, servers->vault_id, &servers->err) == OK &&
        db_run(servers->owner, &strangers, NULL, &result, &servers->err) == OK;
    servers->there = fine && db_int(result, 0, 0) == 0;
    db_result_release(result);
    db_close(vault);
    db_close(reg);
    if (!fine)
        print_error("%s\n", servers->err.text);
    return fine ? 0 : -1;
}

int servers_tear_down(void **state) {
    struct servers *servers = *state;
    if (servers->there)
        servers_empty(servers);
    db_close(servers->owner);
    db_close(servers->vault_owner);
    policy_free(servers->policy);
    config_release(&servers->config);
    arena_release(&servers->arena);
    free(servers);
    return 0;
}

/* The first line of `lines` that `others` lack; absent when there is none. */
static struct text line_missing(struct text lines, struct text others) {
    for (size_t from = 0; from < lines.size;) {
        const char *end = memchr(lines.at + from, '\n', lines.size - from);
        size_t size = end ? (size_t)(end - lines.at) - from : lines.size - from;
        if (!memmem(others.at, others.size, lines.at + from, size))
            return (struct text){lines.at + from, size};
        from += size + 1;
    }
    return TEXT_ABSENT;
}

void servers_expect_same(struct text is, struct text was, unsigned long at) {
    if (!text_equal(is, was))
        fail_msg("%s failed at %lu: there is\n%.*s\nthere should be\n%.*s", failing_what(), at,
                 TEXT_ARGS(line_missing(is, was)), TEXT_ARGS(line_missing(was, is)));
}

struct servers *servers_of(void **state) {
    struct servers *servers = *state;
    if (!servers->there)
        skip();
    return servers;
}

static unsigned long from_environment(const char *name) {
    const char *given = getenv(name);
    unsigned long number = given ? strtoul(given, NULL, 10) : 1;
    return number ? number : 1;
}

unsigned long servers_from(void) {
    return from_environment("KUNDREGISTER_FAILURES_FROM");
}

unsigned long servers_step(void) {
    return from_environment("KUNDREGISTER_FAILURES_STEP");
}

/* ---- one run of the consumer ---- */

static int64_t fixed_now_us(void *clock) {
    (void)clock;
    return INT64_C(1779267600000000);
}
static int64_t moving_us(void *clock) {
    return memory_clock_ops.monotonic_us(clock);
}
static bool sleep_us(void *clock, int64_t us) {
    return memory_clock_ops.sleep_us(clock, us);
}
const struct clock_ops servers_clock = {fixed_now_us, moving_us, sleep_us};

static enum outcome vault_open(void *vault, struct err *err) {
    failing_wake();
    enum outcome outcome = vault_link_open(vault, err);
    failing_rest();
    return outcome;
}

void servers_publish(struct servers *servers) {
    struct memory_register *topics = &servers->topics;
    sample_erasures(topics);
    sample_consents(topics);
    memory_register_publish(topics, "shop.order.v1", "c1", "shop.order.paid", "bad", "2026-05-10T10:02:00Z",
                            "{\"order_id\":7}");
    memory_register_publish(topics, "shop.shipment.v1", "c2", "shop.shipment.cancelled", "stub",
                            "2026-05-13T10:00:00Z",
                            "{\"shipment_id\":\"s9\",\"order_id\":\"o2\",\"customer_id\":\"c2\"}");
}

void servers_begin(struct servers *servers) {
    const struct config *config = &servers->config;
    register_postgres_init(&servers->reg, config->register_as.consumer, "failures_test", 2000);
    servers->vault =
        (struct vault_link){.conninfo = config->vault_as.consumer, .application = "failures_test"};
    servers->keyring = keyring_new(&failing_vault, &servers->vault, servers->kek, servers->vault_id, 100, 60);
    struct consume_setup given = {.topic_ops = &failing_topics,
                                  .topics = &servers->topics,
                                  .reg_ops = &failing_register,
                                  .reg = &servers->reg,
                                  .erase_ops = &failing_erase,
                                  .clock = &servers_clock,
                                  .clock_context = &servers->topics,
                                  .keyring = servers->keyring,
                                  .vault_open = vault_open,
                                  .vault = &servers->vault,
                                  .policy = servers->policy,
                                  .ref_key = &sample_ref_key,
                                  .digest_key = digest_key,
                                  .owner = TEXT("test/0/0"),
                                  .batch_records = 100,
                                  .batch_bytes = 1 << 20,
                                  .arena_bytes = 1 << 26};
    memory_register_restart(&servers->topics);
    if (!servers->keyring || consumer_init(&servers->consumer, &given, &servers->err) != OK)
        fail_msg("%s", servers->err.text);
    servers->running = true;
}

void servers_end(struct servers *servers) {
    if (!servers->running)
        return;
    consumer_release(&servers->consumer);
    keyring_free(servers->keyring);
    register_postgres.close(&servers->reg);
    vault_link_close(&servers->vault);
    servers->running = false;
}

static bool is_through(const struct consumer *consumer) {
    return consumer_caught_up(consumer) && consumer->calendar.mine && !erase_busy(&consumer->erase);
}

enum outcome servers_turn_through(struct servers *servers) {
    int64_t until_us = clock_system.monotonic_us(NULL) + PATIENCE_US;
    for (int turns_more = 15; turns_more > 0; turns_more -= is_through(&servers->consumer)) {
        enum outcome outcome = consume_turn(&servers->consumer, 100, &servers->err);
        if (outcome != OK)
            return outcome;
        if (clock_system.monotonic_us(NULL) > until_us)
            return err_set(&servers->err, POISON, 0, "never through");
    }
    return OK;
}
