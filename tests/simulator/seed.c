/* One seed from its beginning to its end. */
#include "consumer/command.h"
#include "consumer/decode.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/ready.h"
#include "tests/simulator/check.h"
#include "tests/unit/fold.h"

#include <assert.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MONTH_US (INT64_C(31) * 86400 * 1000000)

const uint8_t sim_kek[32] = {1}, sim_digest_key[32] = {2};
const struct ref_key sim_ref_key = {{7}};
uint8_t sim_lookup_key[32];

static struct policy *policies[STORY_POLICIES];
static struct decoder decoders[STORY_POLICIES];
static struct fold reference_fold;

/* ---- what all seeds share ---- */

/* Replaced in Jerone's policy, to have others. */
static const struct {
    const char *what, *by;
} variants[STORY_POLICIES][4] = {
    {{0}},
    {{"\"soft_opt_in\": false, \"confirm\": \"double_opt_in\"",
      "\"soft_opt_in\": true, \"confirm\": \"none\""},
     {"\"bases\": [\"consent\"]", "\"bases\": [\"consent\", \"soft_opt_in\"]"},
     {"\"from\": [\"registration_form\", \"account_page\"]",
      "\"from\": [\"registration_form\", \"account_page\", \"checkout\"]"}},
    {{"\"clock\": \"last_delivered\", \"term\": \"P3M\", \"fallback\": {\"clock\": \"recorded\", \"term\": "
      "\"P6M\"}",
      "\"clock\": \"last_delivered\", \"term\": \"P1Y\", \"fallback\": {\"clock\": \"recorded\", \"term\": "
      "\"P2Y\"}"},
     {"\"2103\": [\"first_name\", \"last_name\", \"postcode\", \"city\", \"phone\", \"pickup_point\"]",
      "\"2103\": [\"first_name\", \"email\", \"street\"]"}},
    {{"\"channels\": [\"email\"]", "\"channels\": [\"email\", \"sms\"]"},
     {"\"clock\": \"last_activity\", \"term\": \"P2Y\"", "\"clock\": \"last_activity\", \"term\": \"P3M\""}},
    {{"\"countries\": [\"FI\", \"SE\", \"EE\"]", "\"countries\": [\"FI\"]"},
     {"\"clock\": \"consent_ended\", \"term\": \"P3Y\"", "\"clock\": \"consent_ended\", \"term\": \"P1M\""}}};

static void complain(void *context, const char *path, const char *message) {
    (void)context;
    fprintf(stderr, "policy: %s: %s\n", path, message);
}

static void replace(char *text, size_t room, const char *what, const char *by) {
    char *found = strstr(text, what);
    if (!found) {
        fprintf(stderr, "the policy does not say %s\n", what);
        exit(2);
    }
    size_t rest = strlen(found + strlen(what)) + 1;
    assert((size_t)(found - text) + strlen(by) + rest <= room);
    memmove(found + strlen(by), found + strlen(what), rest);
    memcpy(found, by, strlen(by));
}

static struct policy *make_policy(unsigned number) {
    static char text[65536];
    struct err err;
    FILE *file = fopen(SOURCE_DIR "/schema/policy/jerone.json", "re");
    size_t size = file ? fread(text, 1, sizeof text - 4096, file) : 0;
    assert(size && size < sizeof text - 4096);
    text[size] = '\0';
    (void)fclose(file);
    for (size_t i = 0; i < 4 && variants[number][i].what; i++)
        replace(text, sizeof text, variants[number][i].what, variants[number][i].by);
    return policy_parse(text_of(text), complain, NULL, &err);
}

void seed_setup(void) {
    struct err err;
    draw_replace_sodium();
    draw_seed_sodium(0);
    log_to(open("/dev/null", O_WRONLY | O_CLOEXEC));
    log_set_level(LOG_ERROR);
    metrics_init(METRICS_PRODUCER, "simulated");
    ready_init(1);
    lookup_key_derive(sim_digest_key, sim_lookup_key);
    if (seal_start(&err) != OK)
        exit(2);
    for (unsigned i = 0; i < STORY_POLICIES; i++) {
        policies[i] = make_policy(i);
        if (!policies[i] || decoder_init(&decoders[i], policies[i], sim_digest_key) != OK)
            exit(2);
    }
    fold_init(&reference_fold);
    policy_free(reference_fold.policy);
}

struct fold *seed_fold(void) {
    return &reference_fold;
}
struct decoder *seed_decoder(unsigned number) {
    return &decoders[number];
}

/* ---- saying ---- */

void sim_wrong(struct sim *sim, const char *format, ...) {
    va_list arguments;
    if (sim->wrong[0])
        return;
    va_start(arguments, format);
    vsnprintf(sim->wrong, sizeof sim->wrong, format, arguments);
    va_end(arguments);
}

void sim_tell(const struct sim *sim, const char *format, ...) {
    va_list arguments;
    if (!sim->options.tells)
        return;
    va_start(arguments, format);
    printf("%12.6f ", (double)(sim->now_us - STORY_NOW_US) / 1e6);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

struct text sim_keep(struct sim *sim, struct text text) {
    struct text kept = arena_text(&sim->memory.kept, text);
    assert(text_present(kept) == text_present(text));
    return kept;
}

/* ---- a world ---- */

/* A new output of the register's. */
static void keep_output(void *context, const struct write_output *written, int64_t seq) {
    struct sim *sim = context;
    struct sim_output *to = ARENA_PUSH(&sim->memory.kept, &sim->outputs);
    assert(to);
    *to = (struct sim_output){.seq = seq,
                              .decided_us = written->decided_us,
                              .output = *written->at,
                              .headers = sim_keep(sim, written->headers)};
    memcpy(to->row_id, written->row_id, ROW_ID_BYTES);
    sim_tell(sim, "  decided %lld: %s %.*s %.*s", (long long)seq, written->at->type,
             TEXT_ARGS(written->at->topic), TEXT_ARGS(written->at->body));
    struct output *output = &to->output;
    struct text *texts[] = {&output->topic,       &output->key,           &output->body,
                            &output->person,      &output->subject,       &output->recipient,
                            &output->customer_id, &output->shipment_id,   &output->service,
                            &output->role,        &output->disclosure_ref};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = sim_keep(sim, *texts[i]);
}

/* As a consumer's start does. */
static void provide_commands(struct sim *sim) {
    struct keyring *keyring = keyring_new(&memory_vault_ops, &sim->vault, sim_kek, SIM_VAULT_ID, 1, 60);
    struct err err;
    if (!keyring || command_provide(keyring, &sim->memory.kept, 0, &err) != OK)
        abort();
    keyring_free(keyring);
}

/* Somebody takes the relay's right to an output topic away, for a while. */
static void draw_denied(struct sim *sim) {
    static const char *const topics[] = {"disclosure.matkahuolto.v1",        "disclosure.posti.v1",
                                         "disclosure.letterhouse.v1",        "register.request.v1",
                                         "register.marketing-permission.v1", "register.erasure.v1"};
    struct draw draw = draw_begin(sim->options.seed, DRAW_DENIED);
    if (!draw_chance(&draw, 60))
        return;
    sim->denied = topics[draw_below(&draw, sizeof topics / sizeof *topics)];
    sim->denied_until_us = sim->now_us + draw_below(&draw, 30) * INT64_C(1000000);
}

static void begin(struct sim *sim, const struct sim_options *options) {
    static const size_t batches[] = {1, 2, 3, 100}, caches[] = {1, 2, 100};
    static const int32_t outputs[] = {1, 2, 5, 100};
    static const unsigned switches[] = {30, 150, 400, 1000}, faults[] = {0, 3, 8, 25};
    *sim = (struct sim){.options = *options,
                        .schedule = draw_begin(options->seed, DRAW_SCHEDULE),
                        .faults = draw_begin(options->seed, DRAW_FAULTS),
                        .now_us = STORY_NOW_US};
    struct draw *draw = &sim->schedule;
    draw_seed_sodium(options->seed);
    memory_register_init(&sim->memory);
    memory_vault_init(&sim->vault);
    sim->memory.tell = keep_output;
    sim->memory.tell_context = sim;
    story_draw(&sim->story, options->seed, &sim_ref_key, &sim->memory.kept);
    sim->policy = policies[sim->story.policy];
    sim->workers = 1 + draw_chance(draw, 500) + draw_chance(draw, 100);
    sim->relays = 1 + draw_chance(draw, 300);
    sim->switch_per_mille = switches[draw_below(draw, 4)];
    sim->fault_per_mille = faults[draw_below(draw, 4)];
    sim->fault_limit = 1 + draw_below(draw, 8);
    sim->batch_records = batches[draw_below(draw, 4)];
    sim->cache_rings = caches[draw_below(draw, 3)];
    sim->batch_outputs = outputs[draw_below(draw, 4)];
    sim->partition_size = 2 + draw_below(draw, 8);
    for (unsigned slot = 0; slot < SIM_SLOTS; slot++) {
        bool there = slot < SIM_WORKERS ? slot < sim->workers : slot - SIM_WORKERS < sim->relays;
        sim->start_us[slot] = there ? sim->now_us + draw_below(draw, 3) * 1000 : INT64_MAX;
    }
    sim->publishes = sim->story.count;
    draw_denied(sim);
    struct draw refused = draw_begin(options->seed, DRAW_REFUSED);
    sim->refuses = draw_chance(&refused, 60) ? draw_below(&refused, (unsigned)sim->story.count) : UINT_MAX;
    if (sim->story.ties)
        provide_commands(sim);
    topics_begin(sim);
}

static void end(struct sim *sim) {
    process_kill_all(sim);
    process_bury(sim);
    restore_release(sim);
    memory_vault_release(&sim->vault);
    memory_register_release(&sim->memory);
}

static bool is_at_rest(const struct sim *sim) {
    return topics_read(sim) && session_idle(sim) && outputs_relayed(sim);
}

static bool is_expired(const struct sim *sim) {
    return (!sim->memory.parked.count || sim->lost_keys) && is_at_rest(sim); /* or it does not open */
}

/* An operator has everything read again, the daemons stopped; nothing changes, and nothing goes out. */
static void replay(struct sim *sim, bool expired, struct arena *arena) {
    struct text before = check_dump(sim, arena);
    size_t outputs = sim->outputs.count;
    process_kill_all(sim);
    for (size_t i = 1; i < sim->memory.positions.count; i++) {
        struct claimed *row = &sim->memory.positions.at[i].row;
        row->next = 0;
        row->epoch += row->epoch > 0; /* a partition that nobody has claimed yet has no position */
        row->fingerprint.offset = -1;
    }
    for (unsigned slot = 0; slot < SIM_SLOTS; slot++)
        if (slot < sim->workers || (slot >= SIM_WORKERS && slot - SIM_WORKERS < sim->relays))
            process_start_later(sim, slot, 1000);
    sim_tell(sim, "everything is read again");
    process_run_all(sim, expired ? is_expired : is_at_rest);
    if (sim->wrong[0])
        return;
    sim->judged[JUDGED_REPLAYED]++;
    struct text after = check_dump(sim, arena);
    if (!text_equal(before, after))
        sim_wrong(sim, "a replay changes the register:\n%.*s  instead of\n%.*s", TEXT_ARGS(after),
                  TEXT_ARGS(before));
    if (sim->outputs.count != outputs)
        sim_wrong(sim, "a replay gives %zu new outputs, the first a %s", sim->outputs.count - outputs,
                  sim->outputs.at[outputs].output.type);
}

bool seed_run(struct sim *sim, const struct sim_options *options) {
    static struct arena arena;
    if (!arena.limit_bytes)
        arena_init(&arena, (size_t)1 << 28);
    begin(sim, options);
    bool expires = draw_chance(&sim->schedule, 100), replays = draw_chance(&sim->schedule, 100);
    if (draw_chance(&sim->schedule, 80) || options->restores)
        restore_draw(sim);
    process_run_all(sim, is_at_rest);
    if ((sim->restores_register || sim->restores_vault) && !sim->wrong[0]) {
        restore_run(sim);
        process_run_all(sim, is_at_rest);
    }
    if (expires && !sim->wrong[0]) {
        sim->now_us += MONTH_US;
        process_run_all(sim, is_expired);
    }
    /* what a restore had dropped of a delivery may come in when its parcel has become another's since */
    if (replays && !sim->restored && !sim->wrong[0])
        replay(sim, expires, &arena);
    if (!sim->wrong[0])
        check_end(sim, expires, &arena);
    bool fine = !sim->wrong[0];
    end(sim);
    arena_reset(&arena);
    return fine;
}
