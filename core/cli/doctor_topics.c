/* What doctor asks of Kafka: whether every topic is there and keeps what it must, no longer than it may. */
#include "core/cli/doctor.h"
#include "core/clock.h"
#include "core/event.h"
#include "core/term.h"
#include <string.h>

#define DAY_US INT64_C(86400000000)
#define AHEAD_MS 300000 /* a record may be that much ahead (SEMANTICS, dead-letter reason 16) */
#define INPUT_RECORD_BYTES 524288

enum retention { KEEPS_ANYTHING, KEEPS_INPUT, KEEPS_DISCLOSURE, KEEPS_FOREVER, KEEPS_LATEST };

struct topic_rule {
    const char *name;
    enum retention retention;
    bool single;
};
static const struct topic_rule outputs[] = {
    {"register.anonymization.v1", KEEPS_ANYTHING, false},
    {"register.marketing-permission.v1", KEEPS_LATEST, false},
    {"register.request.v1", KEEPS_ANYTHING, false},
    {"register.erasure.v1", KEEPS_LATEST, false},
    {"register.command.v1", KEEPS_FOREVER, false},
    {"register.dead-letter.v1", KEEPS_ANYTHING, false},
    {"register.outbox-position.v1", KEEPS_LATEST, true},
};

struct topics {
    struct doctor *doctor;
    struct kafka_view *view;
    struct kafka_topic *at;
    size_t count;
    int64_t input_ms, disclosure_ms; /* the policy's limits; -1: none is known */
    struct kafka_topic inputs[64];
    size_t input_count;
};

/* How long a term is from now on, by the calendar. */
static int64_t term_ms(const struct term *term) {
    int32_t today = (int32_t)(clock_system.now_us(NULL) / DAY_US);
    return (int64_t)(date_add(today, term) - today) * 86400000 + (int64_t)term->hours * 3600000;
}

static void judge_retention(struct topics *topics, const struct kafka_topic *topic, const char *name,
                            int64_t limit_ms, const char *setting) {
    char way_out[200];
    if (limit_ms < 0 || (topic->retention_ms >= 0 && topic->retention_ms <= limit_ms))
        return;
    snprintf(way_out, sizeof(way_out), "set retention.ms=%lld on %s", (long long)limit_ms, name);
    if (topic->retention_ms == -1)
        doctor_find(topics->doctor, GRADE_ERROR, "topics", way_out,
                    "%s keeps records for ever, the policy allows %lld days (%s).", name,
                    (long long)(limit_ms / 86400000), setting);
    else if (topic->retention_ms > limit_ms)
        doctor_find(topics->doctor, GRADE_ERROR, "topics", way_out,
                    "%s keeps records %lld days, the policy allows %lld (%s).", name,
                    (long long)(topic->retention_ms / 86400000), (long long)(limit_ms / 86400000), setting);
}

static void judge_cleanup(struct topics *topics, const struct kafka_topic *topic,
                          const struct topic_rule *rule) {
    char way_out[200];
    bool compacts = text_is(topic->cleanup, "compact");
    if (!text_present(topic->cleanup))
        return;
    if (rule->retention == KEEPS_LATEST && !compacts) {
        snprintf(way_out, sizeof(way_out), "set cleanup.policy=compact on %s", rule->name);
        doctor_find(topics->doctor, GRADE_ERROR, "topics", way_out,
                    "%s is not compacted only: its latest records would expire.", rule->name);
    } else if (rule->retention != KEEPS_LATEST && !text_is(topic->cleanup, "delete")) {
        snprintf(way_out, sizeof(way_out), "set cleanup.policy=delete on %s", rule->name);
        doctor_find(topics->doctor, GRADE_ERROR, "topics", way_out,
                    "%s is compacted: records would be lost or kept too long.", rule->name);
    }
    if (rule->retention == KEEPS_FOREVER && (topic->retention_ms != -1 || topic->retention_bytes != -1)) {
        snprintf(way_out, sizeof(way_out), "set retention.ms=-1 and retention.bytes=-1 on %s", rule->name);
        doctor_find(topics->doctor, GRADE_ERROR, "topics", way_out,
                    "%s forgets records; a rebuilt register needs them all.", rule->name);
    }
}

static void judge(struct topics *topics, const struct topic_rule *rule) {
    char way_out[200];
    const struct kafka_topic *topic = kafka_topic_find(topics->at, topics->count, text_of(rule->name));
    if (!topic) {
        snprintf(way_out, sizeof(way_out), "create the topic %s", rule->name);
        doctor_find(topics->doctor, GRADE_ERROR, "topics", way_out, "There is no topic %s.", rule->name);
        return;
    }
    judge_cleanup(topics, topic, rule);
    if (rule->single && topic->partitions != 1)
        doctor_find(topics->doctor, GRADE_ERROR, "topics",
                    "make it anew with one partition, then kundregister producer reconcile",
                    "%s has %d partitions, it must have one.", rule->name, topic->partitions);
    if (rule->retention == KEEPS_DISCLOSURE)
        judge_retention(topics, topic, rule->name, topics->disclosure_ms, "topics.disclosure_retention_max");
    if (rule->retention != KEEPS_INPUT)
        return;
    judge_retention(topics, topic, rule->name, topics->input_ms, "topics.input_retention_max");
    if (topic->message_bytes >= 0 && topic->message_bytes <= INPUT_RECORD_BYTES &&
        strcmp(rule->name, "shop.order.v1") == 0)
        doctor_find(topics->doctor, GRADE_WARNING, "topics", "set max.message.bytes=1048576 on shop.order.v1",
                    "shop.order.v1 takes records of %lld bytes; an order may have 512 KiB.",
                    (long long)topic->message_bytes);
    if (topics->input_count < sizeof(topics->inputs) / sizeof(*topics->inputs))
        topics->inputs[topics->input_count++] = *topic;
}

static void judge_recipients(struct topics *topics) {
    const struct policy *policy = topics->doctor->policy;
    if (!policy) {
        doctor_find(topics->doctor, GRADE_WARNING, "topics", "activate a policy",
                    "Without a policy, nobody knows the carriers' topics.");
        return;
    }
    for (size_t i = 0; i < policy->recipient_count; i++) {
        char *names[2] = {arena_take(&topics->doctor->session->arena, 256),
                          arena_take(&topics->doctor->session->arena, 256)};
        if (!names[0] || !names[1])
            return;
        snprintf(names[0], 256, "carrier.%.*s.v1", TEXT_ARGS(policy->recipients[i].id));
        snprintf(names[1], 256, "disclosure.%.*s.v1", TEXT_ARGS(policy->recipients[i].id));
        judge(topics, &(struct topic_rule){names[0], KEEPS_INPUT, false});
        judge(topics, &(struct topic_rule){names[1], KEEPS_DISCLOSURE, false});
    }
}

static void judge_all(struct topics *topics) {
    struct doctor *doctor = topics->doctor;
    size_t before = doctor->counts[GRADE_ERROR] + doctor->counts[GRADE_WARNING];
    const char *last = "";
    for (int type = 0; type < EVENT_INPUT_TYPES; type++) {
        const char *name = event_infos[type].topic;
        if (!name || strcmp(name, "carrier") == 0 || strcmp(name, last) == 0 || type == COMMAND_TIED)
            continue;
        judge(topics, &(struct topic_rule){name, KEEPS_INPUT, false});
        last = name;
    }
    judge_recipients(topics);
    for (size_t i = 0; i < sizeof(outputs) / sizeof(*outputs); i++)
        judge(topics, &outputs[i]);
    if (doctor->counts[GRADE_ERROR] + doctor->counts[GRADE_WARNING] == before)
        doctor_find(doctor, GRADE_OK, "topics", NULL,
                    "Every topic is there and keeps what it must, no longer than it may.");
}

/* Kafka tells no clock of its own: records that come from the future do. */
static void examine_clock(struct topics *topics) {
    int partitions = 0;
    struct err *err = &topics->doctor->session->err;
    int64_t now_ms = clock_system.now_us(NULL) / 1000;
    if (kafka_view_later(topics->view, topics->inputs, topics->input_count, now_ms + AHEAD_MS, &partitions,
                         err) != OK)
        doctor_find(topics->doctor, GRADE_WARNING, "kafka", NULL, "%s", err->text);
    else if (partitions > 0)
        doctor_find(topics->doctor, GRADE_WARNING, "kafka",
                    "have NTP set the clocks of producers, brokers and this machine",
                    "%d input partitions hold records more than 5 minutes ahead of this machine's clock.",
                    partitions);
    else
        doctor_find(topics->doctor, GRADE_OK, "kafka", NULL,
                    "No input record is ahead of this machine's clock.");
}

void doctor_topics(struct doctor *doctor) {
    struct session *session = doctor->session;
    struct topics *topics = ARENA_NEW(&session->arena, struct topics);
    if (!topics)
        return;
    topics->doctor = doctor;
    topics->input_ms = doctor->policy ? term_ms(&doctor->policy->input_retention_max) : -1;
    topics->disclosure_ms = doctor->policy ? term_ms(&doctor->policy->disclosure_retention_max) : -1;
    enum outcome outcome = kafka_view_open(&topics->view, &session->config, &session->err);
    if (outcome == OK)
        outcome =
            kafka_view_topics(topics->view, &session->arena, &topics->at, &topics->count, &session->err);
    if (outcome != OK) {
        doctor->unreachable = doctor->unreachable || outcome == RETRY;
        doctor_find(doctor, GRADE_ERROR, "kafka", "start the broker, or correct [kafka] in the configuration",
                    "%s", session->err.text);
        kafka_view_close(topics->view);
        return;
    }
    doctor_find(doctor, GRADE_OK, "kafka", NULL, "It answers and shows %zu topics.", topics->count);
    if (kafka_view_settings(topics->view, &session->arena, topics->at, topics->count, &session->err) != OK)
        doctor_find(doctor, GRADE_WARNING, "kafka", "allow the operator DESCRIBE_CONFIGS on topics",
                    "The topics' settings cannot be read: %s", session->err.text);
    judge_all(topics);
    examine_clock(topics);
    kafka_view_close(topics->view);
}
