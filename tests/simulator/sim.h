/* The simulated world of one seed: topics, register, vault and output topics with the rules of the real ones,
 * and the real loops of consumer, erasure and relay on top of them, as coroutines over one virtual clock.
 *
 * Everything that the loops do to the world is a call through their tables of functions. At each call the
 * world may let others run first (process.c), make the call fail with or without its effect, or end the
 * process for good: so any interleaving, crash, lost reply and zombie of the real system can come up, and a
 * seed always gives the same one. */
#ifndef KR_SIMULATOR_SIM_H
#define KR_SIMULATOR_SIM_H

#include "consumer/consume.h"
#include "consumer/remember.h"
#include "producer/relay.h"
#include "producer/unseal.h"
#include "tests/simulator/draw.h"
#include "tests/simulator/story.h"
#include "tests/unit/memory_register.h"
#include "tests/unit/memory_vault.h"
#include <limits.h>
#include <setjmp.h>
#include <ucontext.h>

#define SIM_WORKERS 3
#define SIM_RELAYS 2
#define SIM_SLOTS (SIM_WORKERS + SIM_RELAYS) /* workers first */
#define SIM_PARTITIONS 20
#define SIM_FAULTS_MOST 64
#define SIM_STEPS_MOST 200000

struct sim;
struct process;

/* What a seed may be told to leave out, so that a failure can be made smaller. All bits set: nothing. */
struct sim_options {
    uint64_t seed;
    uint64_t events, faults; /* bit n: the nth is taken */
    bool tells;              /* what happens, on stdout */
    bool restores;           /* in any case */
};

/* ---- the input topics ---- */

struct sim_record {
    const struct story_event *event;
    int32_t partition;
    int64_t offset, timestamp_ms;
    struct text key, value;
    int64_t time_us; /* of the event; of an answer as well */
};
struct sim_partition {
    enum story_topic topic;
    int32_t number;
    LIST(struct sim_record *) records;
    unsigned owner; /* slot of the worker that the group gave it to */
};

/* A worker's member of the group. */
struct sim_client {
    bool reassigned;               /* it is told at its next poll */
    bool assigned[SIM_PARTITIONS]; /* what it fetches */
    int64_t fetch[SIM_PARTITIONS]; /* what comes next */
    bool end_told[SIM_PARTITIONS];
    int64_t stale; /* this much before `fetch` is fetched once more; 0: nothing */
};

/* ---- the register ---- */

/* A row of ledger and outbox: written, numbered and, when its transaction committed, here. */
struct sim_output {
    int64_t seq, decided_us;
    uint8_t row_id[ROW_ID_BYTES];
    struct output output; /* texts kept, but for the body of `row` the one that can be read */
    struct text headers;
};

struct sim_session {
    bool connected;
    struct memory_register *snapshot; /* what a load sees; NULL: it has not begun */
    struct write *pending;            /* written, not committed; its rows are locked */
    int64_t *seqs;                    /* of its outputs */
    int64_t xid;                      /* of the transaction that has written; 0: none */
    const struct text *locked;
    size_t locked_count; /* persons locked before they were read */
    struct process *waits_for;
};

/* The rows that a COMMIT in doubt leaves behind. */
struct sim_rows {
    struct memory_register memory; /* its lists only */
    LIST(struct sim_output) outputs;
};
struct sim_doubt {
    bool open, commits;
    int64_t until_us;
    struct sim_rows after;
};

/* ---- the output topics ---- */

struct sim_published {
    const struct sim_output *output; /* as it was when it was published */
    struct text topic, key, body;
    struct output_id id;
    int64_t seq, step;
};
struct sim_marks {
    struct relay_mark at[24];
    size_t count;
};
/* Register and vault as they were once, for whoever loses them. */
struct sim_backup {
    int64_t register_step, vault_step; /* when they are taken */
    bool register_taken, vault_taken;
    struct sim_rows rows;
    struct sim_marks mirror, anchors;
    int64_t sequence, floor, dropped_below, counter;
    size_t fate_count;
    struct memory_vault vault;
};
/* A transaction of one producer. */
struct sim_transaction {
    bool open;
    int64_t began_step;
    LIST(struct sim_published) sent;
    struct sim_marks marks;
};

/* A ring out of which the vault has taken keys. */
struct sim_destroyed {
    struct text person;
    int64_t generation, step;
};
/* A cell or body as it was written, into rows, logs and backups that nobody ever takes back. */
struct sim_written {
    struct seal_place place;
    struct text person, sealed;
    int64_t generation;
    enum category category;
    bool transit;
};

/* ---- processes ---- */

enum strike {
    STRIKE_NONE,
    STRIKE_AWAY,      /* the call fails, without effect; the connection is gone */
    STRIKE_LOST,      /* it takes effect, but nobody hears of it; the connection is gone */
    STRIKE_CONTENDED, /* refused: a deadlock or the like */
    STRIKE_DEATH,     /* it takes effect, then the process is no more */
};

struct process {
    struct sim *sim;
    unsigned slot;
    ucontext_t context; /* for its beginning */
    char *stack;
    jmp_buf goes_on;
    bool begun, dead;
    bool ended; /* by itself: err says why */
    struct err err;
    int64_t wake_us; /* sleeps until then */
    int64_t thaw_us; /* stopped until then */
    struct process *next;
    struct sim_session session;
    /* a worker's */
    struct sim_client client;
    struct keyring *keyring;
    struct consumer consumer;
    struct remember_list remembered[3]; /* as it compares topic, vault and register */
    struct mend *mend;                  /* it is no worker, but reconciles */
    char owner[16];
    /* a relay's */
    struct relay relay;
    struct unseal unseal;
    struct arena asked_arena;
    struct relay_rows asked;
    bool producing;
    int64_t producer_epoch;
    struct sim_transaction transaction;
};

/* How often a check had something to look at, or what is rare struck. */
enum judged {
    JUDGED_STATE,       /* whole registers, against the reference */
    JUDGED_LASTING,     /* what lasts of restored ones */
    JUDGED_PERMISSIONS, /* last records */
    JUDGED_TOLD,        /* what recipients hold in the end */
    JUDGED_DISCLOSED,   /* disclosures of shipments, when they are written */
    JUDGED_CORRECTED,
    JUDGED_LETTERS,   /* likewise of mail houses, corrected or not */
    JUDGED_FORGOTTEN, /* disclosures of persons who are erased in the end */
    JUDGED_SEALED,    /* cells and bodies that were ever written, whether they open */
    JUDGED_REPLAYED,
    JUDGED_EXPIRED,
    JUDGED_TIES,
    JUDGED_REFUSED,
    JUDGED_DENIED,
    JUDGED
};

struct sim {
    struct sim_options options;
    struct draw schedule, faults;
    struct story story;
    const struct policy *policy;
    int64_t now_us, steps;
    unsigned judged[JUDGED];
    /* how this seed goes */
    unsigned workers, relays;
    unsigned switch_per_mille, fault_per_mille, death_per_mille;
    size_t batch_records, cache_rings;
    int32_t batch_outputs;
    int64_t partition_size; /* rows in a partition of the outbox */
    unsigned fault_count, fault_limit;
    /* input */
    size_t published, publishes; /* how much of the story, and how much of it is to be */
    struct sim_partition partitions[SIM_PARTITIONS];
    size_t partition_count;
    /* register */
    struct memory_register memory;
    LIST(struct sim_output) outputs;
    int64_t sequence, xid;
    unsigned refuses; /* the number of the event that the database takes nothing of; UINT_MAX: none */
    struct sim_doubt doubt;
    struct process *calendar, *relaying; /* who has those locks */
    struct sim_marks mirror, anchors;
    int64_t floor, dropped_below;
    LIST(struct relay_row) fates;  /* publication: seq and fate */
    int64_t counter;               /* what it knows of the vault's */
    LIST(struct output_id) before; /* published before it was restored */
    /* vault */
    struct memory_vault vault;
    LIST(struct sim_destroyed) destroyed;
    LIST(struct sim_written) written;
    /* output */
    LIST(struct sim_published) log;
    struct sim_marks positions;
    const char *denied; /* nobody may write this topic, until then; NULL: none */
    int64_t denied_until_us;
    int64_t producer_epoch;
    struct process *in_doubt; /* its transaction's end may still come */
    /* processes */
    jmp_buf scheduler;
    struct process *at[SIM_SLOTS];
    int64_t start_us[SIM_SLOTS]; /* of an empty slot */
    struct process *graveyard;
    struct process *running;
    /* what is restored, and what was lost by it */
    struct sim_backup backup;
    bool restores_register, restores_vault;
    bool restored, lost_keys;
    bool mending; /* slot 0 is `restore reconcile` */
    int64_t restored_us;
    /* what is wrong; "" = nothing yet */
    char wrong[4096];
};

extern const uint8_t sim_kek[32], sim_digest_key[32];
extern const struct ref_key sim_ref_key;
extern uint8_t sim_lookup_key[32];
#define SIM_VAULT_ID "vault"
#define SIM_REFUSED "22P05" /* the state in which the database refuses */

/* The first thing that is wrong counts. */
void sim_wrong(struct sim *sim, const char *format, ...) PRINTF_LIKE(2, 3);
void sim_tell(const struct sim *sim, const char *format, ...) PRINTF_LIKE(2, 3);
/* Everything, in the sim's arena. */
struct text sim_keep(struct sim *sim, struct text text);

/* ---- process.c: coroutines ---- */

/* Starts whoever waits to be started, lets processes run and publishes the story, until done() or something
 * is wrong. */
void process_run_all(struct sim *sim, bool done(const struct sim *sim));
/* A call of the running process to a server: others may run before it. May not return. name: what is called.
 */
enum strike process_call(struct process *process, const char *name);
void process_sleep(struct process *process, int64_t sleep_us);
_Noreturn void process_die(struct process *process);
_Noreturn void process_end(struct process *process);
/* Ends all of them at once, as if their machines lost power. */
void process_kill_all(struct sim *sim);
/* Frees what is dead. */
void process_bury(struct sim *sim);
void process_start_later(struct sim *sim, unsigned slot, int64_t delay_us);
extern const struct clock_ops process_clock;

/* ---- topics.c: the consumers' side of Kafka ---- */

extern const struct topic_ops topics_ops;
void topics_begin(struct sim *sim);
void topics_publish(struct sim *sim);
/* Deals the partitions out among the workers that are there. */
void topics_rebalance(struct sim *sim);
/* A new process of that slot joins as the same static member. */
void topics_join(struct sim *sim, unsigned slot);
bool topics_read(const struct sim *sim);

/* ---- register.c ---- */

extern const struct register_ops session_ops;
extern const struct erase_ops session_erase_ops; /* erasures.c */
void session_break(struct process *process);
/* Between the two files. */
enum outcome session_begin(struct process *process, const char *name, enum strike *strike, struct err *err);
enum outcome session_answer(struct process *process, enum strike strike, struct err *err);
void session_settle_doubt(struct sim *sim);
void session_save_rows(struct sim *sim, struct sim_rows *rows);
void session_load_rows(struct sim *sim, const struct sim_rows *rows);
bool session_idle(const struct sim *sim);

/* ---- keys.c: the vault ---- */

extern const struct vault_ops keys_ops;
enum outcome keys_open(void *process, struct err *err);
extern const struct unseal_ops keys_unseal_ops;

/* ---- outputs.c: the outbox and Kafka as the relay meets them ---- */

extern const struct outbox_ops outputs_ops;
extern const struct publish_ops outputs_publish_ops; /* publish.c */
const struct sim_output *outputs_find(const struct sim *sim, int64_t seq);
enum relay_fate outputs_fate(const struct sim *sim, int64_t seq);
bool outputs_relayed(const struct sim *sim);
void marks_put(struct sim_marks *marks, const struct relay_mark *mark);
const struct relay_mark *marks_find(const struct sim_marks *marks, struct text topic);
void publish_fence(struct process *process);

/* ---- remembered.c: erasures, in topic, vault and register ---- */

/* As remember_compare, by the running process, which may be struck at each of the three; NULL: by nobody. */
enum outcome remembered_compare(struct sim *sim, struct process *process, struct remember_sum *sum,
                                remember_reader *reader, void *context, struct err *err);
void remembered_release(struct process *process);
/* What must hold before a worker starts; only after a restore may it refuse. */
void remembered_start(struct process *process);

/* ---- restore.c, mend.c ---- */

/* How this seed loses its register or vault, if it does. */
void restore_draw(struct sim *sim);
/* Takes what is due. */
void restore_back_up(struct sim *sim);
/* All stopped and back from the backups: what is wrong with them, put right. */
void restore_run(struct sim *sim);
void restore_release(struct sim *sim);
/* `restore reconcile`, as a process. */
void mend_run(struct process *process);
void mend_release(struct process *process);

/* ---- reference.c, told.c ---- */

/* The same records folded in another order, without anything that breaks. */
struct reference {
    struct text dump;
    struct text dead_letters, parked, told, permissions;
};
void reference_make(struct sim *sim, bool expired, struct reference *reference, struct arena *arena);
/* What each recipient holds at the end. */
struct told_output {
    struct text recipient, person, customer_id, shipment_id, body;
    int64_t generation;
    const char *type;
    bool withheld; /* decided, and never published */
};
struct text told_fold(struct sim *sim, const struct told_output *outputs, size_t count, struct arena *arena);
/* The last permission record of each customer, a line each, sorted. */
struct told_record {
    struct text topic, key, body;
};
struct text told_permissions(const struct told_record *records, size_t count, struct arena *arena);

/* ---- seed.c ---- */

void seed_setup(void);
/* Runs one seed; false: sim->wrong says what. */
bool seed_run(struct sim *sim, const struct sim_options *options);
const struct policy *seed_policy(unsigned number);
struct fold;
struct fold *seed_fold(void);
struct decoder *seed_decoder(unsigned number);

#endif
