/* All interleavings of up to seven events of one customer (nasty 26): every triple of types stands together
 * in some set of seven, every pair of the catalogue's events in some set of seven or six. Each set is tried
 * in all orders that keep the order of the partitions, one event at a time and in batches (SPEC section 5: S,
 * O1, O3, O4, and a silent replay).
 *
 * Given --rounds N [--first ROUND] it runs a campaign instead: every triple of events, under other policies
 * and in other orders of publication from round to round. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/catalogue.h"
#include "tests/unit/covering.h"
#include "tests/unit/marketing_trial.h"
#include "tests/unit/permute.h"
#include "tests/unit/trial.h"

#define SET 7
static struct fold fold;
static struct covering covering;
static unsigned long rounds, first_round; /* of a campaign */
/* What was done; children of a campaign write it, too. */
struct tally {
    unsigned long sets, orders, folds, failed;
};
static struct tally *tally;

/* ---- one set ---- */

struct set {
    struct trial trial;
    unsigned long orders;
};

/* Each order one event at a time, and every eighth in batches as well. */
static void try_order(void *context, const size_t *order, size_t count) {
    struct set *set = context;
    set->trial.batch = 1;
    trial_order(&set->trial, order, count);
    if (set->orders++ % 8)
        return;
    set->trial.batch = 2 + set->orders / 8 % (count - 1);
    trial_order(&set->trial, order, count);
}

/* Chains are numbered by their first events. */
static void chains_of(const struct event *events, size_t count, size_t *chain) {
    for (size_t i = 0; i < count; i++) {
        chain[i] = i;
        for (size_t j = 0; j < i; j++) {
            if (catalogue_one_partition(&events[i], &events[j]))
                chain[i] = chain[j];
        }
    }
}

static void try_set(struct event *events, size_t count) {
    struct set set = {.trial = {.fold = &fold, .events = events}};
    size_t chain[SET];
    catalogue_answers(&fold, events, count);
    chains_of(events, count, chain);
    arena_init(&set.trial.arena, 1 << 22);
    permute_chains(chain, count, try_order, &set);
    arena_release(&set.trial.arena);
    assert_true(set.orders == permute_chains_count(chain, count));
    assert_true(set.trial.orders > set.orders); /* none was passed over */
    tally->sets++;
    tally->orders += set.orders;
    tally->folds += set.trial.orders;
}

/* In a child, so that a set that fails says so and the campaign goes on. */
static void try_set_apart(struct event *events, size_t count) {
    int status;
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        try_set(events, count);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    tally->failed++;
    (void)printf("# failed:");
    for (size_t i = 0; i < count; i++)
        (void)printf(" %.*s", TEXT_ARGS(events[i].version.id));
    (void)printf("\n");
}

/* ---- all sets ---- */

/* Under a sanitizer, where all of it takes long, only some sets are tried. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define EVERY 24
#else
#define EVERY 1
#endif

static void say_progress(size_t sets) {
    (void)printf("# ... %zu sets, %lu orders\n", sets, tally->orders);
    (void)fflush(stdout);
}

static void try_sets(const struct event *all, size_t count, bool triples, size_t shift) {
    unsigned kind[CATALOGUE_MOST];
    size_t block[SET], size;
    struct event events[SET];
    for (size_t i = 0; i < count; i++)
        kind[i] = all[i].type;
    covering.count = count;
    covering.kind = kind;
    covering.shift = shift;
    covering.triples = triples;
    covering.block = SET;
    covering.later_block = triples ? SET : SET - 1;
    covering_begin(&covering);
    for (size_t b = 0; (size = covering_next(&covering, block)); b++) {
        if (b % EVERY)
            continue;
        for (size_t i = 0; i < size; i++)
            events[i] = all[block[i]];
        if (rounds)
            try_set_apart(events, size);
        else
            try_set(events, size);
        if (rounds && b % 200 == 199)
            say_progress(b + 1);
    }
}

/* What was done since the last time. */
static void say(const char *what, time_t began) {
    (void)printf("# %s: %lu sets, %lu orders, %lu folds, %lu sets failed, %.0f s\n", what, tally->sets,
                 tally->orders, tally->folds, tally->failed, difftime(time(NULL), began));
    (void)fflush(stdout);
    *tally = (struct tally){0};
}

static void every_pair_in_all_orders(void **state) {
    (void)state;
    struct event all[CATALOGUE_MOST];
    time_t began = time(NULL);
    size_t count = catalogue_events(&fold, all);
    try_sets(all, count, false, 0);
    say("every pair of events", began);
}

/* ---- chosen sets ---- */

/* Where much hangs together, by the events' ids. */
static const char *const chosen[][SET] = {
    {"k1", "o6", "s6", "m6", "q1", "k9", "d6"}, /* all at the instant of the cut */
    {"k1", "k5", "k7", "ka", "kd", "q3", "q4"}, /* lives that were closed, and erased */
    {"k1", "s2", "s8", "q1", "d2", "d5", "a1"}, /* another carrier across the cut */
    {"s2", "s9", "sd", "q1", "q6", "d5", "a3"}, /* another consignee, and back */
    {"k1", "ka", "m2", "m8", "ma", "q1", "a4"}, /* letters of two lives, and the first one's token */
    {"k1", "k5", "x1", "m2", "mb", "q1", "a4"}, /* closed, erased, and a stranger at the address */
    {"k1", "kc", "x1", "m2", "m9", "mc", "x4"}, /* two who object, one address */
    {"k1", "s5", "q7", "q8", "q9", "qa", "d8"}, /* a case tied twice */
    {"s5", "sb", "q1", "q6", "d7", "d8", "a1"}, /* a gift that becomes his own */
    {"o1", "o2", "o7", "o4", "o8", "s6", "q1"}, /* paid before and after the cut, to Sweden */
    {"k1", "s2", "s7", "sa", "q1", "da", "d4"}, /* a return, a cancel, a parcel that is none */
    {"s5", "sb", "sc", "qb", "qc", "d9", "a2"}, /* the consignee's requests */
    {"k1", "ka", "s4", "m8", "q1", "q2", "d1"}, /* asked twice under one id */
    {"s2", "s3", "s4", "sd", "q1", "d1", "d2"}, /* services and parcels, while it waits */
};

static const struct event *by_id(const struct event *all, size_t count, const char *id) {
    for (size_t i = 0; i < count; i++) {
        if (text_is(all[i].version.id, id))
            return &all[i];
    }
    fail_msg("the catalogue has no %s", id);
    return NULL;
}

static void chosen_in_all_orders(void **state) {
    (void)state;
    struct event all[CATALOGUE_MOST], events[SET];
    time_t began = time(NULL);
    size_t count = catalogue_events(&fold, all);
    for (size_t set = 0; set < sizeof(chosen) / sizeof(chosen[0]); set += EVERY) {
        for (size_t i = 0; i < SET; i++)
            events[i] = *by_id(all, count, chosen[set][i]);
        try_set(events, SET);
    }
    say("chosen sets", began);
}

/* ---- the campaign ---- */

/* A customer's changed, seen or closed is published after every registered of the same or an earlier time. */
static bool publishable(const struct event *first, const struct event *second) {
    bool leans =
        first->type == CUSTOMER_CHANGED || first->type == CUSTOMER_SEEN || first->type == CUSTOMER_CLOSED;
    return !leans || second->type != CUSTOMER_REGISTERED ||
           !text_equal(first->customer_id, second->customer_id) ||
           second->version.time_us > first->version.time_us;
}

/* Another order of publication, as far as a shop may: random swaps of neighbours. */
static void republish(struct event *all, size_t count, uint64_t *seed) {
    for (size_t i = 0; i < count * count; i++) {
        size_t at = permute_random(seed) % (count - 1);
        if (!publishable(&all[at + 1], &all[at]))
            continue;
        struct event kept = all[at];
        all[at] = all[at + 1];
        all[at + 1] = kept;
    }
}

/* Policies that a shop may write. */
static const char *choose_policy(unsigned long round) {
    static const char *const names[] = {"delivery waits", "delivery goes at once", "delivery is kept",
                                        "soft opt-ins count"};
    struct policy_category *delivery = &fold.policy->categories[CATEGORY_DELIVERY];
    struct policy_marketing *marketing = &fold.policy->marketing[0];
    unsigned long policy = round % 4;
    delivery->on_request = policy == 1   ? ON_REQUEST_ERASE
                           : policy == 2 ? ON_REQUEST_KEEP
                                         : ON_REQUEST_WAIT_PARCELS;
    if (policy == 2)
        delivery->ground = TEXT("17(3)(e)");
    marketing->soft_opt_in = policy == 3;
    marketing->double_opt_in = policy != 3;
    marketing->bases[1] = TEXT("soft_opt_in");
    marketing->basis_count = policy == 3 ? 2 : 1;
    marketing->from[2] = TEXT("checkout");
    marketing->from_count = policy == 3 ? 3 : 2;
    return names[policy];
}

static void every_triple_in_all_orders(void **state) {
    (void)state;
    struct event catalogue[CATALOGUE_MOST], all[CATALOGUE_MOST];
    size_t count = catalogue_events(&fold, catalogue);
    unsigned long failed = 0;
    for (unsigned long round = first_round; round < first_round + rounds; round++) {
        uint64_t seed = UINT64_C(20261126) + round;
        time_t began = time(NULL);
        char what[80];
        memcpy(all, catalogue, sizeof(all));
        if (round >= 4)
            republish(all, count, &seed);
        (void)snprintf(what, sizeof(what), "round %lu, %s", round, choose_policy(round));
        try_sets(all, count, true, permute_random(&seed) % count);
        failed += tally->failed;
        say(what, began);
    }
    assert_int_equal(failed, 0);
}

static unsigned long number(const char *text) {
    char *end;
    unsigned long value = text ? strtoul(text, &end, 10) : 0;
    return text && *text && !*end ? value : 0;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(chosen_in_all_orders, trial_explain),
        cmocka_unit_test_teardown(every_pair_in_all_orders, trial_explain),
    };
    const struct CMUnitTest campaigns[] = {
        cmocka_unit_test_teardown(every_triple_in_all_orders, trial_explain),
    };
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--rounds") == 0)
            rounds = number(argv[i + 1]);
        else if (strcmp(argv[i], "--first") == 0)
            first_round = number(argv[i + 1]);
    }
    tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED)
        return 1;
    marketing_begin(&fold);
    int failed =
        rounds ? cmocka_run_group_tests(campaigns, NULL, NULL) : cmocka_run_group_tests(tests, NULL, NULL);
    fold_release(&fold);
    return failed;
}
