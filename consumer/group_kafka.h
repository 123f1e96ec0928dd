/* What the consumer group's coordinator says of the group as a whole. */
#ifndef KR_CONSUMER_GROUP_KAFKA_H
#define KR_CONSUMER_GROUP_KAFKA_H

#include <librdkafka/rdkafka.h>

/* How many of these partitions the group, at rest, gives to no member; 0 while it is not at rest or does not
 * answer within the time. Asks the broker: once in a while, not in the path of records. */
int group_kafka_left_out(rd_kafka_t *client, const char *group, const rd_kafka_topic_partition_list_t *all,
                         int timeout_ms);

#endif
