/* Forgotten stays forgotten: each that was told of an erased person is told to forget him, and nothing of him
 * opens with the keys that the vault has at rest, from whatever was ever written: live rows, dead ones, logs,
 * backups, outbox. */
#include "core/json_read.h"
#include "tests/simulator/check.h"

#include <assert.h>
#include <stdlib.h>

static bool lists(const struct memory_tombstone *row, const char *category) {
    return memmem(row->categories.at, row->categories.size, category, strlen(category)) != NULL;
}

static const struct story_event *event_of(const struct sim *sim, unsigned number) {
    for (size_t i = 0; i < sim->story.count; i++)
        if (sim->story.at[i].number == number)
            return &sim->story.at[i];
    abort();
}

/* What the event said of a person is erased: a cut not before it stands, is done and waits for nothing. */
static bool is_erased(const struct sim *sim, const struct story_event *event) {
    const char *category = event->topic == STORY_CUSTOMER   ? "profile"
                           : event->topic == STORY_SHIPMENT ? "delivery"
                                                            : "claim";
    for (size_t i = 0; i < sim->memory.tombstones.count; i++) {
        const struct memory_tombstone *row = &sim->memory.tombstones.at[i];
        if (row->cut.valid && row->destroyed && row->cut.cut_us >= event->time_us &&
            text_present(row->person) && text_equal(row->person, event->person) && lists(row, category) &&
            (event->topic != STORY_SHIPMENT || row->cut.complete))
            return true;
    }
    return false;
}

/* The event of a personal value in the text, that is erased; NULL: there is none. */
static const struct story_event *erased_in(const struct sim *sim, struct text text) {
    const char *at = text.at, *end = text.at + text.size;
    while (at < end && (at = memchr(at, '~', (size_t)(end - at)))) {
        char *after;
        unsigned long number = strtoul(at + 1, &after, 10);
        if (after > at + 1 && after < end && *after == '~') {
            const struct story_event *event = event_of(sim, (unsigned)number);
            if (is_erased(sim, event))
                return event;
            at = after;
        }
        at++;
    }
    return NULL;
}

/* ---- nothing opens ---- */

static bool opens(struct keyring *keyring, const struct sim_written *written, struct arena *arena,
                  struct text *plain) {
    struct key_want want = {.person = written->person, .generation = written->generation};
    struct seal_key key;
    struct err err;
    if (keyring_load(keyring, arena, &want, 1, 0, &err) != OK)
        return false;
    bool has = written->transit ? keyring_sealed_transit(keyring, written->person, written->generation,
                                                         written->category, written->sealed, &key)
                                : keyring_sealed_key(keyring, written->person, written->generation,
                                                     written->category, written->sealed, &key);
    return has && open_cell(&key, &written->place, written->sealed, arena, plain, &err) == OK;
}

static void check_cells(struct sim *sim, struct arena *arena) {
    struct keyring *keyring = keyring_new(&memory_vault_ops, &sim->vault, sim_kek, SIM_VAULT_ID, 50, 60);
    assert(keyring);
    for (size_t i = 0; i < sim->written.count; i++) {
        const struct sim_written *written = &sim->written.at[i];
        struct text plain;
        sim->judged[JUDGED_SEALED]++;
        if (!opens(keyring, written, arena, &plain))
            continue;
        const struct story_event *event = erased_in(sim, plain);
        if (event)
            sim_wrong(sim, "erased, and still opens: %s.%s of %.*s holds what event %u said of %.*s",
                      written->place.table, written->place.column, TEXT_ARGS(written->place.owner),
                      event->number, TEXT_ARGS(event->person));
    }
    keyring_free(keyring);
}

/* ---- O4 ---- */

static bool names(const struct output *notice, const struct output *disclosure) {
    return strcmp(notice->type, "register.notice.anonymize") == 0 &&
           text_equal(notice->recipient, disclosure->recipient) &&
           memmem(notice->body.at, notice->body.size, disclosure->disclosure_ref.at,
                  disclosure->disclosure_ref.size);
}

/* A notice that was decided, or was published before the register was restored, names the disclosure. */
static bool is_named(const struct sim *sim, const struct output *disclosure) {
    for (size_t i = 0; i < sim->outputs.count; i++)
        if (names(&sim->outputs.at[i].output, disclosure))
            return true;
    for (size_t i = 0; sim->restored && i < sim->log.count; i++)
        if (names(&sim->log.at[i].output->output, disclosure))
            return true;
    return false;
}

static bool is_disclosure(const struct output *output) {
    return strcmp(output->type, "register.disclosure.shipment") == 0 ||
           strcmp(output->type, "register.disclosure.newsletter") == 0;
}

static bool was_told(const struct sim *sim, const struct output *notice, struct text ref) {
    for (size_t i = 0; i < sim->outputs.count; i++) {
        const struct output *output = &sim->outputs.at[i].output;
        if (is_disclosure(output) && text_equal(output->recipient, notice->recipient) &&
            text_equal(output->subject, notice->subject) && text_equal(output->disclosure_ref, ref))
            return true;
    }
    return false;
}

static void check_notice(struct sim *sim, const struct output *notice, struct arena *arena) {
    struct json *body;
    if (json_parse(notice->body, 0, arena, &body) != JSON_FINE)
        return;
    for (const struct json *item = json_member(body, "disclosures")->first; item; item = item->next)
        if (!sim->restored && !was_told(sim, notice, item->text))
            sim_wrong(sim, "O4: %.*s is to forget of %.*s what it was never told",
                      TEXT_ARGS(notice->recipient), TEXT_ARGS(notice->subject));
}

static void check_disclosure(struct sim *sim, const struct output *output) {
    if (!is_disclosure(output) || !erased_in(sim, output->body))
        return;
    sim->judged[JUDGED_FORGOTTEN]++;
    if (!is_named(sim, output))
        sim_wrong(sim, "O4: %.*s was told of %.*s, who is erased, and never to forget him",
                  TEXT_ARGS(output->recipient), TEXT_ARGS(output->subject));
}

void check_forgotten(struct sim *sim, bool halted, struct arena *arena) {
    bool all_read = !sim->restored || !halted; /* what is not read again is not erased again */
    if (all_read)
        check_cells(sim, arena);
    for (size_t i = 0; i < sim->outputs.count; i++) {
        const struct output *output = &sim->outputs.at[i].output;
        check_disclosure(sim, output);
        if (strcmp(output->type, "register.notice.anonymize") == 0)
            check_notice(sim, output, arena);
    }
    /* a restored register does not know of all that is published, and has recalled it all the same */
    for (size_t i = 0; sim->restored && all_read && i < sim->log.count; i++)
        check_disclosure(sim, &sim->log.at[i].output->output);
}
