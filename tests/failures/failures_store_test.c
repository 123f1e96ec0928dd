/* The consumer's loop over a real register and a real vault, with a failure at each call that can fail of the
 * code that reaches them: no memory, a call of libpq that fails, a connection that is cut. Whatever it is, in
 * the end the register holds what it holds undisturbed. Stands on a stack of its own: failing_servers.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/vault.h"
#include "tests/failures/failing.h"
#include "tests/failures/failing_seams.h"
#include "tests/failures/failing_servers.h"
#include "tests/unit/memory_dump.h"
#include <stdio.h>
#include <stdlib.h>

/* What the register holds in the clear, but what differs from run to run (revisions, epochs, numbers) and
 * what may be told in other steps: of notices that there is one, of a key's state that it was told. */
static const struct query clear = {
    .name = "failures_clear",
    .sql =
        "SELECT coalesce(string_agg(DISTINCT line, E'\n' ORDER BY line), '') FROM ("
        "SELECT 'person ' || (to_jsonb(t) - '{revision,profile,merge}'::text[])::text COLLATE \"C\" AS line"
        " FROM person t UNION ALL "
        "SELECT 'order ' || (to_jsonb(t) - '{claim,voucher,oss,merge}'::text[])::text FROM customer_order t"
        " UNION ALL "
        "SELECT 'shipment ' || (to_jsonb(t) - '{delivery,merge}'::text[])::text FROM shipment t UNION ALL "
        "SELECT 'consent ' || (to_jsonb(t) - '{proof,merge}'::text[])::text FROM consent t UNION ALL "
        "SELECT 'request ' || (to_jsonb(t) - '{revision,merge}'::text[])::text FROM request t UNION ALL "
        "SELECT 'tombstone ' || (to_jsonb(t) - 'destroyed')::text || (destroyed IS NULL)"
        " FROM tombstone t UNION ALL "
        "SELECT 'doomed ' || (to_jsonb(t) - 'at')::text FROM doomed t UNION ALL "
        "SELECT 'ref ' || to_jsonb(t)::text FROM ref t WHERE kind <> 'notice' UNION ALL "
        "SELECT 'parked ' || (to_jsonb(t) - 'body')::text FROM parked t UNION ALL "
        "SELECT concat_ws(' ', 'notice', person, recipient, kind, outcome) FROM notice t UNION ALL "
        "SELECT 'ledger ' || (to_jsonb(t) - 'seq')::text FROM ledger t"
        " WHERE kind IN ('register.disclosure.shipment', 'register.dead-letter') UNION ALL "
        "SELECT 'dead letter ' || to_jsonb(t)::text FROM dead_letter t UNION ALL "
        "SELECT concat_ws(' ', 'output', topic, key, type, CASE WHEN type IN ('register.disclosure.shipment',"
        " 'register.dead-letter') THEN output_id END) FROM outbox t UNION ALL "
        "SELECT concat_ws(' ', 'position', topic, partition, next, parked) FROM position t"
        " WHERE topic <> 'calendar') l"};
static const struct query vaults = {
    .name = "failures_vault",
    .sql = "SELECT coalesce(string_agg(line, E'\\n' ORDER BY line COLLATE \"C\"), '') FROM ("
           "SELECT 'lookup ' || (to_jsonb(t) - 'at')::text AS line FROM lookup t UNION ALL "
           "SELECT 'tombstone ' || subject || ' ' || (body::jsonb -> 'erasures')::text FROM tombstone t) l"};
/* ---- the dump of what is sealed ---- */

static const struct query keys = {
    .name = "failures_keys",
    .sql = "SELECT 'p', person, NULL FROM person UNION SELECT 'o', customer_id, order_id FROM customer_order"
           " UNION SELECT 's', customer_id, shipment_id FROM shipment UNION SELECT 'r', request_id, NULL"
           " FROM request UNION SELECT 'a', hash, NULL FROM address"};

/* The rows of a kind become a list of the register in memory. */
#define TAKE(list)                                                                                           \
    for (size_t i = 0; i < rows.list.count; i++)                                                             \
    *ARENA_PUSH(arena, &memory.list) = rows.list.at[i]

/* Every line of the dump: each cell is opened on the way. */
static struct text dump(struct servers *servers, struct arena *arena) {
    struct memory_register memory;
    struct register_postgres reg;
    struct vault_link vault = {.conninfo = servers->config.vault_as.consumer, .application = "failures_test"};
    struct keyring *keyring = keyring_new(&vault_linked, &vault, servers->kek, servers->vault_id, 100, 60);
    struct db_result *result = NULL;
    struct read_rows rows;
    LIST(struct read_key) of[128] = {{0}};
    memory_register_init(&memory);
    register_postgres_init(&reg, servers->config.register_as.consumer, "failures_test", 2000);
    if (db_run(servers->owner, &keys, NULL, &result, &servers->err) != OK)
        fail_msg("%s", servers->err.text);
    for (size_t i = 0; i < db_rows(result); i++)
        *ARENA_PUSH(arena, &of[(size_t)db_text(result, i, 0).at[0]]) =
            (struct read_key){db_text(result, i, 1), db_text(result, i, 2)};
    struct read_request request = {.persons = {of['p'].at, of['p'].count},
                                   .consents = {of['p'].at, of['p'].count},
                                   .orders = {of['o'].at, of['o'].count},
                                   .shipments = {of['s'].at, of['s'].count},
                                   .requests = {of['r'].at, of['r'].count},
                                   .addresses = {of['a'].at, of['a'].count}};
    if (register_postgres.open(&reg, &servers->err) != OK ||
        register_postgres.read(&reg, arena, &request, &rows, &servers->err) != OK)
        fail_msg("%s", servers->err.text);
    TAKE(persons);
    TAKE(consents);
    TAKE(orders);
    TAKE(shipments);
    TAKE(requests);
    TAKE(addresses);
    struct text lines = memory_dump(&memory, keyring, servers->policy, arena);
    db_result_release(result);
    register_postgres.close(&reg);
    vault_link_close(&vault);
    keyring_free(keyring);
    memory_register_release(&memory);
    return lines;
}

static bool run_failing(struct servers *servers, unsigned kinds, unsigned long at) {
    memory_register_init(&servers->topics);
    servers_publish(servers);
    servers_begin(servers);
    failing_arm(kinds, at);
    failing_rest(); /* only the seams to the servers wake */
    enum outcome outcome = servers_turn_through(servers);
    bool reached = failing_disarm();
    if (outcome != OK && (!reached || outcome != FATAL))
        fail_msg("%s failed at %lu: %s", failing_what(), at, servers->err.text);
    if (outcome != OK) {
        failing_ended();
        servers_end(servers);
        servers_begin(servers);
        if (servers_turn_through(servers) != OK)
            fail_msg("%s failed at %lu; afterwards: %s", failing_what(), at, servers->err.text);
    }
    servers_end(servers);
    memory_register_release(&servers->topics);
    return reached;
}

static void any_failure(void **state, unsigned kinds, const char *area) {
    struct servers *servers = servers_of(state);
    struct arena *arena = &servers->arena, kept;
    bool reached = true;
    arena_init(&kept, (size_t)1 << 26);
    servers_empty(servers);
    run_failing(servers, kinds, 0);
    unsigned long calls = failing_calls();
    struct text in_register = servers_look(servers, servers->owner, &clear, &kept);
    struct text in_vault = servers_look(servers, servers->vault_owner, &vaults, &kept);
    struct text dumped = dump(servers, &kept);
    assert_true(in_register.size > 1000 && in_vault.size > 100 && dumped.size > 1000);
    for (unsigned long at = servers_from(); reached; at += servers_step()) {
        servers_empty(servers);
        reached = run_failing(servers, kinds, at);
        servers_expect_same(servers_look(servers, servers->owner, &clear, arena), in_register, at);
        servers_expect_same(servers_look(servers, servers->vault_owner, &vaults, arena), in_vault, at);
        servers_expect_same(dump(servers, arena), dumped, at);
        arena_reset(arena);
    }
    arena_release(&kept);
    failing_tell(area);
    printf("# %s: %lu calls undisturbed\n", area, calls);
    assert_false(failing_leaked());
}

static void test_libpq_fails(void **state) {
    any_failure(state, FAILING_CALL, "libpq fails");
}
static void test_connection_is_cut(void **state) {
    any_failure(state, FAILING_CUT, "the connection is cut");
}
static void test_memory_ends(void **state) {
    any_failure(state, FAILING_HEAP | FAILING_ARENA, "memory ends");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_libpq_fails),
        cmocka_unit_test(test_connection_is_cut),
        cmocka_unit_test(test_memory_ends),
    };
    failing_behind = (struct failing_behind){.topics = &memory_topic_ops,
                                             .reg = &register_postgres,
                                             .vault = &vault_linked,
                                             .erase = &erase_postgres,
                                             .tried = true};
    return cmocka_run_group_tests(tests, servers_set_up, servers_tear_down);
}
