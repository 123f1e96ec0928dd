/* `request list` and `request show`: what data subjects asked for, how far it is, and whose address a case
 * came from. `request tie` stands in request_tie.c. */
#include "core/cli/command.h"
#include "core/cli/request.h"
#include "core/decide/pack.h"
#include "queries.h"

int command_request_list(struct session *session, const struct arguments *arguments) {
    struct db *reg = NULL;
    struct db_result *result = NULL;
    struct output *output = session->output;
    int code = session_open(session, CLUSTER_REGISTER, ROLE_OPERATOR, &reg);
    if (code == EXIT_FINE)
        code = session_schema(session, reg, CLUSTER_REGISTER);
    struct db_params *params = db_params_new(&session->arena, query_cli_requests.params);
    if (code != EXIT_FINE || !params)
        return code != EXIT_FINE ? code : session_refuse(session, EXIT_REFUSED, "out of memory");
    db_param_bool(params, argument_given(arguments, "all"));
    code = session_run(session, reg, &query_cli_requests, params, &result);
    if (code != EXIT_FINE)
        return code;
    output_table(output, "requests", NULL,
                 argument_given(arguments, "all") ? "Nobody asked for anything."
                                                  : "No request is open; --all lists those that are done.");
    for (size_t row = 0; row < db_rows(result); row++) {
        output_row(output);
        output_text(output, "request", db_text(result, row, 0));
        output_text(output, "state", db_text(result, row, 6));
        output_date(output, "due", db_date(result, row, 7));
        output_bool(output, "case", db_bool(result, row, 1));
        output_text(output, "channel", db_text(result, row, 2));
        output_text(output, "identity", db_text(result, row, 3));
        output_time(output, "received", db_time(result, row, 4));
        output_time(output, "identified", db_time(result, row, 5));
        output_date(output, "until", db_date(result, row, 8));
    }
    output_table_end(output);
    db_result_release(result);
    return session_print(session, EXIT_FINE);
}

int request_read(struct session *session, struct db *reg, const char *id, struct request *request) {
    struct db_result *result = NULL;
    *request = (struct request){.request_id = text_of(id)};
    struct db_params *params = db_params_new(&session->arena, query_cli_request.params);
    if (!params)
        return session_refuse(session, EXIT_REFUSED, "out of memory");
    db_param_text(params, text_of(id));
    int code = session_run(session, reg, &query_cli_request, params, &result);
    if (code != EXIT_FINE)
        return code;
    if (db_rows(result) == 0)
        code = session_refuse(session, EXIT_FINDING, "the register knows no such request");
    else if (unpack_request(db_text(result, 0, 9), &session->arena, request, &session->err) != OK)
        code = session_failed(session, &session->err);
    db_result_release(result);
    return code;
}

const struct received_fact *request_shown(const struct request *request) {
    return request->received.count ? &request->received.at[request->received.count - 1] : NULL;
}

/* ---- show ---- */

static void put_received(struct output *output, const struct request *request) {
    output_table(output, "received", "Received", "It was identified before it was received.");
    for (size_t i = 0; i < request->received.count; i++) {
        const struct received_fact *fact = &request->received.at[i];
        output_row(output);
        output_time(output, "time", fact->version.time_us);
        output_text(output, "person", fact->person);
        output_bool(output, "case", text_present(fact->contact_hash));
        output_text(output, "channel", fact->channel);
        output_string(output, "identity", identity_names[fact->identity]);
        output_text(output, "source", fact->version.source);
        output_text(output, "id", fact->version.id);
    }
    output_table_end(output);
}

static void put_ties(struct output *output, const struct request *request) {
    output_table(output, "ties", "Tied to", NULL);
    for (size_t i = 0; i < request->ties.count; i++) {
        output_row(output);
        output_text(output, "person", request->ties.at[i].person);
        output_time(output, "time", request->ties.at[i].version.time_us);
    }
    output_table_end(output);
}

int request_candidates(struct session *session, struct db *vault, struct text hash,
                       struct db_result **result) {
    struct db_params *params = db_params_new(&session->arena, query_cli_candidates.params);
    if (!params)
        return session_refuse(session, EXIT_REFUSED, "out of memory");
    db_param_text(params, hash);
    return session_run(session, vault, &query_cli_candidates, params, result);
}

/* Persons who have or had the address that the case came with. */
static int put_candidates(struct session *session, const struct request *request) {
    struct output *output = session->output;
    struct db *vault = NULL;
    int code = session_open(session, CLUSTER_VAULT, ROLE_CLERK, &vault);
    if (code == EXIT_FINE)
        code = session_schema(session, vault, CLUSTER_VAULT);
    output_table(output, "candidates", "Persons with this address",
                 "Nobody in the register has or had this address.");
    for (size_t i = 0; code == EXIT_FINE && i < request->received.count; i++) {
        struct db_result *result = NULL;
        struct text hash = request->received.at[i].contact_hash;
        if (!text_present(hash) || (i && text_equal(hash, request->received.at[i - 1].contact_hash)))
            continue;
        code = request_candidates(session, vault, hash, &result);
        for (size_t row = 0; code == EXIT_FINE && row < db_rows(result); row++) {
            output_row(output);
            output_text(output, "person", db_text(result, row, 0));
            output_text(output, "by", db_text(result, row, 2));
            output_time(output, "named_first", db_time(result, row, 3));
        }
        db_result_release(result);
    }
    output_table_end(output);
    return code;
}

static void put_request(struct output *output, const struct request *request) {
    const struct received_fact *shown = request_shown(request);
    bool is_case = shown && text_present(shown->contact_hash);
    output_text(output, "request", request->request_id);
    output_string(output, "kind", shown ? "erasure" : NULL);
    if (is_case && request->ties.count)
        output_text(output, "person", request->ties.at[request->ties.count - 1].person);
    else
        output_text(output, "person", shown ? shown->person : TEXT_ABSENT);
    output_bool(output, "case", is_case);
    output_string(output, "identity", identity_names[request->strongest]);
    output_time(output, "identified", request->identified_us);
    output_string(output, "state", request_state_names[request->state]);
    output_date(output, "due", request->due);
    output_date(output, "until", request->until);
    put_received(output, request);
    put_ties(output, request);
}

int command_request_show(struct session *session, const struct arguments *arguments) {
    struct db *reg = NULL;
    struct request request;
    const char *id = arguments->operands[0];
    int code = session_open(session, CLUSTER_REGISTER, ROLE_CLERK, &reg);
    if (code == EXIT_FINE)
        code = session_schema(session, reg, CLUSTER_REGISTER);
    if (code == EXIT_FINE)
        code = session_audit(session, reg, "request show", id, argument(arguments, "reason"), NULL);
    if (code == EXIT_FINE)
        code = request_read(session, reg, id, &request);
    if (code != EXIT_FINE)
        return code;
    const struct received_fact *shown = request_shown(&request);
    put_request(session->output, &request);
    if (shown && text_present(shown->contact_hash)) {
        code = put_candidates(session, &request);
        if (!request.ties.count)
            output_note(session->output,
                        "Nobody is tied to this case: kundregister request tie %s --person ID", id);
    }
    return code == EXIT_FINE ? session_print(session, EXIT_FINE) : code;
}
