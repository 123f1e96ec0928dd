/* Erasures remembered: what a record says, which of a subject's records counts, and what the register lacks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "consumer/remember_record.h"
#include <string.h>

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define CUT(second, category, cause)                                                                         \
    "{\"category\":\"" category "\",\"cause\":\"" cause                                                      \
    "\",\"complete\":true,\"cut\":\"1970-01-01T00:00:0" #second ".000000Z\"}"
#define RECORD(subject, erasures) "{\"erasures\":[" erasures "],\"subject\":\"" subject "\"}"

static enum outcome add(struct remember_list *list, const char *body, unsigned partition, uint32_t record) {
    struct arena arena;
    const struct remembered from = {.record = record, .partition = (uint16_t)partition};
    arena_init(&arena, 1 << 20);
    enum outcome outcome = remember_record(list, text_of(body), &from, &arena);
    arena_release(&arena);
    return outcome;
}

static void a_cut_has_its_categories(void **state) {
    (void)state;
    struct remember_list list = {0};
    assert_int_equal(add(&list,
                         RECORD(A, CUT(1, "profile", "request") "," CUT(1, "delivery", "request") "," CUT(
                                       2, "profile", "closed")),
                         0, 0),
                     OK);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.at[0].cut_us, 1000000);
    assert_int_equal(list.at[0].categories, 1 << CATEGORY_PROFILE | 1 << CATEGORY_DELIVERY);
    assert_true(list.at[0].by_request);
    assert_false(list.at[1].by_request);
    char hex[SUBJECT_HEX + 1];
    remember_subject_write(list.at[0].subject, hex);
    assert_string_equal(hex, A);
    remember_release(&list);
}

static void what_is_no_record_is_left_out(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "",
        "[]",
        "{}",
        RECORD("short", CUT(1, "profile", "request")),
        RECORD(A, CUT(1, "no_category", "request")),
        RECORD(A, "{\"category\":\"profile\",\"cause\":\"request\",\"cut\":\"soon\"}"),
        RECORD(A, CUT(1, "profile", "request") ",7"),
    };
    struct remember_list list = {0};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++)
        assert_int_equal(add(&list, bodies[i], 0, 0), POISON);
    assert_int_equal(list.count, 0);
    remember_release(&list);
}

/* What is scanned says the same as what is parsed; what looks odd is left to the parser. */
static void scanned_is_as_parsed(void **state) {
    (void)state;
    static const struct {
        const char *body;
        bool scanned;
    } bodies[] = {
        {RECORD(A, CUT(1, "profile", "request")), true},
        {RECORD(A, CUT(1, "profile", "request") "," CUT(1, "delivery", "closed") "," CUT(2, "profile",
                                                                                         "closed")),
         true},
        {"{\"subject\":\"" A "\",\"erasures\":[{\"cut\":\"1970-01-01T00:00:03Z\",\"generation\":"
         "\"1970-01-01T00:00:01Z\",\"cause\":\"request\",\"category\":\"profile\"}],"
         "\"suppression\":[{\"hash\":\"" B "\",\"times\":[\"1970-01-01T00:00:01Z\"]}]}",
         true},
        {"{\"subject\":\"" A "\",\"erasures\":[],\"more\":true}", false},
        {"{ \"subject\": \"" A "\", \"erasures\": [" CUT(1, "profile", "request") "] }", false},
        {"{\"su\\u0062ject\":\"" A "\",\"erasures\":[" CUT(1, "profile", "request") "]}", false},
        {RECORD(A, CUT(1, "profile", "request")) "x", false},
    };
    struct arena arena;
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
        struct remember_record scanned = {.cut_count = 0}, parsed = {.cut_count = 0};
        assert_int_equal(remember_scan(text_of(bodies[i].body), &scanned), bodies[i].scanned);
        if (!bodies[i].scanned)
            continue;
        assert_int_equal(remember_parse(text_of(bodies[i].body), &arena, &parsed), OK);
        assert_memory_equal(scanned.subject, parsed.subject, SUBJECT_BYTES);
        assert_int_equal(scanned.cut_count, parsed.cut_count);
        for (size_t c = 0; c < parsed.cut_count; c++) {
            assert_int_equal(scanned.cuts[c].cut_us, parsed.cuts[c].cut_us);
            assert_int_equal(scanned.cuts[c].categories, parsed.cuts[c].categories);
            assert_int_equal(scanned.cuts[c].by_request, parsed.cuts[c].by_request);
        }
    }
    arena_release(&arena);
}

/* Topics are compacted late, and their number of partitions may have grown. */
static void the_last_record_of_a_partition_counts(void **state) {
    (void)state;
    struct remember_list list = {0};
    uint32_t record = 0;
    for (int round = 0; round < 3000; round++) {
        assert_int_equal(
            add(&list, RECORD(B, CUT(1, "profile", "closed") "," CUT(2, "profile", "request")), 0, record++),
            OK);
        assert_int_equal(add(&list, RECORD(A, CUT(5, "profile", "closed")), 0, record++), OK);
    }
    assert_true(list.room <= 2048);
    assert_int_equal(add(&list, RECORD(B, CUT(2, "profile", "request")), 0, record++), OK);
    assert_int_equal(
        add(&list, RECORD(A, CUT(5, "delivery", "request") "," CUT(6, "profile", "closed")), 1, record++),
        OK);
    remember_last(&list);
    assert_int_equal(list.count, 3);
    assert_int_equal(list.at[0].cut_us, 5000000);
    assert_int_equal(list.at[0].categories, 1 << CATEGORY_PROFILE | 1 << CATEGORY_DELIVERY);
    assert_true(list.at[0].by_request);
    assert_int_equal(list.at[1].cut_us, 6000000);
    assert_int_equal(list.at[2].cut_us, 2000000);
    remember_release(&list);
}

struct told {
    size_t count;
    unsigned where[8];
};
static enum outcome tell(void *context, const struct remembered *cut, struct err *err) {
    struct told *told = context;
    (void)err;
    told->where[told->count++] = cut->where;
    return OK;
}

static void what_the_register_lacks_is_found(void **state) {
    (void)state;
    struct remember_list lists[3] = {{0}};
    struct remember_sum sum = {0};
    struct told told = {0};
    struct err err;
    assert_int_equal(
        add(&lists[0], RECORD(A, CUT(1, "profile", "request") "," CUT(2, "profile", "request")), 0, 0), OK);
    assert_int_equal(add(&lists[1], RECORD(A, CUT(1, "profile", "request")), 0, 0), OK);
    assert_int_equal(add(&lists[1], RECORD(B, CUT(3, "profile", "request")), 0, 0), OK);
    assert_int_equal(add(&lists[2], RECORD(A, CUT(1, "profile", "request")), 0, 0), OK);
    assert_int_equal(
        add(&lists[2], RECORD(B, CUT(3, "profile", "closed") "," CUT(4, "profile", "closed")), 0, 0), OK);
    assert_int_equal(remember_merge(lists, &sum, tell, &told, &err), OK);
    assert_int_equal(told.count, 3);
    assert_int_equal(told.where[0], IN_TOPIC); /* A, 2 */
    assert_int_equal(told.where[1], IN_VAULT); /* B, 3: closed is weaker than a request */
    assert_int_equal(told.where[2], IN_REGISTER);
    assert_int_equal(sum.topic_alone, 1);
    assert_int_equal(sum.vault_alone, 1);
    assert_int_equal(remember_lacking(&sum), 2);
    assert_int_equal(sum.vault_lacks, 1);
    assert_int_equal(remember_judge(&sum, &err), FATAL);
    assert_non_null(strstr(err.text, "restore reconcile"));
    for (int i = 0; i < 3; i++)
        remember_release(&lists[i]);
}

/* Told once, taken back since: the register knows it, so nothing is lost. */
static void a_void_cut_is_known(void **state) {
    (void)state;
    struct remember_list lists[3] = {{0}};
    struct remember_sum sum = {0};
    struct err err;
    assert_int_equal(add(&lists[0], RECORD(A, CUT(1, "profile", "closed")), 0, 0), OK);
    assert_int_equal(add(&lists[2], RECORD(A, CUT(1, "profile", "closed")), 0, 0), OK);
    lists[2].at[0].void_cut = true;
    assert_int_equal(remember_merge(lists, &sum, NULL, NULL, &err), OK);
    assert_int_equal(remember_judge(&sum, &err), OK);
    assert_int_equal(sum.vault_lacks, 0);
    for (int i = 0; i < 3; i++)
        remember_release(&lists[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_has_its_categories),
        cmocka_unit_test(what_is_no_record_is_left_out),
        cmocka_unit_test(scanned_is_as_parsed),
        cmocka_unit_test(the_last_record_of_a_partition_counts),
        cmocka_unit_test(what_the_register_lacks_is_found),
        cmocka_unit_test(a_void_cut_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
