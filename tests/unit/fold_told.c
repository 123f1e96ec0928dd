/* What recipients hold after all that they were told, and whether all who must know of an erasure do (SPEC
 * section 5, O1, O3 and O4); the last record under each key of the compacted topics. */
#include "tests/unit/fold.h"

#include "core/json_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

struct held {
    struct text ref, recipient, person, customer_id, shipment_id, service, role;
    enum unit_state state;
    int64_t parcels;
    int64_t generation;
    struct text fields[FIELD_PICKUP_POINT + 1];
};
struct told {
    struct fold *fold;
    LIST(struct held *) held;
};

static struct held *told_find(struct told *told, struct text ref) {
    for (size_t i = 0; i < told->held.count; i++) {
        if (text_equal(told->held.at[i]->ref, ref))
            return told->held.at[i];
    }
    return NULL;
}

/* Takes over the fields of a body; null takes one away. Nothing that the program does not know may be in it.
 */
static void take_fields(struct held *held, const struct json *fields) {
    for (const struct json *field = fields->first; field; field = field->next) {
        size_t f = 0;
        while (f <= FIELD_PICKUP_POINT && !text_is(field->key, policy_field_name((enum policy_field)f)))
            f++;
        assert_true(f <= FIELD_PICKUP_POINT);
        held->fields[f] = field->type == JSON_STRING ? field->text : TEXT_ABSENT;
    }
}

static void take_disclosure(struct told *told, const struct output *output, const struct json *body) {
    struct text ref = json_member_text(body, "disclosure_ref");
    struct held *held = told_find(told, ref);
    if (!held) {
        held = ARENA_NEW(&told->fold->kept, struct held);
        *ARENA_PUSH(&told->fold->kept, &told->held) = held;
    }
    *held = (struct held){.ref = ref,
                          .recipient = output->recipient,
                          .person = output->subject,
                          .customer_id = output->customer_id,
                          .shipment_id = output->shipment_id,
                          .service = json_member_text(body, "service"),
                          .role = json_member_text(body, "role"),
                          .generation = output->generation,
                          .parcels = json_member(body, "parcels") ? json_member(body, "parcels")->integer : 0,
                          .state = UNIT_HELD};
    take_fields(held, json_member(body, "fields"));
    for (size_t i = 0; text_present(held->shipment_id) && i < told->held.count;
         i++) { /* a shipment travels with one carrier in one way */
        const struct held *other = told->held.at[i];
        if (other != held && text_equal(other->shipment_id, held->shipment_id) &&
            text_equal(other->customer_id, held->customer_id))
            assert_int_not_equal(other->state, UNIT_HELD);
    }
}

static void take_output(struct told *told, const struct output *output) {
    struct json *body;
    assert_int_equal(json_parse(output->body, 0, &told->fold->kept, &body), JSON_FINE);
    if (strcmp(output->type, "register.disclosure.shipment") == 0 ||
        strcmp(output->type, "register.disclosure.newsletter") == 0) {
        take_disclosure(told, output, body);
    } else if (strcmp(output->type, "register.notice.anonymize") == 0) {
        for (const struct json *item = json_member(body, "disclosures")->first; item; item = item->next) {
            struct held *held = told_find(told, item->text);
            assert_non_null(held);
            bool erases = text_is(json_member_text(body, "cause"), "request");
            /* an act of erasure names each once, whatever was told of it before; others what was withdrawn,
             * or went over to another generation */
            assert_int_not_equal(held->state, UNIT_ERASED);
            if (!erases && !text_is(json_member_text(body, "cause"), "closed"))
                assert_int_equal(held->state, UNIT_WITHDRAWN);
            held->state = erases ? UNIT_ERASED : UNIT_ANONYMIZED;
        }
    } else {
        struct held *held = told_find(told, json_member_text(body, "disclosure_ref"));
        assert_non_null(held);
        assert_int_equal(held->state, UNIT_HELD);
        if (strcmp(output->type, "register.disclosure.corrected") == 0)
            take_fields(held, json_member(body, "fields"));
        else
            held->state = UNIT_WITHDRAWN;
    }
}

static int by_unit(const void *a, const void *b) {
    const struct held *left = *(struct held *const *)a, *right = *(struct held *const *)b;
    int order = text_compare(left->recipient, right->recipient);
    if (!order)
        order = text_compare(left->person, right->person);
    if (!order)
        order = text_compare(left->customer_id, right->customer_id);
    if (!order)
        order = text_compare(left->shipment_id, right->shipment_id);
    return order ? order : (left->generation > right->generation) - (left->generation < right->generation);
}

static void assert_ids_unique(const struct fold *fold) {
    for (size_t i = 0; i < fold->outputs.count; i++) {
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(&fold->outputs.at[i].id, &fold->outputs.at[j].id,
                                    sizeof(struct output_id));
    }
}

/* ---- O4 ---- */

/* The instant up to which requests have erased the person. */
static int64_t erased_up_to(const struct fold *fold, struct text person) {
    const struct person *guard = state_find_guard(fold->rows, person);
    int64_t up_to_us = TIME_NONE;
    for (size_t i = 0; guard && i < guard->facts.cuts.count; i++) {
        if (guard->facts.cuts.at[i].cause == CUT_REQUEST)
            up_to_us = guard->facts.cuts.at[i].cut_us;
    }
    return up_to_us;
}

/* It is on its way still, and goes when it is closed. */
static bool waits(const struct fold *fold, const struct held *held) {
    const struct shipment *row = state_find_shipment(fold->rows, held->customer_id, held->shipment_id);
    assert_non_null(row);
    return fold->policy->categories[CATEGORY_DELIVERY].on_request == ON_REQUEST_WAIT_PARCELS &&
           text_equal(row->person, held->person) && row->generation == held->generation &&
           !shipment_closed(row);
}

/* Whatever was told of an erased person and does not wait was named in a notice of the erasure, whatever was
 * told of it before. That none speaks of what was never told is seen as they are taken. */
static void assert_notified(const struct fold *fold, const struct held *held) {
    int64_t up_to_us = erased_up_to(fold, held->person);
    bool letter = !text_present(held->shipment_id);
    if (up_to_us == TIME_NONE || held->generation >= up_to_us || (!letter && waits(fold, held)) ||
        (!letter && fold->policy->categories[CATEGORY_DELIVERY].on_request == ON_REQUEST_KEEP))
        return;
    if (held->state != UNIT_ERASED)
        fail_msg("%.*s was never told to forget %.*s, shipment %.*s", TEXT_ARGS(held->recipient),
                 TEXT_ARGS(held->person), TEXT_ARGS(held->shipment_id));
}

/* ---- what is compared ---- */

static void write_held(struct json_writer *writer, const struct held *held) {
    json_array(writer);
    json_text(writer, held->recipient);
    json_text(writer, held->person);
    json_text(writer, held->customer_id);
    json_text(writer, held->shipment_id);
    json_text(writer, held->service);
    json_text(writer, held->role);
    json_int(writer, held->parcels);
    json_int(writer, held->generation);
    for (size_t f = 0; f <= FIELD_PICKUP_POINT; f++)
        json_text(writer, held->fields[f]);
    json_array_end(writer);
}

/* What is anonymized counts as never told. What a change of service withdrew goes with what replaced it: it
 * must lie beside something held by the same recipient. */
struct text fold_told(struct fold *fold) {
    struct told told = {.fold = fold};
    assert_ids_unique(fold);
    for (size_t i = 0; i < fold->outputs.count; i++) {
        if (text_present(fold->outputs.at[i].recipient))
            take_output(&told, &fold->outputs.at[i]);
    }
    if (told.held.count)
        qsort(told.held.at, told.held.count, sizeof(struct held *), by_unit);
    json_writer_reset(fold->writer);
    json_array(fold->writer);
    for (size_t i = 0; i < told.held.count; i++) {
        bool beside = told.held.at[i]->state != UNIT_WITHDRAWN;
        for (size_t j = 0; j < told.held.count; j++)
            beside |= told.held.at[j]->state == UNIT_HELD && by_unit(&told.held.at[i], &told.held.at[j]) == 0;
        assert_true(beside);
        assert_notified(fold, told.held.at[i]);
        if (told.held.at[i]->state == UNIT_HELD)
            write_held(fold->writer, told.held.at[i]);
    }
    json_array_end(fold->writer);
    return json_writer_take(fold->writer, &fold->kept);
}

static int by_key(const void *a, const void *b) {
    const struct output *left = *(struct output *const *)a, *right = *(struct output *const *)b;
    int order = text_compare(left->topic, right->topic);
    if (!order)
        order = text_compare(left->key, right->key);
    return order ? order : (left > right) - (left < right); /* as they went out */
}

/* A subject's record is the whole tombstone: compaction keeps only the last. */
static void assert_whole(const struct fold *fold, const struct output *output, const struct json *body) {
    const struct person *guard = state_find_guard(fold->rows, output->subject);
    const struct json *item = json_member(body, "erasures")->first;
    assert_non_null(guard);
    for (size_t i = 0; i < guard->facts.cuts.count; i++) {
        const struct cut *cut = &guard->facts.cuts.at[i];
        char cut_at[28];
        instant_write(cut->cut_us, cut_at);
        for (enum category c = CATEGORY_PROFILE; cut->valid && c < CATEGORIES; c++) {
            if (!cut_erases(fold->policy, guard->person, cut, c))
                continue;
            assert_non_null(item);
            assert_true(text_is(json_member_text(item, "category"), category_names[c]));
            assert_true(text_is(json_member_text(item, "cut"), cut_at));
            item = item->next;
        }
    }
    assert_null(item);
}

/* Of a request its state: it is told when that changes, with the due date of then. */
static void write_record(struct fold *fold, const struct output *output) {
    struct json *body;
    assert_int_equal(json_parse(output->body, 0, &fold->kept, &body), JSON_FINE);
    if (text_is(output->topic, "register.erasure.v1"))
        assert_whole(fold, output, body);
    if (!text_is(output->topic, "register.request.v1")) {
        json_raw(fold->writer, output->body);
        return;
    }
    json_text(fold->writer, json_member_text(body, "request_id"));
    json_text(fold->writer, json_member_text(body, "state"));
}

struct text fold_records(struct fold *fold) {
    static const char *const compacted[] = {"register.marketing-permission.v1", "register.erasure.v1",
                                            "register.request.v1"};
    LIST(const struct output *) sent = {0};
    for (size_t i = 0; i < fold->outputs.count; i++) {
        for (size_t t = 0; t < sizeof(compacted) / sizeof(compacted[0]); t++) {
            if (text_is(fold->outputs.at[i].topic, compacted[t]))
                *ARENA_PUSH(&fold->kept, &sent) = &fold->outputs.at[i];
        }
    }
    if (sent.count)
        qsort(sent.at, sent.count, sizeof(*sent.at), by_key);
    json_writer_reset(fold->writer);
    json_array(fold->writer);
    for (size_t i = 0; i < sent.count; i++) {
        bool last = i + 1 == sent.count || !text_equal(sent.at[i]->topic, sent.at[i + 1]->topic) ||
                    !text_equal(sent.at[i]->key, sent.at[i + 1]->key);
        if (last)
            write_record(fold, sent.at[i]);
    }
    json_array_end(fold->writer);
    return json_writer_take(fold->writer, &fold->kept);
}
