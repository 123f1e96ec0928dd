/* Metrics: the one table of them, and its writing in Prometheus' text format 0.0.4. */
#include "core/metrics.h"

#include "core/event.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define TOPICS_MAX 64
#define TOPIC_NAME_MAX 250 /* Kafka allows 249 */
#define LABELS_MAX (TOPICS_MAX + 1)
#define BUCKETS 13

_Static_assert(EVENT_TYPES <= LABELS_MAX && REASONS <= LABELS_MAX, "each label has its place");

enum kind { COUNTER, GAUGE, GAUGE_US, HISTOGRAM };
enum label { PLAIN, BY_TOPIC, BY_TYPE, BY_REASON, BY_AWAY };
#define BOTH (METRICS_CONSUMER | METRICS_PRODUCER)

static const struct metric_info {
    const char *name;
    enum kind kind;
    enum label label;
    unsigned programs;
    const char *help;
} infos[METRICS] = {
    [METRIC_RECORDS] = {"records_total", COUNTER, BY_TOPIC, METRICS_CONSUMER,
                        "Records taken in and committed."},
    [METRIC_EVENTS] = {"events_total", COUNTER, BY_TYPE, METRICS_CONSUMER, "Valid events decoded."},
    [METRIC_APPLIED] = {"applied_total", COUNTER, PLAIN, METRICS_CONSUMER,
                        "Events merged into the register."},
    [METRIC_FORGOTTEN] = {"forgotten_total", COUNTER, PLAIN, METRICS_CONSUMER,
                          "Events dropped because their person is forgotten or was never registered."},
    [METRIC_PARKED] = {"parked_total", COUNTER, PLAIN, METRICS_CONSUMER,
                       "Events parked under a ref not yet known."},
    [METRIC_DEAD_LETTERS] = {"dead_letters_total", COUNTER, BY_REASON, METRICS_CONSUMER, "Records refused."},
    [METRIC_UNKNOWN_FIELDS] = {"unknown_fields_total", COUNTER, BY_TYPE, METRICS_CONSUMER,
                               "Fields dropped because no schema names them."},
    [METRIC_DUPLICATES_SOURCE_ID] = {"duplicates_source_id_total", COUNTER, PLAIN, METRICS_CONSUMER,
                                     "Events with the source and id of another, and other data."},
    [METRIC_BATCHES] = {"batches_total", COUNTER, PLAIN, METRICS_CONSUMER, "Batches committed."},
    [METRIC_BATCH_SECONDS] = {"batch_seconds", HISTOGRAM, PLAIN, METRICS_CONSUMER,
                              "From the first record of a batch to its commit."},
    [METRIC_REDONE_BATCHES] = {"redone_batches_total", COUNTER, PLAIN, METRICS_CONSUMER,
                               "Batches rolled back and done again with locks."},
    [METRIC_BISECTED_BATCHES] = {"bisected_batches_total", COUNTER, PLAIN, METRICS_CONSUMER,
                                 "Batches halved to find a record that PostgreSQL refuses."},
    [METRIC_FENCED] = {"fenced_total", COUNTER, PLAIN, METRICS_CONSUMER,
                       "Batches dropped because another worker holds the partition."},
    [METRIC_CLAIMS] = {"claims_total", COUNTER, PLAIN, METRICS_CONSUMER, "Partitions claimed."},
    [METRIC_STALE_RECORDS] = {"stale_records_total", COUNTER, PLAIN, METRICS_CONSUMER,
                              "Records below the position, dropped."},
    [METRIC_PARTITIONS_ASSIGNED] = {"partitions_assigned", GAUGE, PLAIN, METRICS_CONSUMER,
                                    "Partitions that this process reads."},
    [METRIC_PARTITIONS_PARKED] = {"partitions_parked", GAUGE, PLAIN, METRICS_CONSUMER,
                                  "Partitions that wait for an operator."},
    [METRIC_COMMITTED_TIME] = {"committed_timestamp_seconds", GAUGE_US, PLAIN, METRICS_CONSUMER,
                               "When the last batch was committed."},
    [METRIC_OUTPUTS_WRITTEN] = {"outputs_written_total", COUNTER, PLAIN, METRICS_CONSUMER,
                                "Rows written to the outbox."},
    [METRIC_CALENDAR_ACTS] = {"calendar_acts_total", COUNTER, PLAIN, METRICS_CONSUMER,
                              "Acts of the calendar."},
    [METRIC_ERASURES_PENDING] = {"erasures_pending", GAUGE, PLAIN, METRICS_CONSUMER,
                                 "Erasures whose keys are not yet destroyed."},
    [METRIC_ERASURES_DESTROYED] = {"erasures_destroyed_total", COUNTER, PLAIN, METRICS_CONSUMER,
                                   "Erasures whose keys the vault has destroyed."},
    [METRIC_VAULT_RINGS_CREATED] = {"vault_rings_created_total", COUNTER, PLAIN, METRICS_CONSUMER,
                                    "Key rings made."},
    [METRIC_VAULT_RINGS_FETCHED] = {"vault_rings_fetched_total", COUNTER, PLAIN, BOTH,
                                    "Key rings read from the vault."},
    [METRIC_VAULT_RINGS_CACHED] = {"vault_rings_cached", GAUGE, PLAIN, METRICS_CONSUMER,
                                   "Key rings in memory."},
    [METRIC_OUTPUTS_PUBLISHED] = {"outputs_published_total", COUNTER, BY_TOPIC, METRICS_PRODUCER,
                                  "Outputs published in committed Kafka transactions."},
    [METRIC_WITHHELD] = {"withheld_total", COUNTER, PLAIN, METRICS_PRODUCER,
                         "Outbox rows not published because their key is destroyed."},
    [METRIC_UNPUBLISHABLE] = {"unpublishable_total", COUNTER, PLAIN, METRICS_PRODUCER,
                              "Outbox rows that Kafka refuses for good."},
    [METRIC_OUTBOX_HORIZON_AGE] = {"outbox_horizon_age_seconds", GAUGE_US, PLAIN, METRICS_PRODUCER,
                                   "How long the relay has waited for open transactions."},
    [METRIC_OUTBOX_POSITION] = {"outbox_position", GAUGE, PLAIN, METRICS_PRODUCER,
                                "Outbox number published last."},
    [METRIC_OUTBOX_BACKLOG] = {"outbox_backlog", GAUGE, PLAIN, METRICS_PRODUCER,
                               "Outbox numbers between position and horizon."},
    [METRIC_OUTBOX_PARTITIONS_DROPPED] = {"outbox_partitions_dropped_total", COUNTER, PLAIN, METRICS_PRODUCER,
                                          "Published outbox partitions dropped."},
    [METRIC_KAFKA_TRANSACTIONS] = {"kafka_transactions_total", COUNTER, PLAIN, METRICS_PRODUCER,
                                   "Kafka transactions committed."},
    [METRIC_KAFKA_TRANSACTIONS_ABORTED] = {"kafka_transactions_aborted_total", COUNTER, PLAIN,
                                           METRICS_PRODUCER, "Kafka transactions aborted or of unknown end."},
    [METRIC_TRANSACTION_SECONDS] = {"transaction_seconds", HISTOGRAM, PLAIN, METRICS_PRODUCER,
                                    "Time of a Kafka transaction."},
    [METRIC_PRODUCERS_RENEWED] = {"producers_renewed_total", COUNTER, PLAIN, METRICS_PRODUCER,
                                  "Kafka producers thrown away and built anew."},
    [METRIC_TOPICS_STALLED] = {"topics_stalled", GAUGE, PLAIN, METRICS_PRODUCER,
                               "Output topics that cannot be written."},
    [METRIC_RELAY_ACTIVE] = {"relay_active", GAUGE, PLAIN, METRICS_PRODUCER, "1 = publishing, 0 = standby."},
    [METRIC_RETRIES] = {"retries_total", COUNTER, BY_AWAY, BOTH, "Attempts that had to be repeated."},
};

static const char *const away_names[METRIC_AWAYS] = {"broker", "register", "vault"};
static const int64_t bucket_us[BUCKETS] = {1000,   2500,   5000,    10000,   25000,   50000,   100000,
                                           250000, 500000, 1000000, 2500000, 5000000, 10000000};

/* Counters and gauges by label; a histogram keeps its buckets, then those above all, then the sum. */
static _Atomic int64_t values[METRICS][LABELS_MAX];
_Static_assert(BUCKETS + 2 <= LABELS_MAX, "a histogram fits");

static struct {
    enum metrics_program program;
    const char *version;
    int64_t started_s;
    pthread_mutex_t lock; /* guards the adding of topics only */
    char topics[TOPICS_MAX][TOPIC_NAME_MAX];
    _Atomic unsigned topic_count;
    _Atomic bool others;
} metrics = {.lock = PTHREAD_MUTEX_INITIALIZER};

void metrics_init(enum metrics_program program, const char *version) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    metrics.program = program;
    metrics.version = version;
    metrics.started_s = now.tv_sec;
}

unsigned metrics_topic(struct text topic) {
    unsigned at = 0, count;
    pthread_mutex_lock(&metrics.lock);
    count = atomic_load(&metrics.topic_count);
    while (at < count && !text_is(topic, metrics.topics[at]))
        at++;
    if (at == count) {
        if (count < TOPICS_MAX && topic.size > 0 && topic.size < TOPIC_NAME_MAX) {
            memcpy(metrics.topics[at], topic.at, topic.size);
            metrics.topics[at][topic.size] = '\0';
            atomic_store(&metrics.topic_count, count + 1);
        } else {
            at = TOPICS_MAX;
            atomic_store(&metrics.others, true);
        }
    }
    pthread_mutex_unlock(&metrics.lock);
    return at;
}

void metrics_add(enum metric metric, unsigned label, uint64_t count) {
    if (label < LABELS_MAX)
        atomic_fetch_add_explicit(&values[metric][label], (int64_t)count, memory_order_relaxed);
}

void metrics_set(enum metric metric, int64_t value) {
    atomic_store_explicit(&values[metric][0], value, memory_order_relaxed);
}

void metrics_change(enum metric metric, int64_t difference) {
    atomic_fetch_add_explicit(&values[metric][0], difference, memory_order_relaxed);
}

void metrics_observe_us(enum metric metric, int64_t duration_us) {
    unsigned bucket = 0;
    if (duration_us < 0)
        duration_us = 0;
    while (bucket < BUCKETS && duration_us > bucket_us[bucket])
        bucket++;
    atomic_fetch_add_explicit(&values[metric][bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&values[metric][BUCKETS + 1], duration_us, memory_order_relaxed);
}

static int64_t value_of(enum metric metric, unsigned label) {
    return atomic_load_explicit(&values[metric][label], memory_order_relaxed);
}

int64_t metrics_value(enum metric metric, unsigned label) {
    if (infos[metric].kind != HISTOGRAM)
        return label < LABELS_MAX ? value_of(metric, label) : 0;
    int64_t total = 0;
    for (unsigned bucket = 0; bucket <= BUCKETS; bucket++)
        total += value_of(metric, bucket);
    return total;
}

void metrics_reset(void) {
    for (unsigned metric = 0; metric < METRICS; metric++)
        for (unsigned label = 0; label < LABELS_MAX; label++)
            atomic_store(&values[metric][label], 0);
    atomic_store(&metrics.topic_count, 0);
    atomic_store(&metrics.others, false);
}

/* ---- writing ---- */

static void write_seconds(FILE *out, int64_t us) {
    fprintf(out, "%s%lld.%06lld\n", us < 0 ? "-" : "", llabs((long long)us) / 1000000,
            llabs((long long)us) % 1000000);
}

/* The label's value, NULL when that index shows nothing. Topics are Kafka's own characters: nothing to
 * escape. */
static const char *label_value(enum label label, unsigned index) {
    switch (label) {
    case BY_TOPIC:
        if (index < atomic_load(&metrics.topic_count))
            return metrics.topics[index];
        return index == TOPICS_MAX && atomic_load(&metrics.others) ? "other" : NULL;
    case BY_TYPE:
        return index < EVENT_TYPES ? event_infos[index].name : NULL;
    case BY_REASON:
        return index > REASON_NONE && index < REASONS ? reason_names[index] : NULL;
    case BY_AWAY:
        return index < METRIC_AWAYS ? away_names[index] : NULL;
    default:
        return NULL;
    }
}

static void write_histogram(FILE *out, enum metric metric) {
    const char *name = infos[metric].name;
    int64_t total = 0;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        total += value_of(metric, bucket);
        fprintf(out, "kundregister_%s_bucket{le=\"%g\"} %lld\n", name, (double)bucket_us[bucket] / 1e6,
                (long long)total);
    }
    total += value_of(metric, BUCKETS);
    fprintf(out, "kundregister_%s_bucket{le=\"+Inf\"} %lld\n", name, (long long)total);
    fprintf(out, "kundregister_%s_sum ", name);
    write_seconds(out, value_of(metric, BUCKETS + 1));
    fprintf(out, "kundregister_%s_count %lld\n", name, (long long)total);
}

static void write_labelled(FILE *out, enum metric metric) {
    static const char *const label_names[] = {
        [BY_TOPIC] = "topic", [BY_TYPE] = "type", [BY_REASON] = "reason", [BY_AWAY] = "of"};
    for (unsigned index = 0; index < LABELS_MAX; index++) {
        const char *value = label_value(infos[metric].label, index);
        if (value)
            fprintf(out, "kundregister_%s{%s=\"%s\"} %lld\n", infos[metric].name,
                    label_names[infos[metric].label], value, (long long)value_of(metric, index));
    }
}

static void write_metric(FILE *out, enum metric metric) {
    static const char *const types[] = {
        [COUNTER] = "counter", [GAUGE] = "gauge", [GAUGE_US] = "gauge", [HISTOGRAM] = "histogram"};
    const struct metric_info *info = &infos[metric];
    fprintf(out, "# HELP kundregister_%s %s\n# TYPE kundregister_%s %s\n", info->name, info->help, info->name,
            types[info->kind]);
    if (info->kind == HISTOGRAM) {
        write_histogram(out, metric);
    } else if (info->label != PLAIN) {
        write_labelled(out, metric);
    } else if (info->kind == GAUGE_US) {
        fprintf(out, "kundregister_%s ", info->name);
        write_seconds(out, value_of(metric, 0));
    } else {
        fprintf(out, "kundregister_%s %lld\n", info->name, (long long)value_of(metric, 0));
    }
}

/* The names that every Prometheus client library uses for the process. */
static void write_process(FILE *out) {
    struct rusage usage;
    long long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (statm) {
        if (fscanf(statm, "%*s %lld", &pages) != 1)
            pages = 0;
        fclose(statm);
    }
    getrusage(RUSAGE_SELF, &usage);
    fputs("# HELP process_cpu_seconds_total User and system CPU time.\n"
          "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total ",
          out);
    write_seconds(out, (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000) +
                           usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    fprintf(out,
            "# HELP process_resident_memory_bytes Resident memory.\n"
            "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes %lld\n"
            "# HELP process_start_time_seconds When the process started.\n"
            "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds %lld\n",
            pages * sysconf(_SC_PAGESIZE), (long long)metrics.started_s);
}

void metrics_write(FILE *out) {
    fprintf(out,
            "# HELP kundregister_build_info The program that runs.\n# TYPE kundregister_build_info gauge\n"
            "kundregister_build_info{program=\"%s\",version=\"%s\"} 1\n",
            metrics.program == METRICS_PRODUCER ? "kundregister-producer" : "kundregister-consumer",
            metrics.version ? metrics.version : "");
    for (unsigned metric = 0; metric < METRICS; metric++)
        if (infos[metric].programs & metrics.program)
            write_metric(out, (enum metric)metric);
    write_process(out);
}
