/* `disclosures`: who received what of a person, and what the recipients answered to notices. */
#include "core/cli/command.h"
#include "queries.h"

static int ask(struct session *session, struct db *reg, const struct query *query, const char *person,
               struct db_result **result) {
    struct db_params *params = db_params_new(&session->arena, query->params);
    if (!params)
        return session_refuse(session, EXIT_REFUSED, "out of memory");
    db_param_text(params, text_of(person));
    return session_run(session, reg, query, params, result);
}

/* The recipient by name, as Article 15(1)(c) has it read (C-154/21). */
static void put_recipient(struct output *output, const struct policy *policy, struct text id) {
    int at = policy ? policy_recipient(policy, id) : -1;
    output_text(output, "recipient", id);
    output_text(output, "recipient_name", at >= 0 ? policy->recipients[at].name : TEXT_ABSENT);
}

static int put_disclosures(struct session *session, struct db *reg, const struct policy *policy,
                           const char *person, size_t *count) {
    struct db_result *result = NULL;
    struct output *output = session->output;
    int code = ask(session, reg, &query_cli_disclosures, person, &result);
    if (code != EXIT_FINE)
        return code;
    *count = db_rows(result);
    output_table(output, "disclosures", "Disclosures", "Nothing was disclosed to anybody.");
    for (size_t row = 0; row < db_rows(result); row++) {
        output_row(output);
        output_time(output, "decided", db_time(result, row, 0));
        put_recipient(output, policy, db_text(result, row, 1));
        output_text(output, "what", db_text(result, row, 2));
        output_text(output, "shipment", db_text(result, row, 3));
        output_text(output, "service", db_text(result, row, 4));
        output_text(output, "role", db_text(result, row, 5));
        output_list(output, "fields", db_text(result, row, 6));
        output_text(output, "purpose", db_text(result, row, 7));
        output_text(output, "state", db_text(result, row, 8));
        output_time(output, "published", db_time(result, row, 9));
        if (session->json) {
            output_int(output, "generation", db_int(result, row, 10));
            output_text(output, "disclosure_ref", db_text(result, row, 11));
            output_text(output, "cause", db_text(result, row, 12));
            output_text(output, "output_id", db_text(result, row, 13));
        }
    }
    output_table_end(output);
    db_result_release(result);
    return EXIT_FINE;
}

static int put_notices(struct session *session, struct db *reg, const struct policy *policy,
                       const char *person, size_t *count) {
    struct db_result *result = NULL;
    struct output *output = session->output;
    int code = ask(session, reg, &query_cli_notices, person, &result);
    if (code != EXIT_FINE)
        return code;
    *count = db_rows(result);
    output_table(output, "notices", "Notices to recipients", NULL);
    for (size_t row = 0; row < db_rows(result); row++) {
        output_row(output);
        output_time(output, "decided", db_time(result, row, 0));
        put_recipient(output, policy, db_text(result, row, 1));
        output_text(output, "kind", db_text(result, row, 2));
        output_text(output, "cause", db_text(result, row, 3));
        output_text(output, "shipment", db_text(result, row, 4));
        output_list(output, "fields", db_text(result, row, 5));
        output_date(output, "answer_by", db_date(result, row, 6));
        output_int(output, "reminders", db_int(result, row, 7));
        output_text(output, "state", db_text(result, row, 12));
        output_text(output, "answer", db_text(result, row, 8));
        output_date(output, "retained_until", db_date(result, row, 9));
        if (session->json) {
            output_int(output, "generation", db_int(result, row, 10));
            output_text(output, "notice_ref", db_text(result, row, 11));
        }
    }
    output_table_end(output);
    db_result_release(result);
    return EXIT_FINE;
}

int command_disclosures(struct session *session, const struct arguments *arguments) {
    struct db *reg = NULL;
    struct policy *policy = NULL;
    const char *person = arguments->operands[0];
    size_t disclosures = 0, notices = 0;
    int number = 0;
    int code = session_open(session, CLUSTER_REGISTER, ROLE_CLERK, &reg);
    if (code == EXIT_FINE)
        code = session_schema(session, reg, CLUSTER_REGISTER);
    if (code == EXIT_FINE)
        code = session_audit(session, reg, "disclosures", person, argument(arguments, "reason"), NULL);
    if (code == EXIT_FINE)
        code = session_policy(session, reg, &policy, &number);
    output_string(session->output, "person", person);
    if (code == EXIT_FINE)
        code = put_disclosures(session, reg, policy, person, &disclosures);
    if (code == EXIT_FINE)
        code = put_notices(session, reg, policy, person, &notices);
    policy_free(policy);
    if (code != EXIT_FINE)
        return code;
    return session_print(session, disclosures + notices ? EXIT_FINE : EXIT_FINDING);
}
