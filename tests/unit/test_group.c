/* What a member of the group was given, as the coordinator keeps it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "consumer/group_kafka.h"
#include <stdlib.h>
#include <string.h>

/* Version 3; topics a: 0, 2 and bc: 1; no user data. */
static const unsigned char sample[] = "\0\3\0\0\0\2"
                                      "\0\1a\0\0\0\2\0\0\0\0\0\0\0\2"
                                      "\0\2bc\0\0\0\1\0\0\0\1"
                                      "\377\377\377\377";
enum { SAMPLE_SIZE = sizeof sample - 1, NUMBERS_END = SAMPLE_SIZE - 4 };

static rd_kafka_topic_partition_list_t *three_of_each(void) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(6);
    for (int partition = 0; partition < 3; partition++) {
        rd_kafka_topic_partition_list_add(list, "a", partition);
        rd_kafka_topic_partition_list_add(list, "bc", partition);
    }
    return list;
}

/* In memory of its own, so that AddressSanitizer sees a byte read behind it. */
static bool take_out(const unsigned char *bytes, size_t size, rd_kafka_topic_partition_list_t *left) {
    unsigned char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    bool taken = group_take_out_given(copy, size, left);
    free(copy);
    return taken;
}

static void what_a_member_has_is_taken_out(void **state) {
    (void)state;
    rd_kafka_topic_partition_list_t *left = three_of_each();
    assert_true(take_out(sample, SAMPLE_SIZE, left));
    assert_int_equal(left->cnt, 3);
    assert_non_null(rd_kafka_topic_partition_list_find(left, "a", 1));
    assert_non_null(rd_kafka_topic_partition_list_find(left, "bc", 0));
    assert_non_null(rd_kafka_topic_partition_list_find(left, "bc", 2));
    assert_true(take_out(sample, 0, left));
    assert_int_equal(left->cnt, 3);
    rd_kafka_topic_partition_list_destroy(left);
}

static void cut_bytes_are_none(void **state) {
    (void)state;
    for (size_t size = 1; size < NUMBERS_END; size++) {
        rd_kafka_topic_partition_list_t *left = three_of_each();
        assert_false(take_out(sample, size, left));
        rd_kafka_topic_partition_list_destroy(left);
    }
}

static void lengths_are_not_believed(void **state) {
    (void)state;
    static const size_t lengths[] = {6, 7, 9, 10, 11, 12, 21, 22};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        unsigned char bytes[SAMPLE_SIZE];
        memcpy(bytes, sample, SAMPLE_SIZE);
        bytes[lengths[i]] ^= 0x40;
        rd_kafka_topic_partition_list_t *left = three_of_each();
        assert_false(take_out(bytes, SAMPLE_SIZE, left));
        rd_kafka_topic_partition_list_destroy(left);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_member_has_is_taken_out),
        cmocka_unit_test(cut_bytes_are_none),
        cmocka_unit_test(lengths_are_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
