/* `audit`: who did or read what by hand. */
#include "core/cli/command.h"
#include "queries.h"

int command_audit(struct session *session, const struct arguments *arguments) {
    struct db *reg = NULL;
    struct db_result *result = NULL;
    long long limit = 100;
    if (!argument_number(arguments, "limit", 1, &limit))
        return EXIT_USAGE;
    int code = session_open(session, CLUSTER_REGISTER, ROLE_AUDITOR, &reg);
    if (code == EXIT_FINE)
        code = session_schema(session, reg, CLUSTER_REGISTER);
    struct db_params *params = db_params_new(&session->arena, query_cli_audit_list.params);
    if (code != EXIT_FINE || !params)
        return code != EXIT_FINE ? code : session_refuse(session, EXIT_REFUSED, "out of memory");
    db_param_text(params, text_of(argument(arguments, "subject")));
    db_param_int8(params, limit);
    code = session_run(session, reg, &query_cli_audit_list, params, &result);
    if (code != EXIT_FINE)
        return code;
    output_table(session->output, "audit", NULL, "Nothing was done by hand.");
    for (size_t row = 0; row < db_rows(result); row++) {
        output_row(session->output);
        output_int(session->output, "audit", db_int(result, row, 0));
        output_time(session->output, "at", db_time(result, row, 1));
        output_text(session->output, "role", db_text(result, row, 2));
        output_text(session->output, "operator", db_text(result, row, 3));
        output_text(session->output, "action", db_text(result, row, 4));
        output_text(session->output, "subject", db_text(result, row, 5));
        output_text(session->output, "reason", db_text(result, row, 6));
        output_text(session->output, "detail", db_text(result, row, 7));
    }
    output_table_end(session->output);
    db_result_release(result);
    return session_print(session, EXIT_FINE);
}
