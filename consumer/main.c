/* kundregister-consumer: reads its configuration, checks what must hold, starts the workers and watches over
 * them. */
#include "consumer/reconcile.h"
#include "consumer/start.h"
#include "consumer/worker.h"
#include "core/clock.h"
#include "core/http.h"
#include "core/killpoint.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/notify.h"
#include "core/ready.h"
#include "core/seal.h"
#include "core/stop.h"
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#ifndef KR_VERSION
#define KR_VERSION "unreleased"
#endif
#define SILENCE_MAX_MS 60000
#define FAILED 1
#define USAGE 2
#define WATCH_MS 50
#define KEEP_EVERY_US 1000000
#define START_PAUSE_MS 500
#define WORKERS_MAX 64

static const char help[] =
    "usage: kundregister-consumer [run] [--config FILE] [--instance N] [--until-caught-up]\n"
    "       kundregister-consumer reconcile --reason TEXT [--config FILE] [--json]\n"
    "       kundregister-consumer --help | --version | --list-kill-points\n"
    "\n"
    "run        takes the shop's and the carriers' events into the register\n"
    "reconcile  after a register or vault was restored from a backup: erases again what was erased since,\n"
    "           as the topic, the vault and the register remember it. Consumers must be stopped.\n"
    "\n"
    "  --config FILE      the configuration (default: $KUNDREGISTER_CONFIG)\n"
    "  --instance N       this process's number among those on this host (default: consumer.instance, 0)\n"
    "  --until-caught-up  end once everything that was in the topics at the start is through; with exit\n"
    "                     code 1 when partitions are parked: the log names each, and why\n"
    "  --reason TEXT      why; it stands in the audit\n"
    "  --json             the report as JSON\n"
    "  --help             this text\n"
    "\n"
    "SIGTERM ends it after the batches in hand, within consumer.drain.seconds. SIGHUP reads log.level "
    "again.\n"
    "Exit codes: 0 ended as asked; 1 a worker cannot go on (start it again), or a partition is parked\n"
    "(--until-caught-up), or a consumer runs (reconcile); 2 wrong usage; 69 a server is away (reconcile), "
    "run\n"
    "it again; 75 the drain time was over; 78 configuration, schema, policy, vault or instance is not as it\n"
    "must be, or the register lacks erasures (see the log).\n";

static const char *const kill_points[] = {"consumer.rebalance",        "consumer.before_claim",
                                          "consumer.after_claim",      "consumer.before_vault",
                                          "consumer.after_vault",      "consumer.before_write",
                                          "consumer.write_unsynced",   "consumer.written",
                                          "consumer.before_commit",    "consumer.after_commit",
                                          "consumer.before_destroy",   "consumer.after_destroy",
                                          "consumer.before_destroyed", NULL};

struct options {
    const char *config_path;
    char instance[64];
    bool until_caught_up;
    bool reconcile, json;
    const char *reason;
};

/* What stands beside the options. Returns as read_options. */
static int read_words(int argc, char **argv, struct options *options) {
    if (optind < argc && strcmp(argv[optind], "reconcile") == 0)
        options->reconcile = true, optind++;
    else if (optind < argc && strcmp(argv[optind], "run") == 0)
        optind++;
    if (optind < argc) {
        fprintf(stderr, "kundregister-consumer: unexpected argument\n\n%s", help);
        return USAGE + 1;
    }
    if (options->reconcile && (!options->reason || !*options->reason)) {
        fputs("kundregister-consumer reconcile: --reason TEXT is needed: why; it stands in the audit\n",
              stderr);
        return USAGE + 1;
    }
    return 0;
}

/* 0: go on; else the exit code + 1. */
static int read_options(int argc, char **argv, struct options *options) {
    static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
                                          {"instance", required_argument, NULL, 'i'},
                                          {"until-caught-up", no_argument, NULL, 'u'},
                                          {"reason", required_argument, NULL, 'r'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {"version", no_argument, NULL, 'v'},
                                          {"list-kill-points", no_argument, NULL, 'k'},
                                          {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        switch (option) {
        case 'c':
            options->config_path = optarg;
            break;
        case 'i':
            snprintf(options->instance, sizeof options->instance, "consumer.instance=%s", optarg);
            break;
        case 'u':
            options->until_caught_up = true;
            break;
        case 'r':
            options->reason = optarg;
            break;
        case 'j':
            options->json = true;
            break;
        case 'h':
            fputs(help, stdout);
            return EX_OK + 1;
        case 'v':
            puts("kundregister-consumer " KR_VERSION);
            return EX_OK + 1;
        case 'k':
            return (kill_point_list(kill_points) ? EX_OK : FAILED) + 1;
        default:
            fputs(help, stderr);
            return USAGE + 1;
        }
    }
    return read_words(argc, argv, options);
}

static void complain_config(void *context, enum config_grade grade, const char *where, const char *message) {
    (void)context;
    log_write(grade == CONFIG_WRONG ? LOG_ERROR : LOG_WARNING, "configuration", message,
              LOG_STRING("where", where));
}
static void complain_policy(void *context, const char *path, const char *message) {
    (void)context;
    log_write(LOG_ERROR, "policy", message, LOG_STRING("where", path));
}

static enum outcome read_config(const struct options *options, struct config *config, struct err *err) {
    const char *const overrides[] = {options->instance[0] ? options->instance : NULL, NULL};
    struct config_options how = {.path = options->config_path,
                                 .programs = CONFIG_CONSUMER,
                                 .overrides = overrides,
                                 .complain = complain_config};
    return config_read(config, &how, err);
}

static enum outcome read_shared(struct worker_shared *shared, const struct config *config,
                                struct policy **policy, struct err *err) {
    shared->config = config;
    if (gethostname(shared->host, sizeof shared->host - 1) != 0)
        return err_set(err, FATAL, 0, "this host has no name");
    enum outcome outcome = secret_read(config->keys.kek_file, shared->kek, err);
    if (outcome == OK)
        outcome = secret_read(config->keys.digest_file, shared->digest_key, err);
    if (outcome == OK)
        outcome = secret_read(config->keys.ref_file, shared->ref_key.bytes, err);
    if (outcome != OK)
        return outcome;
    *policy = policy_read(config->policy_file, complain_policy, NULL, err);
    shared->policy = *policy;
    return *policy ? OK : FATAL;
}

/* Waits until everything that must hold does, or never will. */
static enum outcome await_start(struct start *start, unsigned workers, struct err *err) {
    for (;;) {
        enum outcome outcome = start_check(start, err);
        if (outcome != RETRY)
            return outcome;
        log_write(LOG_WARNING, "start_waits", "Something is away; it is waited for.", LOG_ERR(err));
        for (unsigned i = 0; i < workers; i++)
            ready_set(i, false, "starting: register, vault or Kafka cannot be reached");
        if (!stop_sleep_ms(START_PAUSE_MS))
            return RETRY;
    }
}

/* All that was there is through. What this process does not hold may belong to a member of the group that
 * died: the group gives it away once the session is over. What is still not ours then, a living process cares
 * for. */
static bool all_caught_up(struct worker *workers, unsigned count, int64_t session_timeout_ms,
                          int64_t *through_since_us) {
    unsigned assigned = 0, partitions = 0;
    for (unsigned i = 0; i < count; i++) {
        if (!atomic_load(&workers[i].caught_up)) {
            *through_since_us = 0;
            return false;
        }
        unsigned seen = atomic_load(&workers[i].partitions);
        assigned += atomic_load(&workers[i].assigned);
        partitions = seen > partitions ? seen : partitions;
    }
    int64_t now_us = clock_system.monotonic_us(NULL);
    if (!*through_since_us)
        *through_since_us = now_us;
    return (partitions && assigned >= partitions) ||
           now_us - *through_since_us > 2 * session_timeout_ms * 1000;
}
static bool all_ended(struct worker *workers, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        if (workers[i].started && !atomic_load(&workers[i].ended))
            return false;
    return true;
}

static void reload(const struct options *options) {
    struct config fresh = {0};
    struct err err;
    notify_reloading();
    if (read_config(options, &fresh, &err) == OK) {
        log_set_level(fresh.log_level);
        log_write(LOG_INFO, "reloaded", "The log level was read again.",
                  LOG_STRING("level", log_level_names[fresh.log_level]));
    }
    config_release(&fresh);
    notify_ready();
}

/* What the main thread does while the workers work. */
static enum outcome watch(const struct options *options, struct start *start, struct worker *workers,
                          unsigned count, bool *caught_up, struct err *err) {
    int64_t keep_at_us = 0, watchdog_at_us = 0, through_since_us = 0;
    bool told = false;
    while (stop_sleep_ms(WATCH_MS)) {
        int64_t now = clock_system.monotonic_us(NULL);
        if (stop_reload_requested())
            reload(options);
        if (!told && ready_all()) {
            told = true;
            notify_ready();
            log_write(LOG_INFO, "ready", "Every partition is read.", LOG_INT("workers", count));
        }
        if (notify_watchdog_ms() && now >= watchdog_at_us && ready_alive(SILENCE_MAX_MS)) {
            notify_watchdog();
            watchdog_at_us = now + notify_watchdog_ms() * 1000;
        }
        if (now >= keep_at_us) {
            keep_at_us = now + KEEP_EVERY_US;
            if (start_keep(start, err) == FATAL)
                return FATAL;
        }
        if (options->until_caught_up &&
            all_caught_up(workers, count, workers[0].shared->config->consumer.session_timeout_ms,
                          &through_since_us)) {
            *caught_up = true;
            return OK;
        }
    }
    return OK;
}

/* Joins the workers; when the drain time is over the process ends as it is, which is safe at any point. */
static void drain(struct worker *workers, unsigned count) {
    stop_request();
    notify_stopping();
    while (!all_ended(workers, count)) {
        if (stop_drain_left_ms() <= 0) {
            log_write(LOG_WARNING, "drain_over",
                      "The drain time is over; what was not committed is read again.");
            _exit(EX_TEMPFAIL);
        }
        usleep(10000);
    }
    for (unsigned i = 0; i < count; i++)
        worker_join(&workers[i]);
}

static int work(const struct options *options, struct start *start, struct err *err) {
    static struct worker workers[WORKERS_MAX];
    unsigned count = (unsigned)start->shared->config->consumer.workers;
    bool caught_up = false;
    size_t parked = 0;
    enum outcome outcome = await_start(start, count, err);
    if (outcome == RETRY)
        return EX_OK; /* asked to end while it waited */
    for (unsigned i = 0; i < count && outcome == OK; i++)
        outcome = worker_start(&workers[i], start->shared, i, err);
    if (outcome == OK)
        outcome = watch(options, start, workers, count, &caught_up, err);
    drain(workers, count);
    if (outcome != OK)
        log_write(LOG_ERROR, "refused", "The consumer does not run.", LOG_ERR(err));
    for (unsigned i = 0; i < count && outcome == OK; i++)
        outcome = workers[i].outcome;
    for (unsigned i = 0; i < count && caught_up; i++)
        parked += workers[i].parked;
    /* A worker may have met first what refuses this process: it is told from a failure that a start mends. */
    if (outcome != OK && !start->refused && start_keep(start, err) == FATAL)
        log_write(LOG_ERROR, "refused", "The consumer does not run.", LOG_ERR(err));
    return start->refused ? EX_CONFIG : outcome != OK || parked ? FAILED : EX_OK;
}

/* ---- reconcile ---- */

static void print_reconciled(const struct reconcile_sum *sum, bool json) {
    static const char sentences[] = "Erasures that the register lacked:              %zu\n"
                                    "  of persons that it or the vault knows:        %zu\n"
                                    "    of which data without a key was let go:     %zu\n"
                                    "  of subjects unknown to both, remembered:      %zu\n"
                                    "What waited and lost its key with the vault:    %zu\n"
                                    "Erased persons whose keys went again:           %zu%s\n"
                                    "Tombstones given to the vault besides:          %zu\n"
                                    "Permission records told again:                  %zu\n"
                                    "Erasures remembered now, in the register:       %zu\n";
    static const char object[] =
        "{\"register_lacked\":%zu,\"erased_again\":%zu,\"unreadable\":%zu,"
        "\"unknown\":%zu,\"let_go\":%zu,\"destroyed_again\":%zu,\"vault_older\":%s,"
        "\"vault_told\":%zu,\"permissions_told\":%zu,\"register\":%zu,\"topic_lacks\":%zu}\n";
    const char *older = json ? (sum->vault_older ? "true" : "false")
                             : (sum->vault_older ? " (an older vault was restored)" : "");
    if (json) {
        printf(object, remember_lacking(&sum->found), sum->erased_again, sum->unreadable, sum->unknown,
               sum->let_go, sum->destroyed, older, sum->told, sum->retold, sum->left.registered,
               sum->left.topic_lacks);
        return;
    }
    printf(sentences, remember_lacking(&sum->found), sum->erased_again, sum->unreadable, sum->unknown,
           sum->let_go, sum->destroyed, older, sum->told, sum->retold, sum->left.registered);
    if (sum->left.topic_lacks)
        printf("The topic " ERASURE_TOPIC " lacks %zu of these%s: those waiting in the outbox come with the\n"
               "relay; if Kafka lost records, run kundregister producer reconcile.\n",
               sum->left.topic_lacks, sum->left.topic_missing ? " (it does not exist)" : "");
    puts("Start the consumers again.");
}

static int reconcile(const struct options *options, struct worker_shared *shared, struct err *err) {
    struct reconcile_sum sum;
    ready_init(1);
    enum outcome outcome = reconcile_run(shared, options->reason, &sum, err);
    if (outcome == OK) {
        print_reconciled(&sum, options->json);
        return EX_OK;
    }
    int code = outcome == RETRY ? EX_UNAVAILABLE : outcome == POISON ? FAILED : EX_CONFIG;
    log_write(LOG_ERROR, code == EX_CONFIG ? "refused" : "failed", "Nothing is reconciled yet.",
              LOG_ERR(err));
    return code;
}

int main(int argc, char **argv) {
    struct options options = {0};
    struct config config = {0};
    struct worker_shared shared = {0};
    struct start start = {.shared = &shared};
    struct policy *policy = NULL;
    struct http *http = NULL;
    struct err err = {0};
    int stopped = read_options(argc, argv, &options), code = EX_CONFIG;
    if (stopped)
        return stopped - 1;
    /* librdkafka's threads would each get a heap of their own and keep what passed through it. */
    (void)mallopt(M_ARENA_MAX, 2);
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 20);
    log_program("kundregister-consumer");
    stop_install();
    notify_init();
    metrics_init(METRICS_CONSUMER, KR_VERSION);
    enum outcome outcome = read_config(&options, &config, &err);
    if (outcome == OK) {
        log_set_level(config.log_level);
        stop_set_drain(config.consumer.drain_seconds * 1000);
        outcome = stop_no_core_dumps(&err);
    }
    if (outcome == OK)
        outcome = seal_start(&err);
    if (outcome == OK)
        outcome = read_shared(&shared, &config, &policy, &err);
    shared.until_caught_up = options.until_caught_up;
    if (outcome == OK && !options.reconcile) {
        ready_init((unsigned)config.consumer.workers);
        if (config.consumer.http_port)
            http = http_serve(config.consumer.http_address, (int)config.consumer.http_port, SILENCE_MAX_MS,
                              &err);
        if (config.consumer.http_port && !http)
            outcome = FATAL;
    }
    if (outcome == OK)
        code = options.reconcile ? reconcile(&options, &shared, &err) : work(&options, &start, &err);
    else
        log_write(LOG_ERROR, "refused", "The consumer does not start.", LOG_ERR(&err));
    start_release(&start);
    http_free(http);
    policy_free(policy);
    config_release(&config);
    secret_wipe(&shared, sizeof shared);
    log_write(LOG_INFO, "ended", "The consumer ended.", LOG_INT("exit_code", code));
    return code;
}
