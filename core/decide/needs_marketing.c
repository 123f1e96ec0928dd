/* What must be found loaded where an event may move somebody's permission to be written to: tokens, consents,
 * address hashes, and whoever else's permission hangs on those. */
#include "core/decide/marketing.h"
#include "core/decide/needs.h"

/* What events of this batch may bring before this one's turn (struct person, marketing_hints). */
#define HINT_LETTER 1u  /* a mail house may be told of him */
#define HINT_OBJECTS 2u /* he may object */

static void stated_hashes(const struct event *event, struct text hashes[2]) {
    bool states = event->type == CUSTOMER_REGISTERED || event->type == CUSTOMER_CHANGED;
    hashes[ADDRESS_EMAIL] = states ? event->as.customer.email_hash : TEXT_ABSENT;
    hashes[ADDRESS_PHONE] = states ? event->as.customer.phone_hash : TEXT_ABSENT;
}

/* The cuts follow from it: everything of the person may move. */
static bool may_cut(const struct event *event) {
    return event->type == CUSTOMER_CLOSED || event->type == REQUEST_RECEIVED ||
           event->type == REQUEST_IDENTIFIED || event->type == COMMAND_TIED ||
           event->type == CALENDAR_RESTORED;
}

/* It may take a permission away. */
static bool may_deny(const struct event *event) {
    return may_cut(event) || event->type == CUSTOMER_REGISTERED || event->type == CUSTOMER_CHANGED ||
           event->type == ORDER_CANCELLED || event->type == CONSENT_WITHDRAWN ||
           event->type == CONSENT_OBJECTED;
}

/* It may bring a permission about. */
static bool may_allow(const struct event *event) {
    return may_cut(event) || event->type == CUSTOMER_REGISTERED || event->type == CUSTOMER_CHANGED ||
           event->type == ORDER_PAID || event->type == CONSENT_GRANTED;
}

/* ---- addresses ---- */

static enum outcome ask_address(const struct asking *asking, struct text hash) {
    return text_present(hash) ? ask(asking, NEED_ADDRESS, hash, TEXT_ABSENT, NEED_NO_CELL) : OK;
}

/* The rows of a person: of all generations that are or were. NULL: the generation has none. */
static struct person *row_at(const struct asking *asking, const struct person *guard, size_t index) {
    int64_t generation = index ? guard->facts.cuts.at[index - 1].cut_us : GENERATION_FIRST;
    return state_find_person(asking->state, guard->person, generation);
}

static enum outcome ask_current_addresses(const struct asking *asking, const struct person *guard) {
    for (size_t g = 0; g <= guard->facts.cuts.count; g++) {
        const struct person *row = row_at(asking, guard, g);
        for (size_t i = 0; row && i < 2; i++)
            TRY(ask_address(asking, row->address[i]));
    }
    return OK;
}

static enum outcome ask_all_addresses(const struct asking *asking, const struct person *guard) {
    for (size_t i = 0; i < guard->facts.addresses.count; i++)
        TRY(ask_address(asking, guard->facts.addresses.at[i].hash));
    return OK;
}

/* ---- tokens ---- */

/* With what is parked under it. */
static enum outcome ask_token(const struct asking *asking, struct text person, int64_t generation) {
    struct ref ref = ref_token(asking->ref_key, person, generation);
    struct text token = arena_text(asking->arena, text_of(ref.chars));
    return text_present(token) ? ask(asking, NEED_REF, token, TEXT_ABSENT, NEED_PARKED) : RETRY;
}

/* Tokens that this event, or a cut of this batch, may make known. *some: there are such; what is parked under
 * them, or comes by them later in the batch, may be an objection. */
static enum outcome ask_tokens(const struct asking *asking, const struct person *guard, bool *some) {
    if (!asking->policy->marketing_count)
        return OK;
    if (!guard->facts.token) {
        *some = true;
        TRY(ask_token(asking, guard->person, GENERATION_FIRST));
    }
    for (size_t i = 0; i < guard->facts.cuts.count; i++) {
        if (guard->facts.cuts.at[i].token)
            continue;
        *some = true;
        TRY(ask_token(asking, guard->person, guard->facts.cuts.at[i].cut_us));
    }
    for (size_t i = 0; i < guard->hint.cuts.count; i++) {
        *some = true;
        TRY(ask_token(asking, guard->person, guard->hint.cuts.at[i]));
    }
    return OK;
}

/* ---- one person's permission ---- */

static bool has_soft_opt_in(const struct policy *policy) {
    for (size_t m = 0; m < policy->marketing_count; m++) {
        if (policy->marketing[m].soft_opt_in)
            return true;
    }
    return false;
}

/* The sales on which soft opt-ins rest. */
static enum outcome ask_sales(const struct asking *asking, struct text person) {
    const struct event *event = asking->event;
    size_t count;
    struct consent *const *consents = state_consents_of(asking->state, person, &count);
    if (!has_soft_opt_in(asking->policy))
        return OK;
    for (size_t i = 0; i < count; i++) {
        if (text_is(consents[i]->basis, "soft_opt_in") && text_present(consents[i]->order_id))
            TRY(ask(asking, NEED_ORDER, person, consents[i]->order_id, NEED_NO_CELL));
    }
    if (event->type != CONSENT_GRANTED || !text_equal(event->customer_id, person) ||
        !text_is(event->as.consent.basis, "soft_opt_in") || !text_present(event->as.consent.order_id))
        return OK;
    return ask(asking, NEED_ORDER, person, event->as.consent.order_id, NEED_NO_CELL);
}

/* The notices that this event would cause if the mail house held him when its turn comes. */
static enum outcome ask_letter_notices(struct asking *asking, const struct person *row,
                                       const struct letter *letter) {
    struct ref about = letter_ref(asking->ref_key, row, letter);
    if (asking->event->type == CUSTOMER_REGISTERED || asking->event->type == CUSTOMER_CHANGED)
        TRY(ask_notice_ref(asking, &about, "corrected", 0));
    TRY(ask_notice_ref(asking, &about, "withdrawn", 0));
    about = ref_person(asking->ref_key, letter->recipient, row->person, row->generation);
    return ask_notice_ref(asking, &about, "anonymize", 0);
}

static enum outcome ask_notices(struct asking *asking, const struct person *guard) {
    int64_t newest = state_newest_generation(asking->state, guard->person);
    struct unit unit;
    for (size_t g = 0; g <= guard->facts.cuts.count; g++) {
        const struct person *row = row_at(asking, guard, g);
        for (size_t i = 0; row && i < row->letters.count; i++) {
            if (row->letters.at[i].state == UNIT_HELD)
                TRY(ask_letter_notices(asking, row, &row->letters.at[i]));
        }
    }
    struct person row = {.person = guard->person, .generation = newest};
    for (size_t n = 0; guard->marketing_hints & HINT_LETTER && newsletter_unit(asking->policy, n, &unit);
         n++) {
        struct letter letter = {.recipient = unit.carrier, .service = unit.service};
        TRY(ask_letter_notices(asking, &row, &letter));
    }
    return OK;
}

/* What permission_follow reads of a person who is loaded. */
static enum outcome permission_needs(struct asking *asking, const struct person *guard) {
    const struct event *event = asking->event;
    bool grants = event->type == CONSENT_GRANTED && text_equal(event->customer_id, guard->person);
    if (guard->facts.consents)
        TRY(ask(asking, NEED_CONSENTS, guard->person, TEXT_ABSENT,
                may_cut(event) ? NEED_PROOF
                               : NEED_NO_CELL)); /* proofs go to the ring of another generation */
    if (!grants && !guard->facts.consents && !guard->marketing_hints)
        return OK;
    TRY(ask_current_addresses(asking, guard));
    TRY(ask_sales(asking, guard->person));
    struct unit unit;
    if (may_allow(event) && newsletter_unit(asking->policy, 0, &unit))
        TRY(ask(asking, NEED_PERSON, guard->person, TEXT_ABSENT, NEED_PROFILE));
    return may_deny(event) ? ask_notices(asking, guard) : OK;
}

/* ---- whoever else has the address ---- */

static bool objects(const struct asking *asking, const struct person *guard) {
    size_t count;
    struct consent *const *consents = state_consents_of(asking->state, guard->person, &count);
    bool any = guard->marketing_hints & HINT_OBJECTS;
    for (size_t i = 0; i < count; i++)
        any |= consents[i]->act == CONSENT_OBJECTED;
    return any;
}

static enum outcome others_needs(struct asking *asking, struct text person, struct text hash) {
    const struct address *address = text_present(hash) ? state_find_address(asking->state, hash) : NULL;
    for (size_t i = 0; address && i < address->entries.count; i++) {
        struct text other = address->entries.at[i].person;
        if (!address->entries.at[i].current || text_equal(other, person))
            continue;
        TRY(ask_person(asking, other));
        const struct person *guard = state_find_guard(asking->state, other);
        if (guard)
            TRY(permission_needs(asking, guard));
    }
    return OK;
}

/* ---- the person himself ---- */

static void leave_hint(const struct asking *asking, struct person *guard, unsigned hint) {
    if (!(guard->marketing_hints & hint))
        state_hinted(asking->state);
    guard->marketing_hints |= hint;
}

/* Leaves word for other events of the batch: for those that come later, and for those that bring what this
 * one will find. */
static void leave_hints(const struct asking *asking, struct person *guard) {
    const struct event *event = asking->event;
    if (event->type == CONSENT_OBJECTED)
        leave_hint(asking, guard, HINT_OBJECTS);
    if (event->type == CONSENT_GRANTED || (guard->facts.consents && may_allow(event)))
        leave_hint(asking, guard, HINT_LETTER);
}

/* The entries of all his addresses may be armed by this event, or dropped. */
static bool may_arm(const struct asking *asking, const struct person *guard, bool tokens) {
    const struct event *event = asking->event;
    if (tokens || may_cut(event) || event->type == CONSENT_OBJECTED)
        return true;
    if (event->type != CONSENT_WITHDRAWN)
        return false;
    return text_present(event->as.consent.token) ||
           state_cut_of(asking->state, guard->person,
                        state_generation_at(asking->state, guard->person, event->version.time_us));
}

static enum outcome person_needs(struct asking *asking, struct person *guard, const struct text stated[2]) {
    bool tokens = false, states = text_present(stated[0]) || text_present(stated[1]);
    leave_hints(asking, guard);
    TRY(ask_tokens(asking, guard, &tokens));
    if (tokens)
        leave_hint(asking, guard, HINT_OBJECTS);
    TRY(permission_needs(asking, guard));
    bool arms = may_arm(asking, guard, tokens);
    if (arms)
        TRY(ask_all_addresses(asking, guard));
    if (arms || states || may_deny(asking->event))
        TRY(ask_current_addresses(asking, guard));
    if (!objects(asking, guard))
        return OK;
    for (size_t i = 0; i < 2; i++)
        TRY(others_needs(asking, guard->person, stated[i]));
    for (size_t i = 0; arms && i < guard->facts.addresses.count; i++)
        TRY(others_needs(asking, guard->person, guard->facts.addresses.at[i].hash));
    return OK;
}

/* Whose token it is; absent: nobody's, as far as is known. */
static enum outcome token_person(const struct asking *asking, struct text *person) {
    struct text token = asking->event->as.consent.token;
    TRY(ask(asking, NEED_REF, token, TEXT_ABSENT, NEED_NO_CELL));
    const struct ref_entry *entry = state_find_ref(asking->state, token);
    if (entry && entry->now == REF_KNOWN && entry->kind == REF_TOKEN)
        *person = entry->customer_id;
    return OK;
}

enum outcome marketing_needs(struct asking *asking) {
    const struct event *event = asking->event;
    struct text person = asking->person, stated[2];
    if (!text_present(person))
        TRY(token_person(asking, &person));
    if (!text_present(person))
        return OK;
    stated_hashes(event, stated);
    for (size_t i = 0; i < 2; i++)
        TRY(ask_address(asking, stated[i]));
    TRY(ask_person(asking, person));
    struct person *guard = state_find_guard(asking->state, person);
    if (!guard)
        return OK;
    if (event->type == CUSTOMER_SEEN ||
        event->type == ORDER_CHANGED) /* his proofs' ends follow his activity */
        return guard->facts.consents ? ask(asking, NEED_CONSENTS, person, TEXT_ABSENT, NEED_NO_CELL) : OK;
    return person_needs(asking, guard, stated);
}
