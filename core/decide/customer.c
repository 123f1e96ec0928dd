/* What customers' own events do: the profile, merged field by field, and the person it belongs to. */
#include "core/decide/cell_content.h"
#include "core/decide/effect.h"

/* ---- persons ---- */

static bool profile_keep_until(const struct decision *decision, struct person *person);

enum outcome person_touch(struct decision *decision, struct text id, int64_t generation) {
    struct person *person = state_person(decision->state, id, generation);
    struct person *guard =
        generation == GENERATION_FIRST ? person : state_person(decision->state, id, GENERATION_FIRST);
    if (!person || !guard)
        return RETRY;
    if (!person->revision && !person->touched)
        person->ended = state_cut_of(decision->state, id, generation) != NULL;
    person->touched = guard->touched = true;
    return OK;
}

/* The row of the generation, shown from now on. */
static enum outcome person_row(struct decision *decision, struct text id, int64_t generation,
                               struct person **person) {
    *person = state_person(decision->state, id, generation);
    if (!*person)
        return RETRY;
    if (((*person)->revision || (*person)->touched) && !(*person)->absent)
        return OK;
    (*person)->absent = false;
    (*person)->ended = state_cut_of(decision->state, id, generation) != NULL;
    return person_touch(decision, id, generation);
}

enum outcome person_named(struct decision *decision, struct text id, int64_t time_us,
                          struct person **person) {
    struct person *guard = state_person(decision->state, id, GENERATION_FIRST);
    if (!guard)
        return RETRY;
    if (latest(&guard->facts.named_us, time_us))
        guard->touched = true;
    return person_row(decision, id, state_generation_at(decision->state, id, time_us), person);
}

enum outcome person_opens(struct decision *decision, struct person *person, int64_t time_us) {
    struct person *guard = state_person(decision->state, person->person, GENERATION_FIRST);
    if (!guard)
        return RETRY;
    if (latest(&guard->facts.opened_us, time_us))
        guard->touched = true;
    /* of an ended generation only a customer's permissions are shown */
    if (person->opened || (person->ended && person_is_recipient(person->person)))
        return OK;
    person->opened = true;
    return person_touch(decision, person->person, person->generation);
}

enum outcome person_ordered(struct decision *decision, const struct event *event, bool opens) {
    struct person *person;
    TRY(person_named(decision, event->customer_id, event->version.time_us, &person));
    if (opens)
        TRY(person_opens(decision, person, event->version.time_us));
    if (person->ended || !latest(&person->order_activity_us, event->version.time_us))
        return OK;
    TRY(person_touch(decision, person->person, person->generation));
    (void)profile_keep_until(decision, person);
    return consent_keep_until(decision, person->person); /* proofs outlive the profile's end, stated or not */
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

/* Writes those of the profile's fields that are in `kept`. */
static enum outcome profile_rewrite(struct decision *decision, struct text content, field_set kept,
                                    struct text *rewritten) {
    struct flat flat;
    flat_read(content, &flat);
    json_writer_reset(decision->writer);
    flat_write(decision->writer, &flat, kept, false);
    *rewritten = json_writer_take(decision->writer, decision->arena);
    return text_present(*rewritten) ? OK : RETRY;
}

static void profile_empty(struct person *person) {
    cell_drop(&person->profile);
    person->kind = TEXT_ABSENT;
    person->closed_us = person->profile_activity_us = person->order_activity_us = TIME_NONE;
    person->recorded_us = TIME_NONE;
    for (size_t f = 0; f < CONTACT_FIELDS; f++)
        person->field[f] = (struct version){.time_us = VERSION_NONE};
}

enum outcome profile_move(struct decision *decision, struct person *from, struct person *to) {
    int64_t first_us = person_registered_us(decision->state, to->person, to->generation);
    struct text content = TEXT_ABSENT;
    field_set kept = 0;
    for (size_t f = 0; f < CONTACT_FIELDS; f++) {
        if (first_us != TIME_NONE && from->field[f].time_us >= first_us)
            kept |= FIELD_BIT(f);
    }
    if (kept && cell_present(&from->profile))
        TRY(profile_rewrite(decision, cell_content(&from->profile), kept, &content));
    struct person moved = *from;
    profile_empty(from);
    from->touched = true;
    for (size_t f = 0; f < CONTACT_FIELDS; f++) {
        if (kept & FIELD_BIT(f))
            to->field[f] = moved.field[f];
    }
    if (text_present(content))
        cell_write(&to->profile, content);
    if (first_us != TIME_NONE && moved.profile_activity_us > to->generation) {
        to->profile_activity_us = moved.profile_activity_us;
        to->recorded_us = first_us;
    }
    if (moved.order_activity_us > to->generation)
        (void)latest(&to->order_activity_us, moved.order_activity_us);
    (void)latest(&to->order_activity_us, consent_granted_us(decision->state, to->person, to->generation));
    (void)profile_keep_until(decision, to);
    return person_touch(decision, to->person, to->generation);
}

void profile_drop(struct person *person) {
    profile_empty(person);
}

void person_project(const struct decision *decision, struct person *person, bool newest) {
    const struct registered_fact *highest =
        person_registered(decision->state, person->person, person->generation);
    person->kind = !newest || !highest ? TEXT_ABSENT
                   : highest->account  ? TEXT("account")
                                       : TEXT("subscriber");
    person->notice = highest ? highest->notice : (struct notice_text){0};
}

/* ---- the events ---- */

/* What registered, changed and seen share, once their own part is done. before: the profile that others were
 * told of. */
static enum outcome profile_active(struct decision *decision, const struct event *event,
                                   struct person *person, bool changed, struct text before) {
    changed |= latest(&person->profile_activity_us, event->version.time_us);
    changed |= earliest(&person->recorded_us, event->version.time_us);
    bool moved = profile_keep_until(decision, person);
    if (changed || moved) {
        TRY(person_touch(decision, person->person, person->generation));
        TRY(consent_keep_until(decision, person->person));
    }
    if (event->type == CUSTOMER_SEEN)
        return OK;
    TRY(address_stated(decision, event));
    return changed ? permission_follow(decision, event, person->person, before) : OK;
}

/* The profile as it stands, when the event is going to change it. */
static struct text profile_before(const struct person *person, const struct event *event) {
    struct version version;
    for (size_t f = 0; f < CONTACT_FIELDS; f++) {
        if (contact_wins(person, event, (enum contact_field)f, &version))
            return cell_content(&person->profile);
    }
    return TEXT_ABSENT;
}

/* Of one that a cut drops, time and notice still merge. */
enum outcome customer_registered(struct decision *decision, const struct event *event,
                                 const uint8_t record_hash[32], enum verdict *verdict) {
    (void)record_hash;
    struct person *person;
    bool changed = false, second = false;
    TRY(person_named(decision, event->customer_id, event->version.time_us, &person));
    changed = !person->opened;
    TRY(enter_registered(decision, event, &changed, &second));
    TRY(person_opens(decision, person, event->version.time_us));
    person_project(decision, person, !person->ended);
    if (person->ended) {
        *verdict = VERDICT_FORGOTTEN;
        decision->second_facts += second;
        if (changed)
            TRY(person_touch(decision, person->person, person->generation));
        TRY(address_stated(decision, event));
        return changed ? permission_follow(decision, event, person->person, TEXT_ABSENT) : OK;
    }
    struct text before = profile_before(person, event);
    TRY(profile_merge(decision, event, person, &changed, &second));
    decision->second_facts += second;
    return profile_active(decision, event, person, changed, before);
}

/* What an event other than a `registered` says of a generation that a cut began needs a `registered` of that
 * generation not later than it; without a cut it is kept unseen. */
static bool taken_in(const struct decision *decision, const struct event *event, int64_t generation) {
    if (state_cut_of(decision->state, event->customer_id, generation))
        return false; /* not later than a cut */
    int64_t first_us = person_registered_us(decision->state, event->customer_id, generation);
    return generation == GENERATION_FIRST || (first_us != TIME_NONE && first_us <= event->version.time_us);
}

/* Kept unseen until a `registered` comes; shipments are never touched. One that its cut drops leaves its
 * address hashes, unless it is dropped for want of a `registered`. */
enum outcome customer_changed(struct decision *decision, const struct event *event,
                              const uint8_t record_hash[32], enum verdict *verdict) {
    (void)record_hash;
    struct person *person;
    bool changed = false, second = false;
    int64_t generation = state_generation_at(decision->state, event->customer_id, event->version.time_us);
    if (!taken_in(decision, event, generation)) {
        int64_t first_us = person_registered_us(decision->state, event->customer_id, generation);
        *verdict = VERDICT_FORGOTTEN;
        bool wanting =
            generation != GENERATION_FIRST && (first_us == TIME_NONE || first_us > event->version.time_us);
        return wanting ? OK : address_stated(decision, event);
    }
    TRY(person_row(decision, event->customer_id, generation, &person));
    struct text before = profile_before(person, event);
    TRY(profile_merge(decision, event, person, &changed, &second));
    decision->second_facts += second;
    return profile_active(decision, event, person, changed, before);
}

enum outcome customer_seen(struct decision *decision, const struct event *event,
                           const uint8_t record_hash[32], enum verdict *verdict) {
    (void)record_hash;
    struct person *person;
    int64_t generation = state_generation_at(decision->state, event->customer_id, event->version.time_us);
    if (!taken_in(decision, event, generation)) {
        *verdict = VERDICT_FORGOTTEN;
        return OK;
    }
    TRY(person_row(decision, event->customer_id, generation, &person));
    return profile_active(decision, event, person, false, TEXT_ABSENT);
}

/* Ends the relationship of a customer who had registered by then; of anybody else there is nothing to end,
 * and the event is dropped without a trace. It is a cut for what a request would erase. */
enum outcome customer_closed(struct decision *decision, const struct event *event,
                             const uint8_t record_hash[32], enum verdict *verdict) {
    (void)record_hash;
    int64_t time_us = event->version.time_us;
    int64_t generation = state_generation_at(decision->state, event->customer_id, time_us);
    int64_t registered_us = person_registered_us(decision->state, event->customer_id, generation);
    if (registered_us == TIME_NONE || registered_us > time_us) {
        *verdict = VERDICT_FORGOTTEN;
        return erasure_doom_lost_closing(decision, event->customer_id, time_us);
    }
    if (erasure_closes(decision->policy))
        return erasure_cut(decision, event, event->customer_id, &time_us, 1, CUT_CLOSED);
    struct person *person = state_person(decision->state, event->customer_id, generation);
    if (!person)
        return RETRY;
    bool changed = earliest(&person->closed_us, time_us);
    changed |= profile_keep_until(decision, person);
    return changed ? person_touch(decision, person->person, generation) : OK;
}
