/* The packed form of persons: one generation's own, and behind the guard's what is known across them all. */
#include "core/decide/pack.h"
#include "core/decide/packer.h"

static void pack_notice_text(struct packer *packer, const struct notice_text *notice) {
    packer_text(packer, notice->id);
    packer_text(packer, notice->sha256);
    packer_text(packer, notice->language);
}

static struct notice_text unpack_notice_text(struct unpacker *unpacker) {
    struct notice_text notice;
    notice.id = unpacker_text(unpacker);
    notice.sha256 = unpacker_text(unpacker);
    notice.language = unpacker_text(unpacker);
    return notice;
}

/* ---- what is known across generations ---- */

static bool facts_present(const struct person_facts *facts) {
    return facts->cuts.count || facts->registered.count || facts->addresses.count || facts->floors.count ||
           facts->requests.count || facts->named_us != TIME_NONE || facts->opened_us != TIME_NONE ||
           facts->consents || facts->token;
}

static void pack_cut(struct packer *packer, const struct cut *cut) {
    packer_int(packer, cut->cut_us);
    packer_unsigned(packer, (unsigned)cut->valid | (unsigned)cut->complete << 1 |
                                (unsigned)cut->restored << 2 | (unsigned)cut->token << 3 |
                                (unsigned)cut->cause << 4);
    packer_int(packer, cut->completed_us);
}

static void unpack_cut(struct unpacker *unpacker, struct cut *cut) {
    cut->cut_us = unpacker_int(unpacker);
    uint64_t flags = unpacker_bounded(unpacker, CUT_CAUSES * 16 - 1);
    cut->valid = flags & 1;
    cut->complete = flags >> 1 & 1;
    cut->restored = flags >> 2 & 1;
    cut->token = flags >> 3 & 1;
    cut->cause = (enum cut_cause)(flags >> 4);
    cut->completed_us = unpacker_int(unpacker);
}

static void pack_address_fact(struct packer *packer, const struct address_fact *address) {
    packer_text(packer, address->hash);
    packer_unsigned(packer, address->field);
    packer_unsigned(packer, address->times.count);
    for (size_t i = 0; i < address->times.count; i++)
        packer_int(packer, address->times.at[i]);
}

static void unpack_address_fact(struct unpacker *unpacker, struct address_fact *address) {
    address->hash = unpacker_text(unpacker);
    address->field = (enum contact_field)unpacker_bounded(unpacker, CONTACT_FIELDS - 1);
    UNPACKER_LIST(unpacker, &address->times);
    for (size_t i = 0; i < address->times.count; i++)
        address->times.at[i] = unpacker_int(unpacker);
}

static void pack_facts(struct packer *packer, const struct person_facts *facts) {
    packer_unsigned(packer, facts->cuts.count);
    for (size_t i = 0; i < facts->cuts.count; i++)
        pack_cut(packer, &facts->cuts.at[i]);
    packer_unsigned(packer, facts->registered.count);
    for (size_t i = 0; i < facts->registered.count; i++) {
        packer_version(packer, &facts->registered.at[i].version);
        packer_unsigned(packer, facts->registered.at[i].account);
        pack_notice_text(packer, &facts->registered.at[i].notice);
    }
    packer_unsigned(packer, facts->addresses.count);
    for (size_t i = 0; i < facts->addresses.count; i++)
        pack_address_fact(packer, &facts->addresses.at[i]);
    packer_unsigned(packer, facts->floors.count);
    for (size_t i = 0; i < facts->floors.count; i++) {
        const struct key_floor *floor = &facts->floors.at[i];
        packer_int(packer, floor->generation);
        packer_unsigned(packer, floor->category);
        packer_unsigned(packer, floor->cells);
        packer_unsigned(packer, floor->transit);
    }
    packer_unsigned(packer, facts->requests.count);
    for (size_t i = 0; i < facts->requests.count; i++)
        packer_text(packer, facts->requests.at[i]);
    packer_unsigned(packer, facts->shipped.count);
    for (size_t i = 0; i < facts->shipped.count; i++) {
        packer_text(packer, facts->shipped.at[i].customer_id);
        packer_text(packer, facts->shipped.at[i].shipment_id);
        packer_int(packer, facts->shipped.at[i].first_us);
    }
    packer_int(packer, facts->named_us);
    packer_int(packer, facts->opened_us);
    packer_unsigned(packer, facts->token);
    packer_int(packer, facts->consents);
}

static void unpack_facts(struct unpacker *unpacker, struct person_facts *facts) {
    UNPACKER_LIST(unpacker, &facts->cuts);
    for (size_t i = 0; i < facts->cuts.count; i++)
        unpack_cut(unpacker, &facts->cuts.at[i]);
    UNPACKER_LIST(unpacker, &facts->registered);
    for (size_t i = 0; i < facts->registered.count; i++) {
        facts->registered.at[i].version = unpacker_version(unpacker);
        facts->registered.at[i].account = unpacker_flag(unpacker);
        facts->registered.at[i].notice = unpack_notice_text(unpacker);
    }
    UNPACKER_LIST(unpacker, &facts->addresses);
    for (size_t i = 0; i < facts->addresses.count; i++)
        unpack_address_fact(unpacker, &facts->addresses.at[i]);
    UNPACKER_LIST(unpacker, &facts->floors);
    for (size_t i = 0; i < facts->floors.count; i++) {
        struct key_floor *floor = &facts->floors.at[i];
        floor->generation = unpacker_int(unpacker);
        floor->category = (enum category)unpacker_bounded(unpacker, CATEGORIES - 1);
        floor->cells = (uint16_t)unpacker_bounded(unpacker, UINT16_MAX);
        floor->transit = (uint16_t)unpacker_bounded(unpacker, UINT16_MAX);
    }
    UNPACKER_LIST(unpacker, &facts->requests);
    for (size_t i = 0; i < facts->requests.count; i++)
        facts->requests.at[i] = unpacker_text(unpacker);
    UNPACKER_LIST(unpacker, &facts->shipped);
    for (size_t i = 0; i < facts->shipped.count; i++) {
        facts->shipped.at[i].customer_id = unpacker_text(unpacker);
        facts->shipped.at[i].shipment_id = unpacker_text(unpacker);
        facts->shipped.at[i].first_us = unpacker_int(unpacker);
    }
    facts->named_us = unpacker_int(unpacker);
    facts->opened_us = unpacker_int(unpacker);
    facts->token = unpacker_flag(unpacker);
    facts->consents = unpacker_int(unpacker);
}

/* ---- one generation ---- */

static void pack_told(struct packer *packer, const struct person *person) {
    packer_unsigned(packer, person->permissions.count);
    for (size_t i = 0; i < person->permissions.count; i++) {
        const struct permission *permission = &person->permissions.at[i];
        packer_text(packer, permission->purpose);
        packer_text(packer, permission->channel);
        packer_unsigned(packer, permission->reason);
        packer_text(packer, permission->basis);
        packer_int(packer, permission->since_us);
    }
    packer_unsigned(packer, person->letters.count);
    for (size_t i = 0; i < person->letters.count; i++) {
        packer_text(packer, person->letters.at[i].recipient);
        packer_text(packer, person->letters.at[i].service);
        packer_unsigned(packer, (unsigned)person->letters.at[i].state);
    }
}

static void unpack_told(struct unpacker *unpacker, struct person *person) {
    UNPACKER_LIST(unpacker, &person->permissions);
    for (size_t i = 0; i < person->permissions.count; i++) {
        struct permission *permission = &person->permissions.at[i];
        permission->purpose = unpacker_text(unpacker);
        permission->channel = unpacker_text(unpacker);
        permission->reason = (enum permission_reason)unpacker_bounded(unpacker, PERMISSION_REASONS - 1);
        permission->basis = unpacker_text(unpacker);
        permission->since_us = unpacker_int(unpacker);
    }
    UNPACKER_LIST(unpacker, &person->letters);
    for (size_t i = 0; i < person->letters.count; i++) {
        person->letters.at[i].recipient = unpacker_text(unpacker);
        person->letters.at[i].service = unpacker_text(unpacker);
        person->letters.at[i].state = (int)unpacker_bounded(unpacker, UNIT_ERASED);
    }
}

#define PERSON_OPENED 1
#define PERSON_FACTS 2
#define PERSON_ENDED 4
#define PERSON_ABSENT 8

struct text pack_person(const struct person *person, struct arena *arena) {
    struct packer packer;
    bool facts = facts_present(&person->facts);
    packer_begin(&packer, arena, PACK_PERSON);
    packer_unsigned(&packer, (person->opened ? PERSON_OPENED : 0u) | (facts ? PERSON_FACTS : 0u) |
                                 (person->ended ? PERSON_ENDED : 0u) | (person->absent ? PERSON_ABSENT : 0u));
    packer_text(&packer, person->kind);
    pack_notice_text(&packer, &person->notice);
    packer_int(&packer, person->closed_us);
    packer_int(&packer, person->profile_activity_us);
    packer_int(&packer, person->order_activity_us);
    packer_int(&packer, person->recorded_us);
    for (size_t f = 0; f < CONTACT_FIELDS; f++)
        packer_version(&packer, &person->field[f]);
    packer_text(&packer, person->address[ADDRESS_EMAIL]);
    packer_text(&packer, person->address[ADDRESS_PHONE]);
    pack_told(&packer, person);
    if (facts)
        pack_facts(&packer, &person->facts);
    return packer_end(&packer);
}

enum outcome unpack_person(struct text packed, struct arena *arena, struct person *person, struct err *err) {
    struct unpacker unpacker;
    unpacker_begin(&unpacker, arena, packed, PACK_PERSON);
    uint64_t flags = unpacker_bounded(&unpacker, PERSON_OPENED | PERSON_FACTS | PERSON_ENDED | PERSON_ABSENT);
    person->opened = flags & PERSON_OPENED;
    person->ended = flags & PERSON_ENDED;
    person->absent = flags & PERSON_ABSENT;
    person->kind = unpacker_text(&unpacker);
    person->notice = unpack_notice_text(&unpacker);
    person->closed_us = unpacker_int(&unpacker);
    person->profile_activity_us = unpacker_int(&unpacker);
    person->order_activity_us = unpacker_int(&unpacker);
    person->recorded_us = unpacker_int(&unpacker);
    for (size_t f = 0; f < CONTACT_FIELDS; f++)
        person->field[f] = unpacker_version(&unpacker);
    person->address[ADDRESS_EMAIL] = unpacker_text(&unpacker);
    person->address[ADDRESS_PHONE] = unpacker_text(&unpacker);
    unpack_told(&unpacker, person);
    if (flags & PERSON_FACTS)
        unpack_facts(&unpacker, &person->facts);
    return unpacker_end(&unpacker, err);
}
