/* Metrics of both daemons, in Prometheus' text format: one table, lock-free counters.
 *
 * Labels come from small closed sets only, never from a customer or anything else that arrived. To add a
 * metric: one line in the enum here, one row in the table of metrics.c. Callable from any thread unless said
 * otherwise. */
#ifndef KR_METRICS_H
#define KR_METRICS_H

#include "core/text.h"
#include <stdint.h>
#include <stdio.h>

enum metric {
    /* the consumer's */
    METRIC_RECORDS, /* by topic */
    METRIC_EVENTS,  /* by event type */
    METRIC_APPLIED,
    METRIC_FORGOTTEN,
    METRIC_PARKED,
    METRIC_DEAD_LETTERS,   /* by reason */
    METRIC_UNKNOWN_FIELDS, /* by event type */
    METRIC_DUPLICATES_SOURCE_ID,
    METRIC_BATCHES,
    METRIC_BATCH_SECONDS, /* histogram */
    METRIC_REDONE_BATCHES,
    METRIC_BISECTED_BATCHES,
    METRIC_FENCED,
    METRIC_CLAIMS,
    METRIC_STALE_RECORDS,
    METRIC_PARTITIONS_ASSIGNED, /* gauge */
    METRIC_PARTITIONS_PARKED,   /* gauge */
    METRIC_COMMITTED_TIME,      /* gauge: when the last batch was committed */
    METRIC_OUTPUTS_WRITTEN,
    METRIC_CALENDAR_ACTS,
    METRIC_ERASURES_PENDING, /* gauge */
    METRIC_ERASURES_DESTROYED,
    METRIC_VAULT_RINGS_CREATED,
    METRIC_VAULT_RINGS_FETCHED,
    METRIC_VAULT_RINGS_CACHED, /* gauge */
    /* the producer's */
    METRIC_OUTPUTS_PUBLISHED, /* by topic */
    METRIC_WITHHELD,
    METRIC_UNPUBLISHABLE,
    METRIC_OUTBOX_HORIZON_AGE, /* gauge */
    METRIC_OUTBOX_POSITION,    /* gauge */
    METRIC_OUTBOX_BACKLOG,     /* gauge */
    METRIC_OUTBOX_PARTITIONS_DROPPED,
    METRIC_KAFKA_TRANSACTIONS,
    METRIC_KAFKA_TRANSACTIONS_ABORTED,
    METRIC_TRANSACTION_SECONDS, /* histogram */
    METRIC_PRODUCERS_RENEWED,
    METRIC_TOPICS_STALLED, /* gauge */
    METRIC_RELAY_ACTIVE,   /* gauge: 0 = standby */
    /* both */
    METRIC_RETRIES, /* by what was away: see enum metric_away */
    METRICS
};

/* Labels of METRIC_RETRIES. */
enum metric_away { AWAY_BROKER, AWAY_REGISTER, AWAY_VAULT, METRIC_AWAYS };

/* Whose metrics are shown. */
enum metrics_program { METRICS_CONSUMER = 1, METRICS_PRODUCER = 2 };

/* At start, before threads. The strings stay the caller's and must last. */
void metrics_init(enum metrics_program program, const char *version);
/* The label of a topic: the same index for the same name. At most 64 topics: further ones share the label
 * "other". To be called when a topic is assigned or opened, not per record. */
unsigned metrics_topic(struct text topic);

/* Counters. `label` is an event type, a reason, metrics_topic()'s index or an enum metric_away, as the table
 * says; 0 for metrics without label. */
void metrics_add(enum metric metric, unsigned label, uint64_t count);
/* Gauges; times and ages in microseconds (shown in seconds). */
void metrics_set(enum metric metric, int64_t value);
void metrics_change(enum metric metric, int64_t difference);
/* Histograms. */
void metrics_observe_us(enum metric metric, int64_t duration_us);

/* What a counter or gauge stands at; of a histogram the number of observations. */
int64_t metrics_value(enum metric metric, unsigned label);
/* The whole exposition, also of the process itself (memory, CPU time, start). */
void metrics_write(FILE *out);
/* Everything back to zero and the topics forgotten: for tests. */
void metrics_reset(void);

#endif
