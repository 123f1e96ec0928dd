/* What the fuzz targets share: a decoder over the example policy, what must hold of whatever it takes, and
 * the record of what was accepted, for the check against PostgreSQL (postgres.py). */
#ifndef KR_FUZZ_COMMON_H
#define KR_FUZZ_COMMON_H

#include "core/text.h"
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed);

/* Ends the run with the claim that does not hold. */
void hold(bool holds, const char *claim);

/* The first byte of an input, and the rest. */
struct text after_first(const uint8_t *data, size_t size);

/* ---- decoding.c ---- */

struct record;

/* A record is decoded over schema/policy/jerone.json, and what became of it holds: decoded twice it is the
 * same; the refusal's detail is a name of ours; every text of an event is one that PostgreSQL takes; in too
 * little memory it is RETRY or just that. */
void common_decode(const struct record *record);

/* Valid UTF-8 without U+0000: what PostgreSQL's text is. */
bool text_storable(struct text text);

/* JSON that our guard has accepted, and texts that would be bound as parameters: appended to the file that
 * KUNDREGISTER_FUZZ_ACCEPTED names (of a campaign a sample, bounded); without it nothing. */
void accepted_json(struct text json);
void accepted_text(struct text text);

/* ---- mutate.c ---- */

/* Puts a value, or a member, of a JSON text in another's place, takes it out, doubles it, or puts a value in
 * its place that is hard to judge. The new size; 0: the text has nothing to take hold of. */
size_t mutate_json(char *at, size_t size, size_t room, unsigned seed);

#endif
