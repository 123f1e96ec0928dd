/* kundregister-producer: reads its arguments and configuration, starts what a daemon has around its loop, and
 * runs the relay or its reconciliation. */
#include "core/config.h"
#include "core/http.h"
#include "core/killpoint.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/notify.h"
#include "core/operator.h"
#include "core/policy.h"
#include "core/ready.h"
#include "core/seal.h"
#include "core/stop.h"
#include "producer/outbox.h"
#include "producer/publish.h"
#include "producer/reconcile.h"
#include "producer/unseal.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#ifndef KR_VERSION
#define KR_VERSION "unreleased"
#endif
#define SILENCE_MAX_MS 120000 /* longer than any call that the loop makes may take */
#define USAGE 2

struct options {
    const char *config;
    bool reconcile, until_caught_up, json;
};

static const char help[] =
    "usage: kundregister-producer [run] [--config FILE] [--until-caught-up]\n"
    "       kundregister-producer reconcile [--config FILE] [--json]\n"
    "       kundregister-producer --help | --version | --list-kill-points\n"
    "\n"
    "run        carries the outbox to Kafka, in the foreground; the log goes to standard error as JSON "
    "lines.\n"
    "           While another relay is at work it stands by.\n"
    "reconcile  after a restored register or a Kafka that lost data: reads the output topics, marks what is\n"
    "           published and sets the position, so that nothing is published twice. Relays must be "
    "stopped.\n"
    "\n"
    "  --config FILE      default: $KUNDREGISTER_CONFIG\n"
    "  --until-caught-up  end with exit code 0 once everything that was in the outbox at start is "
    "published,\n"
    "                     also by another relay that is at work; with 1 when all is but a topic that Kafka\n"
    "                     takes nothing for (named in the log; a standby waits for the other relay instead)\n"
    "  --json             the report as JSON\n"
    "\n"
    "SIGTERM ends it after the transaction in hand; SIGHUP reads the log level again.\n"
    "Exit codes: 0 fine; 1 failed; 2 wrong usage; 69 a server is away (reconcile), try again;\n"
    "78 refused: wrong configuration, another policy is active, or register and Kafka tell different "
    "stories.\n";

/* Returns -1 to go on, else the exit code. */
static int parse(int argc, char **argv, struct options *options) {
    enum { CONFIG = 1, CAUGHT_UP, JSON, HELP, VERSION, KILL_POINTS };
    static const struct option table[] = {{"config", required_argument, NULL, CONFIG},
                                          {"until-caught-up", no_argument, NULL, CAUGHT_UP},
                                          {"json", no_argument, NULL, JSON},
                                          {"help", no_argument, NULL, HELP},
                                          {"version", no_argument, NULL, VERSION},
                                          {"list-kill-points", no_argument, NULL, KILL_POINTS},
                                          {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        switch (option) {
        case CONFIG:
            options->config = optarg;
            break;
        case CAUGHT_UP:
            options->until_caught_up = true;
            break;
        case JSON:
            options->json = true;
            break;
        case HELP:
            fputs(help, stdout);
            return EXIT_SUCCESS;
        case VERSION:
            puts("kundregister-producer " KR_VERSION);
            return EXIT_SUCCESS;
        case KILL_POINTS:
            if (kill_point_list(relay_kill_points))
                return EXIT_SUCCESS;
            fputs("kundregister-producer: built without kill points\n", stderr);
            return EXIT_FAILURE;
        default:
            fputs("try: kundregister-producer --help\n", stderr);
            return USAGE;
        }
    }
    if (optind < argc && strcmp(argv[optind], "reconcile") == 0)
        options->reconcile = true, optind++;
    else if (optind < argc && strcmp(argv[optind], "run") == 0)
        optind++;
    if (optind == argc)
        return -1;
    fputs("kundregister-producer: too many words; try: kundregister-producer --help\n", stderr);
    return USAGE;
}

static void complain(void *context, enum config_grade grade, const char *where, const char *message) {
    (void)context;
    log_write(grade == CONFIG_WRONG ? LOG_ERROR : LOG_WARNING, "config", message,
              LOG_STRING("setting", where));
}

static void complain_policy(void *context, const char *path, const char *message) {
    (void)context;
    log_write(LOG_ERROR, "policy", message, LOG_STRING("path", path));
}

static int failed(const struct err *err, int code) {
    log_write(LOG_ERROR, code == EX_CONFIG ? "refused" : "failed", err->text, LOG_ERR(err),
              LOG_INT("exit_code", code));
    return code;
}

/* ---- reconcile ---- */

static int reconcile(const struct config *config, bool json) {
    struct reconcile_report report;
    struct err err = {.kind = OK};
    char operator[80];
    operator_name(operator, sizeof(operator));
    enum outcome outcome = reconcile_run(config, operator, & report, &err);
    if (outcome != OK)
        return failed(&err, outcome == FATAL ? EX_CONFIG : EX_UNAVAILABLE);
    printf(json ? "{\"topics\":%zu,\"outputs_in_kafka\":%zu,\"rows_in_outbox\":%zu,\"published\":%zu,"
                  "\"expired\":%zu,"
                  "\"waiting\":%zu,\"lost_by_kafka\":%zu,\"ids_remembered\":%zu}\n"
                : "Output topics read:                       %zu\n"
                  "Outputs in Kafka:                         %zu\n"
                  "Rows in the outbox:                       %zu\n"
                  "  published, found in Kafka:              %zu\n"
                  "  published, gone by retention:           %zu\n"
                  "  to be published by the next run:        %zu\n"
                  "    of which Kafka had lost:              %zu\n"
                  "Outputs remembered, never to come again:  %zu\n"
                  "The positions are set. Start the relay again.\n",
           report.topics, report.outputs_in_kafka, report.rows_in_outbox, report.rows_published,
           report.rows_expired, report.rows_waiting, report.rows_lost, report.ids_remembered);
    return EXIT_SUCCESS;
}

/* ---- run ---- */

/* SIGHUP: the level of the log, all else stays until a restart. */
static void reload(const struct options *options) {
    struct config fresh;
    struct err err;
    const struct config_options reading = {
        .path = options->config, .programs = CONFIG_PRODUCER, .complain = complain};
    notify_reloading();
    if (config_read(&fresh, &reading, &err) == OK)
        log_set_level(fresh.log_level);
    config_release(&fresh);
    notify_ready();
}

/* The system's clock, whose sleeps are also when a reload is noticed and systemd's watchdog fed. */
struct daemon_clock {
    const struct options *options;
    bool announced;
    int64_t fed_us;
};

static int64_t daemon_now_us(void *clock) {
    (void)clock;
    return clock_system.now_us(NULL);
}

static int64_t daemon_monotonic_us(void *opaque) {
    struct daemon_clock *clock = opaque;
    int64_t now_us = clock_system.monotonic_us(NULL), every_ms = notify_watchdog_ms();
    if (every_ms && now_us - clock->fed_us >= every_ms * 1000) {
        notify_watchdog();
        clock->fed_us = now_us;
    }
    if (stop_reload_requested())
        reload(clock->options);
    return now_us;
}

static bool daemon_sleep_us(void *opaque, int64_t sleep_us) {
    struct daemon_clock *clock = opaque;
    if (!clock->announced) { /* its first nap: it is at work, standing by, or waiting for a server */
        notify_ready();
        clock->announced = true;
    }
    return clock_system.sleep_us(NULL, sleep_us);
}

static const struct clock_ops daemon_clock_ops = {
    .now_us = daemon_now_us, .monotonic_us = daemon_monotonic_us, .sleep_us = daemon_sleep_us};

static int relay(const struct config *config, const struct options *options, const char *policy_digest) {
    struct err err = {.kind = OK};
    uint8_t kek[32];
    struct outbox outbox;
    struct unseal unseal;
    static struct publish publish;
    static struct relay relay;
    struct daemon_clock clock = {.options = options};
    const struct relay_config relay_config = {.batch_outputs = (int32_t)config->producer.batch_outputs,
                                              .batch_bytes = (size_t)config->producer.batch_bytes,
                                              .poll_us = config->producer.poll_ms * 1000,
                                              .horizon_alarm_us =
                                                  config->producer.horizon_alarm_seconds * 1000000,
                                              .until_caught_up = options->until_caught_up};
    if (secret_read(config->keys.kek_file, kek, &err) != OK)
        return failed(&err, EX_CONFIG);
    outbox_init(&outbox, config->register_as.producer, policy_digest);
    unseal_init(&unseal, config->vault_as.producer, config->register_as.producer, kek);
    secret_wipe(kek, sizeof(kek));
    publish_init(&publish, config);
    relay = (struct relay){.clock_ops = &daemon_clock_ops,
                           .clock = &clock,
                           .outbox_ops = &outbox_postgres,
                           .outbox = &outbox,
                           .unseal_ops = &unseal_postgres,
                           .unseal = &unseal,
                           .publish_ops = &publish_kafka,
                           .publish = &publish};
    enum outcome outcome = relay_init(&relay, &relay_config, &err);
    if (outcome == OK)
        outcome = relay_run(&relay, &err);
    notify_stopping();
    int code = outcome == OK ? EXIT_SUCCESS : failed(&err, relay.refused ? EX_CONFIG : EXIT_FAILURE);
    if (outcome == OK)
        log_write(LOG_INFO, "relay_ended", "The relay has ended.");
    relay_release(&relay);
    publish_release(&publish);
    unseal_release(&unseal);
    outbox_release(&outbox);
    return code;
}

static int run(const struct config *config, const struct options *options) {
    struct err err = {.kind = OK};
    struct http *http = NULL;
    struct policy *policy = policy_read(config->policy_file, complain_policy, NULL, &err);
    if (!policy)
        return failed(&err, EX_CONFIG);
    metrics_init(METRICS_PRODUCER, KR_VERSION);
    ready_init(1);
    notify_init();
    stop_set_drain(config->producer.drain_seconds * 1000);
    if (config->producer.http_port) {
        http =
            http_serve(config->producer.http_address, (int)config->producer.http_port, SILENCE_MAX_MS, &err);
        if (!http) {
            policy_free(policy);
            return failed(&err, EX_CONFIG);
        }
    }
    int code = relay(config, options, policy->digest);
    http_free(http);
    policy_free(policy);
    return code;
}

int main(int argc, char **argv) {
    struct options options = {.config = NULL};
    struct config config;
    struct err err = {.kind = OK};
    int code = parse(argc, argv, &options);
    if (code >= 0)
        return code;
    log_program("kundregister-producer");
    stop_install();
    const struct config_options reading = {
        .path = options.config, .programs = CONFIG_PRODUCER, .complain = complain};
    enum outcome outcome = config_read(&config, &reading, &err);
    if (outcome == OK)
        log_set_level(config.log_level);
    if (outcome == OK)
        outcome = stop_no_core_dumps(&err);
    if (outcome == OK)
        outcome = seal_start(&err);
    if (outcome == OK)
        code = options.reconcile ? reconcile(&config, options.json) : run(&config, &options);
    else
        code = failed(&err, EX_CONFIG);
    config_release(&config);
    return code;
}
