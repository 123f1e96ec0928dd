/* At each COMMIT: what is disclosed is permitted by the state that goes with it, and what is sealed is
 * remembered. */
#include "core/json_read.h"
#include "tests/simulator/check.h"

#include <assert.h>

/* ---- what is written stays in logs and backups ---- */

static void remember(struct sim *sim, struct text sealed, struct seal_place place, struct text person,
                     int64_t generation, enum category category, bool transit) {
    if (!text_present(sealed))
        return;
    for (size_t i = sim->written.count; i > 0; i--)
        if (text_equal(sim->written.at[i - 1].sealed, sealed))
            return;
    place.owner = sim_keep(sim, place.owner);
    place.object = sim_keep(sim, place.object);
    *ARENA_PUSH(&sim->memory.kept, &sim->written) = (struct sim_written){.place = place,
                                                                         .person = sim_keep(sim, person),
                                                                         .sealed = sim_keep(sim, sealed),
                                                                         .generation = generation,
                                                                         .category = category,
                                                                         .transit = transit};
}

static void remember_cells(struct sim *sim, const struct write *write) {
    for (size_t i = 0; i < write->persons.count; i++) {
        const struct person *at = write->persons.at[i].at;
        remember(sim, at->profile.sealed,
                 (struct seal_place){"person", "profile", at->person, TEXT_ABSENT, at->generation},
                 at->person, at->generation, CATEGORY_PROFILE, false);
    }
    for (size_t i = 0; i < write->orders.count; i++) {
        const struct order *at = write->orders.at[i].at;
        struct seal_place place = {"customer_order", "claim", at->customer_id, at->order_id, -1};
        remember(sim, at->claim.sealed, place, at->customer_id, at->generation, CATEGORY_CLAIM, false);
    }
    for (size_t i = 0; i < write->shipments.count; i++) {
        const struct shipment *at = write->shipments.at[i].at;
        struct seal_place place = {"shipment", "delivery", at->customer_id, at->shipment_id, -1};
        remember(sim, at->delivery.sealed, place, at->person, at->generation, CATEGORY_DELIVERY, false);
    }
    for (size_t i = 0; i < write->outputs.count; i++) {
        const struct write_output *row = &write->outputs.at[i];
        struct seal_place place = {"outbox",
                                   "body",
                                   row->at->person,
                                   {(const char *)row->row_id, ROW_ID_BYTES},
                                   row->at->generation};
        if (text_present(row->at->person))
            remember(sim, row->body, place, row->at->person, row->at->generation, row->at->category, true);
    }
    for (size_t i = 0; i < write->resealed.count; i++) {
        const struct write_resealed *row = &write->resealed.at[i];
        const struct output *output = &outputs_find(sim, row->seq)->output;
        struct seal_place place = {"outbox", "body", output->person, row->row_id, output->generation};
        remember(sim, row->body, place, output->person, output->generation, output->category, true);
    }
}

/* ---- O2 ---- */

/* Something later in this transaction is told of the same disclosure. */
static bool is_superseded(const struct write *write, size_t at) {
    struct text ref = write->outputs.at[at].at->disclosure_ref;
    for (size_t i = at + 1; i < write->outputs.count; i++)
        if (text_equal(write->outputs.at[i].at->disclosure_ref, ref) ||
            memmem(write->outputs.at[i].at->body.at, write->outputs.at[i].at->body.size, ref.at, ref.size))
            return true;
    return false;
}

/* The policy's list, cut with the fields that have a value; no other value, and none of them another one. Of
 * a correction: some of the list, one without a value as null. */
static bool has_just(const struct policy_service *service, const struct json *fields,
                     const struct json *content, bool corrected) {
    size_t due = 0, told = 0;
    for (size_t f = 0; f <= FIELD_PICKUP_POINT; f++) {
        const char *name = policy_field_name((enum policy_field)f);
        struct text held = json_member_text(content, name), given = json_member_text(fields, name);
        bool named = service->fields & FIELD_BIT(f), is_told = json_member(fields, name);
        if (is_told && (!named || !text_equal(held, given)))
            return false;
        due += corrected ? is_told : named && text_present(held);
    }
    for (const struct json *field = fields->first; field; field = field->next)
        told++;
    return due == told && (told || !corrected);
}

static const char *fields_wrong(const struct output *output, const struct policy_service *service,
                                struct text content, struct arena *arena) {
    bool corrected = strcmp(output->type, "register.disclosure.corrected") == 0;
    struct json *body, *held;
    if (!text_present(content))
        return NULL;
    if (json_parse(output->body, 0, arena, &body) != JSON_FINE ||
        json_parse(content, 0, arena, &held) != JSON_FINE)
        return "it is no JSON";
    return has_just(service, json_member(body, "fields"), held, corrected)
               ? NULL
               : "it has not just the policy's fields";
}

static const struct policy_service *service_of(const struct sim *sim, const struct output *output) {
    int recipient = policy_recipient(sim->policy, output->recipient);
    return recipient < 0 ? NULL : policy_service(&sim->policy->recipients[recipient], output->service);
}

static const char *shipment_wrong(const struct sim *sim, const struct write *write,
                                  const struct output *output, struct arena *arena) {
    const struct shipment *shipment = NULL;
    for (size_t i = 0; i < write->shipments.count; i++)
        if (text_equal(write->shipments.at[i].at->customer_id, output->customer_id) &&
            text_equal(write->shipments.at[i].at->shipment_id, output->shipment_id))
            shipment = write->shipments.at[i].at;
    if (!shipment)
        return "its shipment is not written with it";
    const struct policy_service *service = service_of(sim, output);
    if (!service)
        return "the policy has no such service";
    if (shipment->cancelled_us != TIME_NONE)
        return "its shipment is cancelled";
    if (!text_equal(shipment->carrier, output->recipient) || !text_equal(shipment->service, output->service))
        return "another carrier or service has the shipment";
    if (shipment->erasure == SHIPMENT_ERASED)
        return "its consignee is erased";
    if (!text_equal(shipment->person, output->subject))
        return "the shipment goes to somebody else";
    if (!policy_serves(&sim->policy->recipients[policy_recipient(sim->policy, output->recipient)],
                       text_present(shipment->country) ? shipment->country : sim->policy->controller.country))
        return "the carrier does not serve the country";
    return fields_wrong(output, service, shipment->delivery.content, arena);
}

static const char *letter_wrong(const struct sim *sim, const struct write *write, const struct output *output,
                                struct arena *arena) {
    const struct policy_service *service = service_of(sim, output);
    if (!service)
        return "the policy has no such service";
    for (size_t i = 0; i < write->persons.count; i++) {
        const struct person *at = write->persons.at[i].at;
        if (!text_equal(at->person, output->subject) || at->generation != output->generation)
            continue;
        if (at->ended)
            return "the generation has ended";
        for (size_t p = 0; p < at->permissions.count; p++)
            if (at->permissions.at[p].reason == PERMISSION_ALLOWED &&
                text_equal(at->permissions.at[p].purpose, output->service))
                return fields_wrong(output, service, at->profile.content, arena);
        return "nothing allows it";
    }
    return "its person is not written with it";
}

void check_written(struct sim *sim, const struct write *write, const int64_t *seqs) {
    remember_cells(sim, write);
    for (size_t i = 0; i < write->outputs.count; i++) {
        const struct output *output = write->outputs.at[i].at;
        bool shipment = text_present(output->shipment_id);
        bool corrected = strcmp(output->type, "register.disclosure.corrected") == 0;
        if (!seqs[i] || is_superseded(write, i) ||
            (!corrected && strcmp(output->type, "register.disclosure.shipment") != 0 &&
             strcmp(output->type, "register.disclosure.newsletter") != 0))
            continue;
        const char *wrong = shipment ? shipment_wrong(sim, write, output, &sim->memory.kept)
                                     : letter_wrong(sim, write, output, &sim->memory.kept);
        sim->judged[shipment ? corrected ? JUDGED_CORRECTED : JUDGED_DISCLOSED : JUDGED_LETTERS]++;
        if (wrong)
            sim_wrong(sim, "O2: a disclosure to %.*s (seq %lld): %s", TEXT_ARGS(output->recipient),
                      (long long)seqs[i], wrong);
    }
}
