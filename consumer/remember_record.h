/* One record of the topic of erasures, or a tombstone's body in the vault, taken apart: {"subject":...,
 * "erasures":[{"category","cause","complete","cut","generation"?}],...}. At start there may be a million of
 * each, so what this program writes itself is scanned; whatever looks otherwise is parsed. */
#ifndef KR_CONSUMER_REMEMBER_RECORD_H
#define KR_CONSUMER_REMEMBER_RECORD_H

#include "consumer/remember.h"

struct remember_record {
    uint8_t subject[SUBJECT_BYTES];
    size_t cut_count;
    struct remembered *cuts; /* each instant once: cut_us, categories, by_request */
    struct remembered own[8];
};

/* False: not as this program writes it, or of more than a few cuts. */
bool remember_scan(struct text body, struct remember_record *record);
/* Any JSON; cuts lie in the arena, which is reset. RETRY: no memory; POISON: no such record. */
enum outcome remember_parse(struct text body, struct arena *arena, struct remember_record *record) MUST_CHECK;

#endif
