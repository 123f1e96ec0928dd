/* `restore reconcile`: the rows that it reads and writes in portions, each in a transaction of its own. */
#include "consumer/reconcile_rows.h"

#include "consumer/erase.h"
#include "consumer/register_postgres.h"
#include "core/clock.h"
#include "core/decide/pack.h"
#include "core/operator.h"
#include "queries.h"
#include <stdio.h>
#include <string.h>

#define PORTION 2000
#define ARENA_BYTES ((size_t)256 << 20)
#define CATEGORY_LIST_BYTES 160
#define SUBJECT_FIRST ""

static enum outcome no_memory(struct err *err) {
    return err_set(err, RETRY, 0, "no memory to reconcile");
}

enum outcome reconcile_alone(struct db *reg, struct err *err) {
    struct db_result *result = NULL;
    enum outcome outcome = db_run(reg, &query_cli_consumers, NULL, &result, err);
    if (outcome == OK && db_rows(result))
        outcome = err_set(err, POISON, 0,
                          "a consumer runs (%zu connections, the first has backend pid %lld): stop it first",
                          db_rows(result), (long long)db_int(result, 0, 0));
    db_result_release(result);
    return outcome;
}

enum outcome reconcile_audit(struct db *reg, const char *reason, const struct remember_sum *found,
                             struct err *err) {
    struct arena arena;
    char operator[80], detail[160];
    arena_init(&arena, 1 << 16);
    operator_name(operator, sizeof operator);
    snprintf(detail, sizeof detail,
             "the register lacks %zu cuts, the vault %zu; topic %zu, vault %zu, register %zu",
             remember_lacking(found), found->vault_lacks, found->topic, found->vault, found->registered);
    struct db_params *params = db_params_new(&arena, query_cli_audit_write.params);
    enum outcome outcome = params ? OK : no_memory(err);
    if (outcome == OK) {
        db_param_text(params, text_of(operator));
        db_param_text(params, TEXT("restore reconcile"));
        db_param_text(params, TEXT_ABSENT);
        db_param_text(params, text_of(reason));
        db_param_text(params, text_of(detail));
        outcome = db_run(reg, &query_cli_audit_write, params, NULL, err);
    }
    arena_release(&arena);
    return outcome;
}

enum outcome reconcile_restored(struct db *reg, int64_t *restored_us, struct err *err) {
    struct db_result *result = NULL;
    enum outcome outcome = db_run(reg, &query_reconcile_restored, NULL, &result, err);
    if (outcome == OK)
        *restored_us = db_int(result, 0, 0);
    db_result_release(result);
    return outcome;
}

enum outcome reconcile_policy(struct db *reg, const char *digest, int *policy, struct err *err) {
    struct arena arena;
    struct db_result *result = NULL;
    arena_init(&arena, 1 << 16);
    struct db_params *params = db_params_new(&arena, query_consumer_policy.params);
    enum outcome outcome = params ? OK : no_memory(err);
    if (outcome == OK) {
        db_param_text(params, text_of(digest));
        outcome = db_run(reg, &query_consumer_policy, params, &result, err);
    }
    if (outcome == OK && db_rows(result) != 1)
        outcome = err_set(err, FATAL, 0, "the policy file is not the active policy");
    if (outcome == OK)
        *policy = (int)db_int(result, 0, 0);
    db_result_release(result);
    arena_release(&arena);
    return outcome;
}

/* A query of (:after, :most). */
static enum outcome stretch(struct db *reg, const struct query *query, struct arena *arena, const char *after,
                            int most, struct db_result **result, struct err *err) {
    struct db_params *params = db_params_new(arena, query->params);
    *result = NULL;
    if (!params)
        return no_memory(err);
    db_param_text(params, text_of(after));
    db_param_int4(params, most);
    return db_run(reg, query, params, result, err);
}

static enum outcome persons_of(struct db *db, const struct query *query, struct arena *arena,
                               const char *after, int most, struct text **persons, size_t *count,
                               struct err *err) {
    struct db_result *result;
    enum outcome outcome = stretch(db, query, arena, after, most, &result, err);
    *count = outcome == OK ? db_rows(result) : 0;
    *persons = ARENA_ARRAY(arena, struct text, *count + 1);
    for (size_t i = 0; outcome == OK && i < *count; i++) {
        if (*persons)
            (*persons)[i] = arena_text(arena, db_text(result, i, 0));
        if (!*persons || !text_present((*persons)[i]))
            outcome = no_memory(err);
    }
    db_result_release(result);
    return outcome;
}

enum outcome reconcile_persons(struct db *reg, struct db *vault, struct arena *arena, const char *after,
                               int most, struct text **persons, size_t *count, struct err *err) {
    struct text *known, *with_keys;
    size_t known_count, key_count = 0, i = 0, k = 0;
    *count = 0;
    enum outcome outcome =
        persons_of(reg, &query_reconcile_persons, arena, after, most, &known, &known_count, err);
    if (outcome == OK)
        outcome =
            persons_of(vault, &query_reconcile_ring_persons, arena, after, most, &with_keys, &key_count, err);
    if (outcome != OK)
        return outcome;
    *persons = ARENA_ARRAY(arena, struct text, known_count + key_count + 1);
    if (!*persons)
        return no_memory(err);
    while (*count < (size_t)most && (i < known_count || k < key_count)) {
        int order = i == known_count ? 1 : k == key_count ? -1 : text_compare(known[i], with_keys[k]);
        (*persons)[(*count)++] = order <= 0 ? known[i] : with_keys[k];
        i += order <= 0;
        k += order >= 0;
    }
    return OK;
}

/* ---- subjects that the register does not know ---- */

static struct text category_list(struct arena *arena, unsigned categories) {
    char list[CATEGORY_LIST_BYTES];
    size_t size = 0;
    for (unsigned bit = 0; bit < CATEGORIES; bit++)
        if (categories & 1u << bit)
            size += (size_t)snprintf(list + size, sizeof list - size, "%s%s", size ? "," : "",
                                     category_names[bit]);
    return arena_text(arena, (struct text){list, size});
}

static struct db_params *orphan_params(struct arena *arena, const struct remembered *cuts, size_t count,
                                       int policy) {
    struct db_params *params = db_params_new(arena, query_reconcile_orphans.params);
    struct db_column *subject = db_column(params, DB_TEXT, count);
    struct db_column *cut = db_column(params, DB_TIMESTAMPTZ, count);
    struct db_column *generation = db_column(params, DB_INT8, count);
    struct db_column *cause = db_column(params, DB_TEXT, count);
    struct db_column *categories = db_column(params, DB_TEXT, count);
    for (size_t i = 0; i < count; i++) {
        char hex[SUBJECT_HEX + 1];
        remember_subject_write(cuts[i].subject, hex);
        bool first = i == 0 || memcmp(cuts[i].subject, cuts[i - 1].subject, SUBJECT_BYTES) != 0;
        struct text name = arena_text(arena, text_of(hex)), listed = category_list(arena, cuts[i].categories);
        if (!text_present(name) || !text_present(listed))
            return NULL;
        db_put_text(subject, name);
        db_put_time(cut, cuts[i].cut_us);
        db_put_int(generation, first ? GENERATION_FIRST : cuts[i - 1].cut_us);
        db_put_text(cause, cuts[i].by_request ? TEXT("request") : TEXT("closed"));
        db_put_text(categories, listed);
    }
    if (params)
        db_param_int4(params, policy);
    return params;
}

enum outcome reconcile_orphans(struct db *reg, const struct remembered *cuts, size_t count, int policy,
                               struct err *err) {
    struct arena arena;
    enum outcome outcome = OK;
    arena_init(&arena, ARENA_BYTES);
    for (size_t from = 0; outcome == OK && from < count;) {
        size_t to = from + PORTION < count ? from + PORTION : count;
        /* A subject's cuts together: each names the one before as its generation. */
        while (to < count && memcmp(cuts[to].subject, cuts[to - 1].subject, SUBJECT_BYTES) == 0)
            to++;
        arena_reset(&arena);
        struct db_params *params = orphan_params(&arena, cuts + from, to - from, policy);
        outcome = params ? db_run(reg, &query_reconcile_orphans, params, NULL, err) : no_memory(err);
        from = to;
    }
    arena_release(&arena);
    return outcome;
}

/* One subject's tombstone for the vault. */
static enum outcome orphan_body(struct json_writer *writer, struct arena *arena,
                                const struct db_result *result, size_t from, size_t to,
                                struct tombstone_row *row, struct err *err) {
    struct erase_cut *cuts = ARENA_ARRAY(arena, struct erase_cut, to - from);
    if (!cuts)
        return no_memory(err);
    for (size_t i = from; i < to; i++)
        cuts[i - from] = (struct erase_cut){.subject = db_text(result, i, 0),
                                            .cut_us = db_time(result, i, 1),
                                            .generation = db_int(result, i, 2),
                                            .cause = db_text(result, i, 3),
                                            .categories = db_text(result, i, 4),
                                            .valid = true,
                                            .complete = true};
    return erase_body(writer, arena, cuts, to - from, TEXT_ABSENT, NULL, 0, row, err);
}

static enum outcome tell_stretch(struct db *vault, struct json_writer *writer, struct arena *arena,
                                 const struct db_result *result, size_t *told, struct err *err) {
    size_t rows = db_rows(result), count = 0;
    struct tombstone_row *bodies = ARENA_ARRAY(arena, struct tombstone_row, rows);
    struct db_result *answer = NULL;
    enum outcome outcome = bodies ? OK : no_memory(err);
    for (size_t from = 0, to; outcome == OK && from < rows; from = to) {
        for (to = from + 1; to < rows && text_equal(db_text(result, from, 0), db_text(result, to, 0));)
            to++;
        outcome = orphan_body(writer, arena, result, from, to, &bodies[count++], err);
    }
    struct db_params *params =
        outcome == OK ? db_params_new(arena, query_vault_write_tombstones.params) : NULL;
    if (outcome == OK && !params)
        outcome = no_memory(err);
    if (outcome != OK)
        return outcome;
    struct db_column *subject = db_column(params, DB_TEXT, count);
    struct db_column *body = db_column(params, DB_TEXT, count);
    struct db_column *at = db_column(params, DB_TIMESTAMPTZ, count);
    for (size_t i = 0; i < count; i++) {
        db_put_text(subject, bodies[i].subject);
        db_put_text(body, bodies[i].body);
        db_put_time(at, 0); /* older than any: what the vault has of a subject stays */
    }
    outcome = db_run(vault, &query_vault_write_tombstones, params, &answer, err);
    *told += outcome == OK ? (size_t)db_affected(answer) : 0;
    db_result_release(answer);
    return outcome;
}

enum outcome reconcile_tell(struct db *reg, struct db *vault, struct json_writer *writer, size_t *told,
                            struct err *err) {
    struct arena arena;
    char after[SUBJECT_HEX + 1] = SUBJECT_FIRST;
    enum outcome outcome = OK;
    size_t rows = 1;
    arena_init(&arena, ARENA_BYTES);
    *told = 0;
    while (outcome == OK && rows) {
        struct db_result *result;
        arena_reset(&arena);
        outcome = stretch(reg, &query_reconcile_orphan_cuts, &arena, after, PORTION, &result, err);
        rows = outcome == OK ? db_rows(result) : 0;
        if (rows) {
            outcome = tell_stretch(vault, writer, &arena, result, told, err);
            snprintf(after, sizeof after, "%.*s", TEXT_ARGS(db_text(result, rows - 1, 0)));
        }
        db_result_release(result);
    }
    arena_release(&arena);
    return outcome;
}

/* ---- an older vault ---- */

struct redoom {
    LIST(struct key_doom) dooms;
    struct text *persons;
    size_t count;
};

static enum outcome take_floors(struct arena *arena, struct text person, struct text merge,
                                struct redoom *redoom, struct err *err) {
    struct person guard = {.person = person};
    enum outcome outcome = text_present(merge) ? unpack_person(merge, arena, &guard, err) : OK;
    for (size_t i = 0; outcome == OK && i < guard.facts.floors.count; i++) {
        const struct key_floor *floor = &guard.facts.floors.at[i];
        struct key_doom *doom = ARENA_PUSH(arena, &redoom->dooms);
        if (!doom)
            return no_memory(err);
        *doom = (struct key_doom){person, floor->generation, floor->category, floor->cells, floor->transit};
    }
    return outcome;
}

/* Both statements commit together at the end of the round trip. */
static enum outcome write_redoom(struct db *reg, struct arena *arena, const struct redoom *redoom,
                                 struct err *err) {
    struct db_params *dooms =
        erase_dooms_params(arena, &query_consumer_write_doomed, redoom->dooms.at, redoom->dooms.count);
    struct db_params *params = db_params_new(arena, query_reconcile_undestroyed.params);
    struct db_column *persons = db_column(params, DB_TEXT, redoom->count);
    for (size_t i = 0; i < redoom->count; i++)
        db_put_text(persons, redoom->persons[i]);
    if (!dooms || !params)
        return no_memory(err);
    db_param_time(dooms, clock_system.now_us(NULL));
    enum outcome outcome = db_send(reg, &query_consumer_write_doomed, dooms, err);
    if (outcome == OK)
        outcome = db_send(reg, &query_reconcile_undestroyed, params, err);
    if (outcome == OK)
        outcome = db_sync(reg, err);
    for (int i = 0; outcome == OK && i < 2; i++) {
        struct db_result *result = NULL;
        outcome = db_next(reg, &result, err);
        db_result_release(result);
    }
    if (outcome != OK)
        db_abandon(reg);
    return outcome;
}

enum outcome reconcile_redoom(struct db *reg, size_t *persons, struct err *err) {
    struct arena arena;
    char after[ERASE_PERSON_BYTES + 1] = "";
    enum outcome outcome = OK;
    size_t rows = 1;
    arena_init(&arena, ARENA_BYTES);
    *persons = 0;
    while (outcome == OK && rows) {
        struct db_result *result;
        struct redoom redoom = {.count = 0};
        arena_reset(&arena);
        outcome = stretch(reg, &query_reconcile_floors, &arena, after, PORTION, &result, err);
        rows = outcome == OK ? db_rows(result) : 0;
        redoom.persons = ARENA_ARRAY(&arena, struct text, rows + 1);
        if (outcome == OK && !redoom.persons)
            outcome = no_memory(err);
        for (size_t i = 0; outcome == OK && i < rows; i++) {
            redoom.persons[redoom.count++] = db_text(result, i, 0);
            outcome = take_floors(&arena, db_text(result, i, 0), db_text(result, i, 1), &redoom, err);
        }
        if (outcome == OK && rows) {
            outcome = write_redoom(reg, &arena, &redoom, err);
            snprintf(after, sizeof after, "%.*s", TEXT_ARGS(db_text(result, rows - 1, 0)));
            *persons += rows;
        }
        db_result_release(result);
    }
    arena_release(&arena);
    return outcome;
}
