/* What is remembered of erasures: by the topic register.erasure.v1, by the vault and by the register, and
 * whether these agree (SPEC 6, Where the knowledge lives). Whatever topic or vault hold that the register
 * lacks means that the register was restored from before that erasure. Lists are big: they lie on the heap,
 * 48 bytes a cut. One thread. */
#ifndef KR_CONSUMER_REMEMBER_H
#define KR_CONSUMER_REMEMBER_H

#include "core/arena.h"
#include "core/config.h"
#include "core/db.h"
#include "core/err.h"
#include "core/policy.h"

#define ERASURE_TOPIC "register.erasure.v1"
#define SUBJECT_BYTES 32 /* ref_subject's hash */
#define SUBJECT_HEX 64

enum remember_where { IN_TOPIC = 1, IN_VAULT = 2, IN_REGISTER = 4 };

/* A cut of a subject. */
struct remembered {
    uint8_t subject[SUBJECT_BYTES];
    int64_t cut_us;
    uint32_t record;          /* of the topic: number of the record, in the order of reading */
    unsigned categories : 11; /* bits, by enum category; of the register none */
    unsigned by_request : 1;  /* cause: a request; else customer.closed */
    unsigned void_cut : 1;    /* of the register: a closed that ends nothing any more */
    unsigned where : 3;       /* who holds it, of a comparison's result */
    unsigned partition : 16;  /* of the topic */
};
_Static_assert(sizeof(struct remembered) == 48, "a million of them are 48 MB");
_Static_assert(CATEGORIES <= 11, "a bit each");

struct remember_list {
    struct remembered *at;
    size_t count, room;
};
void remember_release(struct remember_list *list);
/* False: no memory. */
bool remember_add(struct remember_list *list, const struct remembered *item);
/* Adds what one record, {"subject","erasures":[...]}, says. RETRY: no memory; POISON: it is none, the list is
 * as before. `from` holds record and partition. arena: scratch, reset. */
enum outcome remember_record(struct remember_list *list, struct text body, const struct remembered *from,
                             struct arena *arena) MUST_CHECK;
/* Of each subject and partition only the last record's stay: each is the whole merged tombstone. Then sorts
 *  * by subject and cut, each once. */
void remember_last(struct remember_list *list);
/* By subject and cut. */
int remember_order(const void *a, const void *b);
void remember_subject_write(const uint8_t subject[SUBJECT_BYTES], char hex[SUBJECT_HEX + 1]);
bool remember_subject_read(struct text hex, uint8_t subject[SUBJECT_BYTES]);

struct remember_sum {
    size_t topic, vault, registered;       /* cuts that each holds */
    size_t topic_alone, vault_alone, both; /* the register lacks them; held by one of them, or by both */
    size_t vault_lacks, topic_lacks;       /* of those that the register holds and that are valid */
    bool topic_missing;
};
/* What the register lacks in all. */
static inline size_t remember_lacking(const struct remember_sum *sum) {
    return sum->topic_alone + sum->vault_alone + sum->both;
}

/* Called for each cut that not all three hold, by subject and cut: once each. RETRY: no memory. */
typedef enum outcome remember_reader(void *context, const struct remembered *cut, struct err *err);

/* Compares the three, sorted as remember_order says and each cut once; the register's lack is also a cause
 * that is weaker there. reader may be NULL. */
enum outcome remember_merge(const struct remember_list lists[3], struct remember_sum *sum,
                            remember_reader *reader, void *context, struct err *err) MUST_CHECK;

/* Reads all three and compares them: first the topic, to its end as it is now, then of each stretch of
 * subjects the vault's before the register's. An erasure that is going on meanwhile is written in the
 * opposite order and so never looks lost. Whoever cannot be reached: RETRY. */
enum outcome remember_compare(const struct config *config, struct db *vault, struct db *reg,
                              struct remember_sum *sum, remember_reader *reader, void *context,
                              struct err *err) MUST_CHECK; /* remember_read.c */
/* Whether the register holds tombstones of subjects that it does not know. */
enum outcome remember_orphans(struct db *reg, bool *there, struct err *err) MUST_CHECK; /* remember_read.c */
/* FATAL, with the way out in err.text, when the register lacks anything. */
enum outcome remember_judge(const struct remember_sum *sum, struct err *err) MUST_CHECK;

#endif
