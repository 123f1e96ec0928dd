/* Asks the group's coordinator who reads what. */
#include "consumer/group_kafka.h"
#include <stdbool.h>

/* Takes the members' partitions out of `left`; false when the group is not at rest. */
static bool take_out_given(const rd_kafka_ConsumerGroupDescription_t *group,
                           rd_kafka_topic_partition_list_t *left) {
    if (rd_kafka_ConsumerGroupDescription_error(group) ||
        rd_kafka_ConsumerGroupDescription_state(group) != RD_KAFKA_CONSUMER_GROUP_STATE_STABLE)
        return false;
    for (size_t i = 0; i < rd_kafka_ConsumerGroupDescription_member_count(group); i++) {
        const rd_kafka_MemberAssignment_t *given =
            rd_kafka_MemberDescription_assignment(rd_kafka_ConsumerGroupDescription_member(group, i));
        const rd_kafka_topic_partition_list_t *list =
            given ? rd_kafka_MemberAssignment_partitions(given) : NULL;
        for (int j = 0; list && j < list->cnt; j++)
            (void)rd_kafka_topic_partition_list_del(left, list->elems[j].topic, list->elems[j].partition);
    }
    return true;
}

static int left_out_of(rd_kafka_event_t *answer, const rd_kafka_topic_partition_list_t *all) {
    const rd_kafka_DescribeConsumerGroups_result_t *result =
        answer ? rd_kafka_event_DescribeConsumerGroups_result(answer) : NULL;
    size_t count = 0;
    const rd_kafka_ConsumerGroupDescription_t **groups =
        result ? rd_kafka_DescribeConsumerGroups_result_groups(result, &count) : NULL;
    rd_kafka_topic_partition_list_t *left = rd_kafka_topic_partition_list_copy(all);
    int left_out = groups && count == 1 && take_out_given(groups[0], left) ? left->cnt : 0;
    rd_kafka_topic_partition_list_destroy(left);
    return left_out;
}

int group_kafka_left_out(rd_kafka_t *client, const char *group, const rd_kafka_topic_partition_list_t *all,
                         int timeout_ms) {
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    int left_out = 0;
    char why[80];
    if (queue && options &&
        !rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, why, sizeof why)) {
        rd_kafka_DescribeConsumerGroups(client, &group, 1, options, queue);
        rd_kafka_event_t *answer = rd_kafka_queue_poll(queue, timeout_ms);
        left_out = left_out_of(answer, all);
        if (answer)
            rd_kafka_event_destroy(answer);
    }
    if (options)
        rd_kafka_AdminOptions_destroy(options);
    if (queue)
        rd_kafka_queue_destroy(queue);
    return left_out;
}
