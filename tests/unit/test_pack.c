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
    person->kind = TEXT("account");
    person->notice.id = TEXT("n1");
    person->notice.language = TEXT("sv");
    struct person_facts *facts = &person->facts;
    *ARENA_PUSH(&arena, &facts->registered) = (struct registered_fact){
        .version = version_of(1000, "e1"), .account = true, .notice = person->notice};
    *ARENA_PUSH(&arena, &facts->cuts) = (struct cut){
        .cut_us = 2000, .cause = CUT_REQUEST, .valid = true, .completed_us = TIME_NONE, .restored = true};
    struct address_fact *address = ARENA_PUSH(&arena, &facts->addresses);
    *address = (struct address_fact){.hash = TEXT("00ff"), .field = PHONE};
    *ARENA_PUSH(&arena, &address->times) = 1000;
    *ARENA_PUSH(&arena, &facts->floors) =
        (struct key_floor){.generation = GENERATION_FIRST, .category = CATEGORY_DELIVERY, .transit = 65535};
    *ARENA_PUSH(&arena, &facts->requests) = TEXT("r1");
    facts->named_us = 1000;
    facts->consents = 2;
    *ARENA_PUSH(&arena, &person->permissions) = (struct permission){.purpose = TEXT("newsletter"),
                                                                    .channel = TEXT("email"),
                                                                    .reason = PERMISSION_OBJECTED,
                                                                    .since_us = 1500};
    *ARENA_PUSH(&arena, &person->letters) =
        (struct letter){TEXT("letterhouse"), TEXT("newsletter"), UNIT_ERASED};
    person->address[ADDRESS_PHONE] = TEXT("00ff");
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
    assert_int_equal(version_compare(&person->facts.registered.at[0].version, &person->field[LAST_NAME]), 0);
    assert_int_equal(person->facts.cuts.at[0].cause, CUT_REQUEST);
    assert_true(person->facts.cuts.at[0].valid && person->facts.cuts.at[0].restored);
    assert_false(person->facts.cuts.at[0].complete);
    assert_int_equal(person->facts.addresses.at[0].times.at[0], 1000);
    assert_int_equal(person->facts.floors.at[0].transit, 65535);
    assert_int_equal(person->permissions.at[0].reason, PERMISSION_OBJECTED);
    assert_int_equal(person->letters.at[0].state, UNIT_ERASED);
    /* eight fields of two facts cost little more than two versions */
    assert_true(packed.size < 300);
}

static void requests_consents_and_addresses_come_back(void **context) {
    (void)context;
    struct err err = {0};
    struct state *state = state_new(&arena), *other = state_new(&arena);
    struct request *request = state_request(state, TEXT("r1"));
    *ARENA_PUSH(&arena, &request->received) = (struct received_fact){.version = version_of(5, "e1"),
                                                                     .contact_hash = TEXT("00ff"),
                                                                     .channel = TEXT("email"),
                                                                     .identity = IDENTITY_CLERK};
    *ARENA_PUSH(&arena, &request->ties) = (struct tie){version_of(6, "e2"), TEXT("c1")};
    request->state = REQUEST_DONE;
    request->strongest = IDENTITY_CLERK;
    request->until = 20600;
    struct text packed = pack_request(request, &arena);
    struct request *same = state_request(other, TEXT("r1"));
    assert_int_equal(unpack_request(packed, &arena, same, &err), OK);
    assert_true(text_equal(packed, pack_request(same, &arena)));
    assert_false(text_present(same->received.at[0].person));
    assert_int_equal(same->due, DATE_NONE);

    struct consent *consent = state_consent(state, TEXT("c1"), TEXT("fact"));
    consent->act = CONSENT_GRANTED;
    consent->version = version_of(7, "e3");
    consent->has_confirmed = true;
    consent->purpose = TEXT("newsletter");
    packed = pack_consent(consent, &arena);
    struct consent *granted = state_consent(other, TEXT("c1"), TEXT("fact"));
    assert_int_equal(unpack_consent(packed, &arena, granted, &err), OK);
    assert_true(text_equal(packed, pack_consent(granted, &arena)));
    assert_true(granted->has_confirmed && !granted->confirmed);

    struct address *address = state_address(state, TEXT("00ff"));
    *ARENA_PUSH(&arena, &address->entries) = (struct address_entry){.person = TEXT("c1"),
                                                                    .matched_us = 3,
                                                                    .current = true,
                                                                    .objected_first_us = TIME_NONE,
                                                                    .objected_last_us = TIME_NONE,
                                                                    .withdrawn_us = 9};
    packed = pack_address(address, &arena);
    struct address *used = state_address(other, TEXT("00ff"));
    assert_int_equal(unpack_address(packed, &arena, used, &err), OK);
    assert_true(text_equal(packed, pack_address(used, &arena)));
    assert_int_equal(used->entries.at[0].withdrawn_us, 9);
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

    struct event said = {
        .type = CONSENT_OBJECTED, .version = version_of(5, "a1"), .topic = TEXT("shop.consent.v1")};
    said.as.consent.token = TEXT("token");
    said.as.consent.method = TEXT("one_click");
    packed = pack_event(&said, &arena);
    assert_int_equal(unpack_event(packed, &arena, &parked, &err), OK);
    assert_true(text_equal(packed, pack_event(&parked, &arena)));
    assert_true(text_is(parked.as.consent.method, "one_click"));
    said.type = ORDER_PAID;
    assert_int_equal(unpack_event(pack_event(&said, &arena), &arena, &parked, &err), FATAL);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_packed_comes_back),
                                       cmocka_unit_test(requests_consents_and_addresses_come_back),
                                       cmocka_unit_test(notices_and_parked_events_come_back),
                                       cmocka_unit_test(damage_is_refused),
                                       cmocka_unit_test(a_full_arena_is_no_damage)};
    arena_init(&arena, 1 << 24);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_release(&arena);
    return failed;
}
