/* Marketing while nobody has built it: nothing is allowed, nothing is told. */
#include "core/decide/effect.h"
#include "core/decide/needs.h"

enum outcome address_stated(struct decision *decision, const struct event *event) {
    (void)decision, (void)event;
    return OK;
}

enum outcome address_recut(struct decision *decision, const struct event *event, struct text person) {
    (void)decision, (void)event, (void)person;
    return OK;
}

enum outcome permission_follow(struct decision *decision, const struct event *event, struct text person,
                               struct text profile_before) {
    (void)decision, (void)event, (void)person, (void)profile_before;
    return OK;
}

enum outcome consent_recut(struct decision *decision, struct text person) {
    (void)decision, (void)person;
    return OK;
}

enum outcome consent_keep_until(struct decision *decision, struct text person) {
    (void)decision, (void)person;
    return OK;
}

int32_t consent_proofs_until(const struct decision *decision, struct text person, int64_t generation) {
    (void)decision, (void)person, (void)generation;
    return DATE_NONE;
}

int64_t consent_granted_us(const struct state *state, struct text person, int64_t generation) {
    (void)state, (void)person, (void)generation;
    return TIME_NONE;
}

struct ref letter_ref(const struct ref_key *ref_key, const struct person *row, const struct letter *letter) {
    return ref_disclosure(ref_key, letter->recipient, row->person, row->generation, row->person, TEXT_ABSENT,
                          letter->service, TEXT_ABSENT);
}

enum outcome marketing_needs(struct asking *asking) {
    (void)asking;
    return OK;
}
