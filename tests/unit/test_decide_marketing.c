/* Whatever the order of arrival and the batches, the same facts end in the same permissions, proofs and
 * suppressed addresses, the last record says the same, and mail houses hold the same (SEMANTICS.md,
 * Permission; SCENARIOS.md, golden 1 and 18 to 21). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/decide/pack.h"
#include "core/json_read.h"
#include "tests/unit/fold.h"
#include "tests/unit/permute.h"

#include <stdio.h>
#include <stdlib.h>

#define EVENTS_MOST 9
#define RECORD "register.marketing.permission"
#define LETTER "register.disclosure.newsletter"
static struct fold fold;

/* ---- events ---- */

static struct event address_of(struct event event, const char *email) {
    event.as.customer.contact.stated[EMAIL] = true;
    event.as.customer.contact.field[EMAIL] = text_of(email);
    event.as.customer.email_hash = text_of(email); /* any text will do for a hash here */
    return event;
}

static struct event registered(const char *id, int64_t minute, const char *customer_id, const char *email) {
    return address_of(fold_registered(id, minute, customer_id, fold_contact("Åsa", "Gatan 1", "Åbo")), email);
}

static struct event changed(const char *id, int64_t minute, const char *customer_id, const char *email) {
    return address_of(fold_changed(id, minute, customer_id, EMAIL, email), email);
}

static struct event said(enum event_type type, const char *id, int64_t minute, const char *customer_id) {
    struct event event = fold_fact(type, id, minute, customer_id);
    event.customer_id = text_of(customer_id);
    event.as.consent.method = TEXT("account_page");
    return event;
}

static struct event granted(const char *id, int64_t minute, const char *customer_id, bool confirmed) {
    struct event event = said(CONSENT_GRANTED, id, minute, customer_id);
    event.as.consent.purpose = TEXT("newsletter");
    event.as.consent.channel = TEXT("email");
    event.as.consent.basis = TEXT("consent");
    event.as.consent.has_confirmed = true;
    event.as.consent.confirmed = confirmed;
    event.as.consent.wording = (struct notice_text){TEXT("w1"), TEXT("00"), TEXT("sv")};
    return event;
}

static struct event soft_opt_in(const char *id, int64_t minute, const char *customer_id,
                                const char *order_id) {
    struct event event = granted(id, minute, customer_id, false);
    event.as.consent.has_confirmed = false;
    event.as.consent.basis = TEXT("soft_opt_in");
    event.as.consent.order_id = text_of(order_id);
    event.as.consent.method = TEXT("checkout");
    return event;
}

/* Tokens must outlive the events. */
static struct event by_token(enum event_type type, const char *id, int64_t minute, const char *customer_id,
                             int64_t generation) {
    static struct ref tokens[64];
    static size_t count;
    struct event event = said(type, id, minute, NULL);
    assert_true(count < sizeof(tokens) / sizeof(tokens[0]));
    tokens[count] = ref_token(&fold.ref_key, text_of(customer_id), generation);
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
    void **copy = arena_array(&fold.kept, sizeof(void *), count ? count : 1);
    if (count)
        memcpy(copy, items, count * sizeof(void *));
    qsort(copy, count, sizeof(void *), compare);
    return copy;
}

static void write_consents(struct json_writer *writer) {
    size_t count;
    struct consent *const *consents = state_consents(fold.rows, &count);
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
    struct person *const *persons = state_persons(fold.rows, &count);
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
        json_int(writer, persons[i]->facts.consents);
    }
}

static void write_addresses(struct json_writer *writer) {
    size_t count;
    struct address *const *addresses = state_addresses(fold.rows, &count);
    addresses = sorted(addresses, count, by_address);
    for (size_t i = 0; i < count; i++) {
        json_text(writer, addresses[i]->hash);
        for (size_t e = 0; e < addresses[i]->entries.count; e++) {
            const struct address_entry *entry = &addresses[i]->entries.at[e];
            json_text(writer, entry->person);
            json_int(writer, entry->matched_us);
            json_bool(writer, entry->current);
            json_int(writer, entry->objected_first_us);
            json_int(writer, entry->objected_last_us);
            json_int(writer, entry->withdrawn_us);
        }
    }
}

/* The last record of each customer, which is all that a compacted topic keeps. */
static void write_records(struct json_writer *writer) {
    for (size_t i = 0; i < fold.outputs.count; i++) {
        bool last = strcmp(fold.outputs.at[i].type, RECORD) == 0;
        for (size_t j = i + 1; j < fold.outputs.count; j++)
            last &= strcmp(fold.outputs.at[j].type, RECORD) != 0 ||
                    !text_equal(fold.outputs.at[j].key, fold.outputs.at[i].key);
        if (!last)
            continue;
        assert_false(text_present(fold.outputs.at[i].person));
    }
    size_t count;
    struct person *const *persons = state_persons(fold.rows, &count);
    persons = sorted(persons, count, by_person);
    for (size_t p = 0; p < count; p++) {
        struct text body = TEXT_ABSENT;
        if (persons[p]->generation != GENERATION_FIRST)
            continue;
        for (size_t i = 0; i < fold.outputs.count; i++) {
            if (strcmp(fold.outputs.at[i].type, RECORD) == 0 &&
                text_equal(fold.outputs.at[i].key, persons[p]->person))
                body = fold.outputs.at[i].body;
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
    assert_int_equal(json_parse(output->body, 0, &fold.kept, &body), JSON_FINE);
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
    for (size_t i = 0; i < fold.outputs.count; i++) {
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(&fold.outputs.at[i].id, &fold.outputs.at[j].id, sizeof(struct output_id));
        if (text_is(fold.outputs.at[i].recipient, "letterhouse"))
            take_letter(all, &count, &fold.outputs.at[i]);
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
    json_writer_reset(fold.writer);
    json_array(fold.writer);
    write_consents(fold.writer);
    write_permissions(fold.writer);
    write_addresses(fold.writer);
    write_records(fold.writer);
    write_letters(fold.writer);
    json_array_end(fold.writer);
    return json_writer_take(fold.writer, &fold.kept);
}

/* ---- all orders ---- */

struct trial {
    const struct event *events;
    size_t batch;
    struct text first; /* kept outside of the register */
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

static void assert_replay_is_silent(const struct event *events, size_t count) {
    size_t outputs = fold.outputs.count;
    for (size_t i = 0; i < count; i++) {
        fold_event(&fold, &events[i]);
        assert_int_equal(fold.rows_written, 0);
    }
    assert_int_equal(fold.outputs.count, outputs);
}

static void try_order(void *context, const size_t *order, size_t count) {
    struct trial *trial = context;
    const struct event *arriving[EVENTS_MOST];
    if (!keeps_partitions(trial->events, order, count))
        return;
    fold_reset(&fold);
    for (size_t i = 0; i < count; i += trial->batch) {
        size_t taken = count - i < trial->batch ? count - i : trial->batch;
        for (size_t k = 0; k < taken; k++)
            arriving[k] = &trial->events[order[i + k]];
        fold_batch(&fold, arriving, taken);
    }
    struct text got = snapshot();
    if (!trial->orders++)
        trial->first = arena_text(&trial->arena, got);
    if (!text_equal(trial->first, got)) {
        print_error("batches of %zu, order", trial->batch);
        for (size_t i = 0; i < count; i++)
            print_error(" %.*s", TEXT_ARGS(trial->events[order[i]].version.id));
        print_error("\nexpected:\n%.*s\ngot:\n%.*s\n", TEXT_ARGS(trial->first), TEXT_ARGS(got));
        fail();
    }
    assert_replay_is_silent(trial->events, count);
}

/* Leaves the register of the last order behind. */
static void try_all(const struct event *events, size_t count) {
    struct trial trial = {.events = events};
    arena_init(&trial.arena, 1 << 22);
    for (trial.batch = 1; trial.batch <= 3; trial.batch++)
        permute_all(count, try_order, &trial);
    arena_release(&trial.arena);
    fold_reset(&fold);
    for (size_t i = 0; i < count; i++)
        fold_event(&fold, &events[i]);
}

static const struct permission *line_of(const char *customer_id, int64_t generation) {
    const struct person *row = state_find_person(fold.rows, text_of(customer_id), generation);
    assert_non_null(row);
    assert_int_equal(row->permissions.count, 1);
    return &row->permissions.at[0];
}

static void assert_line(const char *customer_id, int64_t generation, enum permission_reason reason,
                        int64_t since_minute) {
    const struct permission *line = line_of(customer_id, generation);
    struct event at = fold_fact(CUSTOMER_SEEN, "at", since_minute, NULL);
    assert_int_equal(line->reason, reason);
    assert_int_equal(line->since_us, since_minute < 0 ? TIME_NONE : at.version.time_us);
}
#define SINCE_NONE ((int64_t)-1)

/* ---- the scenarios ---- */

static void silence_is_denied(void **context) {
    (void)context;
    struct event events[] = {registered("e1", 1, "c1", "a@"), fold_placed("e2", 2, "c1", "O1", 100)};
    try_all(events, 2);
    assert_line("c1", GENERATION_FIRST, PERMISSION_NONE, SINCE_NONE);
    assert_int_equal(fold_count(&fold, RECORD), 1);
    assert_int_equal(fold_count(&fold, LETTER), 0);
    const struct output *record = fold_output(&fold, RECORD, 0);
    struct ref token = ref_token(&fold.ref_key, TEXT("c1"), GENERATION_FIRST);
    char body[512];
    (void)snprintf(
        body, sizeof(body),
        "{\"customer_id\":\"c1\",\"permissions\":[{\"allowed\":false,\"basis\":null,\"channel\":"
        "\"email\",\"purpose\":\"newsletter\",\"reason\":\"none\",\"since\":null,\"token\":\"%s\"}]}",
        token.chars);
    assert_true(text_is(record->body, body));
    assert_true(text_is(record->key, "c1"));
    assert_true(text_is(record->topic, "register.marketing-permission.v1"));
    fold_reset(&fold);
    fold_event(&fold, &events[1]); /* an order alone opens, too */
    assert_int_equal(fold_count(&fold, RECORD), 1);
}

static void withdrawal_before_its_grant(void **context) {
    (void)context;
    struct event events[] = {registered("e1", 1, "c1", "a@"), said(CONSENT_WITHDRAWN, "e2", 5, "c1"),
                             granted("e3", 3, "c1", true)};
    try_all(events, 3);
    assert_line("c1", GENERATION_FIRST, PERMISSION_WITHDRAWN, 5);
    size_t count;
    struct consent *const *consents = state_consents(fold.rows, &count);
    assert_int_equal(count, 2);
    assert_true(text_is(consents[0]->proof.content, "{\"method\":\"account_page\"}"));
    assert_true(text_is(consents[1]->proof.content,
                        "{\"method\":\"account_page\",\"wording\":{\"id\":\"w1\",\"language\":\"sv\","
                        "\"sha256\":\"00\"}}"));
    assert_int_equal(consents[0]->proof.until, consents[1]->proof.until); /* both from the withdrawal */
    assert_int_equal(fold_count(&fold, LETTER), 0);
}

static void equal_times_protect(void **context) {
    (void)context;
    struct event events[] = {registered("e1", 1, "c1", "a@"), granted("e2", 5, "c1", true),
                             said(CONSENT_WITHDRAWN, "e3", 5, "c1")};
    events[1].version.sequence = TEXT("9");
    try_all(events, 3);
    assert_line("c1", GENERATION_FIRST, PERMISSION_WITHDRAWN, 5);
    struct event more[] = {registered("e1", 1, "c1", "a@"), granted("e2", 5, "c1", true),
                           said(CONSENT_OBJECTED, "e3", 5, "c1"), said(CONSENT_WITHDRAWN, "e4", 4, "c1"),
                           granted("e5", 5, "c1", false)};
    try_all(more, 5);
    assert_line("c1", GENERATION_FIRST, PERMISSION_OBJECTED, 5);
}

static void double_opt_in(void **context) {
    (void)context;
    struct event events[] = {registered("e1", 1, "c1", "a@"), granted("e2", 2, "c1", false),
                             granted("e3", 3, "c1", true)};
    fold_reset(&fold);
    fold_event(&fold, &events[0]);
    fold_event(&fold, &events[1]);
    assert_line("c1", GENERATION_FIRST, PERMISSION_NONE, SINCE_NONE);
    assert_int_equal(fold_count(&fold, RECORD), 1);
    try_all(events, 3);
    assert_line("c1", GENERATION_FIRST, PERMISSION_ALLOWED, 3);
    assert_true(text_is(line_of("c1", GENERATION_FIRST)->basis, "consent"));
    assert_int_equal(fold_count(&fold, RECORD), 2);
    assert_int_equal(fold_count(&fold, LETTER), 1);
}

static void other_purposes_are_proofs_only(void **context) {
    (void)context;
    struct event events[] = {registered("e1", 1, "c1", "a@"), granted("e2", 2, "c1", true),
                             granted("e3", 3, "c1", true), said(CONSENT_WITHDRAWN, "e4", 4, "c1"),
                             said(CONSENT_WITHDRAWN, "e5", 5, "c1")};
    events[1].as.consent.channel = TEXT("sms");
    events[3].as.consent.purpose = TEXT("marketing"); /* the policy has no such purpose */
    events[4].as.consent.channel = TEXT("sms");
    try_all(events, 5);
    assert_line("c1", GENERATION_FIRST, PERMISSION_ALLOWED, 3);
    size_t count;
    (void)state_consents(fold.rows, &count);
    assert_int_equal(count, 4);
    events[3].as.consent.purpose = TEXT_ABSENT; /* all */
    try_all(events, 5);
    assert_line("c1", GENERATION_FIRST, PERMISSION_WITHDRAWN, 4);
}

/* Lets soft opt-ins in, and grants without confirmation. */
static void soften(bool soft) {
    struct policy_marketing *marketing = &fold.policy->marketing[0];
    marketing->soft_opt_in = soft;
    marketing->double_opt_in = !soft;
    marketing->bases[1] = TEXT("soft_opt_in");
    marketing->basis_count = soft ? 2 : 1;
    marketing->from[2] = TEXT("checkout");
    marketing->from_count = soft ? 3 : 2;
}

static void soft_opt_in_needs_its_sale(void **context) {
    (void)context;
    struct event events[] = {registered("e1", 1, "c1", "a@"), soft_opt_in("e2", 2, "c1", "O1"),
                             fold_placed("e3", 2, "c1", "O1", 100), fold_paid("e4", 3, "c1", "O1", 100),
                             fold_cancelled("e5", 9, "c1", "O1")};
    try_all(events, 4); /* the policy says no */
    assert_line("c1", GENERATION_FIRST, PERMISSION_NONE, SINCE_NONE);
    soften(true);
    try_all(events, 3);
    assert_line("c1", GENERATION_FIRST, PERMISSION_NONE, SINCE_NONE);
    try_all(events, 4);
    assert_line("c1", GENERATION_FIRST, PERMISSION_ALLOWED, 2);
    assert_true(text_is(line_of("c1", GENERATION_FIRST)->basis, "soft_opt_in"));
    try_all(events, 5);
    assert_line("c1", GENERATION_FIRST, PERMISSION_NONE, SINCE_NONE);
    soften(false);
}

static void objection_and_soft_opt_in(void **context) {
    (void)context;
    struct event events[] = {registered("e1", 1, "c1", "a@"),  said(CONSENT_OBJECTED, "e2", 2, "c1"),
                             soft_opt_in("e3", 3, "c1", "O1"), fold_paid("e4", 3, "c1", "O1", 100),
                             granted("e5", 4, "c1", false),    granted("e6", 5, "c1", true)};
    soften(true);
    try_all(events, 4);
    assert_line("c1", GENERATION_FIRST, PERMISSION_OBJECTED, 2);
    try_all(events, 5); /* a consent that nobody confirmed frees from nothing */
    assert_line("c1", GENERATION_FIRST, PERMISSION_OBJECTED, 2);
    try_all(events, 6);
    assert_line("c1", GENERATION_FIRST, PERMISSION_ALLOWED, 5);
    soften(false);
}

static void no_address(void **context) {
    (void)context;
    struct event events[] = {granted("e1", 2, "c1", true), registered("e2", 3, "c1", "a@"),
                             changed("e3", 4, "c1", NULL), changed("e4", 5, "c1", "b@")};
    try_all(events, 1);
    assert_line("c1", GENERATION_FIRST, PERMISSION_NO_ADDRESS, SINCE_NONE);
    try_all(events, 2);
    assert_line("c1", GENERATION_FIRST, PERMISSION_ALLOWED, 2);
    try_all(events, 3);
    assert_line("c1", GENERATION_FIRST, PERMISSION_NO_ADDRESS, SINCE_NONE);
    assert_int_equal(fold_count(&fold, "register.notice.anonymize"), 1);
    try_all(events, 4);
    assert_line("c1", GENERATION_FIRST, PERMISSION_ALLOWED, 2);
}

static void the_link_works_twice(void **context) {
    (void)context;
    struct event events[] = {registered("e1", 1, "c1", "a@"), granted("e2", 2, "c1", true),
                             by_token(CONSENT_WITHDRAWN, "e3", 3, "c1", GENERATION_FIRST),
                             by_token(CONSENT_WITHDRAWN, "e4", 4, "c1", GENERATION_FIRST)};
    try_all(events, 4);
    assert_line("c1", GENERATION_FIRST, PERMISSION_WITHDRAWN, 3);
    assert_int_equal(fold_count(&fold, RECORD), 3); /* the second click says nothing new */
    assert_int_equal(fold_count(&fold, "register.disclosure.withdrawn"), 1);
    size_t count;
    (void)state_consents(fold.rows, &count);
    assert_int_equal(count, 3);
}

static void foreign_refs_are_no_tokens(void **context) {
    (void)context;
    struct event opens = registered("e1", 1, "c1", "a@");
    struct event ships = fold_requested("e2", 2, "c1", "O1", "S1", "matkahuolto", "pickup");
    struct event says = by_token(CONSENT_OBJECTED, "e3", 3, "c1", GENERATION_FIRST);
    struct ref shipment = ref_shipment(&fold.ref_key, TEXT("matkahuolto"), TEXT("c1"), TEXT("S1"));
    struct event status = fold_status(&fold, "e4", 4, "matkahuolto", "c1", "S1", 0, STATUS_DELIVERED);
    fold_reset(&fold);
    assert_int_equal(fold_event(&fold, &says), VERDICT_PARKED);
    fold_event(&fold, &opens);
    assert_line("c1", GENERATION_FIRST, PERMISSION_OBJECTED, 3);
    fold_event(&fold, &ships);
    says.version.id = TEXT("e5");
    says.as.consent.token = text_of(shipment.chars);
    assert_int_equal(fold_event(&fold, &says), VERDICT_DEAD_LETTER);
    struct ref token = ref_token(&fold.ref_key, TEXT("c1"), GENERATION_FIRST);
    status.as.delivery.shipment_ref = text_of(token.chars);
    assert_int_equal(fold_event(&fold, &status), VERDICT_DEAD_LETTER);
    for (size_t i = 0; i < 2; i++)
        assert_true(text_is(fold_output(&fold, "register.dead-letter", i)->cause, "unknown_ref"));
}

static void an_objection_binds_the_address(void **context) {
    (void)context;
    struct event events[] = {registered("e1", 1, "c1", "a@"), said(CONSENT_OBJECTED, "e2", 2, "c1"),
                             changed("e3", 3, "c1", "b@"),    registered("e4", 4, "c2", "a@"),
                             granted("e5", 2, "c2", true),    granted("e6", 5, "c2", true)};
    try_all(events, 5);
    assert_line("c1", GENERATION_FIRST, PERMISSION_OBJECTED, 2);
    assert_line("c2", GENERATION_FIRST, PERMISSION_OBJECTED, 2); /* of the same instant: not later */
    try_all(events, 6);
    assert_line("c1", GENERATION_FIRST, PERMISSION_OBJECTED, 2);
    assert_line("c2", GENERATION_FIRST, PERMISSION_ALLOWED, 5); /* the stranger's own, later */
    struct event late[] = {registered("e1", 1, "c1", "a@"), registered("e2", 2, "c2", "a@"),
                           granted("e3", 3, "c2", true), said(CONSENT_OBJECTED, "e4", 4, "c1"),
                           changed("e5", 5, "c2", "b@")};
    try_all(late, 4);
    assert_line("c2", GENERATION_FIRST, PERMISSION_OBJECTED, 4);
    assert_int_equal(fold_count(&fold, "register.notice.anonymize"), 1);
    try_all(late, 5); /* with another address he is free again */
    assert_line("c2", GENERATION_FIRST, PERMISSION_ALLOWED, 3);
}

static void mail_houses_know_what_is_allowed(void **context) {
    (void)context;
    struct event events[] = {registered("e1", 1, "c1", "a@"), granted("e2", 2, "c1", true),
                             changed("e3", 3, "c1", "b@"), said(CONSENT_WITHDRAWN, "e4", 4, "c1"),
                             granted("e5", 5, "c1", true)};
    try_all(events, 5);
    assert_line("c1", GENERATION_FIRST, PERMISSION_ALLOWED, 5);
    assert_int_equal(fold_count(&fold, LETTER), 2);
    const struct output *first = fold_output(&fold, LETTER, 0), *again = fold_output(&fold, LETTER, 1);
    assert_true(text_equal(first->disclosure_ref, again->disclosure_ref));
    assert_true(text_is(first->topic, "disclosure.letterhouse.v1"));
    assert_int_equal(first->fields, FIELD_BIT(EMAIL));
    assert_int_equal(fold_count(&fold, "register.disclosure.corrected"), 1);
    assert_int_equal(fold_count(&fold, "register.disclosure.withdrawn"), 1);
    struct json *body;
    assert_int_equal(json_parse(first->body, 0, &fold.kept, &body), JSON_FINE);
    struct ref token = ref_token(&fold.ref_key, TEXT("c1"), GENERATION_FIRST);
    assert_true(text_is(json_member_text(body, "token"), token.chars));
    assert_true(text_is(json_member_text(json_member(body, "fields"), "email"), "a@"));
    const struct output *notice = fold_output(&fold, "register.notice.anonymize", 0);
    assert_int_equal(json_parse(notice->body, 0, &fold.kept, &body), JSON_FINE);
    assert_true(text_is(json_member_text(body, "cause"), "withdrawn"));
    struct event answer =
        fold_acknowledged(&fold, "a1", 9, "letterhouse", fold_notice_ref(&fold, notice), ACK_ERASED);
    assert_int_equal(fold_event(&fold, &answer), VERDICT_APPLIED);
    assert_int_equal(fold.verdicts[VERDICT_APPLIED], 6);
    answer.sender = TEXT("posti");
    answer.version.id = TEXT("a2");
    assert_int_equal(fold_event(&fold, &answer), VERDICT_DEAD_LETTER);
}

/* Who has no consents costs no more than before; a second consent writes itself and its guard. */
static void few_rows_are_written(void **context) {
    (void)context;
    struct event events[] = {registered("e1", 1, "c1", "a@"), granted("e2", 2, "c1", true),
                             said(CONSENT_WITHDRAWN, "e3", 3, "c1"), said(CONSENT_WITHDRAWN, "e4", 4, "c1")};
    fold_reset(&fold);
    fold_event(&fold, &events[0]);
    assert_int_equal(fold.rows_written, 3); /* person, address, token */
    fold_event(&fold, &events[1]);
    assert_int_equal(fold.rows_written, 2); /* consent, person */
    fold_event(&fold, &events[2]);
    assert_int_equal(fold.rows_written, 7); /* both proofs, person, two notices and their refs */
    fold_event(&fold, &events[3]);
    assert_int_equal(fold.rows_written, 2);
}

/* ---- random histories ---- */

/* Times collide, two persons share addresses, tokens come before they are given out. */
static size_t catalogue(struct event *all) {
    size_t count = 0;
    all[count++] = registered("r1", 3, "c1", "a@");
    all[count++] = changed("r2", 5, "c1", "b@");
    all[count++] = changed("r3", 8, "c1", NULL);
    all[count++] = registered("r4", 4, "c2", "b@");
    all[count++] = changed("r5", 6, "c2", "a@");
    all[count++] = granted("g1", 2, "c1", true);
    all[count++] = granted("g2", 6, "c1", false);
    all[count++] = granted("g3", 9, "c1", true);
    all[count++] = granted("g4", 5, "c2", true);
    all[count++] = soft_opt_in("g5", 7, "c2", "O2");
    all[count++] = soft_opt_in("g6", 6, "c1", "O1");
    all[count++] = said(CONSENT_WITHDRAWN, "w1", 6, "c1");
    all[count++] = said(CONSENT_OBJECTED, "o1", 7, "c1");
    all[count++] = said(CONSENT_OBJECTED, "o2", 5, "c2");
    all[count++] = by_token(CONSENT_WITHDRAWN, "t1", 9, "c1", GENERATION_FIRST);
    all[count++] = by_token(CONSENT_OBJECTED, "t2", 6, "c2", GENERATION_FIRST);
    all[count++] = fold_placed("p1", 5, "c1", "O1", 100);
    all[count++] = fold_paid("p2", 6, "c1", "O1", 100);
    all[count++] = fold_cancelled("p3", 7, "c1", "O1");
    all[count++] = fold_paid("p4", 6, "c2", "O2", 100);
    return count;
}

static void random_histories(void **context) {
    (void)context;
    struct event all[24], events[EVENTS_MOST];
    size_t count = catalogue(all), chosen[24], order[EVENTS_MOST];
    uint64_t seed = 20261123;
    assert_true(count <= 24);
    for (size_t round = 0; round < 1500; round++) {
        size_t taken = 4 + permute_random(&seed) % (EVENTS_MOST - 3);
        struct trial trial = {.events = events};
        for (size_t i = 0; i < count; i++)
            chosen[i] = i;
        permute_shuffle(&seed, chosen, count);
        for (size_t i = 0; i < taken; i++) {
            events[i] = all[chosen[i]];
            order[i] = i;
        }
        soften(round % 2);
        arena_init(&trial.arena, 1 << 20);
        for (size_t again = 0; again < 8; again++) {
            trial.batch = 1 + permute_random(&seed) % taken;
            try_order(&trial, order, taken);
            permute_shuffle(&seed, order, taken);
        }
        arena_release(&trial.arena);
    }
    soften(false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_is_denied),
        cmocka_unit_test(withdrawal_before_its_grant),
        cmocka_unit_test(equal_times_protect),
        cmocka_unit_test(double_opt_in),
        cmocka_unit_test(other_purposes_are_proofs_only),
        cmocka_unit_test(soft_opt_in_needs_its_sale),
        cmocka_unit_test(objection_and_soft_opt_in),
        cmocka_unit_test(no_address),
        cmocka_unit_test(the_link_works_twice),
        cmocka_unit_test(foreign_refs_are_no_tokens),
        cmocka_unit_test(an_objection_binds_the_address),
        cmocka_unit_test(mail_houses_know_what_is_allowed),
        cmocka_unit_test(few_rows_are_written),
        cmocka_unit_test(random_histories),
    };
    fold_init(&fold);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fold_release(&fold);
    return failed;
}
