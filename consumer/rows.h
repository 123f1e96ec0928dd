/* What travels between the loop and the register: the rows that a batch reads, and the one write that its
 * transaction makes. The same over PostgreSQL and over tables in memory. Texts lie in the batch's arena;
 * nothing is owned. */
#ifndef KR_CONSUMER_ROWS_H
#define KR_CONSUMER_ROWS_H

#include "core/decide/decide.h"
#include "core/decide/state.h"
#include "core/keyring.h"

#define FINGERPRINT_BYTES 32
#define ROW_ID_BYTES 16

/* The last record taken in from a partition: tells a topic from another of the same name. offset -1 = none
 * yet. */
struct fingerprint {
    int64_t offset, timestamp_ms;
    uint8_t hash[FINGERPRINT_BYTES];
};

/* ---- positions ---- */

struct claim {
    struct text topic;
    int32_t partition;
    int64_t first; /* where to begin when there is no row yet */
    struct text owner, cluster_id;
};
struct claimed {
    int64_t next, epoch;
    int64_t decided_us; /* TIME_NONE = nothing yet */
    struct fingerprint fingerprint;
    struct text parked;     /* absent = it may be read */
    struct text cluster_id; /* of the row, which a claim never changes */
};

/* ---- read ---- */

struct read_key {
    struct text owner, object;
};
struct read_keys {
    const struct read_key *keys;
    size_t count;
};
/* What is asked for. Refs, persons, requests and addresses by owner only; of a person every generation and,
 * in `consents`, every fact is read. parked: refs, of each at most parked_most events by (topic, partition,
 * offset). orphans: subjects. wholes: persons, all that is theirs by its keys. */
struct read_request {
    struct read_keys refs, parked, persons, orphans, orders, shipments, notices, consents, requests,
        addresses, wholes;
    size_t parked_most;
};

struct row_cell {
    int32_t until;
    struct text sealed;
};
struct row_ref {
    struct text ref, kind, recipient, customer_id, object_id;
};
struct row_parked {
    struct text ref, topic;
    int32_t partition;
    int64_t offset, expires_us;
    struct text body, record_hash;
};
struct row_person {
    struct text person;
    int64_t generation, revision;
    struct row_cell profile;
    struct text merge;
};
struct row_order {
    struct text customer_id, order_id;
    struct row_cell claim, voucher, oss;
    struct text merge;
};
struct row_shipment {
    struct text customer_id, shipment_id;
    struct row_cell delivery;
    struct text merge;
};
struct row_notice {
    struct text person, notice_ref;
    struct row_cell ground;
    struct text merge;
};
struct row_consent {
    struct text person, fact;
    struct row_cell proof;
    struct text merge;
};
/* Of a request or an address: what guards itself. */
struct row_guarded {
    struct text key;
    int64_t revision;
    struct text merge;
};
struct row_whole {
    struct text person;
    bool is_order; /* else a shipment */
    struct whole_key key;
};
/* A tombstone whose person was not known here when it was brought in. */
struct row_orphan {
    struct text subject;
    struct cut cut;
};
/* A row of the outbox that the relay may not have published yet. */
struct row_unpublished {
    int64_t seq;
    struct text row_id, person;
    int64_t generation;
    enum category category;
    struct text customer_id, shipment_id, body;
};
#define ROWS(type)                                                                                           \
    struct {                                                                                                 \
        type *at;                                                                                            \
        size_t count;                                                                                        \
    }
struct read_rows {
    ROWS(struct row_ref) refs;
    ROWS(struct row_parked) parked; /* of those refs that nobody knows yet */
    ROWS(struct row_person) persons;
    ROWS(struct row_order) orders;
    ROWS(struct row_shipment) shipments;
    ROWS(struct row_notice) notices;
    ROWS(struct row_consent) consents;
    ROWS(struct row_guarded) requests, addresses;
    ROWS(struct row_whole) wholes;
    ROWS(struct row_orphan) orphans;
};

/* ---- write ---- */

/* One partition's step. */
struct advance {
    struct text topic;
    int32_t partition;
    int64_t epoch, next, after;
    struct fingerprint fingerprint; /* offset -1: as it was (the calendar has none) */
    int64_t decided_us;
    bool lost; /* set by write: somebody else holds the partition */
};
/* An aggregate whose cells are sealed as they shall be stored, and its packed form. */
struct write_person {
    const struct person *at;
    struct text merge;
};
struct write_order {
    const struct order *at;
    struct text merge;
};
struct write_shipment {
    const struct shipment *at;
    struct text merge;
};
struct write_notice {
    const struct notice *at;
    struct text merge;
};
struct write_consent {
    const struct consent *at;
    struct text merge;
};
struct write_request {
    const struct request *at;
    struct text merge;
};
struct write_address {
    const struct address *at;
    struct text merge;
};
struct write_tombstone {
    struct text subject, person;
    int64_t generation; /* the one that it ends */
    const struct cut *at;
    struct text categories; /* joined by commas */
};
/* An outbox row's body under another key of the same ring. */
struct write_resealed {
    int64_t seq;
    struct text row_id, body;
};
struct write_parked {
    struct text ref;
    const struct parked *at;
    struct text body; /* sealed */
};
struct write_output {
    const struct output *at;
    uint8_t row_id[ROW_ID_BYTES];
    struct text body; /* sealed, or clear when at->person is absent */
    struct text headers;
    int64_t decided_us;
};

/* Everything that one transaction changes, each list in the order of its primary key, outputs in theirs. */
struct write {
    const char *policy_digest; /* the transaction counts only while this policy is the active one */
    int policy;                /* its number, filled in by the register */
    ROWS(struct advance) advances;
    ROWS(struct write_person) persons; /* guarded: the stored revision is the loaded one */
    ROWS(struct write_order) orders;
    ROWS(struct write_shipment) shipments;
    ROWS(struct write_notice) notices;
    ROWS(struct write_consent) consents;
    ROWS(struct write_request) requests;  /* guarded as persons are */
    ROWS(struct write_address) addresses; /* ... */
    ROWS(struct write_tombstone) tombstones;
    ROWS(const struct key_doom) doomed; /* keys for the vault to destroy after this transaction */
    ROWS(struct write_resealed) resealed;
    int64_t now_us;
    ROWS(const struct ref_entry *) refs_new;     /* guarded: not there yet */
    ROWS(const struct ref_entry *) refs_parked;  /* guarded: there and meaning nothing; learnt, or locked */
    ROWS(const struct ref_entry *) refs_settled; /* known now: is something parked under them still? */
    ROWS(struct write_parked) parked;            /* those that are there already stay as they are */
    ROWS(struct row_parked) unparked;            /* guarded: all of them are there */
    ROWS(struct write_output) outputs;
    ROWS(const struct write_output *) dead_letters;
    /* set by write */
    bool guard_missed;  /* somebody changed what was loaded: redo */
    bool policy_passed; /* another policy is active now: this process must end */
};

#endif
