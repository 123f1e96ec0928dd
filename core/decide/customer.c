/* What customers' own events do: the profile, merged field by field, and the person it belongs to. */
#include "core/decide/cell_content.h"
#include "core/decide/effect.h"

/* ---- persons ---- */

enum outcome person_touch(struct decision *decision, struct text id, int64_t generation) {
    struct person *person = state_person(decision->state, id, generation);
    struct person *guard =
        generation == GENERATION_FIRST ? person : state_person(decision->state, id, GENERATION_FIRST);
    if (!person || !guard)
        return RETRY;
    person->touched = guard->touched = true;
    return OK;
}

enum outcome person_named(struct decision *decision, struct text id, int64_t time_us,
                          struct person **person) {
    int64_t generation = state_generation_at(decision->state, id, time_us);
    *person = state_person(decision->state, id, generation);
    if (!*person)
        return RETRY;
    if ((*person)->revision || (*person)->touched)
        return OK;
    return person_touch(decision, id, generation);
}

/* ---- the profile ---- */

static bool profile_stated(const struct person *person) {
    for (size_t f = 0; f < CONTACT_FIELDS; f++) {
        if (person->field[f].time_us != VERSION_NONE)
            return true;
    }
    return false;
}

/* Activity counts for the profile's end whether it may be seen yet or not. */
static bool profile_keep_until(const struct decision *decision, struct person *person) {
    if (!profile_stated(person))
        return false;
    struct clocks clocks = clocks_none();
    clocks.at_us[CLOCK_LAST_ACTIVITY] = person->profile_activity_us > person->order_activity_us
                                            ? person->profile_activity_us
                                            : person->order_activity_us;
    clocks.at_us[CLOCK_RELATIONSHIP_END] = person->closed_us;
    clocks.at_us[CLOCK_RECORDED] = person->recorded_us;
    return cell_keep_until(&person->profile,
                           policy_until(decision->policy, CATEGORY_PROFILE, &clocks, NULL, 0));
}

bool contact_states(const struct contact *contact, enum contact_field field) {
    if (field < STREET || field > COUNTRY)
        return contact->stated[field];
    for (size_t f = STREET; f <= COUNTRY; f++) { /* an address is one thing */
        if (contact->stated[f])
            return true;
    }
    return false;
}

bool contact_wins(const struct person *person, const struct event *event, enum contact_field field,
                  struct version *version) {
    *version = event->version;
    version->protective = !text_present(event->as.customer.contact.field[field]);
    return contact_states(&event->as.customer.contact, field) &&
           version_compare(version, &person->field[field]) > 0;
}

/* Takes over the fields that the event states with a higher version than the profile has. */
static enum outcome profile_merge(struct decision *decision, const struct event *event, struct person *person,
                                  bool *changed, bool *second) {
    const struct contact *contact = &event->as.customer.contact;
    struct version versions[CONTACT_FIELDS];
    field_set won = 0;
    for (size_t f = 0; f < CONTACT_FIELDS; f++) {
        if (!category_has(decision->policy, CATEGORY_PROFILE, (enum policy_field)f))
            continue;
        *second |=
            contact_states(contact, (enum contact_field)f) && second_fact(&person->field[f], &event->version);
        if (contact_wins(person, event, (enum contact_field)f, &versions[f]))
            won |= FIELD_BIT(f);
    }
    if (!won)
        return OK;
    struct flat flat;
    flat_read(cell_content(&person->profile), &flat);
    struct json_writer *writer = decision->writer;
    json_writer_reset(writer);
    json_object(writer);
    for (size_t i = 0; i < FLAT_FIELDS; i++) {
        enum policy_field f = flat_order[i];
        struct text value = won & FIELD_BIT(f) ? contact->field[f] : flat.json[f];
        if (!text_present(value))
            continue;
        json_key(writer, policy_field_name(f));
        if (won & FIELD_BIT(f))
            json_text(writer, value);
        else
            json_raw(writer, value);
    }
    json_object_end(writer);
    struct text content = json_writer_take(writer, decision->arena);
    if (!text_present(content))
        return RETRY;
    for (size_t f = 0; f < CONTACT_FIELDS; f++) {
        if (won & FIELD_BIT(f))
            person->field[f] = versions[f];
    }
    cell_write(&person->profile, content);
    *changed = true;
    return OK;
}

/* A registered stays known whatever a cut drops of it: time and notice are proofs. */
static enum outcome enter_registered(struct decision *decision, const struct event *event, bool *changed,
                                     bool *second) {
    struct person *guard = state_person(decision->state, event->customer_id, GENERATION_FIRST);
    if (!guard)
        return RETRY;
    size_t at = guard->facts.registered.count;
    for (size_t i = 0; i < guard->facts.registered.count; i++)
        *second |= second_fact(&guard->facts.registered.at[i].version, &event->version);
    while (at && version_compare(&guard->facts.registered.at[at - 1].version, &event->version) >= 0)
        at--;
    if (at < guard->facts.registered.count &&
        version_compare(&guard->facts.registered.at[at].version, &event->version) == 0)
        return OK;
    if (!ARENA_PUSH(decision->arena, &guard->facts.registered))
        return RETRY;
    struct registered_fact *list = guard->facts.registered.at;
    memmove(list + at + 1, list + at, (guard->facts.registered.count - 1 - at) * sizeof(*list));
    list[at] = (struct registered_fact){.version = event->version,
                                        .account = event->as.customer.account,
                                        .notice = event->as.customer.notice};
    guard->touched = *changed = true;
    return OK;
}

/* ---- the events ---- */

/* What registered, changed and seen share, once their own part is done. */
static enum outcome profile_active(struct decision *decision, const struct event *event,
                                   struct person *person, bool changed, bool second) {
    changed |= latest(&person->profile_activity_us, event->version.time_us);
    changed |= earliest(&person->recorded_us, event->version.time_us);
    changed |= profile_keep_until(decision, person);
    decision->second_facts += second;
    return changed ? person_touch(decision, person->person, person->generation) : OK;
}

enum outcome customer_registered(struct decision *decision, const struct event *event,
                                 const uint8_t record_hash[32], enum verdict *verdict) {
    (void)record_hash, (void)verdict;
    struct person *person;
    TRY(person_named(decision, event->customer_id, event->version.time_us, &person));
    bool changed = !person->opened, second = false;
    person->opened = true;
    TRY(enter_registered(decision, event, &changed, &second));
    const struct registered_fact *highest =
        person_registered(decision->state, event->customer_id, person->generation);
    person->kind = highest->account ? TEXT("account") : TEXT("subscriber");
    person->notice = highest->notice;
    TRY(profile_merge(decision, event, person, &changed, &second));
    return profile_active(decision, event, person, changed, second);
}

/* Kept unseen until a `registered` comes; shipments are never touched. */
enum outcome customer_changed(struct decision *decision, const struct event *event,
                              const uint8_t record_hash[32], enum verdict *verdict) {
    (void)record_hash, (void)verdict;
    struct person *person;
    bool changed = false, second = false;
    TRY(person_named(decision, event->customer_id, event->version.time_us, &person));
    TRY(profile_merge(decision, event, person, &changed, &second));
    return profile_active(decision, event, person, changed, second);
}

enum outcome customer_seen(struct decision *decision, const struct event *event,
                           const uint8_t record_hash[32], enum verdict *verdict) {
    (void)record_hash, (void)verdict;
    struct person *person;
    TRY(person_named(decision, event->customer_id, event->version.time_us, &person));
    return profile_active(decision, event, person, false, false);
}

/* Ends the relationship of a customer who had registered by then; of anybody else there is nothing to end,
 * and the event is dropped without a trace. */
enum outcome customer_closed(struct decision *decision, const struct event *event,
                             const uint8_t record_hash[32], enum verdict *verdict) {
    (void)record_hash;
    int64_t time_us = event->version.time_us;
    int64_t generation = state_generation_at(decision->state, event->customer_id, time_us);
    struct person *person = state_person(decision->state, event->customer_id, generation);
    if (!person)
        return RETRY;
    int64_t registered_us = person_registered_us(decision->state, event->customer_id, generation);
    if (registered_us == TIME_NONE || registered_us > time_us) {
        *verdict = VERDICT_FORGOTTEN;
        return OK;
    }
    bool changed = earliest(&person->closed_us, time_us);
    changed |= profile_keep_until(decision, person);
    return changed ? person_touch(decision, person->person, generation) : OK;
}

enum outcome person_ordered(struct decision *decision, const struct event *event, bool opens) {
    struct person *person;
    TRY(person_named(decision, event->customer_id, event->version.time_us, &person));
    bool changed = opens && !person->opened;
    person->opened |= opens;
    changed |= latest(&person->order_activity_us, event->version.time_us);
    changed |= profile_keep_until(decision, person);
    return changed ? person_touch(decision, person->person, person->generation) : OK;
}
