/* The seam to librdkafka: clients with our defaults, its log into ours, its errors to outcomes, its messages
 * to records. */
#include "core/kafka.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define CLIENT_ERROR_BYTES 256
#define MEBIBYTE ((int64_t)1 << 20)

/* ---- log ---- */

/* librdkafka's lines name brokers, topics, partitions, groups: never a payload. Any thread. */
static void log_line(const rd_kafka_t *client, int level, const char *facility, const char *message) {
    /* By syslog's numbers. A broker that is away is an error to librdkafka and to us something to wait out.
     */
    enum log_level ours = level <= 2   ? LOG_ERROR
                          : level <= 4 ? LOG_WARNING
                          : level <= 6 ? LOG_INFO
                                       : LOG_DEBUG;
    log_write(ours, "kafka_client", message, LOG_STRING("facility", facility),
              LOG_STRING("client", client ? rd_kafka_name(client) : NULL));
}

void kafka_log_error(const rd_kafka_t *client, const char *reason) {
    log_line(client, 3, "ERROR", reason);
}

/* ---- clients ---- */

static enum outcome conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *err) {
    char message[CLIENT_ERROR_BYTES];
    switch (rd_kafka_conf_set(conf, name, value, message, sizeof(message))) {
    case RD_KAFKA_CONF_OK:
        return OK;
    case RD_KAFKA_CONF_UNKNOWN:
        return err_set(err, FATAL, 0, "librdkafka has no setting %s", name);
    default: /* its message quotes the value, which may be a secret */
        return err_set(err, FATAL, 0, "librdkafka refuses the value of %s", name);
    }
}

static enum outcome conf_set_all(rd_kafka_conf_t *conf, const struct kafka_setting *settings, size_t count,
                                 struct err *err) {
    enum outcome outcome = OK;
    for (size_t i = 0; i < count && outcome == OK; i++) {
        outcome = conf_set(conf, settings[i].name, settings[i].value, err);
    }
    return outcome;
}

static enum outcome conf_set_number(rd_kafka_conf_t *conf, const char *name, int64_t value, struct err *err) {
    char digits[24];
    (void)snprintf(digits, sizeof(digits), "%lld", (long long)value);
    return conf_set(conf, name, digits, err);
}

static int64_t clamp(int64_t value, int64_t low, int64_t high) {
    return value < low ? low : value > high ? high : value;
}

/* What a consumer fetches ahead: its queue as configured, each answer a quarter of it at most, so that the
 * two together bound its memory (a fetch under way comes on top of the queue). */
static enum outcome conf_set_memory(rd_kafka_conf_t *conf, const struct config *config, struct err *err) {
    int64_t queue_bytes = clamp(config->consumer.queue_bytes, 2 * MEBIBYTE, 1024 * MEBIBYTE);
    enum outcome outcome = conf_set_number(conf, "queued.max.messages.kbytes", queue_bytes / 1024, err);
    if (outcome == OK) {
        outcome =
            conf_set_number(conf, "fetch.max.bytes", clamp(queue_bytes / 4, MEBIBYTE, 32 * MEBIBYTE), err);
    }
    if (outcome == OK) {
        outcome = conf_set_number(conf, "fetch.message.max.bytes",
                                  clamp(queue_bytes / 16, MEBIBYTE, 8 * MEBIBYTE), err);
    }
    return outcome;
}

static enum outcome conf_set_defaults(rd_kafka_conf_t *conf, rd_kafka_type_t type,
                                      const struct config *config, struct err *err) {
    static const struct kafka_setting all[] = {
        {"socket.nagle.disable", "true"},     {"log.connection.close", "false"},
        {"statistics.interval.ms", "0"},      {"reconnect.backoff.ms", "50"},
        {"reconnect.backoff.max.ms", "2000"},
    };
    static const struct kafka_setting consumer[] = {
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "error"},
        {"isolation.level", "read_committed"},
        {"partition.assignment.strategy", "range"},
        {"allow.auto.create.topics", "false"},
        {"fetch.wait.max.ms", "100"},
        {"fetch.min.bytes", "1"},
        {"fetch.error.backoff.ms", "100"},
        {"check.crcs", "true"},
    };
    static const struct kafka_setting producer[] = {
        {"linger.ms", "0"},
        {"acks", "all"},
        {"partitioner", "murmur2_random"}, /* as Java's clients do: one key, one partition, whoever writes */
    };
    enum outcome outcome = conf_set_all(conf, all, sizeof(all) / sizeof(*all), err);
    if (outcome == OK && type == RD_KAFKA_PRODUCER) {
        return conf_set_all(conf, producer, sizeof(producer) / sizeof(*producer), err);
    }
    if (outcome == OK) {
        outcome = conf_set_all(conf, consumer, sizeof(consumer) / sizeof(*consumer), err);
    }
    return outcome == OK ? conf_set_memory(conf, config, err) : outcome;
}

static enum outcome conf_set_configured(rd_kafka_conf_t *conf, const struct config *config,
                                        const char *program, struct err *err) {
    static const struct {
        const char *name, *client_id;
        enum config_program program;
    } programs[] = {
        {"consumer", "kundregister-consumer", CONFIG_CONSUMER},
        {"producer", "kundregister-producer", CONFIG_PRODUCER},
        {"operator", "kundregister", CONFIG_OPERATOR},
    };
    size_t i = 0;
    while (strcmp(programs[i].name, program) != 0) {
        i++;
        assert(i < sizeof(programs) / sizeof(*programs));
    }
    enum outcome outcome = conf_set(conf, "client.id", programs[i].client_id, err);
    size_t at = 0;
    const char *key, *value;
    while (outcome == OK && config_kafka_next(config, programs[i].program, &at, &key, &value)) {
        outcome = conf_set(conf, key, value, err);
    }
    return outcome;
}

enum outcome
kafka_client(rd_kafka_t **client, rd_kafka_type_t type, const struct config *config, const char *program,
             const struct kafka_setting *settings, size_t count, void *opaque,
             void (*rebalance)(rd_kafka_t *, rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t *, void *),
             void (*delivered)(rd_kafka_t *, const rd_kafka_message_t *, void *),
             void (*complained)(rd_kafka_t *, int, const char *, void *), struct err *err) {
    *client = NULL;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, log_line);
    enum outcome outcome = conf_set_defaults(conf, type, config, err);
    if (outcome == OK) {
        outcome = conf_set_configured(conf, config, program, err);
    }
    if (outcome == OK) {
        outcome = conf_set_all(conf, settings, count, err);
    }
    if (outcome != OK) {
        goto out;
    }
    rd_kafka_conf_set_opaque(conf, opaque);
    if (type == RD_KAFKA_CONSUMER && rebalance) {
        rd_kafka_conf_set_rebalance_cb(conf, rebalance);
    }
    if (type == RD_KAFKA_PRODUCER && delivered) {
        rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    }
    if (complained) {
        rd_kafka_conf_set_error_cb(conf, complained);
    }
    char message[CLIENT_ERROR_BYTES];
    *client = rd_kafka_new(type, conf, message, sizeof(message));
    if (!*client) {
        outcome = err_set(err, FATAL, (int)rd_kafka_last_error(), "librdkafka: %s", message);
        goto out;
    }
    conf = NULL; /* the client's now */
    if (type == RD_KAFKA_CONSUMER) {
        (void)rd_kafka_poll_set_consumer(*client); /* refused only without group.id: nothing to poll then */
    }
out:
    if (conf) {
        rd_kafka_conf_destroy(conf);
    }
    return outcome;
}

/* ---- errors ---- */

enum outcome kafka_outcome(rd_kafka_resp_err_t code) {
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return OK;
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST:
    case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING:
    case RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID:
    case RD_KAFKA_RESP_ERR_TRANSACTION_COORDINATOR_FENCED:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
        return FENCED;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        return POISON;
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
    case RD_KAFKA_RESP_ERR__CONFLICT:
    case RD_KAFKA_RESP_ERR__STATE:
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
    case RD_KAFKA_RESP_ERR__NOT_CONFIGURED:
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        return FATAL;
    default:
        return RETRY;
    }
}

enum outcome kafka_code(rd_kafka_resp_err_t code, struct err *err) {
    enum outcome outcome = kafka_outcome(code);
    if (outcome != OK) {
        err_set(err, outcome, (int)code, "Kafka: %s", rd_kafka_err2str(code));
    }
    return outcome;
}

enum outcome kafka_error(rd_kafka_error_t *error, struct err *err) {
    if (!error) {
        return OK;
    }
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    enum outcome outcome = kafka_outcome(code);
    if (outcome != FENCED && rd_kafka_error_is_fatal(error)) {
        outcome = FATAL;
    } else if (outcome == FATAL && rd_kafka_error_is_retriable(error)) {
        outcome = RETRY;
    }
    if (outcome != OK) {
        err_set(err, outcome, (int)code, "Kafka: %s", rd_kafka_error_string(error));
    }
    rd_kafka_error_destroy(error);
    return outcome;
}

/* ---- messages ---- */

static enum outcome headers_read(const rd_kafka_message_t *message, struct arena *arena,
                                 struct record *record) {
    rd_kafka_headers_t *headers;
    rd_kafka_resp_err_t code = rd_kafka_message_headers(message, &headers);
    if (code == RD_KAFKA_RESP_ERR__NOENT) {
        return OK;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return POISON;
    }
    size_t count = rd_kafka_header_cnt(headers);
    struct record_header *items = ARENA_ARRAY(arena, struct record_header, count);
    if (!items) {
        return count ? RETRY : OK;
    }
    for (size_t i = 0; i < count; i++) {
        const char *name;
        const void *value;
        size_t size;
        if (rd_kafka_header_get_all(headers, i, &name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return POISON;
        }
        items[i] = (struct record_header){.name = text_of(name), .value = {value, value ? size : 0}};
    }
    record->headers = items;
    record->header_count = count;
    return OK;
}

enum outcome kafka_record(const rd_kafka_message_t *message, struct arena *arena, struct record *record) {
    rd_kafka_timestamp_type_t timestamp_type;
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, &timestamp_type);
    *record = (struct record){
        .topic = text_of(rd_kafka_topic_name(message->rkt)),
        .partition = message->partition,
        .offset = message->offset,
        .timestamp_ms = timestamp_type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : timestamp_ms,
        .key = {message->key, message->key ? message->key_len : 0},
        .value = {message->payload, message->payload ? message->len : 0},
    };
    return headers_read(message, arena, record);
}

struct text kafka_cluster_id(rd_kafka_t *client, int timeout_ms, struct arena *arena) {
    char *id = rd_kafka_clusterid(client, timeout_ms);
    struct text copy = arena_text(arena, text_of(id));
    if (id) {
        rd_kafka_mem_free(client, id);
    }
    return copy;
}
