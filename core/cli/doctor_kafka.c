/* Questions of the command line to Kafka. */
#include "core/cli/doctor_kafka.h"

#include "core/kafka.h"
#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 10000

struct kafka_view {
    rd_kafka_t *client;
};

enum outcome kafka_view_open(struct kafka_view **view, const struct config *config, struct err *err) {
    struct kafka_view *made = calloc(1, sizeof(*made));
    *view = NULL;
    if (!made)
        return err_set(err, FATAL, 0, "out of memory");
    enum outcome outcome = kafka_client(&made->client, RD_KAFKA_PRODUCER, config, "operator", NULL, 0, NULL,
                                        NULL, NULL, NULL, err);
    if (outcome != OK) {
        free(made);
        return outcome;
    }
    *view = made;
    return OK;
}

void kafka_view_close(struct kafka_view *view) {
    if (!view)
        return;
    rd_kafka_destroy(view->client);
    free(view);
}

static enum outcome failed(const char *what, rd_kafka_resp_err_t code, struct err *err) {
    enum outcome outcome = kafka_outcome(code);
    if (code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
        code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        outcome = RETRY;
    return err_set(err, outcome, code, "Kafka: %s: %s", what, rd_kafka_err2str(code));
}

static int compare_topics(const void *left, const void *right) {
    const struct kafka_topic *a = left, *b = right;
    return text_compare(a->name, b->name);
}

/* librdkafka wants the names back as C strings. */
static struct text terminated(struct arena *arena, const char *name) {
    size_t size = strlen(name);
    char *copy = arena_take(arena, size + 1);
    if (!copy)
        return TEXT_ABSENT;
    memcpy(copy, name, size);
    return (struct text){copy, size};
}

enum outcome kafka_view_topics(struct kafka_view *view, struct arena *arena, struct kafka_topic **topics,
                               size_t *count, struct err *err) {
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(view->client, 1, NULL, &metadata, ANSWER_MS);
    if (code)
        return failed("the list of topics", code, err);
    enum outcome outcome = OK;
    *count = 0;
    *topics = ARENA_ARRAY(arena, struct kafka_topic, (size_t)metadata->topic_cnt + 1);
    for (int i = 0; *topics && i < metadata->topic_cnt; i++) {
        if (metadata->topics[i].err)
            continue;
        struct kafka_topic *topic = &(*topics)[(*count)++];
        topic->name = terminated(arena, metadata->topics[i].topic);
        topic->partitions = metadata->topics[i].partition_cnt;
        topic->retention_ms = topic->retention_bytes = topic->message_bytes = -2;
        if (!text_present(topic->name))
            outcome = err_set(err, FATAL, 0, "out of memory");
    }
    if (!*topics)
        outcome = err_set(err, FATAL, 0, "out of memory");
    if (outcome == OK)
        qsort(*topics, *count, sizeof(**topics), compare_topics);
    rd_kafka_metadata_destroy(metadata);
    return outcome;
}

const struct kafka_topic *kafka_topic_find(const struct kafka_topic *topics, size_t count, struct text name) {
    struct kafka_topic wanted = {.name = name};
    return count ? bsearch(&wanted, topics, count, sizeof(*topics), compare_topics) : NULL;
}

static void take_setting(struct kafka_topic *topic, const char *name, const char *value,
                         struct arena *arena) {
    if (!value)
        return;
    if (strcmp(name, "cleanup.policy") == 0)
        topic->cleanup = arena_text(arena, text_of(value));
    if (strcmp(name, "retention.ms") == 0)
        topic->retention_ms = strtoll(value, NULL, 10);
    if (strcmp(name, "retention.bytes") == 0)
        topic->retention_bytes = strtoll(value, NULL, 10);
    if (strcmp(name, "max.message.bytes") == 0)
        topic->message_bytes = strtoll(value, NULL, 10);
}

static void take_settings(rd_kafka_event_t *event, struct arena *arena, struct kafka_topic *topics,
                          size_t count) {
    size_t resource_count = 0;
    const rd_kafka_DescribeConfigs_result_t *result = rd_kafka_event_DescribeConfigs_result(event);
    const rd_kafka_ConfigResource_t **resources =
        rd_kafka_DescribeConfigs_result_resources(result, &resource_count);
    for (size_t i = 0; i < resource_count; i++) {
        size_t entry_count = 0;
        struct text name = text_of(rd_kafka_ConfigResource_name(resources[i]));
        const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resources[i], &entry_count);
        for (size_t t = 0; t < count; t++) {
            if (!text_equal(topics[t].name, name))
                continue;
            for (size_t e = 0; e < entry_count; e++)
                take_setting(&topics[t], rd_kafka_ConfigEntry_name(entries[e]),
                             rd_kafka_ConfigEntry_value(entries[e]), arena);
        }
    }
}

enum outcome kafka_view_settings(struct kafka_view *view, struct arena *arena, struct kafka_topic *topics,
                                 size_t count, struct err *err) {
    rd_kafka_queue_t *queue = rd_kafka_queue_new(view->client);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(view->client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_ConfigResource_t **resources = calloc(count ? count : 1, sizeof(*resources));
    rd_kafka_event_t *event = NULL;
    enum outcome outcome = OK;
    char why[128];
    if (!queue || !options || !resources) {
        outcome = err_set(err, FATAL, 0, "out of memory");
        goto out;
    }
    for (size_t i = 0; i < count; i++)
        resources[i] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topics[i].name.at);
    rd_kafka_AdminOptions_set_request_timeout(options, ANSWER_MS, why, sizeof(why));
    rd_kafka_DescribeConfigs(view->client, resources, count, options, queue);
    event = rd_kafka_queue_poll(queue, ANSWER_MS + 2000);
    if (!event) {
        outcome = err_set(err, RETRY, 0, "Kafka: the topics' settings: no answer");
    } else if (rd_kafka_event_error(event)) {
        outcome = failed("the topics' settings", rd_kafka_event_error(event), err);
    } else {
        take_settings(event, arena, topics, count);
    }
out:
    if (event)
        rd_kafka_event_destroy(event);
    if (resources) {
        for (size_t i = 0; i < count; i++) {
            if (resources[i])
                rd_kafka_ConfigResource_destroy(resources[i]);
        }
    }
    free(resources);
    if (options)
        rd_kafka_AdminOptions_destroy(options);
    if (queue)
        rd_kafka_queue_destroy(queue);
    return outcome;
}

enum outcome kafka_view_log(struct kafka_view *view, const char *topic, int partition, int64_t *start,
                            int64_t *end, struct err *err) {
    rd_kafka_resp_err_t code =
        rd_kafka_query_watermark_offsets(view->client, topic, partition, start, end, ANSWER_MS);
    if (code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
        code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        return err_set(err, POISON, code, "Kafka has no partition %d of %s", partition, topic);
    return code ? failed("where the log begins and ends", code, err) : OK;
}

enum outcome kafka_view_later(struct kafka_view *view, const struct kafka_topic *topics, size_t count,
                              int64_t timestamp_ms, int *partitions, struct err *err) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    *partitions = 0;
    for (size_t i = 0; i < count; i++) {
        for (int partition = 0; partition < topics[i].partitions; partition++)
            rd_kafka_topic_partition_list_add(list, topics[i].name.at, partition)->offset = timestamp_ms;
    }
    rd_kafka_resp_err_t code =
        list->cnt ? rd_kafka_offsets_for_times(view->client, list, ANSWER_MS) : RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; !code && i < list->cnt; i++) {
        if (!list->elems[i].err && list->elems[i].offset >= 0)
            (*partitions)++;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return code ? failed("records' timestamps", code, err) : OK;
}

struct text kafka_view_cluster_id(struct kafka_view *view, struct arena *arena) {
    return kafka_cluster_id(view->client, ANSWER_MS, arena);
}
