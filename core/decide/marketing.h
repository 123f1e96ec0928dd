/* What the files of marketing share: consent.c says which facts there are and what they speak of,
 * permission.c what follows from them, address.c whose addresses are suppressed, newsletter.c what mail
 * houses are told. PURE. */
#ifndef KR_DECIDE_MARKETING_H
#define KR_DECIDE_MARKETING_H

#include "core/decide/effect.h"

/* ---- consents ---- */

/* All of the person's, which decide_needs must have asked for. */
struct consent *const *consent_all(const struct state *state, struct text person, size_t *count);
/* The generation that the fact speaks for: a token's, or that of its time. */
int64_t consent_generation(const struct state *state, const struct consent *consent);
/* The withdrawal or objection speaks of that purpose and channel; absent ones speak of all. */
bool consent_about(const struct consent *consent, struct text purpose, struct text channel);
/* It would end the grant, did it not come before it: times are not compared. */
bool consent_against(const struct consent *consent, const struct consent *grant);
/* A consent proper that its giver has confirmed: only such a one frees from what was objected before it. */
bool consent_confirmed(const struct consent *grant);
/* A fact about the person, by id or by the token of the generation. */
enum outcome consent_taken(struct decision *decision, const struct event *event, struct text person,
                           bool by_token, int64_t generation) MUST_CHECK;

/* ---- addresses ---- */

/* The hash of the e-mail or phone (ADDRESS_...) that may be seen in the row's profile; absent: none. */
struct text address_seen(const struct person *row, size_t which);
/* The person's withdrawals or objections changed: entries of all his addresses, and whoever's permission
 * hangs on them, follow. */
enum outcome address_consented(struct decision *decision, const struct event *event,
                               struct text person) MUST_CHECK;

/* ---- mail houses ---- */

/* The n-th unit that the policy makes of mail houses and marketing purposes, without person and generation;
 * false after the last. */
bool newsletter_unit(const struct policy *policy, size_t index, struct unit *unit);
/* Tells mail houses what they may no longer hold, what changed of it, and what they may have now. */
enum outcome newsletter_settle(struct decision *decision, const struct event *event, struct text person,
                               struct text profile_before) MUST_CHECK;

#endif
