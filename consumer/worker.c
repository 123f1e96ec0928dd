/* A worker: makes what its loop needs, turns the loop until the end is asked for, takes everything down
 * again. */
#include "consumer/worker.h"
#include "consumer/consume.h"
#include "consumer/register_postgres.h"
#include "consumer/topic_kafka.h"
#include "consumer/vault_link.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/ready.h"
#include "core/stop.h"
#include <stdio.h>

#define TURN_WAIT_MS 100
#define ANEW_FIRST_US 500000
#define ANEW_MOST_US 30000000

struct parts {
    char owner[160], member[120], application[64];
    struct register_postgres reg;
    struct vault_link vault;
    struct keyring *keyring;
    struct topic_kafka *topics;
    struct consumer consumer;
    bool has_consumer;
};

static enum outcome parts_init(struct parts *parts, const struct worker *worker, struct err *err) {
    const struct worker_shared *shared = worker->shared;
    const struct config *config = shared->config;
    long long instance = (long long)config->consumer.instance;
    *parts = (struct parts){0};
    snprintf(parts->owner, sizeof parts->owner, "%s/%lld/%u", shared->host, instance, worker->number);
    snprintf(parts->member, sizeof parts->member, "%s-%lld-%u", shared->host, instance, worker->number);
    snprintf(parts->application, sizeof parts->application, "kundregister-consumer %lld/%u", instance,
             worker->number);
    register_postgres_init(&parts->reg, config->register_as.consumer, parts->application,
                           config->consumer.lock_timeout_ms);
    parts->vault =
        (struct vault_link){.conninfo = config->vault_as.consumer, .application = parts->application};
    parts->keyring = keyring_new(&vault_linked, &parts->vault, shared->kek, shared->vault_id,
                                 (size_t)config->consumer.cache_rings, (int)config->consumer.cache_seconds);
    if (!parts->keyring)
        return err_set(err, FATAL, 0, "no memory for a key cache");
    enum outcome outcome = topic_kafka_new(&parts->topics, config, shared->policy, parts->member, err);
    if (outcome != OK)
        return outcome;
    struct consume_setup setup = {.topic_ops = &topic_kafka_ops,
                                  .topics = parts->topics,
                                  .reg_ops = &register_postgres,
                                  .reg = &parts->reg,
                                  .erase_ops = &erase_postgres,
                                  .clock = &clock_system,
                                  .keyring = parts->keyring,
                                  .vault_open = vault_link_open,
                                  .vault = &parts->vault,
                                  .policy = shared->policy,
                                  .ref_key = &shared->ref_key,
                                  .digest_key = shared->digest_key,
                                  .owner = text_of(parts->owner),
                                  .orphan_tombstones = shared->orphan_tombstones,
                                  .restored_us = shared->restored_us,
                                  .batch_records = (size_t)config->consumer.batch_records,
                                  .batch_bytes = (size_t)config->consumer.batch_bytes,
                                  .arena_bytes = (size_t)config->consumer.arena_bytes,
                                  .linger_ms = (int)config->consumer.linger_ms};
    parts->has_consumer = true;
    return consumer_init(&parts->consumer, &setup, err);
}

static void parts_release(struct parts *parts) {
    if (parts->has_consumer)
        consumer_release(&parts->consumer);
    topic_kafka_free(parts->topics);
    keyring_free(parts->keyring);
    register_postgres.close(&parts->reg);
    vault_link_close(&parts->vault);
}

static void show(struct worker *worker, const struct consumer *consumer, const struct topic_kafka *topics) {
    char reason[READY_REASON_MAX];
    bool ready = consumer_ready(consumer, reason, sizeof reason);
    ready_set(worker->number, ready, ready ? NULL : reason);
    ready_beat(worker->number);
    atomic_store(&worker->assigned, (unsigned)consumer->assignment.count);
    atomic_store(&worker->partitions, topic_kafka_partitions(topics));
    atomic_store(&worker->caught_up, consumer_caught_up(consumer));
}

/* The client is beyond help, the process is not: everything is let go and made anew after a pause. */
static enum outcome begin_anew(struct worker *worker, struct parts *parts, int64_t *pause_us) {
    *pause_us = parts->consumer.assigned_once  ? ANEW_FIRST_US
                : *pause_us * 2 < ANEW_MOST_US ? *pause_us * 2
                                               : ANEW_MOST_US;
    log_write(
        LOG_WARNING, "client_lost", "The Kafka client met a fatal error; another is made after a pause.",
        LOG_INT("worker", worker->number), LOG_INT("pause_ms", *pause_us / 1000), LOG_ERR(&worker->err));
    metrics_add(METRIC_RETRIES, AWAY_BROKER, 1);
    atomic_store(&worker->caught_up, false);
    ready_set(worker->number, false, "broker_away: Kafka refuses the client; another one is made");
    ready_rest(worker->number);
    parts_release(parts);
    *parts = (struct parts){0};
    return clock_system.sleep_us(NULL, *pause_us) ? parts_init(parts, worker, &worker->err) : OK;
}

static void *worker_run(void *context) {
    struct worker *worker = context;
    static _Thread_local struct parts parts;
    int64_t pause_us = ANEW_FIRST_US / 2;
    enum outcome outcome = parts_init(&parts, worker, &worker->err);
    while (outcome == OK && !stop_requested()) {
        outcome = consume_turn(&parts.consumer, TURN_WAIT_MS, &worker->err);
        show(worker, &parts.consumer, parts.topics);
        if (outcome == OK && topic_kafka_lost(parts.topics, &worker->err))
            outcome = begin_anew(worker, &parts, &pause_us);
    }
    if (outcome == OK && worker->shared->until_caught_up)
        consume_erase_rest(&parts.consumer);
    if (worker->shared->until_caught_up && parts.has_consumer)
        worker->parked = assignment_tell_parked(&parts.consumer.assignment);
    ready_rest(worker->number);
    if (outcome != OK) {
        log_write(LOG_ERROR, "worker_ended", "A worker cannot go on; the process ends.",
                  LOG_INT("worker", worker->number), LOG_ERR(&worker->err));
        ready_set(worker->number, false, "ended: a worker cannot go on");
        stop_request();
    }
    parts_release(&parts);
    worker->outcome = outcome == OK ? OK : FATAL;
    atomic_store(&worker->ended, true);
    return NULL;
}

enum outcome worker_start(struct worker *worker, const struct worker_shared *shared, unsigned number,
                          struct err *err) {
    worker->shared = shared;
    worker->number = number;
    atomic_init(&worker->caught_up, false);
    atomic_init(&worker->assigned, 0);
    atomic_init(&worker->partitions, 0);
    atomic_init(&worker->ended, false);
    int failed = pthread_create(&worker->thread, NULL, worker_run, worker);
    if (failed)
        return err_set(err, FATAL, failed, "no thread for a worker");
    worker->started = true;
    return OK;
}

void worker_join(struct worker *worker) {
    if (worker->started)
        (void)pthread_join(worker->thread, NULL);
    worker->started = false;
}
