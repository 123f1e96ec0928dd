/* Orders of arrival of the same facts, each folded and compared with the first. */
#include "tests/unit/trial.h"

#include "tests/unit/permute.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

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

static void assert_same(const struct trial *trial, struct text expected, struct text got, const size_t *order,
                        size_t count, const char *what) {
    if (text_equal(expected, got))
        return;
    print_error("%s differs for the order\n", what);
    for (size_t i = 0; i < count; i++) {
        const struct event *event = &trial->events[order[i]];
        print_error("  %zu %s %.*s\n", order[i], event_infos[event->type].name, TEXT_ARGS(event->version.id));
    }
    print_error("expected:\n%.*s\ngot:\n%.*s\n", TEXT_ARGS(expected), TEXT_ARGS(got));
    fail();
}

void trial_order(void *context, const size_t *order, size_t count) {
    struct trial *trial = context;
    if (!keeps_promise(trial->events, order, count))
        return;
    fold_order(trial->fold, trial->events, order, count, trial->batch);
    struct text dump = fold_dump(trial->fold), packed = fold_packed(trial->fold),
                told = fold_told(trial->fold);
    if (!trial->orders++) {
        trial->dump = arena_text(&trial->arena, dump);
        trial->packed = arena_text(&trial->arena, packed);
        trial->told = arena_text(&trial->arena, told);
    }
    assert_same(trial, trial->dump, dump, order, count, "the dump");
    assert_same(trial, trial->packed, packed, order, count, "what is packed");
    assert_same(trial, trial->told, told, order, count, "what is told");
    if (trial->orders % 16 == 1)
        assert_replay_is_silent(trial->fold, trial->events, order, count);
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
