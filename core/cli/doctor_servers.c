/* What doctor asks of the two PostgreSQL clusters, the keys and the policy. */
#include "core/cli/doctor.h"
#include "core/clock.h"
#include "core/vault.h"
#include "queries.h"
#include <string.h>

#define SKEW_WARNING_US 1000000
#define SKEW_ERROR_US 60000000
#define ERASURE_MOST_US 60000000 /* what an erasure promises (SPEC 2) */

/* ---- reachability ---- */

/* Every role that the configuration names, so that a wrong password shows here and not at night. */
static void reach(struct doctor *doctor, enum cluster cluster) {
    struct session *session = doctor->session;
    size_t fine = 0;
    for (int role = 0; role < ROLES; role++) {
        struct db *db = NULL;
        if (!session_has(session, cluster, (enum role)role)) {
            if (cluster == CLUSTER_REGISTER || role != ROLE_PRODUCER)
                doctor_find(doctor, GRADE_WARNING, cluster_names[cluster], "set it in the configuration",
                            "There is no connection string for the role %s.", role_names[role]);
            continue;
        }
        if (session_try(session, cluster, (enum role)role, &db, &session->err) == OK) {
            fine++;
            continue;
        }
        doctor->unreachable = doctor->unreachable || session->err.kind == RETRY;
        doctor_find(doctor, GRADE_ERROR, cluster_names[cluster],
                    session->err.kind == RETRY
                        ? "start the server, or correct host and port in the configuration"
                        : "correct the role, its password or the server's settings",
                    "As %s: %s", role_names[role], session->err.text);
    }
    if (fine > 0)
        doctor_find(doctor, GRADE_OK, cluster_names[cluster], NULL, "It answers to %zu roles.", fine);
    struct db **db = cluster == CLUSTER_REGISTER ? &doctor->reg : &doctor->vault;
    *db = session->db[cluster][ROLE_OPERATOR];
}

/* ---- settings ---- */

struct expectation {
    const char *name, *wanted;
    enum grade grade;
    const char *why;
};
static const struct expectation expectations[] = {
    {"fsync", "on", GRADE_ERROR, "a crash of the machine would lose what was committed"},
    {"synchronous_commit", "on", GRADE_ERROR,
     "a crash would lose what was committed, and outputs would not match it"},
    {"full_page_writes", "on", GRADE_ERROR, "a crash of the machine would damage tables"},
    {"server_encoding", "UTF8", GRADE_ERROR, "names in every script must fit"},
    {"log_error_verbosity", "terse", GRADE_WARNING, "an error's detail in the server's log can hold ids"},
    {"log_parameter_max_length", "0", GRADE_WARNING, "parameters in the server's log can hold ids"},
    {"log_parameter_max_length_on_error", "0", GRADE_WARNING, "parameters in the server's log can hold ids"},
};

static void judge_setting(struct doctor *doctor, enum cluster cluster, struct text name, struct text value) {
    for (size_t i = 0; i < sizeof(expectations) / sizeof(*expectations); i++) {
        const struct expectation *expected = &expectations[i];
        char way_out[160];
        if (!text_is(name, expected->name) || text_is(value, expected->wanted))
            continue;
        snprintf(way_out, sizeof(way_out), "ALTER SYSTEM SET %s = '%s'; SELECT pg_reload_conf();",
                 expected->name, expected->wanted);
        doctor_find(
            doctor, expected->grade, cluster_names[cluster],
            strcmp(expected->name, "server_encoding") == 0 ? "make the database anew with ENCODING 'UTF8'"
                                                           : way_out,
            "%s is %.*s, not %s: %s.", expected->name, TEXT_ARGS(value), expected->wanted, expected->why);
    }
}

static void examine_settings(struct doctor *doctor, enum cluster cluster, struct db *db) {
    struct db_result *result = NULL;
    size_t before = doctor->counts[GRADE_ERROR] + doctor->counts[GRADE_WARNING];
    if (session_run(doctor->session, db, &query_cli_settings, NULL, &result) != EXIT_FINE)
        return;
    for (size_t row = 0; row < db_rows(result); row++)
        judge_setting(doctor, cluster, db_text(result, row, 0), db_text(result, row, 1));
    db_result_release(result);
    if (doctor->counts[GRADE_ERROR] + doctor->counts[GRADE_WARNING] == before)
        doctor_find(doctor, GRADE_OK, cluster_names[cluster], NULL,
                    "Its settings are durable, and its log keeps ids to itself.");
}

/* ---- schema, clock, identity ---- */

static bool examine_schema(struct doctor *doctor, enum cluster cluster, struct db *db) {
    struct db_result *result = NULL;
    int64_t version = 0;
    if (session_run(doctor->session, db, &query_cli_schema_there, NULL, &result) != EXIT_FINE)
        return false;
    bool there = db_bool(result, 0, 0);
    db_result_release(result);
    result = NULL;
    if (there && session_run(doctor->session, db, &query_cli_schema_version, NULL, &result) == EXIT_FINE)
        version = db_int(result, 0, 0);
    db_result_release(result);
    if (version == session_newest_schema(cluster)) {
        doctor_find(doctor, GRADE_OK, cluster_names[cluster], NULL, "Its schema has version %lld.",
                    (long long)version);
        return true;
    }
    doctor_find(doctor, GRADE_ERROR, cluster_names[cluster],
                version < session_newest_schema(cluster) ? "kundregister migrate" : "use the newer program",
                "Its schema has version %lld, this program needs %d.", (long long)version,
                session_newest_schema(cluster));
    return false;
}

static void examine_clock(struct doctor *doctor, enum cluster cluster, struct db *db) {
    struct db_result *result = NULL;
    int64_t before = clock_system.now_us(NULL);
    if (session_run(doctor->session, db, &query_cli_clock, NULL, &result) != EXIT_FINE)
        return;
    int64_t middle = before + (clock_system.now_us(NULL) - before) / 2;
    int64_t skew = db_time(result, 0, 0) - middle;
    db_result_release(result);
    int64_t apart = skew < 0 ? -skew : skew;
    enum grade grade = apart > SKEW_ERROR_US     ? GRADE_ERROR
                       : apart > SKEW_WARNING_US ? GRADE_WARNING
                                                 : GRADE_OK;
    doctor_find(doctor, grade, cluster_names[cluster], grade == GRADE_OK ? NULL : "have NTP set both clocks",
                "Its clock is %.3f s %s this machine's.", (double)apart / 1e6,
                skew < 0 ? "behind" : "ahead of");
}

static struct text identity(struct doctor *doctor, struct db *db) {
    struct db_result *result = NULL;
    struct text id = TEXT_ABSENT;
    if (session_run(doctor->session, db, &query_cli_system_identifier, NULL, &result) == EXIT_FINE)
        id = arena_text(&doctor->session->arena, db_text(result, 0, 0));
    db_result_release(result);
    return id;
}

static void examine_apartness(struct doctor *doctor) {
    struct text reg = identity(doctor, doctor->reg), vault = identity(doctor, doctor->vault);
    if (!text_present(reg) || !text_present(vault))
        return;
    if (!text_equal(reg, vault))
        doctor_find(doctor, GRADE_OK, "vault", NULL, "Register and vault are two clusters.");
    else
        doctor_find(doctor, doctor->dev ? GRADE_WARNING : GRADE_ERROR, "vault",
                    "give the vault a PostgreSQL cluster of its own, or say --dev where nothing is real",
                    "Register and vault lie in one cluster: keys stand in the same write-ahead log as what "
                    "they seal.");
}

/* ---- keys and policy ---- */

static void examine_keys(struct doctor *doctor) {
    struct session *session = doctor->session;
    uint8_t key[32] = {0};
    char vault_id[33];
    const struct {
        const char *name, *path;
    } files[] = {{"keys.digest.file", session->config.keys.digest_file},
                 {"keys.ref.file", session->config.keys.ref_file}};
    for (size_t i = 0; i < 2; i++) {
        if (!files[i].path || seal_start(&session->err) != OK ||
            secret_read(files[i].path, key, &session->err) != OK)
            doctor_find(doctor, GRADE_ERROR, "keys",
                        "name a file with 64 hex digits that only the daemons may read", "%s: %s",
                        files[i].name, files[i].path ? session->err.text : "it is not set");
    }
    if (!session->config.keys.kek_file ||
        secret_read(session->config.keys.kek_file, key, &session->err) != OK) {
        doctor_find(doctor, GRADE_ERROR, "keys",
                    "name a file with 64 hex digits that only the daemons may read", "keys.kek.file: %s",
                    session->config.keys.kek_file ? session->err.text : "it is not set");
    } else if (vault_check(doctor->vault, doctor->reg, key, vault_id, &session->err) != OK) {
        doctor_find(doctor, GRADE_ERROR, "keys", "see the runbook on a lost or foreign vault", "%s",
                    session->err.text);
    } else {
        doctor_find(doctor, GRADE_OK, "keys", NULL,
                    "The vault is this register's and the key-encryption key opens it.");
    }
    secret_wipe(key, sizeof(key));
}

static void take_complaint(void *context, const char *path, const char *message) {
    doctor_find(context, GRADE_ERROR, "policy", "kundregister policy check", "%s%s%s", path,
                *path ? ": " : "", message);
}

static void examine_policy(struct doctor *doctor) {
    struct session *session = doctor->session;
    struct policy *active = NULL, *file = NULL;
    int number = 0;
    if (session->config.policy_file) {
        file = policy_read(session->config.policy_file, take_complaint, doctor, &session->err);
        if (!file)
            doctor_find(doctor, GRADE_ERROR, "policy", "kundregister policy check",
                        "The policy file is not fit for use: %s", session->err.text);
    }
    if (doctor->reg && session_policy(session, doctor->reg, &active, &number) == EXIT_FINE) {
        if (!active)
            doctor_find(doctor, GRADE_ERROR, "policy", "kundregister policy activate",
                        "No policy is active.");
        else if (file && strcmp(active->digest, file->digest) != 0)
            doctor_find(doctor, GRADE_WARNING, "policy", "kundregister policy activate, or put the file back",
                        "The active policy (%.12s) is not the file's (%.12s).", active->digest, file->digest);
        else
            doctor_find(doctor, GRADE_OK, "policy", NULL, "Policy %.*s is active%s.",
                        TEXT_ARGS(active->version), file ? " and equals the file" : "");
    }
    doctor->policy = active ? active : file;
    if (active)
        policy_free(file);
}

/* ---- erasures ---- */

static void examine_erasures(struct doctor *doctor) {
    struct db_result *result = NULL;
    if (session_run(doctor->session, doctor->reg, &query_cli_erasures_pending, NULL, &result) != EXIT_FINE)
        return;
    int64_t keys = db_int(result, 0, 0), age_us = db_int(result, 0, 1);
    db_result_release(result);
    if (age_us > ERASURE_MOST_US)
        doctor_find(doctor, GRADE_WARNING, "erasures",
                    "start the consumer; if it runs, its log says what is away or damaged (erasures_wait, "
                    "erasure_stuck)",
                    "Keys of %lld rings and categories wait to be destroyed, the oldest for %lld s.",
                    (long long)keys, (long long)(age_us / 1000000));
    else
        doctor_find(doctor, GRADE_OK, "erasures", NULL,
                    "No key has waited longer than a minute to be destroyed.");
}

void doctor_servers(struct doctor *doctor) {
    bool whole = true;
    reach(doctor, CLUSTER_REGISTER);
    reach(doctor, CLUSTER_VAULT);
    for (int cluster = 0; cluster < CLUSTERS; cluster++) {
        struct db *db = cluster == CLUSTER_REGISTER ? doctor->reg : doctor->vault;
        if (!db) {
            whole = false;
            continue;
        }
        examine_settings(doctor, (enum cluster)cluster, db);
        examine_clock(doctor, (enum cluster)cluster, db);
        whole = examine_schema(doctor, (enum cluster)cluster, db) && whole;
    }
    if (doctor->reg && doctor->vault)
        examine_apartness(doctor);
    if (whole) {
        examine_keys(doctor);
        examine_erasures(doctor);
    } else {
        doctor->reg = NULL;
    }
    examine_policy(doctor);
}
