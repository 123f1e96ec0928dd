/* What a group's coordinator keeps of a member's partitions (ConsumerProtocolAssignment). The input is read
 * as such: whatever it says, what is left was there before, and a second reading takes out no more. Then it
 * is taken for a list of topics and partitions, which is written as Kafka writes it: read, it takes out just
 * those. */
#include "consumer/group_kafka.h"
#include "tests/fuzz/common.h"
#include <string.h>

enum { TOPICS = 4, PARTITIONS = 8, PAIRS_MOST = 64, WRITTEN_MOST = 6 + PAIRS_MOST * 32 };
static const char *const names[TOPICS] = {"shop.order.v1", "shop.customer.v1", "a", ""};

static rd_kafka_topic_partition_list_t *all(void) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(TOPICS * PARTITIONS);
    for (int topic = 0; topic < TOPICS; topic++)
        for (int partition = 0; partition < PARTITIONS; partition++)
            rd_kafka_topic_partition_list_add(list, names[topic], partition);
    return list;
}

static void as_it_is(const uint8_t *data, size_t size) {
    rd_kafka_topic_partition_list_t *left = all(), *before = all();
    bool taken = group_take_out_given(data, size, left);
    for (int i = 0; i < left->cnt; i++)
        hold(rd_kafka_topic_partition_list_find(before, left->elems[i].topic, left->elems[i].partition),
             "what is left was there");
    int count = left->cnt;
    hold(group_take_out_given(data, size, left) == taken, "read twice it is the same");
    hold(left->cnt == count, "a second reading takes out no more");
    rd_kafka_topic_partition_list_destroy(left);
    rd_kafka_topic_partition_list_destroy(before);
}

static unsigned char *put(unsigned char *at, int width, uint32_t number) {
    for (int i = width - 1; i >= 0; i--, number >>= 8)
        at[i] = (unsigned char)number;
    return at + width;
}

static void as_pairs(const uint8_t *data, size_t size) {
    unsigned char written[WRITTEN_MOST], *end = put(put(written, 2, 1), 4, (uint32_t)size);
    bool given[TOPICS][PARTITIONS] = {{false}};
    int count = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned topic = data[i] % TOPICS, partition = data[i] / TOPICS % PARTITIONS;
        size_t length = strlen(names[topic]);
        end = put(end, 2, (uint32_t)length);
        memcpy(end, names[topic], length);
        end = put(put(end + length, 4, 1), 4, partition);
        count += !given[topic][partition];
        given[topic][partition] = true;
    }
    rd_kafka_topic_partition_list_t *left = all();
    hold(group_take_out_given(written, (size_t)(end - written), left), "what Kafka writes is read");
    hold(left->cnt == TOPICS * PARTITIONS - count, "as many go as are named");
    for (int i = 0; i < left->cnt; i++)
        for (unsigned topic = 0; topic < TOPICS; topic++)
            hold(strcmp(left->elems[i].topic, names[topic]) != 0 || !given[topic][left->elems[i].partition],
                 "what is named goes");
    rd_kafka_topic_partition_list_destroy(left);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    as_it_is(data, size);
    as_pairs(data, size < PAIRS_MOST ? size : PAIRS_MOST);
    return 0;
}
