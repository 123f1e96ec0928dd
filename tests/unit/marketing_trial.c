/* Events of marketing, and what must come out the same whatever their order. */
#include "tests/unit/marketing_trial.h"

#include "core/json_read.h"
#include "tests/unit/permute.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

static struct fold *fold;

void marketing_begin(struct fold *used) {
    fold = used;
    fold_init(fold);
}

/* ---- events ---- */

static struct event address_of(struct event event, const char *email) {
    event.as.customer.contact.stated[EMAIL] = true;
    event.as.customer.contact.field[EMAIL] = text_of(email);
    event.as.customer.email_hash = text_of(email); /* any text will do for a hash here */
    return event;
}

struct event marketing_registered(const char *id, int64_t minute, const char *customer_id,
                                  const char *email) {
    return address_of(fold_registered(id, minute, customer_id, fold_contact("Åsa", "Gatan 1", "Åbo")), email);
}

struct event marketing_changed(const char *id, int64_t minute, const char *customer_id, const char *email) {
    return address_of(fold_changed(id, minute, customer_id, EMAIL, email), email);
}

struct event marketing_said(enum event_type type, const char *id, int64_t minute, const char *customer_id) {
    struct event event = fold_fact(type, id, minute, customer_id);
    event.customer_id = text_of(customer_id);
    event.as.consent.method = TEXT("account_page");
    return event;
}

struct event marketing_granted(const char *id, int64_t minute, const char *customer_id, bool confirmed) {
    struct event event = marketing_said(CONSENT_GRANTED, id, minute, customer_id);
    event.as.consent.purpose = TEXT("newsletter");
    event.as.consent.channel = TEXT("email");
    event.as.consent.basis = TEXT("consent");
    event.as.consent.has_confirmed = true;
    event.as.consent.confirmed = confirmed;
    event.as.consent.wording = (struct notice_text){TEXT("w1"), TEXT("00"), TEXT("sv")};
    return event;
}

struct event marketing_soft_opt_in(const char *id, int64_t minute, const char *customer_id,
                                   const char *order_id) {
    struct event event = marketing_granted(id, minute, customer_id, false);
    event.as.consent.has_confirmed = false;
    event.as.consent.basis = TEXT("soft_opt_in");
    event.as.consent.order_id = text_of(order_id);
    event.as.consent.method = TEXT("checkout");
    return event;
}

/* Tokens must outlive the events. */
struct event marketing_by_token(enum event_type type, const char *id, int64_t minute, const char *customer_id,
                                int64_t generation) {
    static struct ref tokens[64];
    static size_t count;
    struct event event = marketing_said(type, id, minute, NULL);
    assert_true(count < sizeof(tokens) / sizeof(tokens[0]));
    tokens[count] = ref_token(&fold->ref_key, text_of(customer_id), generation);
    event.as.consent.token = text_of(tokens[count++].chars);
    event.as.consent.method = TEXT("one_click");
    return event;
}

/* ---- what is compared ---- */

static int by_consent(const void *a, const void *b) {
    const struct consent *left = *(struct consent *const *)a, *right = *(struct consent *const *)b;
    return text_compare(left->fact, right->fact);
}

static int by_person(const void *a, const void *b) {
    const struct person *left = *(struct person *const *)a, *right = *(struct person *const *)b;
    int order = text_compare(left->person, right->person);
    return order ? order : (left->generation > right->generation) - (left->generation < right->generation);
}

static int by_address(const void *a, const void *b) {
    return text_compare((*(struct address *const *)a)->hash, (*(struct address *const *)b)->hash);
}

static void *sorted(const void *items, size_t count, int compare(const void *, const void *)) {
    void **copy = arena_array(&fold->kept, sizeof(void *), count ? count : 1);
    if (count)
        memcpy(copy, items, count * sizeof(void *));
    qsort(copy, count, sizeof(void *), compare);
    return copy;
}

static void write_consents(struct json_writer *writer) {
    size_t count;
    struct consent *const *consents = state_consents(fold->rows, &count);
    consents = sorted(consents, count, by_consent);
    for (size_t i = 0; i < count; i++) {
        json_text(writer, consents[i]->person);
        json_text(writer, consents[i]->version.id);
        json_int(writer, consents[i]->generation);
        json_int(writer, consents[i]->proof.until);
        json_raw(writer, consents[i]->proof.content);
    }
}

static void write_permissions(struct json_writer *writer) {
    size_t count;
    struct person *const *persons = state_persons(fold->rows, &count);
    persons = sorted(persons, count, by_person);
    for (size_t i = 0; i < count; i++) {
        for (size_t p = 0; p < persons[i]->permissions.count; p++) {
            const struct permission *line = &persons[i]->permissions.at[p];
            json_text(writer, persons[i]->person);
            json_int(writer, persons[i]->generation);
            json_text(writer, line->purpose);
            json_text(writer, line->channel);
            json_text(writer, line->basis);
            json_int(writer, line->reason);
            json_int(writer, line->since_us);
        }
        for (size_t a = 0; a < persons[i]->facts.addresses.count; a++) {
            const struct address_fact *fact = &persons[i]->facts.addresses.at[a];
            json_text(writer, fact->hash);
            for (size_t t = 0; t < fact->times.count; t++)
                json_int(writer, fact->times.at[t]);
        }
        if (persons[i]->facts.consents)
            json_int(writer, persons[i]->facts.consents);
    }
}

static void write_addresses(struct json_writer *writer) {
    size_t count;
    struct address *const *addresses = state_addresses(fold->rows, &count);
    addresses = sorted(addresses, count, by_address);
    for (size_t i = 0; i < count; i++) {
        if (!addresses[i]->entries.count)
            continue; /* a cut has taken away what was stated */
        json_text(writer, addresses[i]->hash);
        for (size_t e = 0; e < addresses[i]->entries.count; e++) {
            const struct address_entry *entry = &addresses[i]->entries.at[e];
            json_text(writer, entry->person);
            json_int(writer, entry->matched_us);
            json_bool(writer, entry->current);
            json_int(writer, entry->objected_first_us);
            json_int(writer, entry->objected_last_us);
            json_int(writer, (int64_t)entry->objected_between.count);
            json_int(writer, entry->withdrawn_us);
        }
    }
}

/* The last record of each customer, which is all that a compacted topic keeps. */
static void write_records(struct json_writer *writer) {
    size_t count;
    struct person *const *persons = state_persons(fold->rows, &count);
    persons = sorted(persons, count, by_person);
    for (size_t p = 0; p < count; p++) {
        struct text body = TEXT_ABSENT;
        if (persons[p]->generation != GENERATION_FIRST)
            continue;
        for (size_t i = 0; i < fold->outputs.count; i++) {
            if (strcmp(fold->outputs.at[i].type, RECORD) == 0 &&
                text_equal(fold->outputs.at[i].key, persons[p]->person))
                body = fold->outputs.at[i].body;
        }
        if (text_present(body))
            json_raw(writer, body);
    }
}

/* What mail houses hold: every notice must speak of what they were told. */
struct held {
    struct text ref, person, fields;
    enum unit_state state;
};

static struct held *held_find(struct held *all, size_t count, struct text ref) {
    for (size_t i = 0; i < count; i++) {
        if (text_equal(all[i].ref, ref))
            return &all[i];
    }
    return NULL;
}

static void take_letter(struct held *all, size_t *count, const struct output *output) {
    struct json *body;
    assert_int_equal(json_parse(output->body, 0, &fold->kept, &body), JSON_FINE);
    struct text ref = json_member_text(body, "disclosure_ref");
    bool anonymize = strcmp(output->type, "register.notice.anonymize") == 0;
    if (anonymize)
        ref = json_member(body, "disclosures")->first->text;
    struct held *held = held_find(all, *count, ref);
    if (strcmp(output->type, LETTER) == 0) {
        if (!held)
            held = &all[(*count)++];
        assert_int_equal(output->category, CATEGORY_PROFILE);
        *held = (struct held){.ref = ref, .person = output->person, .state = UNIT_HELD};
        held->fields = json_member_text(json_member(body, "fields"), "email");
        return;
    }
    assert_non_null(held);
    bool request = anonymize && text_is(json_member_text(body, "cause"), "request");
    if (!request || held->state != UNIT_ANONYMIZED) /* an erasure names what was let go before once more */
        assert_int_equal(held->state, anonymize ? UNIT_WITHDRAWN : UNIT_HELD);
    if (strcmp(output->type, "register.disclosure.corrected") == 0)
        held->fields = json_member_text(json_member(body, "fields"), "email");
    else
        held->state = anonymize ? UNIT_ANONYMIZED : UNIT_WITHDRAWN;
}

static int by_holder(const void *a, const void *b) {
    return text_compare(((const struct held *)a)->person, ((const struct held *)b)->person);
}

static void write_letters(struct json_writer *writer) {
    struct held all[32];
    size_t count = 0;
    for (size_t i = 0; i < fold->outputs.count; i++) {
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(&fold->outputs.at[i].id, &fold->outputs.at[j].id,
                                    sizeof(struct output_id));
        if (text_is(fold->outputs.at[i].recipient, "letterhouse"))
            take_letter(all, &count, &fold->outputs.at[i]);
        assert_true(count < 32);
    }
    qsort(all, count, sizeof(*all), by_holder);
    for (size_t i = 0; i < count; i++) {
        assert_int_not_equal(all[i].state, UNIT_WITHDRAWN); /* an anonymize follows */
        if (all[i].state != UNIT_HELD)
            continue;
        json_text(writer, all[i].person);
        json_text(writer, all[i].fields);
    }
}

static struct text snapshot(void) {
    json_writer_reset(fold->writer);
    json_array(fold->writer);
    write_consents(fold->writer);
    write_permissions(fold->writer);
    write_addresses(fold->writer);
    write_records(fold->writer);
    write_letters(fold->writer);
    json_array_end(fold->writer);
    return json_writer_take(fold->writer, &fold->kept);
}

/* ---- all orders ---- */

struct trial {
    const struct event *events;
    size_t batch;
    struct text first, dump; /* kept outside of the register */
    struct arena arena;
    size_t orders;
};

/* Facts about one person on one topic come in the order of their times, and of events with equal times in
 * their own. */
static bool keeps_partitions(const struct event *events, const size_t *order, size_t count) {
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count; j++) {
            const struct event *first = &events[order[i]], *second = &events[order[j]];
            if (text_is(first->topic, "shop.customer.v1") && text_equal(first->topic, second->topic) &&
                text_equal(first->customer_id, second->customer_id) &&
                first->version.time_us > second->version.time_us)
                return false;
        }
    }
    return true;
}

static void print_order(const struct trial *trial, const size_t *order, size_t count) {
    print_error("batches of %zu, order", trial->batch);
    for (size_t i = 0; i < count; i++)
        print_error(" %.*s", TEXT_ARGS(trial->events[order[i]].version.id));
    print_error("\n");
}

/* Everything once more: nothing is written, nothing goes out. */
static void assert_replay_is_silent(const struct trial *trial, const size_t *order, size_t count) {
    size_t outputs = fold->outputs.count;
    for (size_t i = 0; i < count; i++) {
        fold_event(fold, &trial->events[i]);
        if (!fold->rows_written && fold->outputs.count == outputs)
            continue;
        print_order(trial, order, count);
        fail_msg("%.*s again is not silent: %zu rows", TEXT_ARGS(trial->events[i].version.id),
                 fold->rows_written);
    }
}

static void try_order(void *context, const size_t *order, size_t count) {
    struct trial *trial = context;
    const struct event *arriving[EVENTS_MOST];
    if (!keeps_partitions(trial->events, order, count))
        return;
    fold_reset(fold);
    for (size_t i = 0; i < count; i += trial->batch) {
        size_t taken = count - i < trial->batch ? count - i : trial->batch;
        for (size_t k = 0; k < taken; k++)
            arriving[k] = &trial->events[order[i + k]];
        fold_batch(fold, arriving, taken);
    }
    struct text got = snapshot(), dump = fold_dump(fold);
    if (!trial->orders++) {
        trial->first = arena_text(&trial->arena, got);
        trial->dump = arena_text(&trial->arena, dump);
    }
    if (!text_equal(trial->dump, dump)) {
        print_order(trial, order, count);
        print_error("expected:\n%.*s\ngot:\n%.*s\n", TEXT_ARGS(trial->dump), TEXT_ARGS(dump));
        fail();
    }
    if (!text_equal(trial->first, got)) {
        print_order(trial, order, count);
        print_error("expected:\n%.*s\ngot:\n%.*s\n", TEXT_ARGS(trial->first), TEXT_ARGS(got));
        fail();
    }
    assert_replay_is_silent(trial, order, count);
}

/* Leaves the register of the last order behind. */
void marketing_try(const struct event *events, size_t count) {
    struct trial trial = {.events = events};
    arena_init(&trial.arena, 1 << 22);
    for (trial.batch = 1; trial.batch <= 3; trial.batch++)
        permute_all(count, try_order, &trial);
    arena_release(&trial.arena);
    fold_reset(fold);
    for (size_t i = 0; i < count; i++)
        fold_event(fold, &events[i]);
}

void marketing_try_some(const struct event *all, size_t count, uint64_t *seed) {
    struct event events[EVENTS_MOST];
    size_t chosen[64], order[EVENTS_MOST];
    size_t taken = 4 + permute_random(seed) % (EVENTS_MOST - 3);
    struct trial trial = {.events = events};
    assert_true(count <= 64);
    for (size_t i = 0; i < count; i++)
        chosen[i] = i;
    permute_shuffle(seed, chosen, count);
    for (size_t i = 0; i < taken; i++) {
        events[i] = all[chosen[i]];
        order[i] = i;
    }
    arena_init(&trial.arena, 1 << 20);
    for (size_t again = 0; again < 8; again++) {
        trial.batch = 1 + permute_random(seed) % taken;
        try_order(&trial, order, taken);
        permute_shuffle(seed, order, taken);
    }
    arena_release(&trial.arena);
}

const struct permission *marketing_line(const char *customer_id, int64_t generation) {
    const struct person *row = state_find_person(fold->rows, text_of(customer_id), generation);
    assert_non_null(row);
    assert_int_equal(row->permissions.count, 1);
    return &row->permissions.at[0];
}

void marketing_assert(const char *customer_id, int64_t generation, enum permission_reason reason,
                      int64_t since_minute) {
    const struct permission *line = marketing_line(customer_id, generation);
    struct event at = fold_fact(CUSTOMER_SEEN, "at", since_minute, NULL);
    assert_int_equal(line->reason, reason);
    assert_int_equal(line->since_us, since_minute < 0 ? TIME_NONE : at.version.time_us);
}
