/* `status`: how far inputs and outputs are, and what needs attention. */
#include "core/cli/command.h"
#include "core/cli/doctor_kafka.h"
#include "queries.h"
#include <stdarg.h>

#define HORIZON_ALARM_US 10000000
#define BACKLOG_ALARM_US 60000000

struct looking {
    struct session *session;
    struct db *reg;
    struct kafka_view *view; /* NULL: Kafka cannot be reached */
    struct {
        struct text *at;
        size_t count, room;
    } attention;
};

static void attend(struct looking *looking, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void attend(struct looking *looking, const char *format, ...) {
    char buffer[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(buffer, sizeof(buffer), format, arguments);
    va_end(arguments);
    struct text *line = ARENA_PUSH(&looking->session->arena, &looking->attention);
    if (line)
        *line = arena_text(&looking->session->arena, text_of(buffer));
}

/* How many records wait in a partition; -1 = unknown. */
static int64_t lag(struct looking *looking, struct text topic, int partition, int64_t next) {
    char name[256];
    int64_t start = 0, end = 0;
    snprintf(name, sizeof(name), "%.*s", TEXT_ARGS(topic));
    if (!looking->view || text_is(topic, "calendar"))
        return -1;
    if (kafka_view_log(looking->view, name, partition, &start, &end, &looking->session->err) == OK)
        return end > next ? end - next : 0;
    if (looking->session->err.kind == RETRY) {
        kafka_view_close(looking->view); /* one wait for a broker that is away is enough */
        looking->view = NULL;
    } else {
        attend(looking, "Kafka has no %s/%d any more.", name, partition);
    }
    return -1;
}

static int look_at_inputs(struct looking *looking) {
    struct db_result *result = NULL;
    struct output *output = looking->session->output;
    size_t without_daemon = 0;
    int code = session_run(looking->session, looking->reg, &query_cli_positions, NULL, &result);
    if (code != EXIT_FINE)
        return code;
    output_table(output, "inputs", "Inputs", "Inputs: nothing was read yet.");
    for (size_t row = 0; row < db_rows(result); row++) {
        struct text topic = db_text(result, row, 0), parked = db_text(result, row, 7);
        int partition = (int)db_int(result, row, 1);
        int64_t behind = lag(looking, topic, partition, db_int(result, row, 2));
        output_row(output);
        output_text(output, "topic", topic);
        output_int(output, "partition", partition);
        output_int(output, "next", db_int(result, row, 2));
        if (behind >= 0)
            output_int(output, "lag", behind);
        else
            output_null(output, "lag");
        output_bool(output, "running", db_bool(result, row, 5));
        output_time(output, "decided", db_time(result, row, 6));
        output_text(output, "parked", parked);
        if (text_present(parked))
            attend(looking, "%.*s/%d is parked (%.*s): `kundregister help consumer position accept`.",
                   TEXT_ARGS(topic), partition, TEXT_ARGS(parked));
        without_daemon += db_bool(result, row, 5) ? 0 : 1;
    }
    output_table_end(output);
    if (db_rows(result) == 0)
        attend(looking, "No consumer has read anything yet.");
    else if (without_daemon > 0)
        attend(looking, "%zu of %zu partitions have no consumer that runs.", without_daemon, db_rows(result));
    db_result_release(result);
    return EXIT_FINE;
}

static int look_at_outputs(struct looking *looking) {
    struct db_result *result = NULL;
    struct output *output = looking->session->output;
    int code = session_run(looking->session, looking->reg, &query_cli_backlog, NULL, &result);
    if (code != EXIT_FINE)
        return code;
    output_table(output, "outputs", "Outputs", "Outputs: nothing was decided yet.");
    for (size_t row = 0; row < db_rows(result); row++) {
        struct text topic = db_text(result, row, 0);
        int64_t waiting = db_int(result, row, 3);
        output_row(output);
        output_text(output, "topic", topic);
        output_int(output, "mirror", db_int(result, row, 1));
        output_time(output, "published", db_time(result, row, 2));
        output_int(output, "waiting", waiting);
        output_seconds(output, "oldest_seconds", db_int(result, row, 4));
        if (waiting > 0 && db_int(result, row, 4) > BACKLOG_ALARM_US)
            attend(looking, "%lld outputs for %.*s wait, the oldest for %lld s: does the producer run?",
                   (long long)waiting, TEXT_ARGS(topic), (long long)(db_int(result, row, 4) / 1000000));
    }
    output_table_end(output);
    db_result_release(result);
    return EXIT_FINE;
}

static int look_at_publication(struct looking *looking) {
    struct db_result *result = NULL;
    struct output *output = looking->session->output;
    int code = session_run(looking->session, looking->reg, &query_cli_publication, NULL, &result);
    if (code != EXIT_FINE)
        return code;
    output_table(output, "not_simply_published", "Not simply published", NULL);
    for (size_t row = 0; row < db_rows(result); row++) {
        output_row(output);
        output_text(output, "topic", db_text(result, row, 0));
        output_text(output, "state", db_text(result, row, 1));
        output_int(output, "outputs", db_int(result, row, 2));
        if (text_is(db_text(result, row, 1), "unpublishable"))
            attend(looking, "Kafka refuses %lld outputs for %.*s for good.",
                   (long long)db_int(result, row, 2), TEXT_ARGS(db_text(result, row, 0)));
    }
    output_table_end(output);
    db_result_release(result);
    return EXIT_FINE;
}

static int look_at_dead_letters(struct looking *looking) {
    struct db_result *result = NULL;
    struct output *output = looking->session->output;
    int code = session_run(looking->session, looking->reg, &query_cli_dead_letter_counts, NULL, &result);
    if (code != EXIT_FINE)
        return code;
    output_table(output, "dead_letters", "Dead letters", NULL);
    for (size_t row = 0; row < db_rows(result); row++) {
        output_row(output);
        output_text(output, "reason", db_text(result, row, 0));
        output_int(output, "records", db_int(result, row, 1));
        output_time(output, "latest", db_time(result, row, 2));
    }
    output_table_end(output);
    db_result_release(result);
    return EXIT_FINE;
}

static int look_at_rest(struct looking *looking) {
    struct db_result *result = NULL;
    struct output *output = looking->session->output;
    int code = session_run(looking->session, looking->reg, &query_cli_status, NULL, &result);
    if (code != EXIT_FINE)
        return code;
    output_text(output, "policy", db_text(result, 0, 0));
    output_int(output, "events_parked", db_int(result, 0, 1));
    output_int(output, "dead_letters_total", db_int(result, 0, 2));
    output_int(output, "outbox_last_number", db_int(result, 0, 3));
    if (db_is_null(result, 0, 4))
        output_null(output, "horizon_age_seconds");
    else
        output_seconds(output, "horizon_age_seconds", db_int(result, 0, 4));
    output_bool(output, "kafka_reachable", looking->view != NULL);
    if (db_is_null(result, 0, 0))
        attend(looking, "No policy is active: `kundregister policy activate`.");
    if (!db_is_null(result, 0, 4) && db_int(result, 0, 4) > HORIZON_ALARM_US)
        attend(looking, "A transaction holds the outbox's horizon for %lld s (backend pid %lld).",
               (long long)(db_int(result, 0, 4) / 1000000), (long long)db_int(result, 0, 5));
    db_result_release(result);
    return EXIT_FINE;
}

static int look(struct looking *looking) {
    struct output *output = looking->session->output;
    int code = look_at_inputs(looking);
    if (code == EXIT_FINE)
        code = look_at_outputs(looking);
    if (code == EXIT_FINE)
        code = look_at_publication(looking);
    if (code == EXIT_FINE)
        code = look_at_dead_letters(looking);
    if (code == EXIT_FINE)
        code = look_at_rest(looking);
    if (code != EXIT_FINE)
        return code;
    if (looking->session->json)
        output_table(output, "attention", NULL, NULL);
    for (size_t i = 0; i < looking->attention.count; i++) {
        if (!looking->session->json) {
            output_note(output, "attention: %.*s", TEXT_ARGS(looking->attention.at[i]));
            continue;
        }
        output_row(output);
        output_text(output, "what", looking->attention.at[i]);
    }
    output_table_end(output);
    if (!looking->view)
        return EXIT_UNREACHABLE;
    return looking->attention.count > 0 ? EXIT_FINDING : EXIT_FINE;
}

int command_status(struct session *session, const struct arguments *arguments) {
    struct looking looking = {.session = session};
    struct kafka_topic *topics = NULL;
    size_t count = 0;
    (void)arguments;
    int code = session_open(session, CLUSTER_REGISTER, ROLE_OPERATOR, &looking.reg);
    if (code == EXIT_FINE)
        code = session_schema(session, looking.reg, CLUSTER_REGISTER);
    if (code != EXIT_FINE)
        return code;
    if (kafka_view_open(&looking.view, &session->config, &session->err) != OK)
        return session_failed(session, &session->err);
    if (kafka_view_topics(looking.view, &session->arena, &topics, &count, &session->err) != OK) {
        session_failed(session, &session->err);
        kafka_view_close(looking.view);
        looking.view = NULL;
    }
    code = look(&looking);
    kafka_view_close(looking.view);
    if (code != EXIT_FINE && code != EXIT_FINDING && code != EXIT_UNREACHABLE)
        return code;
    return session_print(session, code);
}
