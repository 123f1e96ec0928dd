/* `dead-letter list` and `dead-letter show`: records that could not be taken in, by pointer and never by
 * content. */
#include "core/cli/command.h"
#include "core/event.h"
#include "queries.h"
#include <string.h>

static const char *known_reason(const char *name) {
    for (int reason = REASON_NONE + 1; reason < REASONS; reason++) {
        if (strcmp(reason_names[reason], name) == 0)
            return reason_names[reason];
    }
    return NULL;
}

static void put_hex(struct output *output, const char *key, struct text bytes) {
    static const char digits[] = "0123456789abcdef";
    char hex[129];
    size_t size = bytes.size < 64 ? bytes.size : 64;
    for (size_t i = 0; i < size; i++) {
        hex[2 * i] = digits[(unsigned char)bytes.at[i] >> 4];
        hex[2 * i + 1] = digits[(unsigned char)bytes.at[i] & 15];
    }
    output_text(output, key, (struct text){hex, 2 * size});
}

int command_dead_letter_list(struct session *session, const struct arguments *arguments) {
    struct db *reg = NULL;
    struct db_result *result = NULL;
    long long limit = 100;
    const char *reason = argument(arguments, "reason");
    if (!argument_number(arguments, "limit", 1, &limit))
        return EXIT_USAGE;
    if (reason && !known_reason(reason))
        return session_refuse(session, EXIT_USAGE,
                              "there is no reason of that name; they are called as not_utf8, unknown_ref");
    int code = session_open(session, CLUSTER_REGISTER, ROLE_OPERATOR, &reg);
    if (code == EXIT_FINE)
        code = session_schema(session, reg, CLUSTER_REGISTER);
    struct db_params *params = db_params_new(&session->arena, query_cli_dead_letter_list.params);
    if (code != EXIT_FINE || !params)
        return code != EXIT_FINE ? code : session_refuse(session, EXIT_REFUSED, "out of memory");
    db_param_text(params, text_of(reason));
    db_param_text(params, text_of(argument(arguments, "topic")));
    db_param_int8(params, limit);
    code = session_run(session, reg, &query_cli_dead_letter_list, params, &result);
    if (code != EXIT_FINE)
        return code;
    output_table(session->output, "dead_letters", NULL, "No dead letters.");
    for (size_t row = 0; row < db_rows(result); row++) {
        output_row(session->output);
        output_text(session->output, "topic", db_text(result, row, 0));
        output_int(session->output, "partition", db_int(result, row, 1));
        output_int(session->output, "offset", db_int(result, row, 2));
        output_text(session->output, "reason", db_text(result, row, 3));
        output_text(session->output, "detail", db_text(result, row, 4));
        output_time(session->output, "decided", db_time(result, row, 5));
    }
    output_table_end(session->output);
    db_result_release(result);
    return session_print(session, EXIT_FINE);
}

/* "TOPIC/PARTITION/OFFSET"; a topic's name holds no slash. */
static bool parse_pointer(const char *text, struct text *topic, long long *partition, long long *offset) {
    const char *first = strchr(text, '/');
    const char *second = first ? strchr(first + 1, '/') : NULL;
    char middle[16];
    if (!second || first == text || (size_t)(second - first) > sizeof(middle))
        return false;
    *topic = (struct text){text, (size_t)(first - text)};
    snprintf(middle, sizeof(middle), "%.*s", (int)(second - first - 1), first + 1);
    return argument_parse(middle, 0, INT32_MAX, "PARTITION", partition) &&
           argument_parse(second + 1, 0, INT64_MAX, "OFFSET", offset);
}

int command_dead_letter_show(struct session *session, const struct arguments *arguments) {
    struct db *reg = NULL;
    struct db_result *result = NULL;
    struct text topic;
    long long partition = 0, offset = 0;
    if (!parse_pointer(arguments->operands[0], &topic, &partition, &offset))
        return session_refuse(session, EXIT_USAGE, "write the pointer as TOPIC/PARTITION/OFFSET");
    int code = session_open(session, CLUSTER_REGISTER, ROLE_OPERATOR, &reg);
    if (code == EXIT_FINE)
        code = session_schema(session, reg, CLUSTER_REGISTER);
    struct db_params *params = db_params_new(&session->arena, query_cli_dead_letter_show.params);
    if (code != EXIT_FINE || !params)
        return code != EXIT_FINE ? code : session_refuse(session, EXIT_REFUSED, "out of memory");
    db_param_text(params, topic);
    db_param_int4(params, (int32_t)partition);
    db_param_int8(params, offset);
    code = session_run(session, reg, &query_cli_dead_letter_show, params, &result);
    if (code != EXIT_FINE)
        return code;
    if (db_rows(result) == 0) {
        db_result_release(result);
        return session_refuse(session, EXIT_FINDING, "no dead letter came from there");
    }
    struct output *output = session->output;
    output_text(output, "topic", topic);
    output_int(output, "partition", partition);
    output_int(output, "offset", offset);
    output_text(output, "reason", db_text(result, 0, 0));
    output_text(output, "detail", db_text(result, 0, 1));
    put_hex(output, "record_hash", db_text(result, 0, 2));
    output_time(output, "record_timestamp", db_time(result, 0, 3));
    output_time(output, "decided", db_time(result, 0, 4));
    output_int(output, "policy", db_int(result, 0, 5));
    output_text(output, "policy_digest", db_text(result, 0, 6));
    db_result_release(result);
    return session_print(session, EXIT_FINE);
}
