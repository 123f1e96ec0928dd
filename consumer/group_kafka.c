/* Asks the brokers who reads what.
 *
 * By rd_kafka_list_groups, not by DescribeConsumerGroups: of the latter, a question that was given up while
 * the coordinator could not be reached is answered when it can be, to memory that is freed (librdkafka 2.0.2:
 * rd_kafka_admin_coord_request lets go of the question's last holder, and the failure it returns is delivered
 * to it all the same). */
#include "consumer/group_kafka.h"
#include <stdint.h>
#include <string.h>

/* ---- ConsumerProtocolAssignment: numbers are big-endian ---- */

struct bytes {
    const unsigned char *at, *end;
};

static bool read_number(struct bytes *bytes, int width, int64_t *number) {
    if (bytes->end - bytes->at < width)
        return false;
    uint32_t value = 0;
    for (int i = 0; i < width; i++)
        value = value << 8 | *bytes->at++;
    *number = width == 2 ? (int16_t)value : (int32_t)value;
    return true;
}

static bool read_topic(struct bytes *bytes, char *name, size_t room) {
    int64_t length;
    if (!read_number(bytes, 2, &length) || length < 0 || length >= (int64_t)room ||
        bytes->end - bytes->at < length)
        return false;
    memcpy(name, bytes->at, (size_t)length);
    name[length] = '\0';
    bytes->at += length;
    return true;
}

bool group_take_out_given(const void *assignment, size_t size, rd_kafka_topic_partition_list_t *left) {
    if (!size) /* a member that was given nothing yet */
        return true;
    struct bytes bytes = {assignment, (const unsigned char *)assignment + size};
    int64_t version, topics, partitions, partition;
    char name[250]; /* a topic's name has at most 249 characters */
    if (!read_number(&bytes, 2, &version) || !read_number(&bytes, 4, &topics))
        return false;
    for (; topics > 0; topics--) {
        if (!read_topic(&bytes, name, sizeof name) || !read_number(&bytes, 4, &partitions))
            return false;
        for (; partitions > 0; partitions--) {
            if (!read_number(&bytes, 4, &partition))
                return false;
            (void)rd_kafka_topic_partition_list_del(left, name, (int32_t)partition);
        }
    }
    return true;
}

/* ---- the group ---- */

/* Takes the members' partitions out of `left`; false when the group is not at rest. */
static bool take_out_all(const struct rd_kafka_group_info *group, rd_kafka_topic_partition_list_t *left) {
    if (group->err || !group->state || strcmp(group->state, "Stable") != 0)
        return false;
    for (int i = 0; i < group->member_cnt; i++) {
        const struct rd_kafka_group_member_info *member = &group->members[i];
        if (!group_take_out_given(member->member_assignment, (size_t)member->member_assignment_size, left))
            return false;
    }
    return true;
}

int group_kafka_left_out(rd_kafka_t *client, const char *group, const rd_kafka_topic_partition_list_t *all,
                         int timeout_ms) {
    const struct rd_kafka_group_list *groups = NULL;
    /* some brokers may be away: it is enough that the coordinator has answered */
    (void)rd_kafka_list_groups(client, group, &groups, timeout_ms);
    int left_out = 0;
    if (groups && groups->group_cnt == 1) {
        rd_kafka_topic_partition_list_t *left = rd_kafka_topic_partition_list_copy(all);
        if (take_out_all(&groups->groups[0], left))
            left_out = left->cnt;
        rd_kafka_topic_partition_list_destroy(left);
    }
    if (groups)
        rd_kafka_group_list_destroy(groups);
    return left_out;
}
