/* `customer erasure`: the certificate of what was erased, what stays and why, and who was told. Opens nothing
 * personal: it is made of tombstones, dates and the ledger. */
#include "core/cli/certificate.h"
#include "core/cli/command.h"
#include "core/decide/pack.h"
#include "core/dump_line.h"
#include "core/ref.h"
#include "queries.h"

#include <string.h>

static int no_memory(struct session *session) {
    return session_refuse(session, EXIT_REFUSED, "out of memory");
}

/* Runs it with the person, and the instants that it asks for. */
static int ask(struct certificate *certificate, const struct query *query, struct text first,
               const int64_t *instants, size_t count, struct db_result **result) {
    struct session *session = certificate->session;
    struct db_params *params = db_params_new(&session->arena, query->params);
    if (!params)
        return no_memory(session);
    db_param_text(params, first);
    for (size_t i = 0; i < count; i++)
        db_param_int8(params, instants[i]);
    return session_run(session, certificate->reg, query, params, result);
}

/* "17(3)(b); accounting 6(1)(c): 1336/1997 2:10": the ground on which a request leaves it, and the purposes
 * with what each rests on. */
static struct text why(const struct certificate *certificate, enum category id) {
    char buffer[512];
    size_t used = 0;
    const struct policy *policy = certificate->policy;
    const struct policy_category *category = policy ? &policy->categories[id] : NULL;
    buffer[0] = '\0';
    for (size_t i = 0; category && i < category->purpose_count; i++) {
        for (size_t p = 0; p < policy->purpose_count && used < sizeof(buffer); p++) {
            const struct policy_purpose *purpose = &policy->purposes[p];
            if (!text_equal(purpose->name, category->purposes[i]))
                continue;
            snprintf(buffer + used, sizeof(buffer) - used, "%s%.*s %.*s%s%.*s", used ? ", " : "",
                     TEXT_ARGS(purpose->name), TEXT_ARGS(purpose->basis),
                     text_present(purpose->law) ? ": " : "", TEXT_ARGS(purpose->law));
            used = strlen(buffer);
        }
    }
    return used ? arena_text(&certificate->session->arena, (struct text){buffer, used}) : TEXT_ABSENT;
}

static enum category category_named(struct text name) {
    for (size_t i = 0; i < CATEGORIES; i++) {
        if (text_is(name, category_names[i]))
            return (enum category)i;
    }
    return CATEGORIES;
}

static void put_kept(struct certificate *certificate, struct text name, int64_t count, int32_t until) {
    struct output *output = certificate->session->output;
    enum category id = category_named(name);
    bool named = certificate->policy && id < CATEGORIES;
    output_row(output);
    output_text(output, "category", name);
    output_int(output, "count", count);
    output_date(output, "until", until);
    output_text(output, "ground", named ? certificate->policy->categories[id].ground : TEXT_ABSENT);
    output_text(output, "law", named ? why(certificate, id) : TEXT_ABSENT);
}

/* ---- what was erased ---- */

/* While a cut is not complete, delivery waits (SEMANTICS.md); all else is erased at once. */
static void put_categories(struct output *output, struct text categories, bool complete) {
    const char *waits = category_names[CATEGORY_DELIVERY];
    char erased[256];
    size_t used = 0;
    erased[0] = '\0';
    for (struct text rest = categories; rest.size;) {
        const char *comma = memchr(rest.at, ',', rest.size);
        struct text name = {rest.at, comma ? (size_t)(comma - rest.at) : rest.size};
        size_t taken = name.size + (comma ? 1 : 0);
        if ((complete || !text_is(name, waits)) && used < sizeof(erased)) {
            snprintf(erased + used, sizeof(erased) - used, "%s%.*s", used ? "," : "", TEXT_ARGS(name));
            used = strlen(erased);
        }
        rest = (struct text){rest.at + taken, rest.size - taken};
    }
    output_list(output, "erased", text_of(erased));
    output_list(output, "waits", complete ? TEXT("") : text_of(waits));
}

static int put_cuts(struct certificate *certificate, size_t *count) {
    struct output *output = certificate->session->output;
    struct db_result *result = NULL;
    bool destroyed = true;
    int code = ask(certificate, &query_cli_erasures, text_of(certificate->subject), NULL, 0, &result);
    if (code != EXIT_FINE)
        return code;
    *count = db_rows(result);
    certificate->complete = true;
    output_table(output, "erasures", "Erased", NULL);
    for (size_t row = 0; row < db_rows(result); row++) {
        int64_t cut_us = db_time(result, row, 0), destroyed_us = db_time(result, row, 7);
        bool complete = db_bool(result, row, 4);
        output_row(output);
        output_time(output, "cut", cut_us);
        output_text(output, "cause", db_text(result, row, 2));
        put_categories(output, db_text(result, row, 3), complete);
        output_bool(output, "complete", complete);
        output_time(output, "completed", db_time(result, row, 5));
        output_time(output, "keys_destroyed", destroyed_us);
        output_bool(output, "restored", db_bool(result, row, 6));
        certificate->newest_us = cut_us;
        if (text_is(db_text(result, row, 2), "request"))
            certificate->requested_us = cut_us;
        certificate->complete = certificate->complete && complete;
        destroyed = destroyed && destroyed_us != TIME_NONE;
        if (destroyed_us > certificate->destroyed_us)
            certificate->destroyed_us = destroyed_us;
    }
    output_table_end(output);
    if (!destroyed)
        certificate->destroyed_us = TIME_NONE;
    db_result_release(result);
    return EXIT_FINE;
}

/* ---- what stays ---- */

/* Keyed hashes of addresses: those that an objection arms deny whoever uses the address next. */
static int put_addresses(struct certificate *certificate) {
    struct session *session = certificate->session;
    struct text person = text_of(certificate->person);
    struct person guard = {0};
    struct db_result *result = NULL;
    int64_t armed = 0;
    int32_t until = DATE_NONE;
    int code = ask(certificate, &query_cli_erasure_guard, person, NULL, 0, &result);
    if (code == EXIT_FINE && db_rows(result) > 0 &&
        unpack_person(db_text(result, 0, 0), &session->arena, &guard, &session->err) != OK)
        code = session_failed(session, &session->err);
    db_result_release(result);
    for (size_t i = 0; code == EXIT_FINE && i < guard.facts.addresses.count; i++) {
        struct address address = {.hash = guard.facts.addresses.at[i].hash};
        result = NULL;
        code = ask(certificate, &query_cli_erasure_address, address.hash, NULL, 0, &result);
        if (code == EXIT_FINE && db_rows(result) > 0 &&
            unpack_address(db_text(result, 0, 0), &session->arena, &address, &session->err) != OK)
            code = session_failed(session, &session->err);
        db_result_release(result);
        for (size_t e = 0; code == EXIT_FINE && e < address.entries.count; e++) {
            const struct address_entry *entry = &address.entries.at[e];
            bool arms = entry->objected_first_us != TIME_NONE || entry->withdrawn_us != TIME_NONE;
            if (!arms || !text_equal(entry->person, person))
                continue;
            int32_t kept = dump_suppressed_until(&address, entry, certificate->policy);
            until = kept > until ? kept : until;
            armed++;
        }
    }
    if (code == EXIT_FINE && armed)
        put_kept(certificate, text_of(category_names[CATEGORY_SUPPRESSION]), armed, until);
    return code;
}

/* The end of the last line of the ledger. */
static int32_t ledger_until(const struct certificate *certificate, int64_t last_us) {
    struct clocks clocks;
    for (size_t i = 0; i < CLOCKS; i++)
        clocks.at_us[i] = TIME_NONE;
    clocks.at_us[CLOCK_DISCLOSED] = last_us;
    return certificate->policy ? policy_until(certificate->policy, CATEGORY_LEDGER, &clocks, NULL, 0)
                               : DATE_NONE;
}

static int put_all_kept(struct certificate *certificate, int64_t disclosures, int64_t disclosed_us) {
    struct output *output = certificate->session->output;
    struct db_result *result = NULL;
    const int64_t instants[] = {certificate->newest_us, certificate->requested_us};
    int code = ask(certificate, &query_cli_erasure_kept, text_of(certificate->person), instants, 2, &result);
    if (code != EXIT_FINE)
        return code;
    output_table(output, "kept", "Kept", "Nothing is kept.");
    for (size_t row = 0; row < db_rows(result); row++) {
        if (db_int(result, row, 1) > 0)
            put_kept(certificate, db_text(result, row, 0), db_int(result, row, 1), db_date(result, row, 2));
    }
    db_result_release(result);
    if (disclosures)
        put_kept(certificate, text_of(category_names[CATEGORY_LEDGER]), disclosures,
                 ledger_until(certificate, disclosed_us));
    code = put_addresses(certificate);
    output_table_end(output);
    return code;
}

static int put_waiting(struct certificate *certificate) {
    struct output *output = certificate->session->output;
    struct db_result *result = NULL;
    int code = ask(certificate, &query_cli_erasure_waiting, text_of(certificate->person),
                   &certificate->requested_us, 1, &result);
    if (code != EXIT_FINE)
        return code;
    output_table(output, "waiting", "Waiting, and then erased unasked", NULL);
    for (size_t row = 0; row < db_rows(result); row++) {
        output_row(output);
        output_string(output, "category", category_names[CATEGORY_DELIVERY]);
        output_string(output, "event", "parcels_closed");
        output_text(output, "shipment", db_text(result, row, 1));
        output_text(output, "carrier", db_text(result, row, 2));
    }
    output_table_end(output);
    db_result_release(result);
    return EXIT_FINE;
}

/* ---- who was told ---- */

static void put_name(const struct certificate *certificate, struct text id) {
    const struct policy *policy = certificate->policy;
    int at = policy ? policy_recipient(policy, id) : -1;
    output_text(certificate->session->output, "recipient", id);
    output_text(certificate->session->output, "recipient_name",
                at >= 0 ? policy->recipients[at].name : TEXT_ABSENT);
}

static int put_recipients(struct certificate *certificate, int64_t *disclosures, int64_t *last_us) {
    struct session *session = certificate->session;
    struct db_result *result = NULL;
    int code = ask(certificate, &query_cli_erasure_recipients, text_of(certificate->person),
                   &certificate->newest_us, 1, &result);
    if (code != EXIT_FINE)
        return code;
    output_table(session->output, "recipients", "Recipients", "Nothing was disclosed to anybody.");
    for (size_t row = 0; row < db_rows(result); row++) {
        struct text *recipient = ARENA_PUSH(&session->arena, &certificate->recipients);
        int64_t latest_us = db_time(result, row, 3);
        if (!recipient)
            code = no_memory(session);
        else
            *recipient = arena_text(&session->arena, db_text(result, row, 0));
        output_row(session->output);
        put_name(certificate, db_text(result, row, 0));
        output_int(session->output, "disclosures", db_int(result, row, 1));
        output_time(session->output, "first", db_time(result, row, 2));
        output_time(session->output, "last", latest_us);
        output_bool(session->output, "told_to_erase", db_bool(result, row, 4));
        *disclosures += db_int(result, row, 1);
        *last_us = latest_us > *last_us ? latest_us : *last_us;
    }
    output_table_end(session->output);
    db_result_release(result);
    return code;
}

static int put_notices(struct certificate *certificate) {
    struct session *session = certificate->session;
    struct output *output = session->output;
    struct db_result *result = NULL;
    int code = ask(certificate, &query_cli_notices, text_of(certificate->person), NULL, 0, &result);
    if (code != EXIT_FINE)
        return code;
    output_table(output, "notices", "Notices to erase", NULL);
    for (size_t row = 0; code == EXIT_FINE && row < db_rows(result); row++) {
        struct notice notice = {0};
        if (!text_is(db_text(result, row, 2), "anonymize") ||
            db_int(result, row, 10) >= certificate->newest_us)
            continue;
        if (unpack_notice(db_text(result, row, 13), &session->arena, &notice, &session->err) != OK) {
            code = session_failed(session, &session->err);
            break;
        }
        output_row(output);
        put_name(certificate, db_text(result, row, 1));
        output_text(output, "cause", db_text(result, row, 3));
        output_time(output, "decided", db_time(result, row, 0));
        output_text(output, "sent", db_text(result, row, 12));
        output_date(output, "answer_by", db_date(result, row, 6));
        output_int(output, "reminders", db_int(result, row, 7));
        output_text(output, "outcome", db_text(result, row, 8));
        output_time(output, "acknowledged", notice.answer.time_us);
        output_date(output, "until", db_date(result, row, 9));
    }
    output_table_end(output);
    db_result_release(result);
    return code;
}

/* ---- the whole ---- */

static void put_verdict(struct certificate *certificate) {
    struct output *output = certificate->session->output;
    output_string(output, "state",
                  !certificate->complete                   ? "waiting"
                  : certificate->destroyed_us == TIME_NONE ? "destroying keys"
                                                           : "erased");
    if (!certificate->complete)
        output_note(output,
                    "The erasure is not complete: what waits is erased unasked when its event comes.");
    else if (certificate->destroyed_us == TIME_NONE)
        output_note(output,
                    "The erasure is decided; the vault has not let go of all keys yet (within 60 s).");
    else
        output_note(output,
                    "The erasure is complete: nobody can open what was erased from any copy of the register, "
                    "but for the remnants below.");
}

static int name_subject(struct certificate *certificate) {
    struct ref_key ref_key;
    struct session *session = certificate->session;
    int code = session_key(session, session->config.keys.ref_file, "keys.ref.file", ref_key.bytes);
    if (code == EXIT_FINE)
        ref_subject(&ref_key, text_of(certificate->person), certificate->subject);
    secret_wipe(&ref_key, sizeof ref_key);
    return code;
}

static int print_certificate(struct certificate *certificate) {
    size_t count = 0;
    int64_t disclosures = 0, disclosed_us = TIME_NONE;
    output_string(certificate->session->output, "person", certificate->person);
    output_string(certificate->session->output, "subject", certificate->subject);
    int code = put_cuts(certificate, &count);
    if (code == EXIT_FINE && !count)
        return session_refuse(certificate->session, EXIT_FINDING, "no erasure of this person is known");
    if (code == EXIT_FINE)
        put_verdict(certificate);
    if (code == EXIT_FINE)
        code = put_waiting(certificate);
    if (code == EXIT_FINE)
        code = put_recipients(certificate, &disclosures, &disclosed_us);
    if (code == EXIT_FINE)
        code = put_notices(certificate);
    if (code == EXIT_FINE)
        code = put_all_kept(certificate, disclosures, disclosed_us);
    if (code == EXIT_FINE)
        code = certificate_remnants(certificate);
    return code == EXIT_FINE ? session_print(certificate->session, EXIT_FINE) : code;
}

int command_customer_erasure(struct session *session, const struct arguments *arguments) {
    struct certificate certificate = {.session = session,
                                      .person = arguments->operands[0],
                                      .newest_us = GENERATION_FIRST,
                                      .requested_us = GENERATION_FIRST,
                                      .destroyed_us = TIME_NONE};
    int number = 0;
    int code = session_open(session, CLUSTER_REGISTER, ROLE_CLERK, &certificate.reg);
    if (code == EXIT_FINE)
        code = session_schema(session, certificate.reg, CLUSTER_REGISTER);
    if (code == EXIT_FINE)
        code = name_subject(&certificate);
    if (code == EXIT_FINE)
        code = session_audit(session, certificate.reg, "customer erasure", certificate.person,
                             argument(arguments, "reason"), NULL);
    if (code == EXIT_FINE)
        code = session_policy(session, certificate.reg, &certificate.policy, &number);
    if (code == EXIT_FINE)
        code = print_certificate(&certificate);
    policy_free(certificate.policy);
    return code;
}
