/* What recipients hold after all that they were told (SPEC section 5, O3), of a run and of its reference
 * alike. What is anonymized counts as never told; what a change of service withdrew goes with what replaced
 * it. */
#include "core/json_read.h"
#include "core/json_write.h"
#include "tests/simulator/sim.h"
#include "tests/unit/memory_dump.h"

#include <assert.h>
#include <stdlib.h>

struct told_unit {
    struct text recipient, ref, person, customer_id, shipment_id, service, role;
    int64_t generation, parcels;
    struct text field[FIELD_PICKUP_POINT + 1];
    enum { TOLD_NEVER, TOLD_HELD, TOLD_WITHDRAWN, TOLD_ANONYMIZED } state;
    bool withheld; /* something of it was: what is told of that means nothing to the recipient */
};
struct telling {
    struct sim *sim;
    struct arena *arena;
    LIST(struct told_unit *) units;
};

static struct told_unit *unit_of(struct telling *telling, struct text recipient, struct text ref) {
    for (size_t i = 0; i < telling->units.count; i++)
        if (text_equal(telling->units.at[i]->ref, ref))
            return telling->units.at[i];
    struct told_unit *unit = ARENA_NEW(telling->arena, struct told_unit);
    *unit = (struct told_unit){.recipient = recipient, .ref = ref, .state = TOLD_NEVER};
    *ARENA_PUSH(telling->arena, &telling->units) = unit;
    return unit;
}

static void take_fields(struct told_unit *unit, const struct json *fields) {
    for (const struct json *field = fields->first; field; field = field->next)
        for (size_t f = 0; f <= FIELD_PICKUP_POINT; f++)
            if (text_is(field->key, policy_field_name((enum policy_field)f)))
                unit->field[f] = field->type == JSON_STRING ? field->text : TEXT_ABSENT;
}

static void take_disclosure(struct telling *telling, struct told_unit *unit, const struct told_output *output,
                            const struct json *body) {
    const struct json *parcels = json_member(body, "parcels");
    *unit = (struct told_unit){.recipient = output->recipient,
                               .ref = unit->ref,
                               .person = output->person,
                               .customer_id = output->customer_id,
                               .shipment_id = output->shipment_id,
                               .service = json_member_text(body, "service"),
                               .role = json_member_text(body, "role"),
                               .generation = output->generation,
                               .parcels = parcels ? parcels->integer : 0,
                               .state = TOLD_HELD,
                               .withheld = unit->withheld};
    take_fields(unit, json_member(body, "fields"));
    for (size_t i = 0; text_present(unit->shipment_id) && i < telling->units.count; i++) {
        const struct told_unit *other = telling->units.at[i];
        if (other != unit && other->state == TOLD_HELD && text_equal(other->shipment_id, unit->shipment_id) &&
            text_equal(other->customer_id, unit->customer_id))
            sim_wrong(telling->sim, "O2: two carriers or services hold shipment %.*s at once",
                      TEXT_ARGS(unit->shipment_id));
    }
}

static void take(struct telling *telling, const struct told_output *output) {
    struct json *body;
    if (json_parse(output->body, 0, telling->arena, &body) != JSON_FINE) {
        sim_wrong(telling->sim, "an output's body is no JSON (%s)", output->type);
        return;
    }
    if (strcmp(output->type, "register.notice.anonymize") == 0) {
        for (const struct json *item = json_member(body, "disclosures")->first; item; item = item->next)
            unit_of(telling, output->recipient, item->text)->state = TOLD_ANONYMIZED;
        return;
    }
    struct told_unit *unit = unit_of(telling, output->recipient, json_member_text(body, "disclosure_ref"));
    if (output->withheld)
        unit->withheld = true;
    else if (strcmp(output->type, "register.disclosure.shipment") == 0 ||
             strcmp(output->type, "register.disclosure.newsletter") == 0)
        take_disclosure(telling, unit, output, body);
    else if (unit->state != TOLD_HELD && unit->withheld)
        return;
    else if (unit->state != TOLD_HELD)
        sim_wrong(telling->sim, "O2: %s of what %.*s does not hold any more", output->type,
                  TEXT_ARGS(output->recipient));
    else if (strcmp(output->type, "register.disclosure.corrected") == 0)
        take_fields(unit, json_member(body, "fields"));
    else
        unit->state = TOLD_WITHDRAWN;
}

static int by_unit(const void *a, const void *b) {
    const struct told_unit *one = *(struct told_unit *const *)a, *two = *(struct told_unit *const *)b;
    int order = text_compare(one->recipient, two->recipient);
    order = order ? order : text_compare(one->person, two->person);
    order = order ? order : text_compare(one->customer_id, two->customer_id);
    order = order ? order : text_compare(one->shipment_id, two->shipment_id);
    return order ? order : (one->generation > two->generation) - (one->generation < two->generation);
}

static void write_unit(struct json_writer *writer, const struct told_unit *unit) {
    json_array(writer);
    json_text(writer, unit->recipient);
    json_text(writer, unit->person);
    json_int(writer, unit->generation);
    json_text(writer, unit->customer_id);
    json_text(writer, unit->shipment_id);
    json_text(writer, unit->service);
    json_text(writer, unit->role);
    json_int(writer, unit->parcels);
    for (size_t f = 0; f <= FIELD_PICKUP_POINT; f++)
        json_text(writer, unit->field[f]);
    json_array_end(writer);
}

struct text told_fold(struct sim *sim, const struct told_output *outputs, size_t count, struct arena *arena) {
    struct telling telling = {.sim = sim, .arena = arena};
    struct json_writer *writer = sim->memory.writer;
    for (size_t i = 0; i < count; i++)
        if (text_present(outputs[i].recipient))
            take(&telling, &outputs[i]);
    if (telling.units.count)
        qsort(telling.units.at, telling.units.count, sizeof *telling.units.at, by_unit);
    json_writer_reset(writer);
    json_array(writer);
    for (size_t i = 0; i < telling.units.count; i++) {
        bool beside = telling.units.at[i]->state != TOLD_WITHDRAWN;
        for (size_t k = 0; k < telling.units.count; k++)
            beside |= telling.units.at[k]->state == TOLD_HELD &&
                      by_unit(&telling.units.at[i], &telling.units.at[k]) == 0;
        if (!beside)
            sim_wrong(sim, "O3: %.*s was told that a disclosure is withdrawn, and never to forget it",
                      TEXT_ARGS(telling.units.at[i]->recipient));
        if (telling.units.at[i]->state == TOLD_HELD)
            write_unit(writer, telling.units.at[i]);
    }
    json_array_end(writer);
    return json_writer_take(writer, arena);
}

struct text told_permissions(const struct told_record *records, size_t count, struct arena *arena) {
    LIST(struct told_record) last = {0};
    LIST(struct text) lines = {0};
    for (size_t i = count, k; i-- > 0;) {
        if (!text_is(records[i].topic, "register.marketing-permission.v1"))
            continue;
        for (k = 0; k < last.count && !text_equal(last.at[k].key, records[i].key); k++)
            ;
        if (k == last.count)
            *ARENA_PUSH(arena, &last) = records[i];
    }
    for (size_t i = 0; i < last.count; i++)
        *ARENA_PUSH(arena, &lines) = last.at[i].body;
    return memory_sorted(arena, lines.at, lines.count);
}
