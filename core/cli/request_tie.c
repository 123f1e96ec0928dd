/* `request tie`: an employee says whose case it is. The command goes sealed into the journal
 * register.command.v1; it takes effect when the consumer reads it there. */
#include "core/cli/cells.h"
#include "core/cli/command.h"
#include "core/cli/request.h"
#include "core/clock.h"
#include "core/command_seal.h"
#include "core/ref.h"
#include "queries.h"

#include <sodium.h>
#include <string.h>

#define ID_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-"
#define RECIPIENT "recipient:"
#define UNIQUE_VIOLATION "23505"

struct tying {
    struct session *session;
    struct db *reg;
    struct command_tie tie;
    const char *request_id, *person; /* as given */
    char output_id[37];
    bool matches; /* the vault knows the person under the case's address */
    bool again;   /* the very same tie stands in the journal already */
};

/* A customer's id, or recipient:<id>. */
static bool person_valid(const char *person) {
    if (strncmp(person, RECIPIENT, strlen(RECIPIENT)) == 0)
        person += strlen(RECIPIENT);
    size_t size = strlen(person);
    return size >= 1 && size <= 64 && strspn(person, ID_CHARS) == size && strcmp(person, "0") != 0 &&
           strcmp(person, "null") != 0 && strcmp(person, "guest") != 0;
}

static int check_person(struct tying *tying) {
    struct session *session = tying->session;
    struct db_result *result = NULL;
    struct db_params *params = db_params_new(&session->arena, query_cli_person_known.params);
    if (!params)
        return session_refuse(session, EXIT_REFUSED, "out of memory");
    db_param_text(params, tying->tie.person);
    int code = session_run(session, tying->reg, &query_cli_person_known, params, &result);
    if (code == EXIT_FINE && !db_bool(result, 0, 0))
        code = session_refuse(session, EXIT_FINDING, "the register knows no such person");
    db_result_release(result);
    return code;
}

/* Only what came by e-mail or phone waits for a person. */
static int check_case(struct tying *tying, const struct request *request) {
    const struct received_fact *shown = request_shown(request);
    struct session *session = tying->session;
    struct db *vault = NULL;
    struct db_result *result = NULL;
    if (!shown || !text_present(shown->contact_hash))
        return session_refuse(session, EXIT_FINDING,
                              "the request is no case: only one that came with an e-mail address or phone "
                              "number is tied to a person");
    int code = session_open(session, CLUSTER_VAULT, ROLE_CLERK, &vault);
    if (code == EXIT_FINE)
        code = request_candidates(session, vault, shown->contact_hash, &result);
    for (size_t row = 0; code == EXIT_FINE && row < db_rows(result); row++)
        tying->matches = tying->matches || text_equal(db_text(result, row, 0), tying->tie.person);
    db_result_release(result);
    return code;
}

/* ---- the journal ---- */

/* The same tie twice has the same id, and is one; under the ring of another vault it is another, for what was
 * sealed in a vault that is lost must be given once more. */
static int name_output(struct tying *tying, const struct seal_key *key) {
    struct ref_key ref_key = {0};
    struct session *session = tying->session;
    uint8_t cause[3 + KEY_ID_BYTES] = "tie";
    int code = session_key(session, session->config.keys.ref_file, "keys.ref.file", ref_key.bytes);
    if (code != EXIT_FINE)
        return code;
    memcpy(cause + 3, key->ring, KEY_ID_BYTES);
    struct output_id id =
        output_id_derive(&ref_key, TEXT_ABSENT, "register.command", tying->tie.person, -1,
                         tying->tie.request_id, (struct text){(const char *)cause, sizeof cause}, 0);
    output_id_write(&id, tying->output_id);
    secret_wipe(&ref_key, sizeof ref_key);
    return EXIT_FINE;
}

static int find_key(struct tying *tying, struct cells *cells, struct seal_key *key) {
    struct session *session = tying->session;
    struct key_want want = command_want();
    if (keyring_load(cells->keyring, &session->arena, &want, 1, clock_system.monotonic_us(NULL) / 1000000,
                     &session->err) != OK)
        return session_failed(session, &session->err);
    if (!keyring_cell_key(cells->keyring, want.person, want.generation, want.category, want.period, 0, key))
        return session_refuse(session, EXIT_REFUSED,
                              "the vault has no key for commands yet: kundregister-consumer makes it when it "
                              "starts");
    return EXIT_FINE;
}

static int journal(struct tying *tying, struct text body) {
    struct session *session = tying->session;
    uint8_t row_id[16];
    struct db_result *result = NULL;
    struct db_params *params = db_params_new(&session->arena, query_cli_command_write.params);
    if (!params)
        return session_refuse(session, EXIT_REFUSED, "out of memory");
    randombytes_buf(row_id, sizeof row_id);
    db_param_text(params, tying->tie.request_id);
    db_param_text(params, text_of(tying->output_id));
    db_param_bytes(params, (struct text){(const char *)row_id, sizeof row_id});
    db_param_bytes(params, body);
    enum outcome outcome = db_run(tying->reg, &query_cli_command_write, params, &result, &session->err);
    db_result_release(result);
    tying->again = outcome == POISON && strcmp(session->err.sqlstate, UNIQUE_VIOLATION) == 0;
    return outcome == OK || tying->again ? EXIT_FINE : session_failed(session, &session->err);
}

static int seal_and_journal(struct tying *tying) {
    struct session *session = tying->session;
    struct cells cells = {0};
    struct seal_key key = {0};
    struct sealer *sealer = sealer_new();
    struct json_writer *writer = json_writer_new();
    struct text body = TEXT_ABSENT;
    int code = sealer && writer ? EXIT_FINE : session_refuse(session, EXIT_REFUSED, "out of memory");
    if (code == EXIT_FINE)
        code = cells_open(&cells, session, tying->reg, ROLE_CLERK);
    if (code == EXIT_FINE)
        code = find_key(tying, &cells, &key);
    if (code == EXIT_FINE)
        code = name_output(tying, &key);
    if (code == EXIT_FINE) {
        body = command_seal(sealer, &key, &tying->tie, text_of(tying->output_id), writer, &session->arena);
        if (!text_present(body))
            code = session_refuse(session, EXIT_REFUSED, "out of memory");
    }
    if (code == EXIT_FINE)
        code = journal(tying, body);
    secret_wipe(&key, sizeof key);
    cells_close(&cells);
    if (sealer)
        sealer_free(sealer);
    if (writer)
        json_writer_free(writer);
    return code;
}

static int show_tied(struct tying *tying, const struct request *request) {
    struct output *output = tying->session->output;
    output_text(output, "request", tying->tie.request_id);
    output_text(output, "person", tying->tie.person);
    output_bool(output, "has_the_address", tying->matches);
    output_bool(output, "was_journalled_already", tying->again);
    output_string(output, "command", tying->output_id);
    if (tying->again)
        output_note(output, "This tie stands in the journal already; nothing was added.");
    else
        output_note(output,
                    "The command is in the outbox. kundregister-producer writes it to register.command.v1, "
                    "kundregister-consumer");
    if (!tying->again)
        output_note(output,
                    "takes it from there and ties the case: `kundregister request show %s` shows it then.",
                    tying->request_id);
    if (!tying->matches)
        output_note(output, "The vault does not know this person under the address that the case came with.");
    if (request->strongest == IDENTITY_NONE)
        output_note(output, "Nobody is identified yet: the request waits for privacy.request.identified.");
    return session_print(tying->session, EXIT_FINE);
}

int command_request_tie(struct session *session, const struct arguments *arguments) {
    struct tying tying = {
        .session = session, .request_id = arguments->operands[0], .person = argument(arguments, "person")};
    struct request request;
    char detail[120];
    tying.tie = (struct command_tie){text_of(tying.request_id), text_of(tying.person)};
    if (!person_valid(tying.person))
        return session_refuse(session, EXIT_USAGE, "--person takes a customer's id, or recipient:ID");
    int code = session_open(session, CLUSTER_REGISTER, ROLE_CLERK, &tying.reg);
    if (code == EXIT_FINE)
        code = session_schema(session, tying.reg, CLUSTER_REGISTER);
    if (code == EXIT_FINE)
        code = request_read(session, tying.reg, tying.request_id, &request);
    if (code == EXIT_FINE)
        code = check_case(&tying, &request);
    if (code == EXIT_FINE)
        code = check_person(&tying);
    if (code != EXIT_FINE)
        return code;
    snprintf(detail, sizeof detail, "request %.80s", tying.request_id);
    code =
        session_audit(session, tying.reg, "request tie", tying.person, argument(arguments, "reason"), detail);
    if (code == EXIT_FINE)
        code = seal_and_journal(&tying);
    return code == EXIT_FINE ? show_tied(&tying, &request) : code;
}
