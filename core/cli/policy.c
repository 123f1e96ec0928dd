/* `policy check`, `policy activate` and `policy show`. */
#include "core/policy.h"
#include "core/cli/command.h"
#include "queries.h"

static void collect(void *context, const char *path, const char *message) {
    struct output *output = context;
    output_row(output);
    output_string(output, "path", *path ? path : "(the whole)");
    output_string(output, "message", message);
}

/* The file named, or the configuration's. Complaints go to the session's output as a table. NULL with *code
 * set. */
static struct policy *read_checked(struct session *session, const struct arguments *arguments, int *code) {
    const char *path = arguments->count > 0 ? arguments->operands[0] : NULL;
    *code = EXIT_FINE;
    if (!path) {
        *code = session_config(session);
        if (*code != EXIT_FINE)
            return NULL;
        path = session->config.policy_file;
        if (!path) {
            *code =
                session_refuse(session, EXIT_USAGE, "name a FILE, or set [policy] file in the configuration");
            return NULL;
        }
    }
    output_table(session->output, "complaints", NULL, NULL);
    struct policy *policy = policy_read(path, collect, session->output, &session->err);
    output_table_end(session->output);
    output_string(session->output, "file", path);
    output_bool(session->output, "fine", policy != NULL);
    if (policy) {
        output_text(session->output, "version", policy->version);
        output_string(session->output, "digest", policy->digest);
    } else {
        output_string(session->output, "error",
                      session->err.text[0] ? session->err.text : "it is not fit for use");
    }
    return policy;
}

int command_policy_check(struct session *session, const struct arguments *arguments) {
    int code = EXIT_FINE;
    struct policy *policy = read_checked(session, arguments, &code);
    if (code != EXIT_FINE)
        return code;
    code = session_print(session, policy ? EXIT_FINE : EXIT_FINDING);
    policy_free(policy);
    return code;
}

/* Stores the policy and makes it the only active one, in one transaction; already active changes nothing. */
static int activate(struct session *session, struct db *reg, const struct policy *policy,
                    const char *reason) {
    struct db_result *result = NULL;
    int code = session_run(session, reg, &query_cli_begin, NULL, NULL);
    if (code == EXIT_FINE)
        code = session_run(session, reg, &query_cli_policy_lock, NULL, NULL);
    if (code == EXIT_FINE)
        code = session_run(session, reg, &query_cli_policy_active, NULL, &result);
    if (code != EXIT_FINE)
        return code;
    bool already = db_rows(result) > 0 && text_is(db_text(result, 0, 1), policy->digest);
    db_result_release(result);
    output_bool(session->output, "was_active_already", already);
    if (already)
        return session_run(session, reg, &query_cli_rollback, NULL, NULL);
    code = session_run(session, reg, &query_cli_policy_deactivate, NULL, NULL);
    struct db_params *params = db_params_new(&session->arena, query_cli_policy_activate.params);
    if (code != EXIT_FINE || !params)
        return code != EXIT_FINE ? code : session_refuse(session, EXIT_REFUSED, "out of memory");
    db_param_text(params, text_of(policy->digest));
    db_param_text(params, policy->source);
    code = session_run(session, reg, &query_cli_policy_activate, params, NULL);
    if (code == EXIT_FINE)
        code = session_audit(session, reg, "policy activate", policy->digest, reason, NULL);
    if (code == EXIT_FINE)
        code = session_run(session, reg, &query_cli_commit, NULL, NULL);
    return code;
}

int command_policy_activate(struct session *session, const struct arguments *arguments) {
    struct db *reg = NULL;
    int code = EXIT_FINE;
    struct policy *policy = read_checked(session, arguments, &code);
    if (code != EXIT_FINE)
        return code;
    if (!policy)
        return session_print(session, EXIT_FINDING);
    code = session_open(session, CLUSTER_REGISTER, ROLE_OPERATOR, &reg);
    if (code == EXIT_FINE)
        code = session_schema(session, reg, CLUSTER_REGISTER);
    if (code == EXIT_FINE)
        code = activate(session, reg, policy, argument(arguments, "reason"));
    policy_free(policy);
    return code == EXIT_FINE ? session_print(session, code) : code;
}

static int show_body(struct session *session, struct db *reg) {
    struct db_result *result = NULL;
    int code = session_run(session, reg, &query_cli_policy_active, NULL, &result);
    if (code != EXIT_FINE)
        return code;
    if (db_rows(result) == 0) {
        code =
            session_refuse(session, EXIT_FINDING, "no policy is active: `kundregister policy activate FILE`");
    } else {
        struct text body = db_text(result, 0, 4);
        fwrite(body.at, 1, body.size, stdout);
        code = fflush(stdout) == 0 ? EXIT_FINE : EXIT_OUTPUT;
    }
    db_result_release(result);
    return code;
}

int command_policy_show(struct session *session, const struct arguments *arguments) {
    struct db *reg = NULL;
    struct db_result *result = NULL;
    int code = session_open(session, CLUSTER_REGISTER, ROLE_OPERATOR, &reg);
    if (code == EXIT_FINE)
        code = session_schema(session, reg, CLUSTER_REGISTER);
    if (code == EXIT_FINE && argument_given(arguments, "body"))
        return show_body(session, reg);
    if (code == EXIT_FINE)
        code = session_run(session, reg, &query_cli_policy_list, NULL, &result);
    if (code != EXIT_FINE)
        return code;
    bool any_active = false;
    output_table(session->output, "policies", NULL,
                 "No policy was ever active: `kundregister policy activate FILE` begins.");
    for (size_t row = 0; row < db_rows(result); row++) {
        output_row(session->output);
        output_int(session->output, "policy", db_int(result, row, 0));
        output_bool(session->output, "active", db_bool(result, row, 2));
        output_text(session->output, "version", db_text(result, row, 4));
        output_time(session->output, "activated", db_time(result, row, 3));
        output_text(session->output, "digest", db_text(result, row, 1));
        any_active = any_active || db_bool(result, row, 2);
    }
    output_table_end(session->output);
    db_result_release(result);
    return session_print(session, any_active ? EXIT_FINE : EXIT_FINDING);
}
