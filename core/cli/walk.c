/* One pass over the register, aggregate by aggregate. */
#include "core/cli/walk_rows.h"

#include "queries.h"
#include <stdlib.h>

#define BATCH_ARENA_BYTES ((size_t)1 << 30)

/* ---- batches ---- */

/* Opens all cells of a batch at once; one by one when some do not open and that is what is looked for. */
static enum outcome open_all(struct walk *walk, struct sealed *sealed, size_t count, struct err *err) {
    enum outcome outcome = cells_read(walk->cells, &walk->arena, sealed, count, NULL, err);
    if (outcome != FATAL || !walk->unopened)
        return outcome;
    for (size_t i = 0; i < count; i++) {
        outcome = cells_read(walk->cells, &walk->arena, &sealed[i], 1, NULL, err);
        if (outcome == FATAL)
            walk->unopened(walk->context, &sealed[i], err->text);
        else if (outcome != OK)
            return outcome;
    }
    return OK;
}

static int write_lines(struct walk *walk, const struct walk_kind *kind, struct walk_met *met, size_t count) {
    if (kind->order)
        qsort(met, count, sizeof(*met), kind->order);
    for (size_t i = 0; i < count; i++) {
        enum outcome outcome = kind->write(walk, &met[i]);
        if (walk->unprinted)
            return session_refuse(walk->session, EXIT_OUTPUT, "cannot print the dump");
        if (outcome != OK)
            return session_refuse(walk->session, EXIT_REFUSED,
                                  "a row of the register cannot be written as a line");
    }
    return EXIT_FINE;
}

static int take_batch(struct walk *walk, const struct walk_kind *kind, const struct db_result *result) {
    struct err *err = &walk->session->err;
    size_t rows = db_rows(result), sealed_count = 0;
    struct walk_met *met = ARENA_ARRAY(&walk->arena, struct walk_met, rows);
    struct sealed *sealed = ARENA_ARRAY(&walk->arena, struct sealed, rows * WALK_CELLS_MOST);
    if (!met || !sealed)
        return session_refuse(walk->session, EXIT_REFUSED, "out of memory");
    for (size_t row = 0; row < rows; row++) {
        if (kind->take(walk, result, row, &met[row], &sealed[sealed_count], err) != OK)
            return session_failed(walk->session, err);
        sealed_count += met[row].cells;
    }
    if (open_all(walk, sealed, sealed_count, err) != OK)
        return session_failed(walk->session, err);
    sealed_count = 0;
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = 0; i < met[row].cells; i++)
            met[row].cell[i]->content = sealed[sealed_count++].plain;
    }
    walk->rows += rows;
    return walk->line ? write_lines(walk, kind, met, rows) : EXIT_FINE;
}

static int run_kind(struct walk *walk, const struct walk_kind *kind) {
    size_t rows = 1;
    int code = session_run(walk->session, walk->reg, kind->declare, NULL, NULL);
    while (code == EXIT_FINE && rows > 0) {
        struct db_result *result = NULL;
        code = session_run(walk->session, walk->reg, kind->fetch, NULL, &result);
        rows = code == EXIT_FINE ? db_rows(result) : 0;
        if (rows > 0)
            code = take_batch(walk, kind, result);
        db_result_release(result);
        arena_reset(&walk->arena);
        if (walk->progress)
            walk->progress(walk->context, walk->rows, walk->expected);
    }
    return code;
}

int walk_run(struct walk *walk) {
    struct db_result *result = NULL;
    int number = 0;
    arena_init(&walk->arena, BATCH_ARENA_BYTES);
    walk->writer = json_writer_new();
    int code = walk->writer ? EXIT_FINE : session_refuse(walk->session, EXIT_REFUSED, "out of memory");
    if (code == EXIT_FINE)
        code = session_run(walk->session, walk->reg, &query_cli_snapshot, NULL, NULL);
    if (code == EXIT_FINE)
        code = session_run(walk->session, walk->reg, &query_cli_walk_estimate, NULL, &result);
    if (code == EXIT_FINE)
        walk->expected = (uint64_t)db_int(result, 0, 0);
    db_result_release(result);
    if (code == EXIT_FINE)
        code = session_policy(walk->session, walk->reg, &walk->policy, &number);
    for (const struct walk_kind *kind = walk_kinds; code == EXIT_FINE && kind->declare; kind++) {
        if (!kind->notices || walk->notices)
            code = run_kind(walk, kind);
    }
    if (code == EXIT_FINE)
        code = session_run(walk->session, walk->reg, &query_cli_commit, NULL, NULL);
    policy_free(walk->policy);
    walk->policy = NULL;
    if (walk->writer)
        json_writer_free(walk->writer);
    arena_release(&walk->arena);
    return code;
}
