/* Packed rows: what is packed comes back, equal states give equal bytes, and damage is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/decide/pack.h"

static struct arena arena;

static struct version version_of(int64_t time_us, const char *id) {
    return (struct version){.time_us = time_us,
                            .source = TEXT("urn:shop"),
                            .id = text_of(id),
                            .sequence = TEXT("42"),
                            .digest = {9, 8, 7}};
}

static struct order *sample_order(struct state *state) {
    struct order *order = state_order(state, TEXT("c1"), TEXT("o1"));
    order->version = version_of(1000, "e1");
    order->first_version_us = order->first_fact_us = order->recorded_us = 900;
    order->guest = true;
    for (int64_t i = 0; i < 40; i++) { /* more than versions are remembered */
        char *id = arena_take(&arena, 8);
        id[0] = (char)('a' + i % 26);
        ARENA_PUSH(&arena, &order->payments)->version = version_of(INT64_C(1700000000000000) + i, id);
    }
    *ARENA_PUSH(&arena, &order->shipments) = (struct order_shipment){.shipment_id = TEXT("s1"),
                                                                     .outbound = true,
                                                                     .delivered_us = TIME_NONE,
                                                                     .country = TEXT("FI"),
                                                                     .first_version = version_of(1000, "e1")};
    *ARENA_PUSH(&arena, &order->product_classes) = TEXT("");
    return order;
}

static struct shipment *sample_shipment(struct state *state) {
    struct shipment *shipment = state_shipment(state, TEXT("c1"), TEXT("s1"));
    shipment->version = version_of(INT64_MAX, "e1");
    shipment->first_version = version_of(1000, "e0");
    shipment->order_id = TEXT("o1");
    shipment->person = TEXT("recipient:r1");
    shipment->carrier = TEXT("posti");
    shipment->service = TEXT("2103");
    shipment->country = TEXT("FI");
    shipment->parcels = 99;
    *ARENA_PUSH(&arena, &shipment->statuses) = (struct parcel_status){TEXT("posti"), 0, STATUS_DELIVERED, 77};
    *ARENA_PUSH(&arena, &shipment->units) = (struct unit){.carrier = TEXT("posti"),
                                                          .service = TEXT("2103"),
                                                          .role = TEXT("consignee"),
                                                          .person = TEXT("recipient:r1"),
                                                          .generation = GENERATION_FIRST,
                                                          .parcels = 99,
                                                          .state = UNIT_WITHDRAWN};
    return shipment;
}

static struct person *sample_person(struct state *state) {
    struct person *person = state_person(state, TEXT("c1"), GENERATION_FIRST);
    person->opened = true;
    person->registered = version_of(1000, "e1");
    person->kind = TEXT("account");
    person->notice.id = TEXT("n1");
    person->notice.language = TEXT("sv");
    *ARENA_PUSH(&arena, &person->registered_times) = 1000;
    for (size_t f = 0; f < CONTACT_FIELDS; f++) {
        person->field[f] = version_of(1000, f % 2 ? "e1" : "e2");
        person->field[f].protective = f == CITY;
    }
    return person;
}

static void what_is_packed_comes_back(void **context) {
    (void)context;
    struct err err = {0};
    struct state *state = state_new(&arena), *other = state_new(&arena);
    struct text packed = pack_order(sample_order(state), &arena);
    struct order *order = state_order(other, TEXT("c1"), TEXT("o1"));
    assert_int_equal(unpack_order(packed, &arena, order, &err), OK);
    assert_true(text_equal(packed, pack_order(order, &arena)));
    assert_int_equal(order->payments.count, 40);
    assert_true(text_equal(order->product_classes.at[0], TEXT("")));

    packed = pack_shipment(sample_shipment(state), &arena);
    struct shipment *shipment = state_shipment(other, TEXT("c1"), TEXT("s1"));
    assert_int_equal(unpack_shipment(packed, &arena, shipment, &err), OK);
    assert_true(text_equal(packed, pack_shipment(shipment, &arena)));
    assert_int_equal(shipment->version.time_us, INT64_MAX);
    assert_int_equal(shipment->units.at[0].state, UNIT_WITHDRAWN);

    packed = pack_person(sample_person(state), &arena);
    struct person *person = state_person(other, TEXT("c1"), GENERATION_FIRST);
    assert_int_equal(unpack_person(packed, &arena, person, &err), OK);
    assert_true(text_equal(packed, pack_person(person, &arena)));
    assert_true(person->field[CITY].protective);
    assert_false(person->field[STREET].protective);
    assert_int_equal(version_compare(&person->registered, &person->field[LAST_NAME]), 0);
    /* eight fields of two facts cost little more than two versions */
    assert_true(packed.size < 200);
}

static void notices_and_parked_events_come_back(void **context) {
    (void)context;
    struct err err = {0};
    struct state *state = state_new(&arena), *other = state_new(&arena);
    struct notice *notice = state_notice(state, TEXT("c1"), TEXT("ref"));
    notice->recipient = TEXT("posti");
    notice->kind = TEXT("corrected");
    notice->cause = TEXT("changed");
    notice->fields = FIELD_BIT(STREET) | FIELD_BIT(PHONE);
    notice->answer_by = 20600;
    *ARENA_PUSH(&arena, &notice->disclosures) = TEXT("d1");
    struct text packed = pack_notice(notice, &arena);
    struct notice *again = state_notice(other, TEXT("c1"), TEXT("ref"));
    assert_int_equal(unpack_notice(packed, &arena, again, &err), OK);
    assert_true(text_equal(packed, pack_notice(again, &arena)));
    assert_int_equal(again->retained_until, DATE_NONE);

    struct event event = {
        .type = NOTICE_ACKNOWLEDGED, .version = version_of(5, "a1"), .topic = TEXT("carrier.posti.v1")};
    event.sender = TEXT("posti");
    event.as.ack.notice_ref = TEXT("ref");
    event.as.ack.outcome = ACK_RETAINED;
    event.as.ack.ground = TEXT("complaint");
    event.as.ack.until = TEXT("2026-12-24");
    struct event parked;
    packed = pack_event(&event, &arena);
    assert_int_equal(unpack_event(packed, &arena, &parked, &err), OK);
    assert_true(text_equal(packed, pack_event(&parked, &arena)));
    assert_true(text_is(parked.as.ack.ground, "complaint"));
}

/* Every cut and every changed byte is either refused or still a state that can be packed: never a crash. */
static void damage_is_refused(void **context) {
    (void)context;
    struct err err = {0};
    struct arena scratch;
    arena_init(&scratch, 1 << 22);
    struct state *state = state_new(&arena);
    struct text packed = pack_shipment(sample_shipment(state), &arena);
    char *bytes = arena_take(&arena, packed.size);
    for (size_t size = 0; size < packed.size; size++) {
        struct shipment *shipment = state_shipment(state_new(&scratch), TEXT("c1"), TEXT("s1"));
        memcpy(bytes, packed.at, packed.size);
        assert_int_equal(unpack_shipment((struct text){bytes, size}, &scratch, shipment, &err), FATAL);
        arena_reset(&scratch);
    }
    for (size_t at = 0; at < packed.size; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct shipment *shipment = state_shipment(state_new(&scratch), TEXT("c1"), TEXT("s1"));
            memcpy(bytes, packed.at, packed.size);
            bytes[at] = (char)(bytes[at] ^ 1 << bit);
            enum outcome outcome =
                unpack_shipment((struct text){bytes, packed.size}, &scratch, shipment, &err);
            if (outcome == OK)
                assert_true(text_present(pack_shipment(shipment, &scratch)));
            else
                assert_int_equal(outcome, FATAL);
            arena_reset(&scratch);
        }
    }
    struct order *order = state_order(state, TEXT("c1"), TEXT("o1"));
    assert_int_equal(unpack_order(packed, &arena, order, &err), FATAL); /* another kind's */
    assert_null(strstr(err.text, "c1"));
    arena_release(&scratch);
}

static void a_full_arena_is_no_damage(void **context) {
    (void)context;
    struct err err = {0};
    struct arena small;
    struct state *state = state_new(&arena);
    struct text packed = pack_order(sample_order(state), &arena);
    struct order *order = state_order(state_new(&arena), TEXT("c1"), TEXT("o1"));
    arena_init(&small, 256);
    assert_int_equal(unpack_order(packed, &small, order, &err), RETRY);
    assert_false(text_present(pack_order(sample_order(state), &small)));
    arena_release(&small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_packed_comes_back), cmocka_unit_test(notices_and_parked_events_come_back),
        cmocka_unit_test(damage_is_refused), cmocka_unit_test(a_full_arena_is_no_damage)};
    arena_init(&arena, 1 << 24);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_release(&arena);
    return failed;
}
