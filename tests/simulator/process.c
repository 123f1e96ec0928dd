/* Processes as coroutines over one virtual clock, and what befalls them. */
#undef _FORTIFY_SOURCE /* its longjmp knows one stack only */
#include "tests/simulator/sim.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define STACK_BYTES ((size_t)256 << 10)
#define SECOND_US INT64_C(1000000)

/* ---- stacks and ends ---- */

struct stack {
    struct stack *next;
};
static struct stack *spare;

static char *stack_take(void) {
    struct stack *taken = spare;
    if (!taken)
        taken = malloc(STACK_BYTES);
    else
        spare = taken->next;
    assert(taken);
    return (char *)taken;
}

static void stack_give(char *stack) {
    struct stack *given = (struct stack *)stack;
    given->next = spare;
    spare = given;
}

/* Not swapcontext: it saves the signal mask each time, two system calls, and nobody here has one. */
static void to_scheduler(struct process *process) {
    process->sim->running = NULL;
    if (!_setjmp(process->goes_on))
        _longjmp(process->sim->scheduler, 1);
}

static bool is_worker(const struct process *process) {
    return process->slot < SIM_WORKERS;
}

void process_start_later(struct sim *sim, unsigned slot, int64_t delay_us) {
    sim->start_us[slot] = sim->now_us + delay_us;
}

/* Nothing of it is left but what it had sent. */
static void take_down(struct process *process) {
    struct sim *sim = process->sim;
    session_break(process);
    process->dead = true;
    process->next = sim->graveyard;
    sim->graveyard = process;
    sim->at[process->slot] = NULL;
}

_Noreturn void process_die(struct process *process) {
    struct sim *sim = process->sim;
    sim_tell(sim, "%s dies", process->owner);
    take_down(process);
    process_start_later(sim, process->slot, draw_below(&sim->faults, 3) * SECOND_US);
    if (is_worker(process) && draw_chance(&sim->faults, 500))
        topics_rebalance(sim);
    to_scheduler(process);
    abort();
}

/* It is through, and nobody starts it again. */
_Noreturn void process_end(struct process *process) {
    sim_tell(process->sim, "%s ends", process->owner);
    take_down(process);
    to_scheduler(process);
    abort();
}

void process_kill_all(struct sim *sim) {
    for (unsigned slot = 0; slot < SIM_SLOTS; slot++) {
        sim->start_us[slot] = INT64_MAX;
        if (sim->at[slot])
            take_down(sim->at[slot]);
    }
}

void process_bury(struct sim *sim) {
    while (sim->graveyard) {
        struct process *process = sim->graveyard;
        sim->graveyard = process->next;
        if (process->mend) {
            mend_release(process);
        } else if (is_worker(process)) {
            consumer_release(&process->consumer);
        } else {
            relay_release(&process->relay);
            arena_release(&process->asked_arena);
        }
        keyring_free(process->keyring);
        remembered_release(process);
        stack_give(process->stack);
        free(process);
    }
}

/* ---- the clock ---- */

static int64_t clock_look(void *context) {
    struct process *process = context;
    return process->sim->now_us += 1;
}

void process_sleep(struct process *process, int64_t sleep_us) {
    process->wake_us = process->sim->now_us + (sleep_us > 0 ? sleep_us : 0);
    to_scheduler(process);
}

static bool clock_sleep(void *context, int64_t sleep_us) {
    process_sleep(context, sleep_us);
    return true;
}

const struct clock_ops process_clock = {clock_look, clock_look, clock_sleep};

/* ---- the two programs ---- */

static void run_worker(struct process *process) {
    struct sim *sim = process->sim;
    remembered_start(process);
    process->keyring = keyring_new(&keys_ops, process, sim_kek, SIM_VAULT_ID, sim->cache_rings, 60);
    assert(process->keyring);
    struct consume_setup setup = {.topic_ops = &topics_ops,
                                  .topics = process,
                                  .reg_ops = &session_ops,
                                  .reg = process,
                                  .erase_ops = &session_erase_ops,
                                  .clock = &process_clock,
                                  .clock_context = process,
                                  .keyring = process->keyring,
                                  .vault_open = keys_open,
                                  .vault = process,
                                  .policy = sim->policy,
                                  .ref_key = &sim_ref_key,
                                  .digest_key = sim_digest_key,
                                  .owner = text_of(process->owner),
                                  .orphan_tombstones = sim->restored,
                                  .restored_us = sim->restored_us,
                                  .batch_records = sim->batch_records,
                                  .batch_bytes = 1 << 20,
                                  .arena_bytes = 1 << 24};
    if (consumer_init(&process->consumer, &setup, &process->err) != OK)
        abort();
    while (consume_turn(&process->consumer, 1000, &process->err) == OK)
        ;
}

static void run_relay(struct process *process) {
    struct sim *sim = process->sim;
    const struct relay_config config = {.batch_outputs = sim->batch_outputs,
                                        .batch_bytes = 1 << 16,
                                        .poll_us = SECOND_US / 5,
                                        .horizon_alarm_us = 10 * SECOND_US};
    process->relay = (struct relay){.clock_ops = &process_clock,
                                    .clock = process,
                                    .outbox_ops = &outputs_ops,
                                    .outbox = process,
                                    .unseal_ops = &keys_unseal_ops,
                                    .unseal = process,
                                    .publish_ops = &outputs_publish_ops,
                                    .publish = process};
    arena_init(&process->asked_arena, 1 << 24);
    if (relay_init(&process->relay, &config, &process->err) != OK)
        abort();
    if (relay_run(&process->relay, &process->err) == OK)
        err_set(&process->err, OK, 0, "as if it had been asked to");
}

static void run(unsigned high, unsigned low) {
    struct process *process = (struct process *)(uintptr_t)((uint64_t)high << 32 | low);
    if (process->slot == 0 && process->sim->mending)
        mend_run(process);
    else if (is_worker(process))
        run_worker(process);
    else
        run_relay(process);
    sim_wrong(process->sim, "%s ended by itself: %s", process->owner, process->err.text);
    to_scheduler(process);
    abort();
}

static void begin(struct sim *sim, unsigned slot) {
    struct process *process = calloc(1, sizeof *process);
    assert(process);
    process->sim = sim;
    process->slot = slot;
    process->stack = stack_take();
    snprintf(process->owner, sizeof process->owner, "%s/%u", slot < SIM_WORKERS ? "worker" : "relay", slot);
    sim->at[slot] = process;
    sim->start_us[slot] = INT64_MAX;
    (void)getcontext(&process->context);
    process->context.uc_stack = (stack_t){.ss_sp = process->stack, .ss_size = STACK_BYTES};
    process->context.uc_link = NULL;
    uint64_t address = (uint64_t)(uintptr_t)process;
    makecontext(&process->context, (void (*)(void))run, 2, (unsigned)(address >> 32), (unsigned)address);
    sim_tell(sim, "%s starts", process->owner);
    if (is_worker(process))
        topics_join(sim, slot);
}

/* ---- what befalls a call ---- */

/* Stopped, as by SIGSTOP; the group or the servers may go on without it. */
static void freeze(struct process *process) {
    struct sim *sim = process->sim;
    process->thaw_us = sim->now_us + (1 + draw_below(&sim->faults, 200)) * SECOND_US / 10;
    bool left = draw_chance(&sim->faults, 600);
    sim_tell(sim, "%s is stopped%s", process->owner, left ? ", the others go on without it" : "");
    if (left && is_worker(process))
        topics_rebalance(sim);
    if (left && !is_worker(process))
        session_break(process); /* the server thought that it was gone */
    to_scheduler(process);
    sim_tell(sim, "%s goes on", process->owner);
    if (left && is_worker(process))
        topics_rebalance(sim);
}

static enum strike strike(struct process *process) {
    struct sim *sim = process->sim;
    if (sim->fault_count >= sim->fault_limit || !draw_chance(&sim->faults, sim->fault_per_mille))
        return STRIKE_NONE;
    unsigned kind = draw_below(&sim->faults, 100);
    if (!(sim->options.faults >> sim->fault_count++ & 1))
        return STRIKE_NONE;
    if (kind < 14)
        process_die(process);
    if (kind < 28)
        return STRIKE_DEATH;
    if (kind < 43)
        return STRIKE_AWAY;
    if (kind < 58)
        return STRIKE_LOST;
    if (kind < 70)
        return STRIKE_CONTENDED;
    if (kind < 85)
        freeze(process);
    else
        topics_rebalance(sim);
    return STRIKE_NONE;
}

enum strike process_call(struct process *process, const char *name) {
    struct sim *sim = process->sim;
    sim_tell(sim, "  %s: %s", process->owner, name);
    if (++sim->steps > SIM_STEPS_MOST)
        sim_wrong(sim, "liveness: it does not come to rest (inputs %s, erasures and the like %s, outputs %s)",
                  topics_read(sim) ? "read" : "not read", session_idle(sim) ? "done" : "not done",
                  outputs_relayed(sim) ? "relayed" : "not relayed");
    if (sim->wrong[0] || draw_chance(&sim->schedule, sim->switch_per_mille))
        to_scheduler(process);
    enum strike struck = strike(process);
    if (struck != STRIKE_NONE)
        sim_tell(sim, "%s is struck: %s", process->owner,
                 struck == STRIKE_AWAY        ? "a server is away"
                 : struck == STRIKE_LOST      ? "a reply is lost"
                 : struck == STRIKE_CONTENDED ? "contended"
                                              : "dies after the call");
    return struck;
}

/* ---- the scheduler ---- */

/* Nobody can go on: time passes. */
static void pass_time(struct sim *sim) {
    int64_t next_us = sim->doubt.open ? sim->doubt.until_us : INT64_MAX;
    for (unsigned slot = 0; slot < SIM_SLOTS; slot++) {
        const struct process *process = sim->at[slot];
        int64_t at_us = !process                              ? sim->start_us[slot]
                        : process->thaw_us > process->wake_us ? process->thaw_us
                                                              : process->wake_us;
        next_us = at_us < next_us ? at_us : next_us;
    }
    assert(next_us != INT64_MAX);
    sim->now_us = next_us > sim->now_us ? next_us : sim->now_us + 1;
}

static void resume(struct sim *sim, struct process *process) {
    sim->running = process;
    if (_setjmp(sim->scheduler))
        return;
    if (process->begun)
        _longjmp(process->goes_on, 1);
    process->begun = true;
    (void)setcontext(&process->context);
    abort();
}

void process_run_all(struct sim *sim, bool done(const struct sim *sim)) {
    while (!sim->wrong[0] && !(sim->published == sim->publishes && done(sim))) {
        struct process *ready[SIM_SLOTS];
        unsigned count = 0;
        if (sim->doubt.open && sim->now_us >= sim->doubt.until_us)
            session_settle_doubt(sim);
        if (sim->restores_register || sim->restores_vault)
            restore_back_up(sim);
        for (unsigned slot = 0; slot < SIM_SLOTS; slot++) {
            if (!sim->at[slot] && sim->start_us[slot] <= sim->now_us)
                begin(sim, slot);
            struct process *process = sim->at[slot];
            if (process && process->wake_us <= sim->now_us && process->thaw_us <= sim->now_us)
                ready[count++] = process;
        }
        if (sim->published < sim->publishes && (!count || draw_chance(&sim->schedule, 250)))
            topics_publish(sim);
        else if (count)
            resume(sim, ready[draw_below(&sim->schedule, count)]);
        else
            pass_time(sim);
    }
}
