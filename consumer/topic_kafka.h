/* The topics as the loop's seam sees them, over librdkafka: one client a worker, a static member of the
 * group. */
#ifndef KR_CONSUMER_TOPIC_KAFKA_H
#define KR_CONSUMER_TOPIC_KAFKA_H

#include "consumer/seams.h"
#include "core/config.h"
#include "core/policy.h"

struct topic_kafka;
extern const struct topic_ops topic_kafka_ops;
/* How many partitions the input topics have together, as last seen; 0 before. */
unsigned topic_kafka_partitions(const struct topic_kafka *topics);

/* Joins the group: the input topics of core/event.h and one carrier topic a recipient of the policy. member:
 * the stable group.instance.id. */
enum outcome topic_kafka_new(struct topic_kafka **topics, const struct config *config,
                             const struct policy *policy, const char *member, struct err *err) MUST_CHECK;
/* The client has met a fatal error, as librdkafka calls it, and does nothing any more: it is to be freed and
 * another made; err says why. */
bool topic_kafka_lost(const struct topic_kafka *topics, struct err *err);
/* Every kept message must have been released. Does not leave the group: a static member comes back. */
void topic_kafka_free(struct topic_kafka *topics);

#endif
