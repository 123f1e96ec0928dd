/* Employees' commands: what a clerk seals the consumer opens, under the request and output id that it was
 * sealed for only; what does not open is refused and stops nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "consumer/command.h"
#include "core/command_seal.h"
#include "core/json_read.h"
#include "memory_vault.h"
#include <errno.h>
#include <stdlib.h>

#define VAULT_ID "00112233445566778899aabbccddeeff"
#define OUTPUT TEXT("88c174e8-d0e1-8007-addc-8a5f21b53def")
#define REQUEST TEXT("Q1")

struct fixture {
    struct arena arena;
    struct memory_vault vault;
    struct keyring *clerk, *consumer;
    struct sealer *sealer;
    struct json_writer *writer;
    struct err err;
};

static struct keyring *ring_of(struct fixture *fixture) {
    static const uint8_t kek[32] = {42};
    return keyring_new(&memory_vault_ops, &fixture->vault, kek, VAULT_ID, 10, 60);
}

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    if (!fixture || seal_start(NULL) != OK)
        return -1;
    arena_init(&fixture->arena, (size_t)1 << 20);
    memory_vault_init(&fixture->vault);
    fixture->clerk = ring_of(fixture);
    fixture->consumer = ring_of(fixture);
    fixture->sealer = sealer_new();
    fixture->writer = json_writer_new();
    *state = fixture;
    return command_provide(fixture->consumer, &fixture->arena, 0, &fixture->err) == OK ? 0 : -1;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    keyring_free(fixture->clerk);
    keyring_free(fixture->consumer);
    sealer_free(fixture->sealer);
    json_writer_free(fixture->writer);
    memory_vault_release(&fixture->vault);
    arena_release(&fixture->arena);
    free(fixture);
    return 0;
}

/* What a clerk journals: the text of "sealed". */
static struct text sealed_by_clerk(struct fixture *fixture, struct text person) {
    struct key_want want = command_want();
    struct seal_key key;
    struct json *root = NULL;
    struct command_tie tie = {REQUEST, person};
    assert_int_equal(keyring_load(fixture->clerk, &fixture->arena, &want, 1, 0, &fixture->err), OK);
    assert_true(
        keyring_cell_key(fixture->clerk, want.person, want.generation, want.category, want.period, 0, &key));
    struct text body = command_seal(fixture->sealer, &key, &tie, OUTPUT, fixture->writer, &fixture->arena);
    assert_true(text_present(body));
    assert_null(memmem(body.at, body.size, person.at, person.size));
    assert_int_equal(json_parse(body, 2, &fixture->arena, &root), JSON_FINE);
    return json_member_text(root, "sealed");
}

static enum outcome take(struct fixture *fixture, struct arena *arena, struct text sealed,
                         struct text request, struct text output_id, struct event *event,
                         struct refusal *refusal, bool *full) {
    *event = (struct event){.type = COMMAND_TIED};
    event->version.id = output_id;
    event->as.tied.request_id = request;
    event->as.tied.sealed = sealed;
    *refusal = (struct refusal){.reason = REASON_NONE};
    struct load load = {.keyring = fixture->consumer, .arena = arena};
    enum outcome outcome = command_take(&load, event, refusal, &fixture->err);
    *full = load.arena_full;
    return outcome;
}

static void what_a_clerk_seals_the_consumer_opens(void **state) {
    struct fixture *fixture = *state;
    struct event event;
    struct refusal refusal;
    bool full;
    struct text sealed = sealed_by_clerk(fixture, TEXT("recipient:r-1"));
    assert_int_equal(take(fixture, &fixture->arena, sealed, REQUEST, OUTPUT, &event, &refusal, &full), OK);
    assert_int_equal(refusal.reason, REASON_NONE);
    assert_true(text_is(event.as.tied.person, "recipient:r-1"));
    assert_true(text_is(event.as.tied.request_id, "Q1"));
}

static void assert_refused(struct fixture *fixture, struct text sealed, struct text request,
                           struct text output_id) {
    struct event event;
    struct refusal refusal;
    bool full;
    assert_int_equal(take(fixture, &fixture->arena, sealed, request, output_id, &event, &refusal, &full), OK);
    assert_int_equal(refusal.reason, REASON_NOT_SUPPORTED);
    assert_string_equal(refusal.detail, "sealed");
    assert_false(text_present(event.as.tied.person));
}

static void a_moved_or_damaged_one_is_refused(void **state) {
    struct fixture *fixture = *state;
    struct text sealed = sealed_by_clerk(fixture, TEXT("c-1"));
    char *spoilt = (char *)(uintptr_t)arena_text(&fixture->arena, sealed).at;
    spoilt[sealed.size / 2] = spoilt[sealed.size / 2] == 'A' ? 'B' : 'A';
    assert_refused(fixture, sealed, TEXT("Q2"), OUTPUT);
    assert_refused(fixture, sealed, REQUEST, TEXT("88c174e8-d0e1-8007-addc-8a5f21b53dee"));
    assert_refused(fixture, (struct text){spoilt, sealed.size}, REQUEST, OUTPUT);
    assert_refused(fixture, (struct text){sealed.at, 8}, REQUEST, OUTPUT);
    assert_refused(fixture, (struct text){sealed.at, sealed.size - 3}, REQUEST, OUTPUT);
    assert_refused(fixture, TEXT("A"), REQUEST, OUTPUT);
}

static void one_of_a_vault_that_is_lost_stops_nothing(void **state) {
    struct fixture *fixture = *state;
    struct text sealed = sealed_by_clerk(fixture, TEXT("c-1"));
    keyring_free(fixture->consumer);
    fixture->consumer = ring_of(fixture);
    memory_vault_destroy(&fixture->vault, TEXT(COMMAND_PERSON), -1);
    assert_refused(fixture, sealed, REQUEST, OUTPUT);
    assert_int_equal(command_provide(fixture->consumer, &fixture->arena, 0, &fixture->err), OK);
    assert_refused(fixture, sealed, REQUEST, OUTPUT);
}

static void a_vault_that_is_away_or_a_full_arena_is_tried_again(void **state) {
    struct fixture *fixture = *state;
    struct event event;
    struct refusal refusal;
    bool full;
    struct arena small;
    struct text sealed = sealed_by_clerk(fixture, TEXT("c-1"));
    arena_init(&small, 64);
    assert_int_equal(take(fixture, &small, sealed, REQUEST, OUTPUT, &event, &refusal, &full), RETRY);
    assert_true(full || fixture->err.code == ENOMEM); /* either halves the batch */
    arena_release(&small);
    keyring_forget(fixture->consumer);
    fixture->vault.fail_fetches = 1;
    assert_int_equal(take(fixture, &fixture->arena, sealed, REQUEST, OUTPUT, &event, &refusal, &full), RETRY);
    assert_false(full);
    assert_int_equal(refusal.reason, REASON_NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_clerk_seals_the_consumer_opens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_moved_or_damaged_one_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_of_a_vault_that_is_lost_stops_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_vault_that_is_away_or_a_full_arena_is_tried_again, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
