/* The undisturbed run that a seed is compared with: the same records, folded by the same decisions without
 * loops, keys and servers, in another order that keeps each partition's. */
#include "consumer/contact_hash.h"
#include "consumer/decode.h"
#include "core/digest.h"
#include "tests/simulator/sim.h"
#include "tests/unit/fold.h"
#include "tests/unit/memory_dump.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct folding {
    struct sim *sim;
    struct fold *fold;
    struct draw draw;
    struct arena *arena;
    size_t at[SIM_PARTITIONS];
    LIST(struct text) dead, parked;
};

static void add_dead(struct folding *folding, struct text topic, int32_t partition, int64_t offset,
                     const struct refusal *refusal) {
    char line[256];
    snprintf(line, sizeof line, "%.*s/%d/%lld %s %s", TEXT_ARGS(topic), partition, (long long)offset,
             reason_names[refusal->reason], refusal->detail);
    *ARENA_PUSH(folding->arena, &folding->dead) = arena_text(folding->arena, text_of(line));
}

/* False: refused. */
static bool decode(struct folding *folding, const struct sim_record *record, struct event *event) {
    static const struct record_header content_type = {TEXT("content-type"),
                                                      TEXT("application/cloudevents+json")};
    struct text topic = text_of(story_topics[record->event->topic]);
    const struct record raw = {.topic = topic,
                               .partition = record->partition,
                               .offset = record->offset,
                               .timestamp_ms = record->timestamp_ms,
                               .key = record->key,
                               .value = record->value,
                               .headers = &content_type,
                               .header_count = 1};
    struct refusal refusal = {.reason = REASON_NONE};
    uint32_t unknown_fields;
    *event = (struct event){.topic = topic,
                            .partition = record->partition,
                            .offset = record->offset,
                            .timestamp_ms = record->timestamp_ms};
    if (decode_record(&raw, seed_decoder(folding->sim->story.policy), folding->arena, event, &refusal,
                      &unknown_fields) != OK ||
        (refusal.reason == REASON_NONE && contact_hash_event(sim_lookup_key, event, folding->arena) != OK))
        abort();
    if (event->type == COMMAND_TIED)
        event->as.tied.person = record->event->data; /* what was sealed */
    if (refusal.reason == REASON_NONE && record->event->number == folding->sim->refuses)
        refusal = (struct refusal){REASON_REFUSED_BY_DATABASE, SIM_REFUSED};
    if (refusal.reason != REASON_NONE)
        add_dead(folding, topic, record->partition, record->offset, &refusal);
    return refusal.reason == REASON_NONE;
}

/* The next record of any partition; NULL: all are through. */
static const struct sim_record *next(struct folding *folding) {
    const struct sim *sim = folding->sim;
    size_t first = draw_below(&folding->draw, (unsigned)sim->partition_count);
    for (size_t i = 0; i < sim->partition_count; i++) {
        size_t at = (first + i) % sim->partition_count;
        if (folding->at[at] < sim->partitions[at].records.count)
            return sim->partitions[at].records.at[folding->at[at]++];
    }
    return NULL;
}

static void fold_all(struct folding *folding) {
    const struct sim_record *record = next(folding);
    while (record) {
        const struct event *batch[STORY_MOST];
        size_t count = 0, most = 1 + draw_below(&folding->draw, STORY_MOST);
        for (; record && count < most; record = next(folding)) {
            struct event *event = ARENA_NEW(folding->arena, struct event);
            assert(event);
            if (decode(folding, record, event))
                batch[count++] = event;
        }
        if (count)
            fold_batch(folding->fold, batch, count);
    }
}

/* What is parked; after 31 days it expires. */
static void take_parked(struct folding *folding, bool expired) {
    LIST(const struct event *) waiting = {0};
    size_t count;
    struct ref_entry *const *refs = state_refs(folding->fold->rows, &count);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < refs[i]->parked.count; k++)
            *ARENA_PUSH(folding->arena, &waiting) = &refs[i]->parked.at[k]->event;
    for (size_t i = 0; i < waiting.count; i++) {
        char line[128];
        if (expired) {
            (void)fold_expire(folding->fold, waiting.at[i]);
            continue;
        }
        snprintf(line, sizeof line, "%.*s/%d/%lld", TEXT_ARGS(waiting.at[i]->topic), waiting.at[i]->partition,
                 (long long)waiting.at[i]->offset);
        *ARENA_PUSH(folding->arena, &folding->parked) = arena_text(folding->arena, text_of(line));
    }
}

static void take_outputs(struct folding *folding, struct reference *reference) {
    const struct fold *fold = folding->fold;
    struct told_output *outputs = ARENA_ARRAY(folding->arena, struct told_output, fold->outputs.count + 1);
    struct told_record *records = ARENA_ARRAY(folding->arena, struct told_record, fold->outputs.count + 1);
    assert(outputs && records);
    for (size_t i = 0; i < fold->outputs.count; i++) {
        const struct output *output = &fold->outputs.at[i];
        records[i] = (struct told_record){output->topic, output->key, output->body};
        outputs[i] = (struct told_output){
            output->recipient, output->subject,    output->customer_id, output->shipment_id,
            output->body,      output->generation, output->type,        false};
        if (strcmp(output->type, "register.dead-letter") == 0)
            add_dead(folding, output->dead.topic, output->dead.partition, output->dead.offset,
                     &output->dead.refusal);
    }
    reference->told = told_fold(folding->sim, outputs, fold->outputs.count, folding->arena);
    reference->permissions = told_permissions(records, fold->outputs.count, folding->arena);
}

static struct text sorted_lines(struct arena *arena, struct text text) {
    LIST(struct text) lines = {0};
    for (const char *at = text.at, *end = text.at + text.size; at < end;) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        *ARENA_PUSH(arena, &lines) = (struct text){at, (size_t)(feed - at)};
        at = feed + 1;
    }
    return memory_sorted(arena, lines.at, lines.count);
}

void reference_make(struct sim *sim, bool expired, struct reference *reference, struct arena *arena) {
    struct folding folding = {.sim = sim,
                              .fold = seed_fold(),
                              .draw = draw_begin(sim->options.seed, DRAW_REFERENCE),
                              .arena = arena};
    folding.fold->policy = (struct policy *)(uintptr_t)sim->policy;
    folding.fold->ref_key = sim_ref_key;
    fold_reset(folding.fold);
    fold_all(&folding);
    take_parked(&folding, expired);
    take_outputs(&folding, reference);
    reference->dump = sorted_lines(arena, fold_dump(folding.fold));
    reference->dead_letters = memory_sorted(arena, folding.dead.at, folding.dead.count);
    reference->parked = memory_sorted(arena, folding.parked.at, folding.parked.count);
}
