/* The register in memory: load, decide and store over packed rows. */
#include "tests/unit/fold_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void complain(void *context, const char *path, const char *message) {
    (void)context;
    fail_msg("policy: %s: %s", path, message);
}

void fold_init(struct fold *fold) {
    struct err err = {0};
    *fold = (struct fold){0};
    arena_init(&fold->kept, (size_t)256 << 20);
    arena_init(&fold->batch, (size_t)256 << 20);
    fold->policy = policy_read(SOURCE_DIR "/schema/policy/jerone.json", complain, NULL, &err);
    assert_non_null(fold->policy);
    fold->writer = json_writer_new();
    assert_non_null(fold->writer);
    memset(fold->ref_key.bytes, 7, sizeof(fold->ref_key.bytes));
    assert_true(instant_parse(TEXT(FOLD_NOW), &fold->now_us));
    fold_reset(fold);
}

void fold_release(struct fold *fold) {
    arena_release(&fold->kept);
    arena_release(&fold->batch);
    json_writer_free(fold->writer);
    policy_free(fold->policy);
}

void fold_reset(struct fold *fold) {
    arena_reset(&fold->kept);
    fold->rows = state_new(&fold->kept);
    fold->outputs.at = NULL;
    fold->outputs.count = fold->outputs.room = 0;
    fold->dooms.at = NULL;
    fold->dooms.count = fold->dooms.room = 0;
    fold->restored_us = 0;
    memset(fold->verdicts, 0, sizeof(fold->verdicts));
    fold->second_facts = 0;
}

static void keep_dooms(struct fold *fold, const struct decision *decision) {
    for (size_t i = 0; i < decision->dooms.count; i++) {
        struct doom *doom = ARENA_PUSH(&fold->kept, &fold->dooms);
        *doom = decision->dooms.at[i];
        doom->person = arena_text(&fold->kept, doom->person);
    }
}

static void keep_outputs(struct fold *fold, const struct decision *decision) {
    for (size_t i = 0; i < decision->outputs.count; i++) {
        struct output *output = ARENA_PUSH(&fold->kept, &fold->outputs);
        *output = decision->outputs.at[i];
        struct text *texts[] = {
            &output->topic,       &output->key,       &output->body,           &output->person,
            &output->subject,     &output->service,   &output->recipient,      &output->customer_id,
            &output->shipment_id, &output->role,      &output->disclosure_ref, &output->purpose,
            &output->cause,       &output->dead.topic};
        for (size_t t = 0; t < sizeof(texts) / sizeof(texts[0]); t++)
            *texts[t] = arena_text(&fold->kept, *texts[t]);
    }
}

/* ---- batches ---- */

static enum verdict run_asking(struct fold *fold, const struct event *const *events, size_t count,
                               struct missed *missed) {
    static const uint8_t hash[32] = {1, 2, 3};
    enum verdict verdict = VERDICT_APPLIED;
    arena_reset(&fold->batch);
    struct loading loading = {.fold = fold, .state = state_new(&fold->batch)};
    for (size_t i = 0; i < missed->count; i++)
        fold_ask_ref(&loading, text_of(missed->refs[i]));
    fold_load(&loading, events, count);
    struct decision decision = {.policy = fold->policy,
                                .ref_key = &fold->ref_key,
                                .arena = &fold->batch,
                                .writer = fold->writer,
                                .state = loading.state,
                                .now_us = fold->now_us,
                                .restored_us = fold->restored_us};
    for (size_t i = 0; i < count; i++)
        assert_int_equal(decide_event(&decision, events[i], hash, &verdict), OK);
    assert_int_equal(decide_finish(&decision), OK);
    if (fold_missed(fold, &decision, missed))
        return verdict;
    missed->again = false;
    fold_store(fold, &decision);
    keep_outputs(fold, &decision);
    keep_dooms(fold, &decision);
    for (size_t v = 0; v < VERDICTS; v++)
        fold->verdicts[v] += decision.verdicts[v];
    fold->second_facts += decision.second_facts;
    return verdict;
}

/* As the consumer does: a batch that makes a ref known which has a row already is done again, asking for it.
 */
static enum verdict run(struct fold *fold, const struct event *const *events, size_t count) {
    struct missed missed = {.again = true};
    enum verdict verdict = VERDICT_APPLIED;
    for (size_t i = 0; missed.again; i++) {
        assert_true(i < MISSED_MOST);
        verdict = run_asking(fold, events, count, &missed);
        fold->redone += missed.again;
    }
    return verdict;
}

static struct event act_of(enum event_type type, struct text ref, const struct event *parked) {
    struct event act = {.type = type,
                        .topic = parked->topic,
                        .partition = parked->partition,
                        .offset = parked->offset,
                        .timestamp_ms = parked->timestamp_ms};
    act.as.parked.ref = ref;
    act.as.parked.waited = parked;
    return act;
}

/* The calendar's turn: what was left over under refs that are known takes effect. */
static void settle_left_over(struct fold *fold) {
    size_t count, written = fold->rows_written;
    struct ref_entry *const *refs = state_refs(fold->rows, &count);
    for (size_t i = 0; i < count; i++) {
        while (refs[i]->now == REF_KNOWN && refs[i]->parked.count) {
            struct event act = act_of(CALENDAR_PARKED_LEARNT, refs[i]->ref, &refs[i]->parked.at[0]->event);
            const struct event *acts[] = {&act};
            size_t before = refs[i]->parked.count;
            run(fold, acts, 1);
            assert_true(refs[i]->parked.count < before);
            refs = state_refs(fold->rows, &count);
        }
    }
    fold->rows_written = written;
}

void fold_batch(struct fold *fold, const struct event *const *events, size_t count) {
    (void)run(fold, events, count);
    settle_left_over(fold);
}

enum verdict fold_event(struct fold *fold, const struct event *event) {
    enum verdict verdict = run(fold, &event, 1);
    settle_left_over(fold);
    return verdict;
}

enum verdict fold_expire(struct fold *fold, const struct event *parked) {
    int64_t now_us = fold->now_us;
    struct text ref =
        parked->type == DELIVERY_STATUS ? parked->as.delivery.shipment_ref : parked->as.ack.notice_ref;
    const struct ref_entry *row = state_find_ref(fold->rows, ref);
    if (!row || fold_find_parked(row, parked) == row->parked.count)
        return VERDICT_APPLIED; /* not due: settled already */
    struct event act = act_of(CALENDAR_PARKED_EXPIRED, ref, parked);
    fold->now_us = parked->timestamp_ms * 1000 + PARKING_US;
    enum verdict verdict = fold_event(fold, &act);
    fold->now_us = now_us;
    return verdict;
}

size_t fold_count(const struct fold *fold, const char *type) {
    size_t count = 0;
    for (size_t i = 0; i < fold->outputs.count; i++)
        count += strcmp(fold->outputs.at[i].type, type) == 0;
    return count;
}

const struct output *fold_output(const struct fold *fold, const char *type, size_t index) {
    for (size_t i = 0; i < fold->outputs.count; i++) {
        if (strcmp(fold->outputs.at[i].type, type) == 0 && !index--)
            return &fold->outputs.at[i];
    }
    fail_msg("there is no such output of type %s", type);
    return NULL;
}

bool fold_doomed(const struct fold *fold, const char *person, int64_t generation, enum category category) {
    for (size_t i = 0; i < fold->dooms.count; i++) {
        const struct doom *doom = &fold->dooms.at[i];
        if (text_is(doom->person, person) && doom->generation == generation && doom->category == category)
            return true;
    }
    return false;
}
