/* What the consumer group's coordinator says of the group as a whole. */
#ifndef KR_CONSUMER_GROUP_KAFKA_H
#define KR_CONSUMER_GROUP_KAFKA_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>

/* How many of these partitions the group, at rest, gives to no member; 0 while it is not at rest or does not
 * answer within the time. Asks the brokers: once in a while, not in the path of records. */
int group_kafka_left_out(rd_kafka_t *client, const char *group, const rd_kafka_topic_partition_list_t *all,
                         int timeout_ms);

/* Takes out of `left` what one member was given, as the coordinator keeps it: Kafka's
 * ConsumerProtocolAssignment, any version. false: the bytes are none; `left` may have lost some then. */
bool group_take_out_given(const void *assignment, size_t size, rd_kafka_topic_partition_list_t *left);

#endif
