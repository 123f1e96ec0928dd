/* `migrate`: brings the schemas of register and vault to this program's version. */
#include "core/cli/command.h"
#include "core/vault.h"
#include "queries.h"

/* The version of the schema that is there, 0 when there is none. */
static int read_version(struct session *session, struct db *db, int64_t *version) {
    struct db_result *result = NULL;
    int code = session_run(session, db, &query_cli_schema_there, NULL, &result);
    bool there = code == EXIT_FINE && db_bool(result, 0, 0);
    db_result_release(result);
    result = NULL;
    *version = 0;
    if (code != EXIT_FINE || !there)
        return code;
    code = session_run(session, db, &query_cli_schema_version, NULL, &result);
    *version = code == EXIT_FINE ? db_int(result, 0, 0) : 0;
    db_result_release(result);
    return code;
}

/* Two that migrate at once wait for each other by the lock, which the end of the connection gives back. */
static int migrate_cluster(struct session *session, struct db *db, enum cluster cluster) {
    const struct migration *migration = cluster == CLUSTER_REGISTER ? register_migrations : vault_migrations;
    int64_t version = 0;
    int code = session_run(session, db, &query_cli_migrate_lock, NULL, NULL);
    if (code == EXIT_FINE)
        code = read_version(session, db, &version);
    if (code != EXIT_FINE)
        return code;
    if (version > session_newest_schema(cluster))
        return session_refuse(session, EXIT_REFUSED,
                              "the %s has schema version %lld, this program knows %d: use the newer program",
                              cluster_names[cluster], (long long)version, session_newest_schema(cluster));
    for (; migration->version; migration++) {
        if (migration->version <= version)
            continue;
        if (db_run_script(db, migration->sql, &session->err) != OK) {
            fprintf(stderr, "kundregister: the %s, migration %s:\n", cluster_names[cluster], migration->name);
            return session_failed(session, &session->err);
        }
        output_row(session->output);
        output_string(session->output, "cluster", cluster_names[cluster]);
        output_int(session->output, "version", migration->version);
        output_string(session->output, "migration", migration->name);
    }
    return EXIT_FINE;
}

int command_migrate(struct session *session, const struct arguments *arguments) {
    struct db *reg = NULL, *vault = NULL;
    uint8_t kek[32] = {0};
    (void)arguments;
    int code = session_open(session, CLUSTER_REGISTER, ROLE_OWNER, &reg);
    if (code == EXIT_FINE)
        code = session_open(session, CLUSTER_VAULT, ROLE_OWNER, &vault);
    if (code == EXIT_FINE)
        code = session_key(session, session->config.keys.kek_file, "keys.kek.file", kek);
    if (code != EXIT_FINE)
        goto out;
    output_table(session->output, "migrations", NULL, "Both schemas are up to date.");
    code = migrate_cluster(session, reg, CLUSTER_REGISTER);
    if (code == EXIT_FINE)
        code = migrate_cluster(session, vault, CLUSTER_VAULT);
    output_table_end(session->output);
    if (code == EXIT_FINE && vault_introduce(vault, reg, kek, &session->err) != OK)
        code = session_failed(session, &session->err);
    if (code == EXIT_FINE)
        code = session_print(session, code);
out:
    secret_wipe(kek, sizeof(kek));
    return code;
}
