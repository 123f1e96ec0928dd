/* The relay's loop over a real outbox and a real vault, and over a topic in memory, with a failure at each
 * call that can fail of the code that reaches the servers: every output goes out once, in its order, opened
 * and whole; what is withheld is withheld. Stands on a stack of its own: failing_servers.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/metrics.h"
#include "core/ready.h"
#include "producer/outbox.h"
#include "producer/unseal.h"
#include "tests/failures/failing.h"
#include "tests/failures/failing_seams.h"
#include "tests/failures/failing_servers.h"
#include "tests/unit/memory_dump.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PATIENCE_S 120
#define MARKS_MOST 32

/* ---- Kafka in memory: one producer, whose transactions are whole or nothing ---- */

struct told {
    struct text topic, line;
    int64_t seq;
};
struct topic {
    struct arena kept;
    LIST(struct told) committed, sending;
    LIST(struct relay_mark) positions, marks;
};

static struct topic topic;

static enum outcome topic_open(void *context, struct err *err) {
    (void)context, (void)err;
    topic.sending.count = topic.marks.count = 0;
    return OK;
}

static void topic_close(void *context) {
    (void)context;
}

static enum outcome topic_positions(void *context, struct arena *arena, struct relay_marks *marks,
                                    bool *missing, struct err *err) {
    (void)context, (void)err;
    *missing = false;
    for (size_t i = 0; i < topic.positions.count; i++)
        *ARENA_PUSH(arena, marks) = topic.positions.at[i];
    return OK;
}

/* What a reader of the topic sees of a row. */
static enum outcome topic_send(void *context, const struct relay_row *row, struct err *err) {
    char line[4096];
    (void)context, (void)err;
    int size = snprintf(line, sizeof line, "%.*s %.*s %.*s %zu %.*s", TEXT_ARGS(row->topic),
                        TEXT_ARGS(row->key), TEXT_ARGS(row->type), row->headers.size, TEXT_ARGS(row->plain));
    assert_true(size > 0 && (size_t)size < sizeof line && text_present(row->plain));
    struct told *told = ARENA_PUSH(&topic.kept, &topic.sending);
    *told = (struct told){arena_text(&topic.kept, row->topic),
                          arena_text(&topic.kept, (struct text){line, (size_t)size}), row->seq};
    return OK;
}

static enum outcome topic_position(void *context, const struct relay_mark *mark, struct err *err) {
    (void)context, (void)err;
    struct relay_mark *kept = ARENA_PUSH(&topic.kept, &topic.marks);
    *kept = *mark;
    kept->topic = arena_text(&topic.kept, mark->topic);
    return OK;
}

static void take_position(const struct relay_mark *mark) {
    struct relay_mark *known = NULL;
    for (size_t i = 0; i < topic.positions.count; i++)
        if (text_equal(topic.positions.at[i].topic, mark->topic))
            known = &topic.positions.at[i];
    known = known ? known : ARENA_PUSH(&topic.kept, &topic.positions);
    *known = *mark;
}

static enum outcome topic_commit(void *context, struct err *err) {
    for (size_t i = 0; i < topic.sending.count; i++) {
        const struct told *told = &topic.sending.at[i];
        for (size_t k = 0; k < topic.committed.count; k++)
            if (text_equal(topic.committed.at[k].topic, told->topic) &&
                topic.committed.at[k].seq >= told->seq)
                fail_msg("%s failed at %lu: row %lld comes after row %lld", failing_what(), failing_calls(),
                         (long long)told->seq, (long long)topic.committed.at[k].seq);
        *ARENA_PUSH(&topic.kept, &topic.committed) = *told;
    }
    for (size_t i = 0; i < topic.marks.count; i++)
        take_position(&topic.marks.at[i]);
    return topic_open(context, err);
}

static bool refuses_topic(const struct err *err) {
    (void)err;
    return false;
}

static const struct publish_ops topic_ops = {.open = topic_open,
                                             .close = topic_close,
                                             .positions = topic_positions,
                                             .begin = topic_open,
                                             .send = topic_send,
                                             .position = topic_position,
                                             .commit = topic_commit,
                                             .abort = topic_open,
                                             .refuses_topic = refuses_topic};

static struct text topic_lines(struct arena *arena) {
    struct text *lines = ARENA_ARRAY(arena, struct text, topic.committed.count + 1);
    for (size_t i = 0; i < topic.committed.count; i++)
        lines[i] = topic.committed.at[i].line;
    return memory_sorted(arena, lines, topic.committed.count);
}

/* ---- the relay ---- */

static const struct query recorded = {
    .name = "failures_recorded",
    .sql = "SELECT coalesce(string_agg(line, E'\\n' ORDER BY line), '') FROM ("
           "SELECT concat_ws(' ', 'mirror', topic, seq, encode(row_id, 'hex')) COLLATE \"C\" AS line"
           " FROM mirror UNION ALL "
           "SELECT concat_ws(' ', 'publication', seq, topic, output_id, state, detail) FROM publication) l"};

static enum outcome run(struct servers *servers, bool *refused) {
    const struct config *config = &servers->config;
    const struct relay_config how = {.batch_outputs = 7,
                                     .batch_bytes = 1 << 20,
                                     .poll_us = 5000,
                                     .horizon_alarm_us = 10000000,
                                     .until_caught_up = true};
    struct outbox outbox;
    struct unseal unseal;
    outbox_init(&outbox, config->register_as.producer, servers->policy->digest);
    unseal_init(&unseal, config->vault_as.producer, config->register_as.producer, servers->kek);
    struct relay relay = {.clock_ops = &servers_clock,
                          .clock = &servers->topics,
                          .outbox_ops = &failing_outbox,
                          .outbox = &outbox,
                          .unseal_ops = &failing_unseal,
                          .unseal = &unseal,
                          .publish_ops = &failing_publish,
                          .publish = &topic};
    alarm(PATIENCE_S); /* a loop that goes on for ever ends the test */
    enum outcome outcome = relay_init(&relay, &how, &servers->err);
    if (outcome == OK)
        outcome = relay_run(&relay, &servers->err);
    alarm(0);
    *refused = relay.refused;
    relay_release(&relay);
    unseal_release(&unseal);
    outbox_release(&outbox);
    return outcome;
}

static void forget_published(struct servers *servers) {
    arena_release(&topic.kept);
    topic = (struct topic){.sending.count = 0};
    arena_init(&topic.kept, (size_t)1 << 24);
    if (db_run_script(servers->owner,
                      "DELETE FROM mirror; DELETE FROM publication; DELETE FROM outbox_floor;"
                      "DELETE FROM published_before",
                      &servers->err) != OK)
        fail_msg("%s", servers->err.text);
}

static bool run_failing(struct servers *servers, unsigned kinds, unsigned long at) {
    bool refused;
    forget_published(servers);
    failing_arm(kinds, at);
    failing_rest(); /* only the seams to the servers wake */
    enum outcome outcome = run(servers, &refused);
    bool reached = failing_disarm();
    if (outcome != OK && (!reached || outcome != FATAL || refused))
        fail_msg("%s failed at %lu: %s%s", failing_what(), at, servers->err.text,
                 refused ? " (refused)" : "");
    if (outcome != OK) {
        failing_ended();
        if (run(servers, &refused) != OK)
            fail_msg("%s failed at %lu; afterwards: %s", failing_what(), at, servers->err.text);
    }
    return reached;
}

/* What the consumer wrote into the outbox, erasures among it. */
static void fill(struct servers *servers) {
    servers_empty(servers);
    servers_begin(servers);
    servers_publish(servers);
    failing_rest();
    if (servers_turn_through(servers) != OK)
        fail_msg("%s", servers->err.text);
    servers_end(servers);
}

static void any_failure(void **state, unsigned kinds, const char *area) {
    struct servers *servers = servers_of(state);
    struct arena *arena = &servers->arena, kept;
    bool reached = true;
    arena_init(&kept, (size_t)1 << 24);
    memory_register_init(&servers->topics);
    fill(servers);
    run_failing(servers, kinds, 0);
    unsigned long calls = failing_calls();
    struct text lines = topic_lines(&kept);
    lines = arena_text(&kept, lines);
    struct text in_register = servers_look(servers, servers->owner, &recorded, &kept);
    assert_true(lines.size > 1000 && memmem(in_register.at, in_register.size, "withheld", 8));
    for (unsigned long at = servers_from(); reached; at += servers_step()) {
        reached = run_failing(servers, kinds, at);
        servers_expect_same(topic_lines(arena), lines, at);
        servers_expect_same(servers_look(servers, servers->owner, &recorded, arena), in_register, at);
        arena_reset(arena);
    }
    forget_published(servers);
    arena_release(&topic.kept);
    memory_register_release(&servers->topics);
    arena_release(&kept);
    failing_tell(area);
    printf("# %s: %lu calls undisturbed\n", area, calls);
    assert_false(failing_leaked());
}

static void test_libpq_fails(void **state) {
    any_failure(state, FAILING_CALL, "relay, libpq fails");
}
static void test_connection_is_cut(void **state) {
    any_failure(state, FAILING_CUT, "relay, the connection is cut");
}
static void test_memory_ends(void **state) {
    any_failure(state, FAILING_HEAP | FAILING_ARENA, "relay, memory ends");
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
                                             .outbox = &outbox_postgres,
                                             .unseal = &unseal_postgres,
                                             .publish = &topic_ops,
                                             .tried = true};
    metrics_init(METRICS_PRODUCER, "test");
    ready_init(1);
    return cmocka_run_group_tests(tests, servers_set_up, servers_tear_down);
}
