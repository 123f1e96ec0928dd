/* Erasures remembered: read from topic, vault and register, a stretch of subjects at a time. */
#include "consumer/remember.h"

#include "core/kafka_read.h"
#include "core/log.h"
#include "core/ready.h"
#include "core/stop.h"
#include "queries.h"
#include <stdlib.h>
#include <string.h>

#define PATIENCE_US ((int64_t)120 * 1000000) /* twice what the relay's transactions may last */
#define STRETCH_SUBJECTS 10000
#define STRETCH_CUTS 40000
#define SCRATCH_BYTES ((size_t)64 << 20)
#define BEYOND "g" /* behind every hex digit */

enum { TOPIC, VAULT, REGISTER }; /* bits of enum remember_where */

struct comparison {
    struct db *vault, *reg;
    struct arena record, params; /* scratch: of one record, of one stretch */
    struct remember_list lists[3];
    size_t at[3];                     /* how much of the topic's and the vault's list is through */
    char after[SUBJECT_HEX + 1];      /* everything up to this subject is through */
    char upto[SUBJECT_HEX + 1];       /* the stretch's last */
    char vault_upto[SUBJECT_HEX + 1]; /* the last of what is in the vault's list */
    bool vault_asked;                 /* for what lies behind that */
    uint32_t records;
    struct remember_sum *sum;
};

static enum outcome no_memory(struct err *err) {
    return err_set(err, RETRY, 0, "no memory for the erasures that are remembered");
}

/* ---- the topic ---- */

static bool see_record(void *context, const rd_kafka_message_t *message) {
    struct comparison *comparison = context;
    struct remembered from = {.record = comparison->records++, .partition = (uint16_t)message->partition};
    if (!message->payload)
        return true; /* nobody who may write there takes anything back */
    enum outcome outcome = remember_record(
        &comparison->lists[TOPIC], (struct text){message->payload, message->len}, &from, &comparison->record);
    if (outcome == POISON)
        log_write(LOG_WARNING, "erasure_unreadable", "A record of the topic of erasures is none of ours.",
                  LOG_STRING("topic", ERASURE_TOPIC), LOG_INT("partition", message->partition),
                  LOG_INT("offset", message->offset));
    return outcome != RETRY;
}

static enum outcome read_topic(struct comparison *comparison, const struct config *config, struct err *err) {
    struct kafka_extent extent;
    const struct kafka_reading reading = {.config = config,
                                          .program = "consumer",
                                          .group = config->consumer.group,
                                          .topic = ERASURE_TOPIC,
                                          .patience_us = PATIENCE_US,
                                          .reader = see_record,
                                          .context = comparison};
    enum outcome outcome = kafka_read_topic(&reading, &extent, err);
    if (outcome == OK)
        remember_last(&comparison->lists[TOPIC]);
    comparison->sum->topic_missing = outcome == OK && extent.missing;
    return outcome;
}

/* ---- vault and register, a stretch ---- */

static struct db_params *stretch_params(struct comparison *comparison, const char *after, const char *upto,
                                        int32_t most) {
    arena_reset(&comparison->params);
    struct db_params *params = db_params_new(&comparison->params, upto ? 3 : 2);
    if (!params)
        return NULL;
    db_param_text(params, text_of(after));
    if (upto)
        db_param_text(params, text_of(upto));
    db_param_int4(params, most);
    return params;
}

static void set_subject(char place[SUBJECT_HEX + 1], struct text subject) {
    memcpy(place, subject.at, subject.size);
    place[subject.size] = '\0';
}

/* The vault works on its next stretch while this one is compared. */
static enum outcome ask_vault(struct comparison *comparison, const char *after, struct err *err) {
    struct db_params *params = stretch_params(comparison, after, NULL, STRETCH_SUBJECTS);
    enum outcome outcome =
        params ? db_send(comparison->vault, &query_remember_vault, params, err) : no_memory(err);
    if (outcome == OK)
        outcome = db_sync(comparison->vault, err);
    comparison->vault_asked = outcome == OK;
    return outcome;
}

static enum outcome take_tombstones(struct comparison *comparison, const struct db_result *result,
                                    struct err *err) {
    struct remember_list *list = &comparison->lists[VAULT];
    enum outcome outcome = OK;
    for (size_t row = 0; outcome == OK && row < db_rows(result); row++) {
        struct text subject = db_text(result, row, 0);
        outcome = subject.size == SUBJECT_HEX
                      ? remember_record(list, db_text(result, row, 1), &(struct remembered){.record = 0},
                                        &comparison->record)
                      : POISON;
        if (outcome == RETRY)
            outcome = no_memory(err);
        else if (outcome != OK)
            outcome = err_set(err, FATAL, 0, "a tombstone in the vault cannot be read: restore the vault");
    }
    if (outcome == OK && list->count)
        qsort(list->at, list->count, sizeof(*list->at), remember_order);
    return outcome;
}

/* The next stretch, once the one before is through. */
static enum outcome read_vault(struct comparison *comparison, struct err *err) {
    struct remember_list *list = &comparison->lists[VAULT];
    struct db_result *result = NULL;
    enum outcome outcome = OK;
    memcpy(comparison->upto, comparison->vault_upto, sizeof(comparison->upto));
    if (strcmp(comparison->after, comparison->vault_upto) < 0)
        return OK; /* the register's part of it was read only to some subject */
    list->count = comparison->at[VAULT] = 0;
    if (!comparison->vault_asked)
        outcome = ask_vault(comparison, comparison->after, err);
    if (outcome == OK) {
        comparison->vault_asked = false;
        outcome = db_next(comparison->vault, &result, err);
    }
    if (outcome == OK)
        outcome = take_tombstones(comparison, result, err);
    if (outcome == OK) {
        size_t rows = db_rows(result);
        bool more = rows == STRETCH_SUBJECTS;
        set_subject(comparison->vault_upto, more ? db_text(result, rows - 1, 0) : TEXT(BEYOND));
        memcpy(comparison->upto, comparison->vault_upto, sizeof(comparison->upto));
        outcome = more ? ask_vault(comparison, comparison->vault_upto, err) : OK;
    }
    db_result_release(result);
    return outcome;
}

/* How many of the rows are taken: all, or, when there are more, those of whole subjects; *last is then the
 * last of these. */
static size_t whole_subjects(const struct db_result *result, size_t rows, struct text *last) {
    *last = TEXT_ABSENT;
    if (rows < STRETCH_CUTS)
        return rows;
    size_t kept = rows - 1;
    while (kept && text_equal(db_text(result, kept - 1, 0), db_text(result, rows - 1, 0)))
        kept--;
    if (kept)
        *last = db_text(result, kept - 1, 0);
    return kept;
}

static enum outcome read_register(struct comparison *comparison, struct err *err) {
    struct remember_list *list = &comparison->lists[REGISTER];
    struct db_result *result = NULL;
    struct text last = TEXT_ABSENT;
    struct db_params *params = stretch_params(comparison, comparison->after, comparison->upto, STRETCH_CUTS);
    enum outcome outcome =
        params ? db_run(comparison->reg, &query_remember_register, params, &result, err) : no_memory(err);
    size_t rows = outcome == OK ? whole_subjects(result, db_rows(result), &last) : 0;
    if (outcome == OK && !rows && db_rows(result))
        outcome = err_set(err, FATAL, 0, "a subject has more than %d tombstones", STRETCH_CUTS);
    if (outcome == OK && list->room < rows) {
        struct remembered *at = reallocarray(list->at, STRETCH_CUTS, sizeof(*at));
        list->at = at ? at : list->at;
        list->room = at ? STRETCH_CUTS : list->room;
        outcome = at ? OK : no_memory(err);
    }
    list->count = 0;
    for (size_t row = 0; outcome == OK && row < rows; row++) {
        struct remembered *item = &list->at[list->count++];
        *item = (struct remembered){.cut_us = db_time(result, row, 1),
                                    .by_request = db_bool(result, row, 2),
                                    .void_cut = !db_bool(result, row, 3)};
        if (!remember_subject_read(db_text(result, row, 0), item->subject))
            outcome = err_set(err, FATAL, 0, "a tombstone in the register has no subject");
    }
    if (outcome == OK && text_present(last))
        set_subject(comparison->upto, last);
    db_result_release(result);
    return outcome;
}

/* ---- comparing ---- */

/* Those of a sorted list, from a place on, that lie in the stretch. */
static struct remember_list within(const struct comparison *comparison, const struct remember_list *list,
                                   size_t from) {
    uint8_t upto[SUBJECT_BYTES];
    struct remember_list found = {.at = list->at ? list->at + from : NULL};
    bool bounded = remember_subject_read(text_of(comparison->upto), upto);
    while (from + found.count < list->count &&
           (!bounded || memcmp(list->at[from + found.count].subject, upto, SUBJECT_BYTES) <= 0))
        found.count++;
    return found;
}

static enum outcome compare_stretch(struct comparison *comparison, remember_reader *reader, void *context,
                                    struct err *err) {
    ready_beat(0); /* a worker's slot, before it works */
    enum outcome outcome =
        stop_requested() ? err_set(err, RETRY, 0, "the end was asked for") : read_vault(comparison, err);
    if (outcome == OK)
        outcome = read_register(comparison, err);
    if (outcome != OK)
        return outcome;
    const struct remember_list lists[3] = {
        [TOPIC] = within(comparison, &comparison->lists[TOPIC], comparison->at[TOPIC]),
        [VAULT] = within(comparison, &comparison->lists[VAULT], comparison->at[VAULT]),
        [REGISTER] = within(comparison, &comparison->lists[REGISTER], 0)};
    comparison->at[TOPIC] += lists[TOPIC].count;
    comparison->at[VAULT] += lists[VAULT].count;
    memcpy(comparison->after, comparison->upto, sizeof(comparison->after));
    return remember_merge(lists, comparison->sum, reader, context, err);
}

enum outcome remember_compare(const struct config *config, struct db *vault, struct db *reg,
                              struct remember_sum *sum, remember_reader *reader, void *context,
                              struct err *err) {
    struct comparison comparison = {.vault = vault, .reg = reg, .sum = sum};
    *sum = (struct remember_sum){.topic = 0};
    arena_init(&comparison.record, SCRATCH_BYTES);
    arena_init(&comparison.params, 1 << 16);
    enum outcome outcome = read_topic(&comparison, config, err);
    while (outcome == OK && strcmp(comparison.after, BEYOND) != 0)
        outcome = compare_stretch(&comparison, reader, context, err);
    if (comparison.vault_asked)
        db_abandon(vault);
    for (int i = 0; i < 3; i++)
        remember_release(&comparison.lists[i]);
    arena_release(&comparison.record);
    arena_release(&comparison.params);
    return outcome;
}

enum outcome remember_orphans(struct db *reg, bool *there, struct err *err) {
    struct db_result *result = NULL;
    enum outcome outcome = db_run(reg, &query_remember_orphans, NULL, &result, err);
    if (outcome == OK)
        *there = db_bool(result, 0, 0);
    db_result_release(result);
    return outcome;
}
