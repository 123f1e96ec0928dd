/* `consumer position list|accept|reset`: where the inputs stand, and the two ways in which an operator moves
 * that.
 *
 * A worker writes its position only WHERE epoch is the one that it claimed, so raising the epoch here fences
 * whoever might hold the partition: his next batch is rolled back whole and he claims again. */
#include "core/cli/command.h"
#include "core/cli/doctor_kafka.h"
#include "queries.h"
#include <string.h>

int command_position_list(struct session *session, const struct arguments *arguments) {
    struct db *reg = NULL;
    struct db_result *result = NULL;
    (void)arguments;
    int code = session_open(session, CLUSTER_REGISTER, ROLE_OPERATOR, &reg);
    if (code == EXIT_FINE)
        code = session_schema(session, reg, CLUSTER_REGISTER);
    if (code == EXIT_FINE)
        code = session_run(session, reg, &query_cli_positions, NULL, &result);
    if (code != EXIT_FINE)
        return code;
    bool parked = false;
    output_table(session->output, "positions", NULL, "Nothing was read yet.");
    for (size_t row = 0; row < db_rows(result); row++) {
        output_row(session->output);
        output_text(session->output, "topic", db_text(result, row, 0));
        output_int(session->output, "partition", db_int(result, row, 1));
        output_int(session->output, "next", db_int(result, row, 2));
        output_int(session->output, "epoch", db_int(result, row, 3));
        output_text(session->output, "owner", db_text(result, row, 4));
        output_bool(session->output, "running", db_bool(result, row, 5));
        output_time(session->output, "decided", db_time(result, row, 6));
        output_text(session->output, "parked", db_text(result, row, 7));
        parked = parked || !db_is_null(result, row, 7);
    }
    output_table_end(session->output);
    db_result_release(result);
    return session_print(session, parked ? EXIT_FINDING : EXIT_FINE);
}

/* Connections and the row or rows in question, as the consumer's role. topic NULL: all; partition -1: all of
 * it. */
static int find_rows(struct session *session, struct db **reg, const char *topic, int partition,
                     struct db_result **result) {
    int code = session_open(session, CLUSTER_REGISTER, ROLE_CONSUMER, reg);
    if (code == EXIT_FINE)
        code = session_schema(session, *reg, CLUSTER_REGISTER);
    struct db_params *params = db_params_new(&session->arena, query_cli_position_find.params);
    if (code != EXIT_FINE || !params)
        return code != EXIT_FINE ? code : session_refuse(session, EXIT_REFUSED, "out of memory");
    db_param_text(params, text_of(topic));
    db_param_int4(params, partition);
    code = session_run(session, *reg, &query_cli_position_find, params, result);
    if (code == EXIT_FINE && db_rows(*result) == 0)
        code = session_refuse(session, EXIT_FINDING,
                              "no such partition was ever read; `kundregister consumer position list`");
    return code;
}

struct move {
    struct text topic;
    int partition;
    int64_t from, to;
    bool keeps_fingerprint;
    struct text cluster_id;
    const char *owner;
};

static int write_move(struct session *session, struct db *reg, const struct move *move) {
    struct db_params *params = db_params_new(&session->arena, query_cli_position_move.params);
    struct db_result *result = NULL;
    if (!params)
        return session_refuse(session, EXIT_REFUSED, "out of memory");
    db_param_text(params, move->topic);
    db_param_int4(params, move->partition);
    db_param_int8(params, move->from);
    db_param_int8(params, move->to);
    db_param_bool(params, move->keeps_fingerprint);
    db_param_text(params, move->cluster_id);
    db_param_text(params, text_of(move->owner));
    int code = session_run(session, reg, &query_cli_position_move, params, &result);
    if (code == EXIT_FINE && db_affected(result) != 1)
        code = session_refuse(session, EXIT_FINDING, "%.*s/%d moved meanwhile; nothing was changed",
                              TEXT_ARGS(move->topic), move->partition);
    db_result_release(result);
    return code;
}

static int audit_move(struct session *session, struct db *reg, const char *action, const struct move *move,
                      const char *reason) {
    char subject[300], detail[100];
    snprintf(subject, sizeof(subject), "%.*s/%d", TEXT_ARGS(move->topic), move->partition);
    snprintf(detail, sizeof(detail), "next %lld, was %lld", (long long)move->to, (long long)move->from);
    return session_audit(session, reg, action, subject, reason, detail);
}

static void put_move(struct session *session, const struct move *move) {
    output_row(session->output);
    output_text(session->output, "topic", move->topic);
    output_int(session->output, "partition", move->partition);
    output_int(session->output, "was", move->from);
    output_int(session->output, "next", move->to);
}

/* Whether the log is another than the one that was read, by the consumer's code of why it parked. */
static bool another_log(struct text parked) {
    static const char *const codes[] = {"wrong_cluster", "gap", "out_of_range", "fingerprint"};
    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
        if (text_is(parked, codes[i]))
            return true;
    }
    return false;
}

/* Decides every move before the first is written. */
static int plan_moves(struct session *session, struct kafka_view *view, const struct db_result *rows,
                      bool accept, struct move *moves) {
    struct text cluster_id = kafka_view_cluster_id(view, &session->arena);
    if (!text_present(cluster_id))
        return session_refuse(session, EXIT_UNREACHABLE, "Kafka did not tell its cluster id in time");
    for (size_t row = 0; row < db_rows(rows); row++) {
        char topic[256];
        int64_t start = 0, end = 0;
        struct move *move = &moves[row];
        move->topic = arena_text(&session->arena, db_text(rows, row, 0));
        move->partition = (int)db_int(rows, row, 1);
        move->from = db_int(rows, row, 2);
        move->cluster_id = cluster_id;
        move->owner = accept ? "position accept" : "position reset";
        snprintf(topic, sizeof(topic), "%.*s", TEXT_ARGS(move->topic));
        if (kafka_view_log(view, topic, move->partition, &start, &end, &session->err) != OK)
            return session_failed(session, &session->err);
        bool stays =
            accept && !another_log(db_text(rows, row, 3)) && move->from >= start && move->from <= end;
        move->to = stays ? move->from : start;
        move->keeps_fingerprint = stays;
    }
    return EXIT_FINE;
}

static int move_rows(struct session *session, struct db *reg, const struct db_result *rows, bool accept,
                     const char *reason) {
    struct kafka_view *view = NULL;
    struct move *moves = ARENA_ARRAY(&session->arena, struct move, db_rows(rows) + 1);
    if (!moves)
        return session_refuse(session, EXIT_REFUSED, "out of memory");
    if (kafka_view_open(&view, &session->config, &session->err) != OK)
        return session_failed(session, &session->err);
    int code = plan_moves(session, view, rows, accept, moves);
    if (code == EXIT_FINE)
        code = session_run(session, reg, &query_cli_begin, NULL, NULL);
    if (code == EXIT_FINE)
        code = session_run(session, reg, &query_cli_lock_timeout, NULL, NULL);
    output_table(session->output, "moved", NULL, NULL);
    for (size_t row = 0; code == EXIT_FINE && row < db_rows(rows); row++) {
        code = audit_move(session, reg, accept ? "position accept" : "position reset", &moves[row], reason);
        if (code == EXIT_FINE)
            code = write_move(session, reg, &moves[row]);
        put_move(session, &moves[row]);
    }
    output_table_end(session->output);
    if (code == EXIT_FINE)
        code = session_run(session, reg, &query_cli_commit, NULL, NULL);
    kafka_view_close(view);
    return code == EXIT_FINE ? session_print(session, code) : code;
}

int command_position_accept(struct session *session, const struct arguments *arguments) {
    struct db *reg = NULL;
    struct db_result *rows = NULL;
    long long partition = 0;
    if (!argument_parse(arguments->operands[1], 0, INT32_MAX, "PARTITION", &partition))
        return EXIT_USAGE;
    int code = find_rows(session, &reg, arguments->operands[0], (int)partition, &rows);
    if (code == EXIT_FINE && db_is_null(rows, 0, 3))
        code = session_refuse(session, EXIT_FINDING, "%s/%lld is not parked: there is nothing to accept",
                              arguments->operands[0], partition);
    if (code == EXIT_FINE)
        code = move_rows(session, reg, rows, true, argument(arguments, "reason"));
    db_result_release(rows);
    return code;
}

/* A daemon is whoever else is connected as the consumer's role. */
static int refuse_beside_daemon(struct session *session, struct db *reg) {
    struct db_result *result = NULL;
    int code = session_run(session, reg, &query_cli_consumers, NULL, &result);
    if (code == EXIT_FINE && db_rows(result) > 0)
        code = session_refuse(session, EXIT_FINDING,
                              "a consumer runs (%zu connections, the first has backend pid %lld): "
                              "stop it first",
                              db_rows(result), (long long)db_int(result, 0, 0));
    db_result_release(result);
    return code;
}

int command_position_reset(struct session *session, const struct arguments *arguments) {
    struct db *reg = NULL;
    struct db_result *rows = NULL;
    long long partition = -1;
    const char *topic = arguments->count > 0 ? arguments->operands[0] : NULL;
    if (arguments->count > 1 &&
        !argument_parse(arguments->operands[1], 0, INT32_MAX, "PARTITION", &partition))
        return EXIT_USAGE;
    int code = find_rows(session, &reg, topic, (int)partition, &rows);
    if (code == EXIT_FINE)
        code = refuse_beside_daemon(session, reg);
    if (code == EXIT_FINE)
        code = move_rows(session, reg, rows, false, argument(arguments, "reason"));
    db_result_release(rows);
    return code;
}
