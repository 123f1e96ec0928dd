/* The relay's transactional producer. */
#include "producer/publish.h"

#include "core/killpoint.h"
#include "core/log.h"
#include "core/outbox_headers.h"
#include "core/ref.h"
#include "core/stop.h"
#include "core/term.h"
#include "producer/position.h"
#include <assert.h>
#include <sodium.h>
#include <stdio.h>

#define PATIENCE_TRANSACTIONS 6 /* as long as so many of ours a foreign one is waited for */
#define METADATA_MS 5000
#define INIT_MS                                                                                              \
    8000 /* it takes 1 s; a client that lost its broker meanwhile may wait for longer than a new one needs   \
          */
#define ABORT_MS 5000
#define ARENA_BYTES ((size_t)1 << 20)
#define TRACE_BYTES 24

static char is_position; /* its address marks a position's message */

void publish_init(struct publish *publish, const struct config *config) {
    *publish = (struct publish){.config = config, .randoms_used = sizeof(publish->randoms)};
    arena_init(&publish->arena, ARENA_BYTES);
}

static void publish_close(void *opaque) {
    struct publish *publish = opaque;
    for (size_t i = 0; i < publish->handle_count; i++)
        rd_kafka_topic_destroy(publish->handles[i].topic);
    publish->handle_count = publish->handle_last = 0;
    if (publish->position)
        rd_kafka_topic_destroy(publish->position);
    publish->position = NULL;
    if (publish->producer) {
        /* What is in its queues belongs to a transaction that is over or will be fenced. */
        rd_kafka_purge(publish->producer,
                       RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
        rd_kafka_destroy(publish->producer);
    }
    publish->producer = NULL;
}

void publish_release(struct publish *publish) {
    publish_close(publish);
    arena_release(&publish->arena);
}

/* Called from rd_kafka_poll, flush, commit and abort, in the relay's thread. */
static void delivered(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque) {
    struct publish *publish = opaque;
    (void)producer;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR || message->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
        message->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
        return;
    if (publish->refused != RD_KAFKA_RESP_ERR_NO_ERROR && kafka_outcome(publish->refused) == POISON)
        return;
    publish->refused = message->err;
    publish->refused_position = message->_private == &is_position;
}

/* Nothing of a producer's end is final for the program: the next session makes a new one. */
static enum outcome renewable(enum outcome outcome, struct err *err) {
    if (outcome == FATAL && err)
        err->kind = RETRY;
    return outcome == FATAL ? RETRY : outcome;
}

static int timeout_ms(const struct publish *publish) {
    int64_t left_ms = stop_drain_left_ms();
    int64_t most_ms = publish->config->producer.transaction_timeout_ms;
    return (int)(left_ms < most_ms ? left_ms : most_ms);
}

static enum outcome publish_open(void *opaque, struct err *err) {
    struct publish *publish = opaque;
    char transaction_ms[24], queue_messages[24];
    snprintf(transaction_ms, sizeof(transaction_ms), "%lld",
             (long long)publish->config->producer.transaction_timeout_ms);
    snprintf(queue_messages, sizeof(queue_messages), "%lld",
             (long long)publish->config->producer.batch_outputs * 2 + RELAY_TOPICS_MAX);
    const struct kafka_setting settings[] = {
        {"transactional.id", publish->config->producer.transactional_id},
        {"enable.idempotence", "true"},
        {"acks", "all"},
        {"transaction.timeout.ms", transaction_ms},
        {"message.timeout.ms", transaction_ms},
        {"linger.ms", "0"},
        {"compression.type", "lz4"},
        {"batch.num.messages", "10000"},
        {"queue.buffering.max.messages", queue_messages},
        {"queue.buffering.max.kbytes", "1048576"},
        {"topic.metadata.propagation.max.ms", "1000"},
        {"topic.metadata.refresh.fast.interval.ms", "50"},
        {"retry.backoff.ms", "20"},
    };
    enum outcome outcome =
        kafka_client(&publish->producer, RD_KAFKA_PRODUCER, publish->config, "producer", settings,
                     sizeof(settings) / sizeof(*settings), publish, NULL, delivered, NULL, err);
    if (outcome != OK)
        return outcome;
    return renewable(kafka_error(rd_kafka_init_transactions(publish->producer, INIT_MS), err), err);
}

struct position_reading {
    struct arena *arena;
    struct relay_marks *marks;
    enum outcome outcome;
    struct err *err;
};

static bool read_position(void *context, const rd_kafka_message_t *message) {
    struct position_reading *reading = context;
    const struct text key = {message->key, message->key ? message->key_len : 0};
    const struct text value = {message->payload, message->payload ? message->len : 0};
    if (reading->outcome == OK)
        reading->outcome = position_merge(reading->marks, key, value, reading->arena, reading->err);
    return true;
}

enum outcome publish_read_topic(const struct config *config, const char *name, int64_t patience_us,
                                kafka_reader *reader, void *context, struct kafka_extent *extent,
                                struct err *err) {
    const struct kafka_reading reading = {.config = config,
                                          .program = "producer",
                                          .group = "kundregister-producer",
                                          .topic = name,
                                          .patience_us = patience_us,
                                          .reader = reader,
                                          .context = context};
    return kafka_read_topic(&reading, extent, err);
}

static enum outcome publish_positions(void *opaque, struct arena *arena, struct relay_marks *marks,
                                      bool *missing, struct err *err) {
    struct publish *publish = opaque;
    struct kafka_extent extent;
    struct position_reading reading = {.arena = arena, .marks = marks, .outcome = OK, .err = err};
    int64_t patience_us = PATIENCE_TRANSACTIONS * publish->config->producer.transaction_timeout_ms * 1000;
    enum outcome outcome = publish_read_topic(publish->config, POSITION_TOPIC, patience_us, read_position,
                                              &reading, &extent, err);
    if (outcome != OK)
        return outcome;
    *missing = extent.missing;
    if (!extent.missing && extent.partitions != 1)
        return err_set(err, FATAL, 0, "topic %s has %d partitions; the relay's position needs exactly one",
                       POSITION_TOPIC, (int)extent.partitions);
    return reading.outcome;
}

static enum outcome publish_begin(void *opaque, struct err *err) {
    struct publish *publish = opaque;
    publish->refused = RD_KAFKA_RESP_ERR_NO_ERROR;
    publish->refused_position = publish->failed = false;
    return renewable(kafka_error(rd_kafka_begin_transaction(publish->producer), err), err);
}

/* That the topic exists and may be seen, asked once: librdkafka itself would wait long for one that does not.
 */
static enum outcome check_topic(struct publish *publish, struct publish_handle *handle, struct err *err) {
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(publish->producer, 0, handle->topic, &metadata, METADATA_MS);
    enum outcome outcome = OK;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        outcome = err_set(err, RETRY, (int)code, "Kafka: %s", rd_kafka_err2str(code));
    else if (metadata->topic_cnt == 1 && kafka_outcome(metadata->topics[0].err) == POISON)
        outcome = err_set(err, POISON, (int)metadata->topics[0].err, "Kafka: %s",
                          rd_kafka_err2str(metadata->topics[0].err));
    handle->checked = outcome == OK;
    if (metadata)
        rd_kafka_metadata_destroy(metadata);
    return outcome;
}

static enum outcome find_handle(struct publish *publish, struct text name, struct publish_handle **found,
                                struct err *err) {
    char terminated[RELAY_TOPIC_BYTES];
    size_t at = publish->handle_last;
    for (size_t i = 0; i < publish->handle_count; i++, at = at + 1 < publish->handle_count ? at + 1 : 0)
        if (text_is(name, rd_kafka_topic_name(publish->handles[at].topic))) {
            publish->handle_last = at;
            *found = &publish->handles[at];
            return (*found)->checked ? OK : check_topic(publish, *found, err);
        }
    if (name.size >= sizeof(terminated) || publish->handle_count == RELAY_TOPICS_MAX)
        return err_set(err, POISON, RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, "no Kafka topic can have that name");
    memcpy(terminated, name.at, name.size);
    terminated[name.size] = '\0';
    rd_kafka_topic_t *topic = rd_kafka_topic_new(publish->producer, terminated, NULL);
    if (!topic)
        return err_set(err, POISON, RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, "no Kafka topic can have that name");
    *found = &publish->handles[publish->handle_count++];
    **found = (struct publish_handle){.topic = topic};
    return check_topic(publish, *found, err);
}

/* Hands a message over, waiting for room in the queue. */
static enum outcome hand_over(struct publish *publish, rd_kafka_topic_t *topic, struct text key,
                              struct text value, rd_kafka_headers_t *headers, void *mark, struct err *err) {
    for (int tries = 0; !publish->failed; tries++) {
        rd_kafka_resp_err_t code = rd_kafka_producev(
            publish->producer, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_KEY(key.at, key.size), RD_KAFKA_V_VALUE((void *)value.at, value.size),
            RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(mark), RD_KAFKA_V_END);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            return OK; /* the headers are librdkafka's now */
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && tries < 1000) {
            rd_kafka_poll(publish->producer, 10);
            continue;
        }
        if (headers)
            rd_kafka_headers_destroy(headers);
        if (code == RD_KAFKA_RESP_ERR__STATE) {
            /* Something sent before was refused meanwhile. What, only commit can tell, which will fail. */
            publish->failed = true;
            return OK;
        }
        return renewable(err_set(err, kafka_outcome(code), (int)code, "Kafka: %s", rd_kafka_err2str(code)),
                         err);
    }
    if (headers)
        rd_kafka_headers_destroy(headers);
    return OK;
}

/* W3C Trace Context, a fresh one for each message: carriers must not be able to join what they got by it. */
static void add_traceparent(struct publish *publish, rd_kafka_headers_t *headers) {
    char hex[2 * TRACE_BYTES + 1], value[56];
    if (publish->randoms_used + TRACE_BYTES > sizeof(publish->randoms)) {
        randombytes_buf(publish->randoms, sizeof(publish->randoms));
        publish->randoms_used = 0;
    }
    sodium_bin2hex(hex, sizeof(hex), publish->randoms + publish->randoms_used, TRACE_BYTES);
    publish->randoms_used += TRACE_BYTES;
    int size = snprintf(value, sizeof(value), "00-%.32s-%.16s-01", hex, hex + 32);
    rd_kafka_header_add(headers, "traceparent", -1, value, size);
}

static void add_header(rd_kafka_headers_t *headers, const char *name, const char *value) {
    rd_kafka_header_add(headers, name, -1, value, -1);
}

/* The envelope: CloudEvents 1.0, binary mode of the Kafka protocol binding. */
static rd_kafka_headers_t *make_headers(struct publish *publish, const struct relay_row *row) {
    struct output_id id;
    char id_text[37], time_text[28], type_text[128];
    struct record_header extra[OUTBOX_HEADERS_MAX];
    rd_kafka_headers_t *headers = rd_kafka_headers_new(8 + OUTBOX_HEADERS_MAX);
    memcpy(id.bytes, row->output_id, sizeof(id.bytes));
    output_id_write(&id, id_text);
    instant_write(row->decided_us, time_text);
    snprintf(type_text, sizeof(type_text), "%.*s.v1", TEXT_ARGS(row->type));
    add_header(headers, "ce_specversion", "1.0");
    add_header(headers, "ce_id", id_text);
    add_header(headers, "ce_source", "urn:kundregister");
    add_header(headers, "ce_type", type_text);
    add_header(headers, "ce_time", time_text);
    add_header(headers, "content-type", "application/json");
    if (row->topic.size > 11 && memcmp(row->topic.at, "disclosure.", 11) == 0)
        add_traceparent(publish, headers);
    int count = text_present(row->headers) ? outbox_headers_unpack(row->headers, extra) : 0;
    for (int i = 0; i < count; i++)
        rd_kafka_header_add(headers, extra[i].name.at, (ssize_t)extra[i].name.size, extra[i].value.at,
                            (ssize_t)extra[i].value.size);
    return headers;
}

static enum outcome publish_send(void *opaque, const struct relay_row *row, struct err *err) {
    struct publish *publish = opaque;
    struct publish_handle *handle;
    enum outcome outcome = find_handle(publish, row->topic, &handle, err);
    if (outcome != OK)
        return outcome;
    outcome = hand_over(publish, handle->topic, row->key, row->plain, make_headers(publish, row), NULL, err);
    if (outcome == POISON && publish_kafka.refuses_topic(err))
        handle->checked = false;
    return outcome;
}

static enum outcome publish_position(void *opaque, const struct relay_mark *mark, struct err *err) {
    struct publish *publish = opaque;
    char value[POSITION_VALUE_BYTES];
    if (!publish->position)
        publish->position = rd_kafka_topic_new(publish->producer, POSITION_TOPIC, NULL);
    if (!publish->position)
        return err_set(err, RETRY, (int)rd_kafka_last_error(), "Kafka: no handle for topic %s",
                       POSITION_TOPIC);
    enum outcome outcome =
        hand_over(publish, publish->position, mark->topic,
                  mark->seq ? position_write(mark, value) : TEXT_ABSENT, NULL, &is_position, err);
    return outcome == POISON ? err_set(err, RETRY, err->code, "Kafka refuses the relay's position") : outcome;
}

/* Why the transaction cannot be committed, from the reports of delivery where they tell it. */
static enum outcome commit_failed(struct publish *publish, rd_kafka_error_t *error, struct err *err) {
    bool abortable = rd_kafka_error_txn_requires_abort(error);
    enum outcome outcome = renewable(kafka_error(error, err), err);
    rd_kafka_resp_err_t refused = publish->refused;
    if (outcome == FENCED || !abortable)
        return outcome == POISON ? err_set(err, RETRY, err->code, "Kafka refuses the transaction") : outcome;
    if (refused != RD_KAFKA_RESP_ERR_NO_ERROR && publish->refused_position)
        return err_set(err, RETRY, (int)refused, "Kafka refuses the relay's position: %s",
                       rd_kafka_err2str(refused));
    if (refused != RD_KAFKA_RESP_ERR_NO_ERROR)
        return renewable(
            err_set(err, kafka_outcome(refused), (int)refused, "Kafka: %s", rd_kafka_err2str(refused)), err);
    return outcome;
}

static enum outcome publish_commit(void *opaque, struct err *err) {
    struct publish *publish = opaque;
    /* What the broker has not answered yet is waited for; commit does the same, but then nobody could be
     * killed in between. A timeout shows in commit. */
    (void)rd_kafka_flush(publish->producer, timeout_ms(publish));
    KILL_POINT("relay.after_flush");
    KILL_POINT_SOON("relay.inside_commit");
    rd_kafka_error_t *error = rd_kafka_commit_transaction(publish->producer, timeout_ms(publish));
    assert(error || !publish->failed);
    if (!error)
        return OK;
    enum outcome outcome = commit_failed(publish, error, err);
    if (outcome == POISON && publish_kafka.refuses_topic(err))
        for (size_t i = 0; i < publish->handle_count; i++)
            publish->handles[i].checked = false;
    return outcome;
}

/* Where Kafka let no partition into the transaction, there is none to end for it, and librdkafka 2.0.2 takes
 * that answer as fatal. Nothing was committed: a new producer ends whatever is left of it, as abort would
 * have. */
static enum outcome publish_abort(void *opaque, struct err *err) {
    struct publish *publish = opaque;
    enum outcome outcome = kafka_error(rd_kafka_abort_transaction(publish->producer, ABORT_MS), err);
    if (outcome != FATAL)
        return outcome;
    publish_close(publish);
    metrics_add(METRIC_PRODUCERS_RENEWED, 0, 1);
    return publish_open(publish, err);
}

static bool publish_refuses_topic(const struct err *err) {
    switch (err->code) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        return true;
    default:
        return false;
    }
}

const struct publish_ops publish_kafka = {.open = publish_open,
                                          .close = publish_close,
                                          .positions = publish_positions,
                                          .begin = publish_begin,
                                          .send = publish_send,
                                          .position = publish_position,
                                          .commit = publish_commit,
                                          .abort = publish_abort,
                                          .refuses_topic = publish_refuses_topic};
