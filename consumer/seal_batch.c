/* Seals what a transaction will store, after the vault has committed the keys. */
#include "consumer/seal_batch.h"
#include "consumer/contact_hash.h"
#include "consumer/doom.h"
#include "core/decide/pack.h"
#include "core/killpoint.h"
#include <sodium.h>

/* A cell to be sealed, and under whose key. */
struct job {
    struct cell *cell;
    struct seal_place place;
    struct text person;
    int64_t generation;
    enum category category;
};

struct sealing {
    const struct seal_batch *how;
    struct work *work;
    struct arena *arena;
    LIST(struct job) jobs;
    LIST(struct loaded_cell *) unopened; /* to be sealed anew as they are */
    LIST(struct key_want) wants;
    LIST(struct lookup_row) lookups;
};

static enum outcome full(struct sealing *sealing, struct err *err) {
    sealing->work->load.arena_full = true;
    return err_set(err, RETRY, 0, "the batch does not fit its memory");
}

static bool want_cell(struct sealing *sealing, struct text person, int64_t generation, enum category category,
                      int16_t period, bool kept) {
    struct key_want *wanted = ARENA_PUSH(sealing->arena, &sealing->wants);
    if (wanted)
        *wanted = (struct key_want){
            .person = person,
            .generation = generation,
            .category = category,
            .period = period,
            .kept = kept && !sealing->work->load.lossy,
            .floor = doom_floor_cells(sealing->work->state, person, generation, category),
            .transit_floor = doom_floor_transit(sealing->work->state, person, generation, category)};
    return wanted != NULL;
}

static bool want_transit(struct sealing *sealing, struct text person, int64_t generation,
                         enum category category, bool kept) {
    struct key_want *wanted = ARENA_PUSH(sealing->arena, &sealing->wants);
    if (wanted)
        *wanted = (struct key_want){
            .person = person,
            .generation = generation,
            .category = category,
            .transit = true,
            .kept = kept && !sealing->work->load.lossy,
            .floor = doom_floor_transit(sealing->work->state, person, generation, category)};
    return wanted != NULL;
}

/* Was the profile of this person stored sealed? Then the ring must be there, whatever is sealed now. */
static bool has_profile(struct sealing *sealing, struct text person, int64_t generation) {
    const struct person *at = state_find_person(sealing->work->state, person, generation);
    return at && load_cell(&sealing->work->load, NEED_PERSON, person, TEXT_ABSENT, &at->profile);
}

/* Does the stored cell lie under another ring than the one it belongs to now? */
static bool moved(const struct loaded_cell *loaded, const struct job *job) {
    return !loaded || loaded->ring_generation != job->generation ||
           !text_equal(loaded->ring_person, job->person);
}

/* Is the stored cell's key doomed? */
static bool is_doomed(const struct sealing *sealing, const struct job *job) {
    int16_t period;
    uint16_t serial;
    return sealed_period(job->cell->sealed, &period, &serial) &&
           serial < doom_floor_cells(sealing->work->state, job->person, job->generation, job->category);
}

/* Decides about one cell of a touched aggregate. */
static enum outcome add_cell(struct sealing *sealing, enum need_kind kind, struct job job, struct err *err) {
    struct cell *cell = job.cell;
    if (cell->until == DATE_NONE || (cell->rewritten && !text_present(cell->content))) {
        cell->until = DATE_NONE;
        cell->sealed = TEXT_ABSENT;
        return OK;
    }
    bool by_owner = kind == NEED_PERSON || kind == NEED_CONSENTS;
    struct loaded_cell *loaded = load_cell(&sealing->work->load, kind, job.place.owner,
                                           by_owner ? TEXT_ABSENT : job.place.object, cell);
    bool same_period =
        text_present(cell->sealed) && date_quarter(cell->until) == date_quarter(cell->sealed_until);
    if (!cell->rewritten && same_period && !moved(loaded, &job) && !is_doomed(sealing, &job))
        return OK;
    if (!text_present(cell->content)) {
        struct loaded_cell **listed = loaded ? ARENA_PUSH(sealing->arena, &sealing->unopened) : NULL;
        if (!loaded)
            return err_set(err, FATAL, 0, "a cell of table %s was never loaded", job.place.table);
        if (!listed)
            return full(sealing, err);
        *listed = loaded;
    }
    struct job *added = ARENA_PUSH(sealing->arena, &sealing->jobs);
    if (!added ||
        !want_cell(sealing, job.person, job.generation, job.category, (int16_t)date_quarter(cell->until),
                   !moved(loaded, &job) || has_profile(sealing, job.person, job.generation)))
        return full(sealing, err);
    *added = job;
    return OK;
}

/* The aggregates are this batch's own; store lists them as const because nobody after it may change them. */
static struct cell *mutable_cell(const struct cell *cell) {
    return (struct cell *)(uintptr_t)cell;
}

static enum outcome add_cells(struct sealing *sealing, struct err *err) {
    const struct write *write = &sealing->work->write;
    enum outcome outcome = OK;
    for (size_t i = 0; outcome == OK && i < write->persons.count; i++) {
        const struct person *at = write->persons.at[i].at;
        struct job job = {mutable_cell(&at->profile),
                          {"person", "profile", at->person, TEXT_ABSENT, at->generation},
                          at->person,
                          at->generation,
                          CATEGORY_PROFILE};
        outcome = add_cell(sealing, NEED_PERSON, job, err);
    }
    for (size_t i = 0; outcome == OK && i < write->orders.count; i++) {
        const struct order *at = write->orders.at[i].at;
        struct seal_place place = {"customer_order", "claim", at->customer_id, at->order_id, -1};
        struct job job = {mutable_cell(&at->claim), place, at->customer_id, at->generation, CATEGORY_CLAIM};
        outcome = add_cell(sealing, NEED_ORDER, job, err);
        job.cell = mutable_cell(&at->voucher);
        job.place.column = "voucher";
        job.category = CATEGORY_VOUCHER;
        if (outcome == OK)
            outcome = add_cell(sealing, NEED_ORDER, job, err);
        job.cell = mutable_cell(&at->oss);
        job.place.column = "oss";
        job.category = CATEGORY_OSS;
        if (outcome == OK)
            outcome = add_cell(sealing, NEED_ORDER, job, err);
    }
    for (size_t i = 0; outcome == OK && i < write->shipments.count; i++) {
        const struct shipment *at = write->shipments.at[i].at;
        struct job job = {mutable_cell(&at->delivery),
                          {"shipment", "delivery", at->customer_id, at->shipment_id, -1},
                          at->person,
                          at->generation,
                          CATEGORY_DELIVERY};
        outcome = add_cell(sealing, NEED_SHIPMENT, job, err);
    }
    for (size_t i = 0; outcome == OK && i < write->notices.count; i++) {
        const struct notice *at = write->notices.at[i].at;
        struct job job = {mutable_cell(&at->ground),
                          {"notice", "ground", at->person, at->notice_ref, -1},
                          at->person,
                          at->generation,
                          CATEGORY_LEDGER};
        outcome = add_cell(sealing, NEED_NOTICE, job, err);
    }
    for (size_t i = 0; outcome == OK && i < write->consents.count; i++) {
        const struct consent *at = write->consents.at[i].at;
        struct job job = {mutable_cell(&at->proof),
                          {"consent", "proof", at->person, at->fact, -1},
                          at->person,
                          at->generation,
                          CATEGORY_CONSENT_PROOF};
        outcome = add_cell(sealing, NEED_CONSENTS, job, err);
    }
    return outcome;
}

static int16_t parked_period(const struct sealing *sealing, const struct parked *parked) {
    return (int16_t)date_quarter(date_local(sealing->work->decision.policy->zone, parked->expires_us));
}

static enum outcome add_outputs_and_parked(struct sealing *sealing, struct err *err) {
    const struct write *write = &sealing->work->write;
    for (size_t i = 0; i < write->outputs.count; i++) {
        const struct output *output = write->outputs.at[i].at;
        if (text_present(output->person) && !doom_takes(sealing->work, output) &&
            !want_transit(sealing, output->person, output->generation, output->category,
                          has_profile(sealing, output->person, output->generation)))
            return full(sealing, err);
    }
    for (size_t i = 0; i < sealing->work->waiting.count; i++) {
        const struct row_unpublished *row = sealing->work->waiting.at[i].row;
        if (!want_transit(sealing, row->person, row->generation, row->category, true))
            return full(sealing, err);
    }
    for (size_t i = 0; i < write->parked.count; i++)
        if (!want_cell(sealing, TEXT(PARKING_PERSON), GENERATION_FIRST, CATEGORY_LEDGER,
                       parked_period(sealing, write->parked.at[i].at), false))
            return full(sealing, err);
    return OK;
}

static enum outcome add_lookup(struct sealing *sealing, const struct event *event, enum contact_field field,
                               struct err *err) {
    struct text hash = field == EMAIL ? event->as.customer.email_hash : event->as.customer.phone_hash;
    if (!text_present(hash))
        return OK;
    struct lookup_row *row = ARENA_PUSH(sealing->arena, &sealing->lookups);
    if (!row)
        return full(sealing, err);
    *row = (struct lookup_row){.person = event->customer_id,
                               .generation = GENERATION_FIRST,
                               .kind = field == EMAIL ? "email" : "phone",
                               .time_us = event->version.time_us};
    contact_hash_read(hash, row->hash);
    return OK;
}

static enum outcome add_lookups(struct sealing *sealing, struct err *err) {
    enum outcome outcome = OK;
    for (size_t i = 0; outcome == OK && i < sealing->work->count; i++) {
        const struct item *item = &sealing->work->items[i];
        if (item->refusal.reason != REASON_NONE || item->verdict != VERDICT_APPLIED ||
            (item->event.type != CUSTOMER_REGISTERED && item->event.type != CUSTOMER_CHANGED) ||
            item->event.version.time_us <=
                state_newest_generation(sealing->work->state, item->event.customer_id))
            continue; /* nobody is found by what is erased */
        outcome = add_lookup(sealing, &item->event, EMAIL, err);
        if (outcome == OK)
            outcome = add_lookup(sealing, &item->event, PHONE, err);
    }
    return outcome;
}

static enum outcome no_key(struct err *err) {
    return err_set(err, RETRY, 0, "the vault lost a key while a batch needed it");
}

static enum outcome seal_cells(struct sealing *sealing, struct err *err) {
    struct keyring *keyring = sealing->how->keyring;
    struct seal_key key;
    for (size_t i = 0; i < sealing->jobs.count; i++) {
        struct job *job = &sealing->jobs.at[i];
        int16_t period = (int16_t)date_quarter(job->cell->until);
        uint16_t floor = doom_floor_cells(sealing->work->state, job->person, job->generation, job->category);
        if (!keyring_cell_key(keyring, job->person, job->generation, job->category, period, floor, &key))
            return no_key(err);
        job->cell->sealed =
            seal_cell(sealing->how->sealer, &key, &job->place, job->cell->content, sealing->arena);
        if (!text_present(job->cell->sealed))
            return full(sealing, err);
    }
    secret_wipe(&key, sizeof key);
    return OK;
}

/* A key that nobody else ever has, numbered as no ring numbers its keys: what is sealed under it is withheld.
 */
static void lost_key(const struct output *output, struct seal_key *key) {
    *key = (struct seal_key){.category = (uint8_t)output->category, .serial = UINT16_MAX};
    randombytes_buf(key->ring, sizeof key->ring);
    randombytes_buf(key->key, sizeof key->key);
}

static bool transit_key(struct sealing *sealing, struct text person, int64_t generation,
                        enum category category, struct seal_key *key) {
    return keyring_transit_key(sealing->how->keyring, person, generation, category,
                               doom_floor_transit(sealing->work->state, person, generation, category), key);
}

static enum outcome seal_outputs(struct sealing *sealing, struct err *err) {
    struct write *write = &sealing->work->write;
    struct seal_key key;
    for (size_t i = 0; i < write->outputs.count; i++) {
        struct write_output *row = &write->outputs.at[i];
        const struct output *output = row->at;
        row->body = output->body;
        if (!text_present(output->person))
            continue;
        if (doom_takes(sealing->work, output))
            lost_key(output, &key);
        else if (!transit_key(sealing, output->person, output->generation, output->category, &key))
            return no_key(err);
        struct seal_place place = {"outbox",
                                   "body",
                                   output->person,
                                   {(const char *)row->row_id, sizeof row->row_id},
                                   output->generation};
        row->body = seal_cell(sealing->how->sealer, &key, &place, output->body, sealing->arena);
        if (!text_present(row->body))
            return full(sealing, err);
    }
    secret_wipe(&key, sizeof key);
    return OK;
}

/* What waits in the outbox keeps its number, row id and place; only its key changes. */
static enum outcome seal_waiting(struct sealing *sealing, struct err *err) {
    struct work *work = sealing->work;
    struct write *write = &work->write;
    struct seal_key key;
    write->resealed.at = ARENA_ARRAY(sealing->arena, struct write_resealed, work->waiting.count + 1);
    if (!write->resealed.at)
        return full(sealing, err);
    for (size_t i = 0; i < work->waiting.count; i++) {
        const struct row_unpublished *row = work->waiting.at[i].row;
        struct seal_place place = {"outbox", "body", row->person, row->row_id, row->generation};
        if (!transit_key(sealing, row->person, row->generation, row->category, &key))
            return no_key(err);
        struct text body =
            seal_cell(sealing->how->sealer, &key, &place, work->waiting.at[i].plain, sealing->arena);
        if (!text_present(body))
            return full(sealing, err);
        write->resealed.at[write->resealed.count++] = (struct write_resealed){row->seq, row->row_id, body};
    }
    secret_wipe(&key, sizeof key);
    return OK;
}

static enum outcome seal_parked(struct sealing *sealing, struct err *err) {
    struct write *write = &sealing->work->write;
    struct seal_key key;
    for (size_t i = 0; i < write->parked.count; i++) {
        struct write_parked *parked = &write->parked.at[i];
        const struct event *event = &parked->at->event;
        struct seal_place place =
            load_parked_place(sealing->arena, parked->ref, event->topic, event->partition, event->offset);
        struct text plain = pack_event(event, sealing->arena);
        if (!text_present(place.object) || !text_present(plain))
            return full(sealing, err);
        if (!keyring_cell_key(sealing->how->keyring, TEXT(PARKING_PERSON), GENERATION_FIRST, CATEGORY_LEDGER,
                              parked_period(sealing, parked->at), 0, &key))
            return no_key(err);
        parked->body = seal_cell(sealing->how->sealer, &key, &place, plain, sealing->arena);
        if (!text_present(parked->body))
            return full(sealing, err);
    }
    secret_wipe(&key, sizeof key);
    return OK;
}

enum outcome seal_batch(const struct seal_batch *how, struct work *work, struct arena *arena,
                        struct err *err) {
    struct sealing sealing = {.how = how, .work = work, .arena = arena};
    enum outcome outcome = add_cells(&sealing, err);
    if (outcome == OK)
        outcome = add_outputs_and_parked(&sealing, err);
    if (outcome == OK)
        outcome = add_lookups(&sealing, err);
    if (outcome == OK)
        outcome = load_open(&work->load, sealing.unopened.at, sealing.unopened.count, err);
    KILL_POINT("consumer.before_vault");
    if (outcome == OK && (sealing.wants.count || sealing.lookups.count))
        outcome = keyring_provide(how->keyring, arena, sealing.wants.at, sealing.wants.count,
                                  sealing.lookups.at, sealing.lookups.count, work->load.now_s, err);
    if (outcome == POISON && !err->sqlstate[0] && !work->load.park_reason)
        work->load.park_reason = "missing_key";
    KILL_POINT("consumer.after_vault");
    if (outcome == OK)
        outcome = seal_cells(&sealing, err);
    if (outcome == OK)
        outcome = seal_outputs(&sealing, err);
    if (outcome == OK)
        outcome = seal_waiting(&sealing, err);
    if (outcome == OK)
        outcome = seal_parked(&sealing, err);
    return outcome;
}
