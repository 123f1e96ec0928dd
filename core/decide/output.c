/* The messages that decisions make: their bodies, ids and refs, and what the ledger is to know of each.
 * Members stand in canonical order. */
#include "core/decide/cell_content.h"
#include "core/decide/effect.h"

#include <stdio.h>

/* ---- parts ---- */

/* Pieces joined into one arena text; absent when the arena is full. */
static struct text join(struct arena *arena, struct text a, struct text b, struct text c) {
    char *chars = arena_take(arena, a.size + b.size + c.size);
    if (!chars)
        return TEXT_ABSENT;
    size_t size = 0;
    const struct text pieces[] = {a, b, c};
    for (size_t i = 0; i < 3; i++) {
        if (pieces[i].size)
            memcpy(chars + size, pieces[i].at, pieces[i].size);
        size += pieces[i].size;
    }
    return (struct text){chars, size};
}

enum outcome output_cause_of(struct decision *decision, const struct event *event,
                             struct output_cause *cause) {
    cause->event = event;
    cause->bytes = event_cause(event, decision->arena);
    cause->name = join(decision->arena, event->version.source, TEXT(" "), event->version.id);
    return text_present(cause->bytes) && text_present(cause->name) ? OK : RETRY;
}

struct ref unit_ref(const struct ref_key *ref_key, const struct shipment *shipment, const struct unit *unit) {
    return ref_disclosure(ref_key, unit->carrier, unit->person, unit->generation, shipment->customer_id,
                          shipment->shipment_id, unit->service, unit->role);
}

static const struct policy_recipient *unit_recipient(const struct policy *policy, const struct unit *unit) {
    int index = policy_recipient(policy, unit->carrier);
    return index < 0 ? NULL : &policy->recipients[index];
}

const struct policy_service *unit_service(const struct policy *policy, const struct unit *unit) {
    const struct policy_recipient *recipient = unit_recipient(policy, unit);
    return recipient ? policy_service(recipient, unit->service) : NULL;
}

static void write_date(struct json_writer *writer, const char *key, int32_t date) {
    char chars[11];
    date_write(date, chars);
    json_key(writer, key);
    json_string(writer, chars);
}

static void write_ref(struct json_writer *writer, const char *key, const struct ref *ref) {
    json_key(writer, key);
    json_string(writer, ref->chars);
}

static void write_text(struct json_writer *writer, const char *key, struct text text) {
    json_key(writer, key);
    json_text(writer, text);
}

/* What mail houses are told follows a permission: a restored register may decide it in another order, and its
 * messages are others than those that it lost, as permission records are. What carriers were told stands, but
 * of persons whom they may have been told to forget since (erasure_tell_lost). */
static int64_t ordinal_of(const struct decision *decision, const struct unit *unit, int part) {
    const struct policy_recipient *recipient = unit_recipient(decision->policy, unit);
    const struct person *guard = state_find_guard(decision->state, unit->person);
    bool follows = recipient && !recipient->country_count, cut = guard && guard->facts.cuts.count;
    return follows || cut ? decision->restored_us + part : part;
}

struct output *output_to_recipient(struct decision *decision, const struct output_cause *cause,
                                   const char *type, const struct shipment *shipment, const struct unit *unit,
                                   const struct ref *person_ref, struct text object, int ordinal) {
    struct output *output = ARENA_PUSH(decision->arena, &decision->outputs);
    if (!output)
        return NULL;
    *output = (struct output){.type = type,
                              .generation = unit->generation,
                              .category = shipment ? CATEGORY_DELIVERY : CATEGORY_PROFILE,
                              .subject = unit->person,
                              .recipient = unit->carrier,
                              .customer_id = shipment ? shipment->customer_id : TEXT_ABSENT,
                              .shipment_id = shipment ? shipment->shipment_id : TEXT_ABSENT,
                              .cause = cause->name};
    output->id = output_id_derive(decision->ref_key, unit->carrier, type, unit->person, unit->generation,
                                  object, cause->bytes, ordinal_of(decision, unit, ordinal));
    output->topic = join(decision->arena, TEXT("disclosure."), unit->carrier, TEXT(".v1"));
    output->key = arena_text(decision->arena, text_of(person_ref->chars));
    output->body = json_writer_take(decision->writer, decision->arena);
    if (!text_present(output->topic) || !text_present(output->key) || !text_present(output->body))
        return NULL;
    return output;
}

/* ---- disclosures ---- */

enum outcome output_disclosure(struct decision *decision, const struct output_cause *cause,
                               const struct shipment *shipment, const struct unit *unit) {
    const struct policy *policy = decision->policy;
    const struct policy_category *delivery = &policy->categories[CATEGORY_DELIVERY];
    const struct policy_recipient *recipient = unit_recipient(policy, unit);
    const struct policy_service *service = unit_service(policy, unit);
    struct json_writer *writer = decision->writer;
    struct ref person_ref = ref_person(decision->ref_key, unit->carrier, unit->person, unit->generation);
    struct ref disclosure_ref = unit_ref(decision->ref_key, shipment, unit);
    struct ref shipment_ref =
        ref_shipment(decision->ref_key, unit->carrier, shipment->customer_id, shipment->shipment_id);
    struct text purpose = delivery->purpose_count ? delivery->purposes[0] : TEXT_ABSENT;
    field_set fields = 0;
    struct flat flat;

    flat_read(cell_content(&shipment->delivery), &flat);
    for (size_t f = 0; f < FLAT_FIELDS; f++) {
        if (service && service->fields & FIELD_BIT(f) && text_present(flat.json[f]))
            fields |= FIELD_BIT(f);
    }
    json_writer_reset(writer);
    json_object(writer);
    write_ref(writer, "disclosure_ref", &disclosure_ref);
    json_key(writer, "fields");
    flat_write(writer, &flat, fields, false);
    if (recipient && recipient->has_keep)
        write_date(writer, "keep_until",
                   date_add(date_local(policy->zone, decision->now_us), &recipient->keep));
    json_key(writer, "parcels");
    json_int(writer, unit->parcels);
    write_ref(writer, "person_ref", &person_ref);
    json_key(writer, "policy");
    json_string(writer, policy->digest);
    write_text(writer, "purpose", purpose);
    write_text(writer, "role", unit->role);
    write_text(writer, "service", unit->service);
    write_ref(writer, "shipment_ref", &shipment_ref);
    json_object_end(writer);

    struct output *output = output_to_recipient(decision, cause, "register.disclosure.shipment", shipment,
                                                unit, &person_ref, text_of(disclosure_ref.chars), 0);
    if (!output)
        return RETRY;
    output->person = unit->person;
    output->service = unit->service;
    output->role = unit->role;
    output->disclosure_ref = arena_text(decision->arena, text_of(disclosure_ref.chars));
    output->purpose = purpose;
    output->fields = fields;
    return text_present(output->disclosure_ref) ? OK : RETRY;
}

/* ---- notices ---- */

static const char *notice_type(const char *kind) {
    if (strcmp(kind, "corrected") == 0)
        return "register.disclosure.corrected";
    if (strcmp(kind, "withdrawn") == 0)
        return "register.disclosure.withdrawn";
    return "register.notice.anonymize";
}

static void write_notice(struct json_writer *writer, const struct notice_plan *plan,
                         const struct ref *person_ref, const struct ref *notice_ref, int32_t answer_by) {
    bool anonymize = !plan->disclosure.chars[0];
    json_writer_reset(writer);
    json_object(writer);
    write_date(writer, "answer_by", answer_by);
    if (anonymize) {
        json_key(writer, "cause");
        json_string(writer, plan->cause);
        json_key(writer, "disclosures");
        json_array(writer);
        for (size_t i = 0; i < plan->disclosures.count; i++)
            json_text(writer, plan->disclosures.at[i]);
        json_array_end(writer);
    } else {
        write_ref(writer, "disclosure_ref", &plan->disclosure);
    }
    if (plan->flat) {
        json_key(writer, "fields");
        flat_write(writer, plan->flat, plan->fields, true);
    }
    write_ref(writer, "notice_ref", notice_ref);
    write_ref(writer, "person_ref", person_ref);
    if (anonymize) {
        json_key(writer, "reminder");
        json_int(writer, 0);
    } else if (!plan->flat) {
        json_key(writer, "reason");
        json_string(writer, plan->cause);
    }
    json_object_end(writer);
}

/* The row that waits for the carrier's answer. */
static enum outcome notice_row(struct decision *decision, const struct output_cause *cause,
                               const struct notice_plan *plan, const struct ref *notice_ref,
                               int32_t answer_by) {
    const struct unit *unit = plan->unit;
    struct notice *notice = state_notice(decision->state, unit->person, text_of(notice_ref->chars));
    if (!notice)
        return RETRY;
    notice->recipient = unit->carrier;
    notice->kind = text_of(plan->kind);
    notice->cause = text_of(plan->cause);
    notice->generation = unit->generation;
    notice->customer_id = plan->shipment ? plan->shipment->customer_id : TEXT_ABSENT;
    notice->shipment_id = plan->shipment ? plan->shipment->shipment_id : TEXT_ABSENT;
    notice->disclosures.at = plan->disclosures.at;
    notice->disclosures.count = plan->disclosures.count;
    notice->disclosures.room = plan->disclosures.room;
    notice->fields = plan->fields;
    notice->caused_us = cause->event->version.time_us;
    notice->decided_us = decision->now_us;
    notice->answer_by = answer_by;
    notice->touched = true;
    TRY(person_touch(decision, unit->person, unit->generation));
    return ref_known(decision, notice_ref, REF_NOTICE, unit->carrier, unit->person, notice->notice_ref);
}

bool output_notice_known(const struct decision *decision, const struct output_cause *cause,
                         const struct notice_plan *plan) {
    const struct unit *unit = plan->unit;
    struct ref about = ref_person(decision->ref_key, unit->carrier, unit->person, unit->generation);
    struct ref notice = ref_notice(decision->ref_key, &about, plan->kind, cause->bytes, plan->part);
    const struct ref_entry *entry = state_find_ref(decision->state, text_of(notice.chars));
    return entry && entry->now == REF_KNOWN;
}

enum outcome output_notice(struct decision *decision, const struct output_cause *cause,
                           const struct notice_plan *plan) {
    const struct unit *unit = plan->unit;
    const struct policy_recipient *recipient = unit_recipient(decision->policy, unit);
    struct ref person_ref = ref_person(decision->ref_key, unit->carrier, unit->person, unit->generation);
    bool one = plan->disclosure.chars[0]; /* corrected and withdrawn are about one disclosure */
    struct ref notice_ref = ref_notice(decision->ref_key, one ? &plan->disclosure : &person_ref, plan->kind,
                                       cause->bytes, plan->part);
    int32_t answer_by = date_local(decision->policy->zone, decision->now_us);
    if (recipient)
        answer_by = date_add(answer_by, &recipient->answer);
    write_notice(decision->writer, plan, &person_ref, &notice_ref, answer_by);
    struct output *output = output_to_recipient(decision, cause, notice_type(plan->kind), plan->shipment,
                                                unit, &person_ref, text_of(notice_ref.chars), plan->part);
    if (!output)
        return RETRY;
    if (plan->flat)
        output->person = unit->person;
    output->fields = plan->fields;
    if (one) {
        output->service = unit->service;
        output->role = unit->role;
        output->disclosure_ref = plan->disclosures.at[0];
    }
    return notice_row(decision, cause, plan, &notice_ref, answer_by);
}

/* ---- dead letters ---- */

static void write_dead_letter(struct json_writer *writer, const struct output *output) {
    static const char hex[] = "0123456789abcdef";
    char hash[2 * sizeof(output->dead.record_hash)];
    for (size_t i = 0; i < sizeof(output->dead.record_hash); i++) {
        hash[2 * i] = hex[output->dead.record_hash[i] >> 4];
        hash[2 * i + 1] = hex[output->dead.record_hash[i] & 15];
    }
    json_writer_reset(writer);
    json_object(writer);
    if (output->dead.refusal.detail[0]) {
        json_key(writer, "detail");
        json_string(writer, output->dead.refusal.detail);
    }
    json_key(writer, "offset");
    json_int(writer, output->dead.offset);
    json_key(writer, "partition");
    json_int(writer, output->dead.partition);
    json_key(writer, "reason");
    json_string(writer, reason_names[output->dead.refusal.reason]);
    write_text(writer, "record_hash", (struct text){hash, sizeof(hash)});
    write_text(writer, "topic", output->dead.topic);
    json_object_end(writer);
}

enum outcome decide_dead_letter(struct decision *decision, struct text topic, int32_t partition,
                                int64_t offset, int64_t timestamp_ms, const struct refusal *refusal,
                                const uint8_t record_hash[32]) {
    struct output *output = ARENA_PUSH(decision->arena, &decision->outputs);
    char numbers[40];
    if (!output)
        return RETRY;
    *output = (struct output){.type = "register.dead-letter",
                              .topic = TEXT("register.dead-letter.v1"),
                              .generation = GENERATION_FIRST,
                              .category = CATEGORY_LEDGER,
                              .cause = text_of(reason_names[refusal->reason]),
                              .dead = {.topic = topic,
                                       .partition = partition,
                                       .offset = offset,
                                       .timestamp_ms = timestamp_ms,
                                       .refusal = *refusal}};
    memcpy(output->dead.record_hash, record_hash, sizeof(output->dead.record_hash));
    int subject_size = snprintf(numbers, sizeof(numbers), "/%d", partition);
    output->subject = join(decision->arena, topic, (struct text){numbers, (size_t)subject_size}, TEXT(""));
    int key_size = snprintf(numbers, sizeof(numbers), "/%d/%lld", partition, (long long)offset);
    output->key = join(decision->arena, topic, (struct text){numbers, (size_t)key_size}, TEXT(""));
    write_dead_letter(decision->writer, output);
    output->body = json_writer_take(decision->writer, decision->arena);
    if (!text_present(output->subject) || !text_present(output->key) || !text_present(output->body))
        return RETRY;
    /* The record itself is part of the cause: a topic that was made anew has other records at the same
     * offsets. */
    char at[24];
    int at_size = snprintf(at, sizeof(at), "/%lld/", (long long)timestamp_ms);
    struct text cause = join(decision->arena, output->cause, (struct text){at, (size_t)at_size},
                             (struct text){(const char *)record_hash, sizeof(output->dead.record_hash)});
    if (!text_present(cause))
        return RETRY;
    output->id = output_id_derive(decision->ref_key, TEXT_ABSENT, output->type, TEXT_ABSENT, GENERATION_FIRST,
                                  output->key, cause, 0);
    decision->verdicts[VERDICT_DEAD_LETTER]++;
    return OK;
}
