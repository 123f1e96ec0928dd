/* What must hold when a seed has come to rest. */
#include "tests/simulator/check.h"
#include "core/decide/pack.h"
#include "core/json_read.h"
#include "tests/unit/memory_dump.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- S: against the reference ---- */

/* The first line in which two sorted texts differ, from the one that has it. */
static void tell_difference(struct sim *sim, const char *what, struct text is, struct text was) {
    const char *one = is.at, *two = was.at, *one_end = is.at + is.size, *two_end = was.at + was.size;
    while (one < one_end && two < two_end) {
        size_t one_size = (size_t)((const char *)memchr(one, '\n', (size_t)(one_end - one)) - one);
        size_t two_size = (size_t)((const char *)memchr(two, '\n', (size_t)(two_end - two)) - two);
        if (one_size != two_size || memcmp(one, two, one_size) != 0) {
            sim_wrong(sim, "%s:\n  the run:       %.*s\n  the reference: %.*s", what, (int)one_size, one,
                      (int)two_size, two);
            return;
        }
        one += one_size + 1;
        two += two_size + 1;
    }
    sim_wrong(sim, "%s: %s has more: %.*s", what, one < one_end ? "the run" : "the reference",
              (int)(one < one_end ? one_end - one : two_end - two), one < one_end ? one : two);
}

static void compare(struct sim *sim, const char *what, struct text is, struct text was) {
    if (!text_equal(is, was))
        tell_difference(sim, what, is, was);
}

/* What becomes of an answer hangs on the notices that there were, and they may differ by schedule. */
static bool is_of_answer(const struct sim *sim, struct text line) {
    for (size_t i = 0; i < sim->partition_count; i++) {
        const struct sim_partition *partition = &sim->partitions[i];
        for (size_t k = 0; k < partition->records.count; k++) {
            char place[128];
            int size = snprintf(place, sizeof place, "%s/%d/%zu", story_topics[partition->topic],
                                partition->number, k);
            bool here = (size_t)size <= line.size && memcmp(place, line.at, (size_t)size) == 0 &&
                        ((size_t)size == line.size || line.at[size] == ' ');
            if (here && partition->records.at[k]->event->answer)
                return true;
        }
    }
    return false;
}

/* Sorted lines, each once (a replay writes the same dead letter again), without what concerns answers. */
static struct text filtered(const struct sim *sim, struct arena *arena, struct text lines) {
    LIST(struct text) kept = {0};
    for (const char *at = lines.at, *end = lines.at + lines.size; at < end;) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        struct text line = {at, (size_t)(feed - at)};
        bool again = kept.count && text_equal(kept.at[kept.count - 1], line);
        if (!again && !is_of_answer(sim, line))
            *ARENA_PUSH(arena, &kept) = line;
        at = feed + 1;
    }
    return memory_sorted(arena, kept.at, kept.count);
}

static void check_state(struct sim *sim, const struct reference *reference, struct text dump,
                        struct arena *arena) {
    LIST(struct text) parked = {0};
    compare(sim, "S: the dump differs", dump, reference->dump);
    compare(sim, "S: dead letters differ",
            filtered(sim, arena,
                     memory_sorted(arena, sim->memory.dead_letters.at, sim->memory.dead_letters.count)),
            filtered(sim, arena, reference->dead_letters));
    for (size_t i = 0; i < sim->memory.parked.count; i++) {
        const struct row_parked *row = &sim->memory.parked.at[i];
        char line[128];
        snprintf(line, sizeof line, "%.*s/%d/%lld", TEXT_ARGS(row->topic), row->partition,
                 (long long)row->offset);
        *ARENA_PUSH(arena, &parked) = arena_text(arena, text_of(line));
    }
    compare(sim, "S: what is parked differs",
            filtered(sim, arena, memory_sorted(arena, parked.at, parked.count)),
            filtered(sim, arena, reference->parked));
}

/* ---- S, after an older register was restored ---- */

static struct text part(struct text line, const char *from, const char *to) {
    const char *begins = memmem(line.at, line.size, from, strlen(from));
    const char *end = line.at + line.size;
    const char *ends = begins && to ? memmem(begins, (size_t)(end - begins), to, strlen(to)) : end;
    return begins && ends ? (struct text){begins, (size_t)(ends - begins)} : TEXT_ABSENT;
}

/* Of a dump's line, what does not hang on deliveries: those are dropped up to a cut that was brought in
 * (SEMANTICS, erasures), and with them what waited and what a delivery dates. */
static struct text lasting(struct text line, struct arena *arena) {
    struct text kind = part(line, "{\"line\":\"", "\",");
    if (text_is(kind, "{\"line\":\"consent") || text_is(kind, "{\"line\":\"permission"))
        return line;
    if (text_is(kind, "{\"line\":\"tombstone"))
        return part(line, "{", ",\"categories\"");
    struct text kept = part(line, "\"voucher\":", ",\"oss\":"); /* its country is a delivery's */
    if (!text_is(kind, "{\"line\":\"order") || text_is(kept, "\"voucher\":null"))
        return TEXT_ABSENT;
    char text[1024];
    struct text customer = part(line, "\"customer\":", "\"generation\":");
    struct text order = part(line, "\"order\":", "\"known\":");
    int size =
        snprintf(text, sizeof text, "%.*s%.*s%.*s", TEXT_ARGS(customer), TEXT_ARGS(order), TEXT_ARGS(kept));
    assert((size_t)size < sizeof text);
    return arena_text(arena, text_of(text));
}

static struct text all_lasting(struct text dump, struct arena *arena) {
    LIST(struct text) kept = {0};
    for (const char *at = dump.at, *end = dump.at + dump.size; at < end;) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        struct text line = lasting((struct text){at, (size_t)(feed - at)}, arena);
        if (text_present(line))
            *ARENA_PUSH(arena, &kept) = line;
        at = feed + 1;
    }
    return memory_sorted(arena, kept.at, kept.count);
}

/* ---- O1, O5, and that nothing decided is lost ---- */

static void check_log(struct sim *sim) {
    for (size_t i = 0; i < sim->log.count; i++) {
        const struct sim_published *published = &sim->log.at[i];
        for (size_t k = 0; k < i; k++) {
            const struct sim_published *before = &sim->log.at[k];
            if (memcmp(&before->id, &published->id, sizeof before->id) == 0)
                sim_wrong(sim, "O1: an output id is published twice (seq %lld, %lld)", (long long)before->seq,
                          (long long)published->seq);
            if (!sim->restored && text_equal(before->topic, published->topic) && before->seq > published->seq)
                sim_wrong(sim, "O5: %.*s is out of order (seq %lld after %lld)", TEXT_ARGS(before->topic),
                          (long long)published->seq, (long long)before->seq);
        }
        if (sim->restored) /* what was published may have been forgotten, and its number given anew */
            continue;
        if (outputs_fate(sim, published->seq) != FATE_PUBLISH)
            sim_wrong(sim, "an output is published and recorded as withheld (seq %lld)",
                      (long long)published->seq);
        if (!text_equal(published->body, outputs_find(sim, published->seq)->output.body))
            sim_wrong(sim, "an output is published with another body than was decided (seq %lld)",
                      (long long)published->seq);
    }
}

static bool is_published(const struct sim *sim, const struct output_id *id) {
    for (size_t i = 0; i < sim->log.count; i++)
        if (memcmp(&sim->log.at[i].id, id, sizeof *id) == 0)
            return true;
    return false;
}

static void check_outbox(struct sim *sim) {
    for (size_t i = 0; i < sim->outputs.count; i++) {
        const struct sim_output *output = &sim->outputs.at[i];
        enum relay_fate fate = outputs_fate(sim, output->seq);
        if ((fate == FATE_PUBLISH || fate == FATE_ELSEWHERE) && !is_published(sim, &output->output.id))
            sim_wrong(sim, "an output was decided and never published (%s, seq %lld)", output->output.type,
                      (long long)output->seq);
        if (fate == FATE_UNPUBLISHABLE && !sim->lost_keys)
            sim_wrong(sim, "an output cannot be published (%s)", output->output.type);
        if (fate == FATE_WITHHELD && !text_present(output->output.person))
            sim_wrong(sim, "an output that holds nothing personal is withheld (%s)", output->output.type);
    }
}

/* ---- O3 ---- */

static int by_seq(const void *a, const void *b) {
    const struct sim_output *one = *(const struct sim_output *const *)a,
                            *two = *(const struct sim_output *const *)b;
    return (one->seq > two->seq) - (one->seq < two->seq);
}

/* All that was decided, in its order: what was published, and what was withheld. */
static void check_told(struct sim *sim, const struct reference *reference, struct arena *arena) {
    size_t count = sim->outputs.count;
    struct told_output *outputs = ARENA_ARRAY(arena, struct told_output, count + 1);
    const struct sim_output **order = ARENA_ARRAY(arena, const struct sim_output *, count + 1);
    assert(outputs && order);
    for (size_t i = 0; i < count; i++)
        order[i] = &sim->outputs.at[i];
    qsort(order, count, sizeof *order, by_seq);
    for (size_t i = 0; i < count; i++) {
        const struct output *output = &order[i]->output;
        outputs[i] =
            (struct told_output){output->recipient,   output->subject,
                                 output->customer_id, output->shipment_id,
                                 output->body,        output->generation,
                                 output->type,        outputs_fate(sim, order[i]->seq) == FATE_WITHHELD};
    }
    struct text told = told_fold(sim, outputs, count, arena);
    sim->judged[JUDGED_TOLD] += reference->told.size > sizeof "[]" - 1;
    if (!text_equal(told, reference->told))
        sim_wrong(sim, "O3: recipients hold something else:\n  the run:       %.*s\n  the reference: %.*s",
                  TEXT_ARGS(told), TEXT_ARGS(reference->told));
}

/* Whoever reads the topic of permissions, compacted or not, ends with what the register says. */
static void check_permissions(struct sim *sim, const struct reference *reference, struct arena *arena) {
    struct told_record *records = ARENA_ARRAY(arena, struct told_record, sim->log.count + 1);
    assert(records);
    for (size_t i = 0; i < sim->log.count; i++)
        records[i] = (struct told_record){sim->log.at[i].topic, sim->log.at[i].key, sim->log.at[i].body};
    compare(sim, "the last permission records differ", told_permissions(records, sim->log.count, arena),
            reference->permissions);
}

/* The last permission record of the letter's customer allows it: in its generation, for its purpose. */
static bool is_allowed(const struct sim *sim, const struct sim_published *letter, struct arena *arena) {
    struct json *told, *record;
    struct text last = TEXT_ABSENT;
    for (size_t i = 0; i < sim->log.count; i++)
        if (text_is(sim->log.at[i].topic, "register.marketing-permission.v1") &&
            text_equal(sim->log.at[i].key, letter->output->output.subject))
            last = sim->log.at[i].body;
    if (json_parse(last, 0, arena, &record) != JSON_FINE ||
        json_parse(letter->body, 0, arena, &told) != JSON_FINE)
        return false;
    for (const struct json *line = json_member(record, "permissions")->first; line; line = line->next) {
        const struct json *allowed = json_member(line, "allowed");
        if (allowed && allowed->type == JSON_BOOL && allowed->boolean &&
            text_equal(json_member_text(line, "purpose"), json_member_text(told, "purpose")) &&
            text_equal(json_member_text(line, "token"), json_member_text(told, "token")))
            return true;
    }
    return false;
}

/* Mail houses hold in the end, after all that is published, whom they may write to. */
static void check_letters(struct sim *sim, struct arena *arena) {
    for (size_t i = 0; i < sim->log.count; i++) {
        const struct sim_published *letter = &sim->log.at[i];
        struct text ref = letter->output->output.disclosure_ref;
        bool holds = strcmp(letter->output->output.type, "register.disclosure.newsletter") == 0;
        for (size_t k = i + 1; holds && k < sim->log.count; k++)
            holds = !memmem(sim->log.at[k].body.at, sim->log.at[k].body.size, ref.at, ref.size) ||
                    strcmp(sim->log.at[k].output->output.type, "register.disclosure.corrected") == 0;
        if (holds && !is_allowed(sim, letter, arena))
            sim_wrong(sim, "%.*s holds %.*s, who may not be written to",
                      TEXT_ARGS(letter->output->output.recipient), TEXT_ARGS(letter->output->output.subject));
    }
}

/* ---- what is remembered of erasures ---- */

/* Topic, vault and register know the same cuts. After a restore the topic may lack some: an act that was told
 * before is not told again, though it now tells of a cut more. */
static void check_remembered(struct sim *sim) {
    struct remember_sum sum;
    struct err err;
    if (remembered_compare(sim, NULL, &sum, NULL, NULL, &err) != OK || remember_lacking(&sum) ||
        sum.vault_lacks || (sum.topic_lacks && !sim->restored))
        sim_wrong(sim,
                  "what is remembered of erasures differs: topic %zu, vault %zu, register %zu cuts; register "
                  "lacks %zu, vault %zu, topic %zu",
                  sum.topic, sum.vault, sum.registered, remember_lacking(&sum), sum.vault_lacks,
                  sum.topic_lacks);
}

/* ---- the whole ---- */

static bool is_halted(const struct sim *sim) {
    for (size_t i = 0; i < sim->memory.positions.count; i++)
        if (sim->memory.positions.at[i].parked[0])
            return true;
    return false;
}

/* What waits for a token whose generation was lost is not taken in, and given up after its time; a closing
 * that was brought in stands, also when what comes later would have made it void. */
static bool is_comparable(const struct sim *sim, bool expired, struct text dump) {
    static const char closing[] = "\"cause\":\"closed\"";
    return !expired && !sim->memory.parked.count && !memmem(dump.at, dump.size, closing, sizeof closing - 1);
}

struct text check_dump(struct sim *sim, struct arena *arena) {
    struct keyring *keyring = keyring_new(&memory_vault_ops, &sim->vault, sim_kek, SIM_VAULT_ID, 50, 60);
    assert(keyring);
    struct text dump = memory_dump(&sim->memory, keyring, sim->policy, arena);
    keyring_free(keyring);
    return dump;
}

void check_end(struct sim *sim, bool expired, struct arena *arena) {
    struct reference reference;
    check_log(sim);
    check_outbox(sim);
    check_remembered(sim);
    if (sim->wrong[0])
        return;
    if (!sim->lost_keys && !is_halted(sim)) {
        struct text dump = check_dump(sim, arena);
        reference_make(sim, expired, &reference, arena);
        sim->judged[JUDGED_EXPIRED] += expired;
        bool comparable = !sim->restored || is_comparable(sim, expired, dump);
        sim->judged[sim->restored ? JUDGED_LASTING : JUDGED_STATE] += comparable;
        sim->judged[JUDGED_PERMISSIONS] += comparable && reference.permissions.size;
        if (!sim->restored)
            check_state(sim, &reference, dump, arena);
        else if (comparable)
            compare(sim, "S: a restored register differs", all_lasting(dump, arena),
                    all_lasting(reference.dump, arena));
        if (comparable) {
            check_permissions(sim, &reference, arena);
            check_letters(sim, arena);
        }
    }
    if (!sim->restored)
        check_told(sim, &reference, arena);
    check_forgotten(sim, is_halted(sim), arena);
}
