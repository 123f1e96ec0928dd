/* `kundregister-producer reconcile`: the way out when Kafka's position and the register tell different
 * stories. */
#ifndef KR_RECONCILE_H
#define KR_RECONCILE_H

#include "core/config.h"
#include "producer/outbox.h"

struct reconcile_report {
    size_t topics, outputs_in_kafka, rows_in_outbox;
    size_t rows_published; /* found in Kafka */
    size_t rows_expired;   /* published once, gone from Kafka by its retention or compaction */
    size_t rows_waiting;   /* will be published by the next run */
    size_t rows_lost;      /* ... of which were published once: Kafka lost them */
    size_t ids_remembered; /* in Kafka and not in the outbox: never to be published again */
};

/* Under the relay's lock, with a fresh producer (so no other relay is at work): reads every output topic,
 * marks what is published, sets positions, mirror and audit. The register is written first, Kafka last:
 * killed in between, the next start refuses as before. FATAL with the reason, RETRY when a server is away
 * (nothing is changed then, or all of the register's part). */
enum outcome reconcile_run(const struct config *config, const char *operator,
                           struct reconcile_report * report, struct err *err) MUST_CHECK;

#endif
