/* The packed form of what decides between facts: the `merge` columns of the register, and parked events.
 * Little more than varints and length-prefixed texts, with a format byte first; no personal data except in a
 * parked event (which is sealed). PURE. Unpacking bounds everything: a damaged column is FATAL, never a
 * crash. */
#ifndef KR_DECIDE_PACK_H
#define KR_DECIDE_PACK_H

#include "core/decide/state.h"
#include "core/err.h"

/* Each packs what has no column of its own into arena text; TEXT_ABSENT when the arena is full. */
struct text pack_person(const struct person *person, struct arena *arena);
struct text pack_order(const struct order *order, struct arena *arena);
struct text pack_shipment(const struct shipment *shipment, struct arena *arena);
struct text pack_notice(const struct notice *notice, struct arena *arena);
struct text pack_consent(const struct consent *consent, struct arena *arena);
struct text pack_request(const struct request *request, struct arena *arena);
struct text pack_address(const struct address *address, struct arena *arena);
/* Those that may be parked: the carriers' two types, consents by token (pack_event.c). */
struct text pack_event(const struct event *event, struct arena *arena);

/* Each fills the aggregate, every member but keys, revision/stored and the cells: the packed form is
 * complete, the clear columns beside it are for readers and indexes. Texts are copied into the arena. */
enum outcome unpack_person(struct text packed, struct arena *arena, struct person *person,
                           struct err *err) MUST_CHECK;
enum outcome unpack_order(struct text packed, struct arena *arena, struct order *order,
                          struct err *err) MUST_CHECK;
enum outcome unpack_shipment(struct text packed, struct arena *arena, struct shipment *shipment,
                             struct err *err) MUST_CHECK;
enum outcome unpack_notice(struct text packed, struct arena *arena, struct notice *notice,
                           struct err *err) MUST_CHECK;
enum outcome unpack_consent(struct text packed, struct arena *arena, struct consent *consent,
                            struct err *err) MUST_CHECK;
enum outcome unpack_request(struct text packed, struct arena *arena, struct request *request,
                            struct err *err) MUST_CHECK;
enum outcome unpack_address(struct text packed, struct arena *arena, struct address *address,
                            struct err *err) MUST_CHECK;
enum outcome unpack_event(struct text packed, struct arena *arena, struct event *event,
                          struct err *err) MUST_CHECK;

#endif
