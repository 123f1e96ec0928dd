/* `customer show`: everything that the register holds of one person, opened cell by cell, with purpose, legal
 * basis and end of each. */
#include "core/cli/cells.h"
#include "core/cli/command.h"
#include "core/decide/pack.h"
#include "core/json_read.h"
#include "queries.h"
#include <string.h>

#define POLICIES_MAX 16

/* A cell as it is listed. */
struct held {
    struct sealed sealed;
    struct text object; /* order, shipment or notice; absent for the profile */
    int32_t until;
    int policy;
};

struct showing {
    struct session *session;
    struct db *reg;
    struct text person;
    struct {
        struct held *at;
        size_t count, room;
    } held;
    /* the policies that decided something here */
    struct {
        int number;
        struct policy *policy;
    } policies[POLICIES_MAX];
    size_t policy_count;
};

static void ignore_complaint(void *context, const char *path, const char *message) {
    (void)context;
    (void)path;
    (void)message;
}

/* The policy of that number, or NULL when it cannot be had. */
static const struct policy *policy_numbered(struct showing *showing, int number) {
    struct db_result *result = NULL;
    struct policy *policy = NULL;
    for (size_t i = 0; i < showing->policy_count; i++) {
        if (showing->policies[i].number == number)
            return showing->policies[i].policy;
    }
    struct db_params *params = db_params_new(&showing->session->arena, query_cli_policy_numbered.params);
    if (showing->policy_count == POLICIES_MAX || !params)
        return NULL;
    db_param_int4(params, number);
    if (session_run(showing->session, showing->reg, &query_cli_policy_numbered, params, &result) ==
            EXIT_FINE &&
        db_rows(result) > 0)
        policy = policy_parse(db_text(result, 0, 0), ignore_complaint, NULL, &showing->session->err);
    db_result_release(result);
    showing->policies[showing->policy_count].number = number;
    showing->policies[showing->policy_count++].policy = policy;
    return policy;
}

/* ---- what is there ---- */

static bool hold(struct showing *showing, enum category category, const char *table, const char *column,
                 struct text owner, struct text object, int64_t place_generation, int64_t generation,
                 struct text bytes, int32_t until, int policy) {
    struct arena *arena = &showing->session->arena;
    if (!text_present(bytes))
        return true;
    struct held *held = ARENA_PUSH(arena, &showing->held);
    if (!held)
        return false;
    held->sealed.person = showing->person;
    held->sealed.generation = generation;
    held->sealed.category = category;
    held->sealed.place = (struct seal_place){.table = table,
                                             .column = column,
                                             .owner = arena_text(arena, owner),
                                             .object = arena_text(arena, object),
                                             .generation = place_generation};
    held->sealed.bytes = arena_text(arena, bytes);
    held->object = held->sealed.place.object;
    held->until = until;
    held->policy = policy;
    return text_present(held->sealed.bytes);
}

static int ask(struct showing *showing, const struct query *query, struct db_result **result) {
    struct db_params *params = db_params_new(&showing->session->arena, query->params);
    if (!params)
        return session_refuse(showing->session, EXIT_REFUSED, "out of memory");
    db_param_text(params, showing->person);
    return session_run(showing->session, showing->reg, query, params, result);
}

/* What may be done in marketing, as last told to the shop. */
static void show_permissions(struct showing *showing, const struct person *persons, size_t count) {
    struct output *output = showing->session->output;
    output_table(output, "permissions", "Marketing permissions", NULL);
    for (size_t row = 0; row < count; row++) {
        for (size_t i = 0; i < persons[row].permissions.count; i++) {
            const struct permission *permission = &persons[row].permissions.at[i];
            output_row(output);
            output_int(output, "generation", persons[row].generation);
            output_text(output, "purpose", permission->purpose);
            output_text(output, "channel", permission->channel);
            output_bool(output, "allowed", permission->reason == PERMISSION_ALLOWED);
            output_text(output, "basis", permission->basis);
            output_string(output, "reason", permission_reason_names[permission->reason]);
            output_time(output, "since", permission->since_us);
        }
    }
    output_table_end(output);
}

/* Generations that are none any more, or that nothing names, are left out. */
static int unpack_persons(struct showing *showing, const struct db_result *result, struct person **persons) {
    struct session *session = showing->session;
    *persons = ARENA_ARRAY(&session->arena, struct person, db_rows(result) + 1);
    if (!*persons)
        return session_refuse(session, EXIT_REFUSED, "out of memory");
    for (size_t row = 0; row < db_rows(result); row++) {
        struct person *person = &(*persons)[row];
        if (unpack_person(db_text(result, row, 10), &session->arena, person, &session->err) != OK)
            return session_failed(session, &session->err);
        person->generation = db_int(result, row, 0);
    }
    return EXIT_FINE;
}

static int show_persons(struct showing *showing, size_t *found) {
    struct db_result *result = NULL;
    struct output *output = showing->session->output;
    struct person *persons = NULL;
    bool kept = true;
    int code = ask(showing, &query_cli_show_person, &result);
    if (code == EXIT_FINE)
        code = unpack_persons(showing, result, &persons);
    if (code != EXIT_FINE) {
        db_result_release(result);
        return code;
    }
    *found = db_rows(result);
    output_table(output, "persons", "The person", NULL);
    for (size_t row = 0; row < db_rows(result); row++) {
        int64_t generation = db_int(result, row, 0);
        if (persons[row].absent)
            continue;
        output_row(output);
        output_int(output, "generation", generation);
        if (db_is_null(result, row, 1))
            output_null(output, "opened");
        else
            output_bool(output, "opened", db_bool(result, row, 1));
        output_text(output, "kind", db_text(result, row, 2));
        output_text(output, "notice", db_text(result, row, 3));
        output_text(output, "language", db_text(result, row, 4));
        output_time(output, "closed", db_time(result, row, 5));
        output_time(output, "last_activity", db_time(result, row, 6));
        kept = kept && hold(showing, CATEGORY_PROFILE, "person", "profile", showing->person, TEXT_ABSENT,
                            generation, generation, db_text(result, row, 8), db_date(result, row, 7),
                            (int)db_int(result, row, 9));
    }
    output_table_end(output);
    show_permissions(showing, persons, db_rows(result));
    db_result_release(result);
    return kept ? EXIT_FINE : session_refuse(showing->session, EXIT_REFUSED, "out of memory");
}

static int show_orders(struct showing *showing) {
    struct db_result *result = NULL;
    struct output *output = showing->session->output;
    bool kept = true;
    int code = ask(showing, &query_cli_show_orders, &result);
    if (code != EXIT_FINE)
        return code;
    output_table(output, "orders", "Orders", NULL);
    for (size_t row = 0; row < db_rows(result); row++) {
        struct text order = db_text(result, row, 0);
        int64_t generation = db_int(result, row, 1);
        int policy = (int)db_int(result, row, 12);
        output_row(output);
        output_text(output, "order", order);
        output_int(output, "generation", generation);
        output_bool(output, "known", db_bool(result, row, 2));
        output_time(output, "placed", db_time(result, row, 3));
        output_time(output, "cancelled", db_time(result, row, 4));
        output_time(output, "last_delivered", db_time(result, row, 5));
        kept = kept &&
               hold(showing, CATEGORY_CLAIM, "customer_order", "claim", showing->person, order, -1,
                    generation, db_text(result, row, 7), db_date(result, row, 6), policy) &&
               hold(showing, CATEGORY_VOUCHER, "customer_order", "voucher", showing->person, order, -1,
                    generation, db_text(result, row, 9), db_date(result, row, 8), policy) &&
               hold(showing, CATEGORY_OSS, "customer_order", "oss", showing->person, order, -1, generation,
                    db_text(result, row, 11), db_date(result, row, 10), policy);
    }
    output_table_end(output);
    db_result_release(result);
    return kept ? EXIT_FINE : session_refuse(showing->session, EXIT_REFUSED, "out of memory");
}

static int show_shipments(struct showing *showing) {
    struct db_result *result = NULL;
    struct output *output = showing->session->output;
    bool kept = true;
    bool recipient = person_is_recipient(showing->person);
    int code = ask(showing, recipient ? &query_cli_show_gifts : &query_cli_show_shipments, &result);
    if (code != EXIT_FINE)
        return code;
    output_table(output, "shipments", "Shipments", NULL);
    for (size_t row = 0; row < db_rows(result); row++) {
        struct text customer = db_text(result, row, 0), shipment = db_text(result, row, 1);
        struct text consignee = db_text(result, row, 3);
        output_row(output);
        output_text(output, "shipment", shipment);
        output_text(output, "order", db_text(result, row, 2));
        output_text(output, "consignee", consignee);
        output_text(output, "direction", db_text(result, row, 5));
        output_text(output, "carrier", db_text(result, row, 6));
        output_text(output, "service", db_text(result, row, 7));
        output_time(output, "cancelled", db_time(result, row, 8));
        output_bool(output, "closed", db_bool(result, row, 9));
        /* Another consignee's address is that person's, not this one's. */
        if (text_equal(consignee, showing->person))
            kept = kept && hold(showing, CATEGORY_DELIVERY, "shipment", "delivery", customer, shipment, -1,
                                db_int(result, row, 4), db_text(result, row, 11), db_date(result, row, 10),
                                (int)db_int(result, row, 12));
    }
    output_table_end(output);
    db_result_release(result);
    return kept ? EXIT_FINE : session_refuse(showing->session, EXIT_REFUSED, "out of memory");
}

/* "granted 2026-11-01": what the proof is of. */
static struct text consent_label(struct showing *showing, struct text act, int64_t time_us) {
    char label[64], at[28];
    instant_write(time_us, at);
    int size = snprintf(label, sizeof label, "%.*s %.10s", TEXT_ARGS(act), at);
    return arena_text(&showing->session->arena, (struct text){label, (size_t)size});
}

static int show_consents(struct showing *showing) {
    struct db_result *result = NULL;
    struct output *output = showing->session->output;
    bool kept = true;
    int code = ask(showing, &query_cli_show_consents, &result);
    if (code != EXIT_FINE)
        return code;
    output_table(output, "consents", "Consents and objections", NULL);
    for (size_t row = 0; row < db_rows(result); row++) {
        size_t before = showing->held.count;
        output_row(output);
        output_time(output, "time", db_time(result, row, 2));
        output_text(output, "act", db_text(result, row, 3));
        output_text(output, "purpose", db_text(result, row, 4));
        output_text(output, "channel", db_text(result, row, 5));
        output_text(output, "basis", db_text(result, row, 6));
        if (db_is_null(result, row, 7))
            output_null(output, "confirmed");
        else
            output_bool(output, "confirmed", db_bool(result, row, 7));
        output_text(output, "order", db_text(result, row, 8));
        kept = kept && hold(showing, CATEGORY_CONSENT_PROOF, "consent", "proof", showing->person,
                            db_text(result, row, 0), -1, db_int(result, row, 1), db_text(result, row, 10),
                            db_date(result, row, 9), (int)db_int(result, row, 11));
        if (kept && showing->held.count > before)
            showing->held.at[before].object =
                consent_label(showing, db_text(result, row, 3), db_time(result, row, 2));
    }
    output_table_end(output);
    db_result_release(result);
    return kept ? EXIT_FINE : session_refuse(showing->session, EXIT_REFUSED, "out of memory");
}

static int show_requests(struct showing *showing) {
    struct db_result *result = NULL;
    struct output *output = showing->session->output;
    int code = ask(showing, &query_cli_show_requests, &result);
    if (code != EXIT_FINE)
        return code;
    output_table(output, "requests", "Requests", NULL);
    for (size_t row = 0; row < db_rows(result); row++) {
        output_row(output);
        output_text(output, "request", db_text(result, row, 0));
        output_time(output, "received", db_time(result, row, 1));
        output_time(output, "identified", db_time(result, row, 2));
        output_text(output, "state", db_text(result, row, 3));
        output_date(output, "due", db_date(result, row, 4));
        output_date(output, "until", db_date(result, row, 5));
    }
    output_table_end(output);
    db_result_release(result);
    return EXIT_FINE;
}

static int show_tombstones(struct showing *showing) {
    struct db_result *result = NULL;
    struct output *output = showing->session->output;
    int code = ask(showing, &query_cli_show_tombstones, &result);
    if (code != EXIT_FINE)
        return code;
    output_table(output, "erasures", "Erased (kundregister customer erasure tells more)", NULL);
    for (size_t row = 0; row < db_rows(result); row++) {
        output_row(output);
        output_time(output, "cut", db_time(result, row, 0));
        output_text(output, "cause", db_text(result, row, 1));
        output_list(output, "categories", db_text(result, row, 2));
        output_bool(output, "complete", db_bool(result, row, 3));
        output_time(output, "keys_destroyed", db_time(result, row, 4));
    }
    output_table_end(output);
    db_result_release(result);
    return EXIT_FINE;
}

static int show_grounds(struct showing *showing) {
    struct db_result *result = NULL;
    bool kept = true;
    int code = ask(showing, &query_cli_show_grounds, &result);
    if (code != EXIT_FINE)
        return code;
    for (size_t row = 0; row < db_rows(result); row++)
        kept = kept && hold(showing, CATEGORY_LEDGER, "notice", "ground", showing->person,
                            db_text(result, row, 0), -1, db_int(result, row, 1), db_text(result, row, 3),
                            db_date(result, row, 2), (int)db_int(result, row, 4));
    db_result_release(result);
    return kept ? EXIT_FINE : session_refuse(showing->session, EXIT_REFUSED, "out of memory");
}

/* ---- opened ---- */

/* "account 6(1)(b), rights 6(1)(c) GDPR 5(2)": purposes joined by commas, with what each rests on. */
static struct text grounds(struct showing *showing, const struct held *held, bool names) {
    char buffer[512];
    size_t used = 0;
    const struct policy *policy = policy_numbered(showing, held->policy);
    const struct policy_category *category = policy ? &policy->categories[held->sealed.category] : NULL;
    buffer[0] = '\0';
    for (size_t i = 0; category && i < category->purpose_count && used < sizeof(buffer); i++) {
        for (size_t p = 0; p < policy->purpose_count && used < sizeof(buffer); p++) {
            const struct policy_purpose *purpose = &policy->purposes[p];
            if (!text_equal(purpose->name, category->purposes[i]))
                continue;
            if (names)
                snprintf(buffer + used, sizeof(buffer) - used, "%s%.*s", used ? "," : "",
                         TEXT_ARGS(purpose->name));
            else
                snprintf(buffer + used, sizeof(buffer) - used, "%s%.*s%s%.*s", used ? "," : "",
                         TEXT_ARGS(purpose->basis), text_present(purpose->law) ? ": " : "",
                         TEXT_ARGS(purpose->law));
            used = strlen(buffer);
        }
    }
    return arena_text(&showing->session->arena, (struct text){buffer, used});
}

static void put_held(struct showing *showing, const struct held *held) {
    struct output *output = showing->session->output;
    const struct policy *policy = policy_numbered(showing, held->policy);
    output_row(output);
    output_string(output, "category", category_names[held->sealed.category]);
    output_text(output, "object", held->object);
    output_int(output, "generation", held->sealed.generation);
    output_date(output, "until", held->until);
    output_list(output, "purposes", grounds(showing, held, true));
    output_list(output, "legal_basis", grounds(showing, held, false));
    output_text(output, "policy_version", policy ? policy->version : TEXT_ABSENT);
    output_string(output, "policy_digest", policy ? policy->digest : NULL);
    output_json(output, "value", held->sealed.plain);
}

static void put_leaf(struct output *output, const char *path, const struct json *value) {
    output_row(output);
    output_format(output, "field", "%s", path);
    if (value->type == JSON_BOOL)
        output_bool(output, "value", value->boolean);
    else if (value->type == JSON_ARRAY || value->type == JSON_OBJECT)
        output_string(output, "value", "(none)");
    else
        output_text(output, "value", value->text);
}

/* Fields for people: "lines.1.name". Cells are shallow: the reader's own bound on depth holds here too. */
static void put_fields(struct output *output, const char *path, const struct json *value) {
    int at = 1;
    if ((value->type != JSON_OBJECT && value->type != JSON_ARRAY) || !value->first) {
        put_leaf(output, path, value);
        return;
    }
    for (const struct json *child = value->first; child; child = child->next, at++) {
        char name[256];
        if (value->type == JSON_OBJECT)
            snprintf(name, sizeof(name), "%s%s%.*s", path, *path ? "." : "", TEXT_ARGS(child->key));
        else
            snprintf(name, sizeof(name), "%s%s%d", path, *path ? "." : "", at);
        put_fields(output, name, child);
    }
}

static int put_for_people(struct showing *showing, const struct held *held) {
    struct output *output = showing->session->output;
    struct json *root = NULL;
    char until[11] = "-";
    const struct policy *policy = policy_numbered(showing, held->policy);
    if (held->until != DATE_NONE)
        date_write(held->until, until);
    if (json_parse(held->sealed.plain, 16, &showing->session->arena, &root) != JSON_FINE)
        return session_refuse(showing->session, EXIT_REFUSED, "an opened cell is no JSON");
    output_note(output, "%s%s%.*s: kept until %s for %.*s on %.*s (policy %.*s)",
                category_names[held->sealed.category], text_present(held->object) ? " of " : "",
                TEXT_ARGS(held->object), until, TEXT_ARGS(grounds(showing, held, true)),
                TEXT_ARGS(grounds(showing, held, false)),
                TEXT_ARGS(policy ? policy->version : TEXT("unknown")));
    output_table(output, "value", NULL, NULL);
    put_fields(output, "", root);
    output_table_end(output);
    return EXIT_FINE;
}

static int show_held(struct showing *showing, struct cells *cells) {
    struct session *session = showing->session;
    int code = EXIT_FINE;
    for (size_t i = 0; i < showing->held.count; i++) {
        if (cells_read(cells, &session->arena, &showing->held.at[i].sealed, 1, NULL, &session->err) != OK)
            return session_failed(session, &session->err);
    }
    if (session->json) {
        output_table(session->output, "held", NULL, NULL);
        for (size_t i = 0; i < showing->held.count; i++)
            put_held(showing, &showing->held.at[i]);
        output_table_end(session->output);
        return EXIT_FINE;
    }
    for (size_t i = 0; code == EXIT_FINE && i < showing->held.count; i++)
        code = put_for_people(showing, &showing->held.at[i]);
    if (showing->held.count == 0)
        output_note(session->output, "No personal data is held of this person.");
    return code;
}

int command_customer_show(struct session *session, const struct arguments *arguments) {
    struct showing showing = {.session = session, .person = text_of(arguments->operands[0])};
    struct cells cells = {0};
    size_t found = 0;
    int code = session_open(session, CLUSTER_REGISTER, ROLE_CLERK, &showing.reg);
    if (code == EXIT_FINE)
        code = session_schema(session, showing.reg, CLUSTER_REGISTER);
    if (code == EXIT_FINE)
        code = session_audit(session, showing.reg, "customer show", arguments->operands[0],
                             argument(arguments, "reason"), NULL);
    if (code == EXIT_FINE)
        code = cells_open(&cells, session, showing.reg, ROLE_CLERK);
    output_text(session->output, "person", showing.person);
    if (code == EXIT_FINE)
        code = session_run(session, showing.reg, &query_cli_snapshot, NULL, NULL);
    if (code == EXIT_FINE)
        code = show_persons(&showing, &found);
    if (code == EXIT_FINE && found == 0)
        code = session_refuse(session, EXIT_FINDING, "the register knows no such person");
    if (code == EXIT_FINE)
        code = show_orders(&showing);
    if (code == EXIT_FINE)
        code = show_shipments(&showing);
    if (code == EXIT_FINE)
        code = show_consents(&showing);
    if (code == EXIT_FINE)
        code = show_requests(&showing);
    if (code == EXIT_FINE)
        code = show_tombstones(&showing);
    if (code == EXIT_FINE)
        code = show_grounds(&showing);
    if (code == EXIT_FINE)
        code = show_held(&showing, &cells);
    if (code == EXIT_FINE)
        code = session_print(session, code);
    for (size_t i = 0; i < showing.policy_count; i++)
        policy_free(showing.policies[i].policy);
    cells_close(&cells);
    return code;
}
