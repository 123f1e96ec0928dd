/* Names that only their reader can use: pairwise refs for recipients, output ids, digests. All are BLAKE2b
 * keyed with the register-wide ref key (a file of its own, surviving erasures), over a label and
 * length-prefixed parts, so that no two meanings share an input. Pure; callable from any thread. No
 * third-party header here. */
#ifndef KR_REF_H
#define KR_REF_H

#include "core/event.h"
#include "core/text.h"
#include <stdint.h>

#define REF_KEY_BYTES 32
#define REF_CHARS 43 /* 32 bytes in base64url without padding */
struct ref_key {
    uint8_t bytes[REF_KEY_BYTES];
};
struct ref {
    char chars[REF_CHARS + 1]; /* terminated */
};
struct output_id {
    uint8_t bytes[16]; /* UUIDv8, RFC 9562 */
};

/* A recipient's name for a person of one generation. */
struct ref ref_person(const struct ref_key *key, struct text recipient, struct text person,
                      int64_t generation);
struct ref ref_shipment(const struct ref_key *key, struct text recipient, struct text customer_id,
                        struct text shipment_id);
/* The unit of disclosure: consignee and generation, shipment, carrier, service, role. */
struct ref ref_disclosure(const struct ref_key *key, struct text carrier, struct text person,
                          int64_t generation, struct text customer_id, struct text shipment_id,
                          struct text service, struct text role);
/* about: a disclosure_ref or person_ref; kind: "corrected", "withdrawn", "anonymize", ...; cause as output
 * ids have. */
struct ref ref_notice(const struct ref_key *key, const struct ref *about, const char *kind, struct text cause,
                      int part);
/* The unsubscribe token of a customer's generation. */
struct ref ref_token(const struct ref_key *key, struct text customer_id, int64_t generation);

/* The name of a fact in the register: of its event_cause. */
struct ref ref_fact(const struct ref_key *key, struct text cause);
/* A person's name in tombstones and in register.erasure.v1: 64 hex digits. */
#define SUBJECT_CHARS 64
void ref_subject(const struct ref_key *key, struct text person, char subject[SUBJECT_CHARS + 1]);

/* cause: event_cause() or the calendar's (act, object, due time). The same cause never yields two outputs. */
struct output_id output_id_derive(const struct ref_key *key, struct text recipient, const char *kind,
                                  struct text person, int64_t generation, struct text object,
                                  struct text cause, int64_t ordinal);
/* One fact, its data included: everything that its version is made of (source, id, sequence, time, digest),
 * so that two facts under one (source, id) never share an output id. Bytes for hashing, not for reading: they
 * hold NULs. */
struct text event_cause(const struct event *event, struct arena *arena);

/* "xxxxxxxx-xxxx-8xxx-..." */
void output_id_write(const struct output_id *id, char buffer[37]);

#endif
