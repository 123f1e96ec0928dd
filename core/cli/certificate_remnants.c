/* The part of an erasure certificate about what the register cannot reach: topics, backups of the vault,
 * recipients' own copies. */
#include "core/cli/certificate.h"
#include "core/cli/doctor_kafka.h"
#include "core/clock.h"

#include <string.h>

#define DAY_US INT64_C(86400000000)
#define DAY_MS INT64_C(86400000)

struct remnants {
    struct certificate *certificate;
    struct kafka_topic *topics; /* NULL: Kafka does not tell */
    size_t topic_count;
    int64_t from_us; /* what may lie there was written no later */
};

/* The instant after that many milliseconds; TIME_NONE for ever, or unknown. */
static int64_t after_ms(int64_t from_us, int64_t term_ms) {
    int64_t end_us;
    if (term_ms < 0 || __builtin_mul_overflow(term_ms, INT64_C(1000), &end_us) ||
        __builtin_add_overflow(end_us, from_us, &end_us))
        return TIME_NONE;
    return end_us;
}

/* By the calendar, from that instant on. */
static int64_t term_ms(int64_t from_us, const struct term *term) {
    int32_t day = (int32_t)(from_us / DAY_US);
    return (int64_t)(date_add(day, term) - day) * DAY_MS + (int64_t)term->hours * 3600000;
}

static void put_topic(const struct remnants *remnants, const char *name, const struct term *limit) {
    struct output *output = remnants->certificate->session->output;
    const struct kafka_topic *topic =
        kafka_topic_find(remnants->topics, remnants->topic_count, text_of(name));
    int64_t retention_ms = topic ? topic->retention_ms : -2;
    int64_t limit_ms = limit ? term_ms(remnants->from_us, limit) : -1;
    bool told = retention_ms != -2;
    output_row(output);
    output_string(output, "where", "topic");
    output_string(output, "name", name);
    output_time(output, "until", after_ms(remnants->from_us, told ? retention_ms : limit_ms));
    if (told && retention_ms == -1)
        output_string(output, "because", "it keeps records for ever: see kundregister doctor");
    else if (told)
        output_format(output, "because", "retention.ms is %lld (%lld days)%s", (long long)retention_ms,
                      (long long)(retention_ms / DAY_MS),
                      limit_ms >= 0 && retention_ms > limit_ms
                          ? ", more than the policy allows: see kundregister doctor"
                          : "");
    else
        output_string(output, "because", "Kafka does not tell; the policy's longest");
}

/* What the shop sent, and what recipients were sent. */
static void put_topics(const struct remnants *remnants) {
    const struct certificate *certificate = remnants->certificate;
    const struct policy *policy = certificate->policy;
    const char *last = "";
    for (int type = 0; type < EVENT_INPUT_TYPES; type++) {
        const char *name = event_infos[type].topic;
        if (!name || strcmp(name, "carrier") == 0 || strcmp(name, last) == 0 || type == COMMAND_TIED)
            continue;
        put_topic(remnants, name, policy ? &policy->input_retention_max : NULL);
        last = name;
    }
    for (size_t i = 0; i < certificate->recipients.count; i++) {
        struct text id = certificate->recipients.at[i];
        char *name = arena_take(&certificate->session->arena, 256);
        if (!name)
            return;
        snprintf(name, 256, "carrier.%.*s.v1", TEXT_ARGS(id));
        put_topic(remnants, name, policy ? &policy->input_retention_max : NULL);
        name = arena_take(&certificate->session->arena, 256);
        if (!name)
            return;
        snprintf(name, 256, "disclosure.%.*s.v1", TEXT_ARGS(id));
        put_topic(remnants, name, policy ? &policy->disclosure_retention_max : NULL);
    }
}

static void put_vault(const struct remnants *remnants) {
    const struct certificate *certificate = remnants->certificate;
    struct output *output = certificate->session->output;
    int64_t from_us = certificate->destroyed_us;
    int64_t until_us = TIME_NONE;
    if (certificate->policy && from_us != TIME_NONE)
        until_us = after_ms(from_us, term_ms(from_us, &certificate->policy->vault_remnants_max));
    output_row(output);
    output_string(output, "where", "vault");
    output_string(output, "name", "backups and write-ahead log of the vault from before");
    output_time(output, "until", until_us);
    output_string(output, "because",
                  from_us == TIME_NONE ? "the keys are not destroyed yet: vault.remnants_max counts from then"
                                       : "vault.remnants_max");
}

/* Kafka being away is no reason to refuse the rest: the policy's limits stand in, and the answer says so. */
static void read_topics(struct remnants *remnants, struct kafka_view **view) {
    struct session *session = remnants->certificate->session;
    struct err err;
    if (kafka_view_open(view, &session->config, &err) == OK &&
        kafka_view_topics(*view, &session->arena, &remnants->topics, &remnants->topic_count, &err) == OK &&
        kafka_view_settings(*view, &session->arena, remnants->topics, remnants->topic_count, &err) == OK)
        return;
    remnants->topics = NULL;
    remnants->topic_count = 0;
}

int certificate_remnants(struct certificate *certificate) {
    struct output *output = certificate->session->output;
    struct kafka_view *view = NULL;
    int64_t now_us = clock_system.now_us(NULL);
    struct remnants remnants = {.certificate = certificate, .from_us = certificate->destroyed_us};
    if (remnants.from_us == TIME_NONE || !certificate->complete)
        remnants.from_us = now_us;
    read_topics(&remnants, &view);
    output_table(output, "remnants", "Remnants that the register cannot reach, at the longest until", NULL);
    put_topics(&remnants);
    put_vault(&remnants);
    for (size_t i = 0; i < certificate->recipients.count; i++) {
        output_row(output);
        output_string(output, "where", "recipient");
        output_text(output, "name", certificate->recipients.at[i]);
        output_null(output, "until");
        output_string(output, "because", "its own copies: see the notices to erase");
    }
    output_table_end(output);
    output_bool(output, "key_rotation", false);
    output_note(output,
                "Rotation of the key-encryption key is not built yet: until the vault's backups from before "
                "are deleted, whoever");
    output_note(output, "holds one of them and that key can open what was erased.");
    output_note(output,
                "The customer's id and order ids stay readable while anything that is kept hangs on them.");
    kafka_view_close(view);
    return EXIT_FINE;
}
