/* The topics over librdkafka: polling, rebalances, positions.
 *
 * A rebalance, in numbers (eager protocol, static member):
 * 1. The group's answer comes as a callback inside poll. It only writes down the new set and answers with an
 * empty assignment: nothing is fetched, the member stays alive.
 * 2. poll reports TOPIC_REASSIGNED. The loop drops what it has in hand, claims each partition in the register
 * and then calls assign with the claimed ones at their positions. With the eager protocol assign may be
 * called at any time.
 * 3. More partitions claimed later, or lost ones: assign again with the whole list. Whatever was fetched
 * before and not polled is thrown away by librdkafka and fetched anew. A process stopped (SIGSTOP) anywhere
 * in between holds nothing that another cannot take: epochs decide.
 * 4. A static member that comes back is given what it had, without a rebalance, and is not told that it leads
 * the group (KIP-814); partitions that were added meanwhile would be given to nobody. So each member asks now
 * and then who reads what, and joins anew when something is left out: the leader's doing so makes the
 * coordinator divide everything again. */
#include "consumer/topic_kafka.h"
#include "consumer/group_kafka.h"
#include "core/kafka.h"
#include "core/killpoint.h"
#include "core/log.h"
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ASK_TIMEOUT_MS 1000
#define GROUP_TIMEOUT_MS 300 /* of every broker, one of which may be away for long */
#define CLOSE_TIMEOUT_MS 5000
#define REJOIN_EVERY_S 10

struct topic_kafka {
    rd_kafka_t *client;
    const char *group;
    rd_kafka_topic_partition_list_t *wanted; /* topics to read */
    rd_kafka_topic_partition_list_t *given;  /* what the group gave last */
    bool reassigned, closing;
    bool joined;         /* since it last asked to be, the group has given it partitions, or none */
    unsigned partitions; /* of all wanted topics, when they were looked at last */
    time_t rejoined_at;  /* monotonic; 0: never */
};

/* Assigns, and returns once the client has let go of what it read before. Without the wait a partition that
 * is taken away twice in a row is stopped twice, and librdkafka ends the process over it (its issue 5573).
 * The client's main thread does in order what it is asked: the stops stand in its queue when assign returns,
 * each leaves its answer there in turn, and two questions later the answers have been heard. A client that is
 * closing assigns nothing any more, and throws away the question when it ends: nobody would answer. */
static rd_kafka_resp_err_t assign_and_settle(const struct topic_kafka *topics,
                                             const rd_kafka_topic_partition_list_t *partitions) {
    rd_kafka_resp_err_t code = rd_kafka_assign(topics->client, partitions);
    for (int question = 0; question < 2 && !topics->closing; question++) {
        rd_kafka_topic_partition_list_t *assigned = NULL;
        if (rd_kafka_assignment(topics->client, &assigned) == RD_KAFKA_RESP_ERR_NO_ERROR)
            rd_kafka_topic_partition_list_destroy(assigned);
    }
    return code;
}

static void on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *partitions, void *context) {
    struct topic_kafka *topics = context;
    (void)client;
    KILL_POINT("consumer.rebalance");
    rd_kafka_topic_partition_list_destroy(topics->given);
    topics->given = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS
                        ? rd_kafka_topic_partition_list_copy(partitions)
                        : rd_kafka_topic_partition_list_new(1);
    topics->reassigned = true;
    topics->joined = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    rd_kafka_topic_partition_list_t *none =
        code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS ? rd_kafka_topic_partition_list_new(1) : NULL;
    rd_kafka_resp_err_t failed = assign_and_settle(topics, none);
    if (none)
        rd_kafka_topic_partition_list_destroy(none);
    if (failed && !topics->closing)
        log_write(LOG_WARNING, "rebalance_refused", "The client did not take the new assignment.",
                  LOG_STRING("error", rd_kafka_err2str(failed)));
}

/* A topic or partition that the broker had is not there any more. Should it come back it may be another log
 * under the same name, and a fetch would read on in it: what the group gave is claimed anew, with
 * fingerprints. */
static void on_error(rd_kafka_t *client, int code, const char *reason, void *context) {
    struct topic_kafka *topics = context;
    kafka_log_error(client, reason);
    if ((code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
         code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION) &&
        topics->joined)
        topics->reassigned = true;
}

/* ---- the client ---- */

static bool want_topic(rd_kafka_topic_partition_list_t *wanted, const char *name) {
    if (!rd_kafka_topic_partition_list_find(wanted, name, RD_KAFKA_PARTITION_UA))
        rd_kafka_topic_partition_list_add(wanted, name, RD_KAFKA_PARTITION_UA);
    return true;
}

static void want_topics(rd_kafka_topic_partition_list_t *wanted, const struct policy *policy) {
    char name[250];
    for (int type = 0; type < EVENT_INPUT_TYPES; type++)
        if (event_infos[type].topic && strcmp(event_infos[type].topic, "carrier") != 0)
            want_topic(wanted, event_infos[type].topic);
    for (size_t i = 0; i < policy->recipient_count; i++) {
        snprintf(name, sizeof name, "carrier.%.*s.v1", TEXT_ARGS(policy->recipients[i].id));
        want_topic(wanted, name);
    }
}

enum outcome topic_kafka_new(struct topic_kafka **made, const struct config *config,
                             const struct policy *policy, const char *member, struct err *err) {
    char session_ms[24], heartbeat_ms[24];
    int64_t session = config->consumer.session_timeout_ms;
    snprintf(session_ms, sizeof session_ms, "%lld", (long long)session);
    snprintf(heartbeat_ms, sizeof heartbeat_ms, "%lld", (long long)(session / 4 < 1000 ? session / 4 : 1000));
    const struct kafka_setting settings[] = {{"group.id", config->consumer.group},
                                             {"group.instance.id", member},
                                             {"session.timeout.ms", session_ms},
                                             {"heartbeat.interval.ms", heartbeat_ms},
                                             {"max.poll.interval.ms", "600000"},
                                             {"enable.partition.eof", "true"},
                                             {"topic.metadata.refresh.interval.ms", "10000"},
                                             {"topic.metadata.refresh.fast.interval.ms", "50"},
                                             {"topic.metadata.propagation.max.ms", "1000"}};
    struct topic_kafka *topics = calloc(1, sizeof *topics);
    *made = NULL;
    if (!topics)
        return err_set(err, RETRY, 0, "no memory for a Kafka client");
    topics->wanted = rd_kafka_topic_partition_list_new(16);
    topics->given = rd_kafka_topic_partition_list_new(1);
    topics->group = config->consumer.group;
    enum outcome outcome =
        kafka_client(&topics->client, RD_KAFKA_CONSUMER, config, "consumer", settings,
                     sizeof settings / sizeof(*settings), topics, on_rebalance, NULL, on_error, err);
    if (outcome == OK) {
        want_topics(topics->wanted, policy);
        rd_kafka_resp_err_t code = rd_kafka_subscribe(topics->client, topics->wanted);
        if (code)
            outcome = err_set(err, FATAL, (int)code, "subscribing: %s", rd_kafka_err2str(code));
    }
    if (outcome != OK) {
        topic_kafka_free(topics);
        return outcome;
    }
    *made = topics;
    return OK;
}

/* Destroying waits for librdkafka's threads, and 2.0.2 never ends that wait after a topic was deleted under
 * it. By then nothing hangs on the client any more: it is given its time, then left to the end of the
 * process. */
struct farewell {
    rd_kafka_t *client;
    sem_t gone;
};

static void *destroy_client(void *context) {
    struct farewell *farewell = context;
    rd_kafka_destroy(farewell->client);
    (void)sem_post(&farewell->gone);
    return NULL;
}

/* False when it was left. */
static bool client_end(rd_kafka_t *client) {
    struct farewell *farewell = malloc(sizeof *farewell);
    pthread_t thread;
    struct timespec until;
    if (!farewell || sem_init(&farewell->gone, 0, 0) != 0) {
        free(farewell);
        return false;
    }
    farewell->client = client;
    if (pthread_create(&thread, NULL, destroy_client, farewell) != 0) {
        free(farewell);
        return false;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += CLOSE_TIMEOUT_MS / 1000;
    int waited;
    while ((waited = sem_clockwait(&farewell->gone, CLOCK_MONOTONIC, &until)) != 0 && errno == EINTR) {
    }
    if (waited != 0) {
        (void)pthread_detach(thread);
        log_write(LOG_WARNING, "client_left", "The Kafka client does not end; it is left behind.");
        return false;
    }
    (void)pthread_join(thread, NULL);
    (void)sem_destroy(&farewell->gone);
    free(farewell);
    return true;
}

void topic_kafka_free(struct topic_kafka *topics) {
    if (!topics)
        return;
    topics->closing = true;
    if (topics->client) {
        (void)rd_kafka_consumer_close(topics->client);
        if (!client_end(topics->client))
            return; /* its threads may still look at us */
    }
    rd_kafka_topic_partition_list_destroy(topics->wanted);
    rd_kafka_topic_partition_list_destroy(topics->given);
    free(topics);
}

/* A fatal error says what the group's coordinator made of a member: after an outage it may take ours for its
 * own double, although the instance's lock in the register lets none run. */
bool topic_kafka_lost(const struct topic_kafka *topics, struct err *err) {
    char reason[160];
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(topics->client, reason, sizeof reason);
    if (code)
        (void)err_set(err, RETRY, (int)code, "Kafka: %s", rd_kafka_err2name(code));
    return code != RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* ---- polling ---- */

static void take_message(rd_kafka_message_t *message, struct topic_polled *polled, enum topic_news news) {
    polled->news = news;
    polled->topic = text_of(rd_kafka_topic_name(message->rkt));
    polled->partition = message->partition;
    polled->offset = message->offset;
    polled->size_bytes = message->len;
}

/* An event that is no record. Its topic's name lives as long as the client knows the topic. */
static enum outcome take_event(struct topic_kafka *topics, rd_kafka_message_t *message,
                               struct topic_polled *polled, struct err *err) {
    switch (message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        take_message(message, polled, TOPIC_END);
        return OK;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        if (message->rkt)
            take_message(message, polled, TOPIC_OUT_OF_RANGE);
        return OK;
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
        polled->news = TOPIC_AWAY;
        return OK;
    case RD_KAFKA_RESP_ERR__FATAL:
        (void)topic_kafka_lost(topics, err);
        return RETRY;
    default: /* missing topics and the like: shown by check */
        log_write(LOG_DEBUG, "kafka_event", "The client reports.",
                  LOG_STRING("code", rd_kafka_err2name(message->err)));
        return OK;
    }
}

static enum outcome kafka_poll(void *context, int timeout_ms, struct topic_polled *polled, struct err *err) {
    struct topic_kafka *topics = context;
    *polled = (struct topic_polled){.news = TOPIC_NOTHING};
    rd_kafka_message_t *message = rd_kafka_consumer_poll(topics->client, timeout_ms);
    enum outcome outcome = OK;
    if (message && !message->err) {
        take_message(message, polled, TOPIC_RECORD);
        polled->message = message;
        if (!topics->reassigned)
            return OK;
    } else if (message) {
        outcome = take_event(topics, message, polled, err);
    }
    if (message)
        rd_kafka_message_destroy(message);
    if (topics->reassigned && outcome == OK) {
        topics->reassigned = false;
        *polled = (struct topic_polled){.news = TOPIC_REASSIGNED};
    }
    return outcome;
}

static enum outcome kafka_view(void *context, void *message, struct arena *arena, struct record *record) {
    (void)context;
    return kafka_record(message, arena, record);
}

static void kafka_release(void *context, void *message) {
    (void)context;
    rd_kafka_message_destroy(message);
}

/* ---- positions ---- */

static enum outcome kafka_assigned(void *context, struct arena *arena, struct topic_place **places,
                                   size_t *count, struct err *err) {
    struct topic_kafka *topics = context;
    *count = (size_t)topics->given->cnt;
    *places = ARENA_ARRAY(arena, struct topic_place, *count + 1);
    if (!*places)
        return err_set(err, FATAL, 0, "no memory for the partitions of a rebalance");
    for (size_t i = 0; i < *count; i++)
        (*places)[i] = (struct topic_place){.topic = text_of(topics->given->elems[i].topic),
                                            .partition = topics->given->elems[i].partition};
    return OK;
}

static rd_kafka_topic_partition_list_t *list_of(const struct topic_place *places, size_t count) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count + 1);
    char name[250];
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%.*s", TEXT_ARGS(places[i].topic));
        rd_kafka_topic_partition_list_add(list, name, places[i].partition)->offset = places[i].offset;
    }
    return list;
}

static enum outcome kafka_assign(void *context, const struct topic_place *places, size_t count,
                                 struct err *err) {
    struct topic_kafka *topics = context;
    rd_kafka_topic_partition_list_t *list = list_of(places, count);
    rd_kafka_resp_err_t code = assign_and_settle(topics, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return OK;
    if (code == RD_KAFKA_RESP_ERR__FATAL)
        return err_set(err, RETRY, (int)code, "Kafka: the client ended");
    return err_set(err, RETRY, (int)code, "assigning: %s", rd_kafka_err2name(code));
}

static enum outcome kafka_watermarks(void *context, struct text topic, int32_t partition, int64_t *low,
                                     int64_t *high, struct err *err) {
    struct topic_kafka *topics = context;
    char name[250];
    snprintf(name, sizeof name, "%.*s", TEXT_ARGS(topic));
    rd_kafka_resp_err_t code =
        rd_kafka_query_watermark_offsets(topics->client, name, partition, low, high, ASK_TIMEOUT_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return OK;
    return err_set(err, RETRY, (int)code, "asking for the ends of %s/%d: %s", name, partition,
                   rd_kafka_err2name(code));
}

static void kafka_commit(void *context, const struct topic_place *places, size_t count) {
    struct topic_kafka *topics = context;
    rd_kafka_topic_partition_list_t *list = list_of(places, count);
    (void)rd_kafka_commit(topics->client, list, 1);
    rd_kafka_topic_partition_list_destroy(list);
}

static enum outcome kafka_cluster(void *context, struct arena *arena, struct text *cluster_id,
                                  struct err *err) {
    struct topic_kafka *topics = context;
    *cluster_id = kafka_cluster_id(topics->client, ASK_TIMEOUT_MS, arena);
    return text_present(*cluster_id) ? OK : err_set(err, RETRY, 0, "Kafka's cluster id is not known yet");
}

/* ---- missing topics ---- */

/* 0: there is no such topic. */
static int topic_partitions(const struct rd_kafka_metadata *metadata, const char *name) {
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (strcmp(metadata->topics[i].topic, name) == 0 &&
            metadata->topics[i].err == RD_KAFKA_RESP_ERR_NO_ERROR)
            return metadata->topics[i].partition_cnt;
    return 0;
}

/* Joins anew when the group gives some partition to nobody. A follower's doing so changes nothing: not all
 * the time. */
static void look_for_left_out(struct topic_kafka *topics, const struct rd_kafka_metadata *metadata) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    if (!topics->joined || (topics->rejoined_at && now.tv_sec - topics->rejoined_at < REJOIN_EVERY_S))
        return;
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new((int)topics->partitions + 1);
    for (int i = 0; i < topics->wanted->cnt; i++) {
        const char *name = topics->wanted->elems[i].topic;
        for (int number = 0; number < topic_partitions(metadata, name); number++)
            rd_kafka_topic_partition_list_add(all, name, number);
    }
    int left_out = group_kafka_left_out(topics->client, topics->group, all, GROUP_TIMEOUT_MS);
    rd_kafka_topic_partition_list_destroy(all);
    if (!left_out)
        return;
    topics->rejoined_at = now.tv_sec;
    log_write(LOG_INFO, "partitions_left_out",
              "The group gives some partitions to nobody; it is asked to divide them again.",
              LOG_INT("partitions", left_out));
    rd_kafka_resp_err_t code = rd_kafka_subscribe(topics->client, topics->wanted);
    if (code)
        log_write(LOG_WARNING, "rejoin_refused", "The client does not join the group anew.",
                  LOG_STRING("error", rd_kafka_err2name(code)));
}

static enum outcome kafka_check(void *context, struct err *err) {
    struct topic_kafka *topics = context;
    const struct rd_kafka_metadata *metadata = NULL;
    char missing[200] = "";
    size_t used = 0;
    rd_kafka_resp_err_t code = rd_kafka_metadata(topics->client, 1, NULL, &metadata, ASK_TIMEOUT_MS);
    if (code)
        return err_set(err, RETRY, (int)code, "asking for the topics: %s", rd_kafka_err2name(code));
    topics->partitions = 0;
    for (int i = 0; i < topics->wanted->cnt; i++) {
        int partitions = topic_partitions(metadata, topics->wanted->elems[i].topic);
        topics->partitions += (unsigned)partitions;
        if (!partitions && used < sizeof missing)
            used += (size_t)snprintf(missing + used, sizeof missing - used, "%s%s", used ? ", " : "",
                                     topics->wanted->elems[i].topic);
    }
    look_for_left_out(topics, metadata);
    rd_kafka_metadata_destroy(metadata);
    return used ? err_set(err, POISON, 0, "%s", missing) : OK;
}

unsigned topic_kafka_partitions(const struct topic_kafka *topics) {
    return topics->partitions;
}

const struct topic_ops topic_kafka_ops = {.poll = kafka_poll,
                                          .view = kafka_view,
                                          .release = kafka_release,
                                          .assigned = kafka_assigned,
                                          .assign = kafka_assign,
                                          .watermarks = kafka_watermarks,
                                          .commit = kafka_commit,
                                          .cluster_id = kafka_cluster,
                                          .check = kafka_check};
