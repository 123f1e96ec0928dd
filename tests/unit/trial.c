/* Orders of arrival of the same facts, each folded and compared with the first. */
#include "tests/unit/trial.h"

#include "tests/unit/permute.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

/* The shop publishes a `registered` before any changed, seen or closed of the same or a later time: they
 * share a partition (SEMANTICS.md, Cuts and generations). */
static bool out_of_order(const struct event *first, const struct event *second) {
    bool leans =
        first->type == CUSTOMER_CHANGED || first->type == CUSTOMER_SEEN || first->type == CUSTOMER_CLOSED;
    return leans && second->type == CUSTOMER_REGISTERED &&
           text_equal(first->customer_id, second->customer_id) &&
           second->version.time_us <= first->version.time_us;
}

static bool keeps_promise(const struct event *events, const size_t *order, size_t count) {
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count; j++) {
            if (out_of_order(&events[order[i]], &events[order[j]]))
                return false;
        }
    }
    return true;
}

static void fold_order(struct fold *fold, const struct event *events, const size_t *order, size_t count,
                       size_t batch) {
    const struct event *arriving[TRIAL_EVENTS_MOST];
    fold_reset(fold);
    for (size_t i = 0; i < count; i += batch) {
        size_t taken = count - i < batch ? count - i : batch;
        for (size_t k = 0; k < taken; k++)
            arriving[k] = &events[order[i + k]];
        fold_batch(fold, arriving, taken);
    }
}

/* Everything once more: nothing is written, nothing goes out. */
static void assert_replay_is_silent(struct fold *fold, const struct event *events, const size_t *order,
                                    size_t count) {
    size_t outputs = fold->outputs.count;
    for (size_t i = 0; i < count; i++) {
        fold_event(fold, &events[order[i]]);
        assert_int_equal(fold->rows_written, 0);
    }
    assert_int_equal(fold->outputs.count, outputs);
}

static void assert_same(struct text expected, struct text got, const char *what) {
    if (text_equal(expected, got))
        return;
    /* not by print_error, whose buffer is short */
    (void)fprintf(stderr, "%s differs; expected:\n%.*s\ngot:\n%.*s\n", what, TEXT_ARGS(expected),
                  TEXT_ARGS(got));
    fail_msg("%s differs", what);
}

/* What is being tried, in case that it fails anywhere: by then the trial itself is gone. */
static struct {
    size_t order, batch, count;
    struct {
        size_t place;
        enum event_type type;
        struct text id;
    } events[TRIAL_EVENTS_MOST];
} running;

static void note_running(const struct trial *trial, const size_t *order, size_t count) {
    running.order = trial->orders;
    running.batch = trial->batch;
    running.count = count;
    for (size_t i = 0; i < count; i++) {
        running.events[i].place = order[i];
        running.events[i].type = trial->events[order[i]].type;
        running.events[i].id = trial->events[order[i]].version.id;
    }
}

int trial_explain(void **state) {
    (void)state;
    if (running.count)
        print_error("this was order %zu, in batches of %zu:\n", running.order, running.batch);
    for (size_t i = 0; i < running.count; i++)
        print_error("  %zu %s %.*s\n", running.events[i].place, event_infos[running.events[i].type].name,
                    TEXT_ARGS(running.events[i].id));
    running.count = 0;
    return 0;
}

void trial_order(void *context, const size_t *order, size_t count) {
    struct trial *trial = context;
    if (!keeps_promise(trial->events, order, count))
        return;
    note_running(trial, order, count);
    fold_order(trial->fold, trial->events, order, count, trial->batch);
    struct text dump = fold_dump(trial->fold), packed = fold_packed(trial->fold),
                told = fold_told(trial->fold), records = fold_records(trial->fold);
    if (!trial->orders++) {
        trial->dump = arena_text(&trial->arena, dump);
        trial->packed = arena_text(&trial->arena, packed);
        trial->told = arena_text(&trial->arena, told);
        trial->records = arena_text(&trial->arena, records);
    }
    assert_same(trial->dump, dump, "the dump");
    assert_same(trial->packed, packed, "what is packed");
    assert_same(trial->told, told, "what is told");
    assert_same(trial->records, records, "what the last records say");
    if (trial->orders % 16 == 1)
        assert_replay_is_silent(trial->fold, trial->events, order, count);
    running.count = 0;
}

void trial_all_orders(struct fold *fold, const struct event *events, size_t count) {
    struct trial trial = {.fold = fold, .events = events, .batch = 1};
    arena_init(&trial.arena, 1 << 22);
    permute_all(count, trial_order, &trial);
    trial.batch = 2;
    permute_all(count, trial_order, &trial);
    trial.batch = count;
    permute_all(count, trial_order, &trial);
    arena_release(&trial.arena);
    /* leaves the register of the given order */
    size_t order[TRIAL_EVENTS_MOST];
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    fold_order(fold, events, order, count, 1);
}
