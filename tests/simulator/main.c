/* simulate: runs seeds of the simulated world, and makes a failing one small. */
#include "core/log.h"
#include "tests/simulator/sim.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ALL UINT64_MAX
#define FAILURES_MOST 10
#define SEED_FAILED 10 /* a child's exit code; a sanitizer's are others */

static const char usage[] =
    "usage: simulate [--seeds N] [--first SEED] [--restores]\n"
    "                                                run N seeds (50000), from SEED on (1)\n"
    "       simulate --seed SEED [--restores] [--events MASK] [--faults MASK] [--tell]\n"
    "                                                run one, with some of its events and faults only\n"
    "--restores: a backup comes back in each seed, not in one of twelve\n";

static const char *const judged_names[JUDGED] = {
    [JUDGED_STATE] = "registers",
    [JUDGED_LASTING] = "restored registers",
    [JUDGED_PERMISSIONS] = "topics of permissions",
    [JUDGED_TOLD] = "recipients' streams",
    [JUDGED_DISCLOSED] = "disclosures",
    [JUDGED_CORRECTED] = "corrections",
    [JUDGED_LETTERS] = "newsletters",
    [JUDGED_FORGOTTEN] = "disclosures of erased persons",
    [JUDGED_SEALED] = "sealed bytes",
    [JUDGED_REPLAYED] = "replays",
    [JUDGED_EXPIRED] = "registers a month later",
    [JUDGED_TIES] = "cases tied",
    [JUDGED_REFUSED] = "refusals of the database",
    [JUDGED_DENIED] = "denials of a topic",
};
/* So many seeds leave no check without work. */
#define SEEDS_FOR_ALL 5000

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- one seed, in a process of its own ---- */

static int run_one(const struct sim_options *options) {
    static struct sim sim;
    if (options->tells) {
        setvbuf(stdout, NULL, _IONBF, 0);
        log_to(STDOUT_FILENO);
        log_set_level(LOG_DEBUG);
    }
    bool fine = seed_run(&sim, options);
    if (!fine)
        printf("%s\n", sim.wrong);
    return fine ? 0 : 1;
}

/* Whether it still goes wrong, whatever way. */
static bool fails(const struct sim_options *options) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(0);
        alarm(20);
        _exit(run_one(options));
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

/* ---- a failing seed, made smaller ---- */

/* Leaves out one bit after the other while it still fails. */
static void drop_bits(struct sim_options *options, uint64_t *mask, unsigned bits) {
    for (unsigned bit = 0; bit < bits; bit++) {
        uint64_t whole = *mask;
        if (!(whole >> bit & 1))
            continue;
        *mask = whole & ~(UINT64_C(1) << bit);
        if (!fails(options))
            *mask = whole;
    }
}

static void minimise(uint64_t seed, bool restores) {
    struct sim_options options = {.seed = seed, .events = ALL, .faults = ALL, .restores = restores};
    uint64_t before_events, before_faults;
    options.events = (UINT64_C(1) << STORY_MOST) - 1;
    options.faults = (UINT64_C(1) << 16) - 1;
    if (!fails(&options)) {
        printf("  it does not fail by itself: what ran before it matters\n");
        return;
    }
    do {
        before_events = options.events;
        before_faults = options.faults;
        drop_bits(&options, &options.faults, 16);
        drop_bits(&options, &options.events, STORY_MOST);
    } while (options.events != before_events || options.faults != before_faults);
    printf("replay: simulate --seed %llu%s --events 0x%llx --faults 0x%llx --tell\n",
           (unsigned long long)seed, restores ? " --restores" : "", (unsigned long long)options.events,
           (unsigned long long)options.faults);
    fflush(NULL);
    options.tells = true;
    pid_t child = fork();
    if (child == 0) {
        dup2(STDOUT_FILENO, STDERR_FILENO);
        alarm(20);
        int code = run_one(&options);
        fflush(NULL);
        _exit(code);
    }
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
}

/* ---- many ---- */

/* Of all children, in memory that they share with their parent. */
struct tally {
    uint64_t next; /* the seed after the last that came to its end */
    uint64_t seeds, failed, steps, faults, events, judged[JUDGED];
};

/* Runs from tally->next on, until one fails; a seed that kills the process is known by where it stands then.
 */
static _Noreturn void run_range(uint64_t end, bool restores, struct tally *tally) {
    static struct sim sim;
    while (tally->next < end) {
        struct sim_options options = {
            .seed = tally->next, .events = ALL, .faults = ALL, .restores = restores};
        alarm(60);
        bool fine = seed_run(&sim, &options);
        tally->next++;
        tally->seeds++;
        tally->steps += (uint64_t)sim.steps;
        tally->faults += sim.fault_count;
        tally->events += sim.story.count;
        for (size_t i = 0; i < JUDGED; i++)
            tally->judged[i] += sim.judged[i];
        if (fine)
            continue;
        printf("not ok - seed %llu: %s\n", (unsigned long long)options.seed, sim.wrong);
        fflush(stdout);
        _exit(SEED_FAILED);
    }
    _exit(0);
}

static void run_many(uint64_t end, bool restores, struct tally *tally) {
    while (tally->next < end && tally->failed < FAILURES_MOST) {
        int status = 0;
        fflush(NULL);
        pid_t child = fork();
        if (child == 0)
            run_range(end, restores, tally);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            continue;
        tally->failed++;
        if (WIFEXITED(status) && WEXITSTATUS(status) == SEED_FAILED) {
            minimise(tally->next - 1, restores);
            continue;
        }
        printf("not ok - seed %llu: the process ends (%s %d)\n", (unsigned long long)tally->next,
               WIFSIGNALED(status) ? "signal" : "exit code",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        tally->seeds++;
        minimise(tally->next++, restores);
    }
}

static void tell_judged(bool all, struct tally *tally) {
    fputs("# judged:", stdout);
    for (size_t i = 0; i < JUDGED; i++)
        printf("%s %llu %s", i ? "," : "", (unsigned long long)tally->judged[i], judged_names[i]);
    putchar('\n');
    for (size_t i = 0; i < JUDGED && all && tally->seeds >= SEEDS_FOR_ALL; i++) {
        if (tally->judged[i])
            continue;
        printf("not ok - there were no %s to judge\n", judged_names[i]);
        tally->failed++;
    }
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"seeds", required_argument, NULL, 'n'},  {"first", required_argument, NULL, 'f'},
        {"seed", required_argument, NULL, 's'},   {"events", required_argument, NULL, 'e'},
        {"faults", required_argument, NULL, 'x'}, {"restores", no_argument, NULL, 'r'},
        {"tell", no_argument, NULL, 't'},         {NULL, 0, NULL, 0}};
    struct sim_options one = {.events = ALL, .faults = ALL};
    uint64_t count = 50000, first = 1;
    bool single = false;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (option) {
        case 'n':
            count = strtoull(optarg, NULL, 0);
            break;
        case 'f':
            first = strtoull(optarg, NULL, 0);
            break;
        case 's':
            one.seed = strtoull(optarg, NULL, 0);
            single = true;
            break;
        case 'e':
            one.events = strtoull(optarg, NULL, 0);
            break;
        case 'x':
            one.faults = strtoull(optarg, NULL, 0);
            break;
        case 'r':
            one.restores = true;
            break;
        case 't':
            one.tells = true;
            break;
        default:
            fputs(usage, stderr);
            return 64;
        }
    /* Freed memory is kept: a seed takes and frees the same blocks as the one before. */
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_MMAP_THRESHOLD, 1 << 22);
    seed_setup();
    if (single) {
        int code = run_one(&one);
        puts(code ? "not ok" : "ok");
        return code;
    }
    struct tally *tally =
        mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED)
        return 2;
    tally->next = first;
    double began = seconds();
    run_many(first + count, one.restores, tally);
    double took = seconds() - began;
    printf("# %llu seeds in %.1f s: %.0f seeds/s, %.1f events, %.1f faults, %.0f calls a seed\n",
           (unsigned long long)tally->seeds, took, (double)tally->seeds / took,
           (double)tally->events / (double)tally->seeds, (double)tally->faults / (double)tally->seeds,
           (double)tally->steps / (double)tally->seeds);
    tell_judged(!one.restores, tally);
    if (!tally->failed)
        printf("ok - seeds %llu to %llu\n", (unsigned long long)first,
               (unsigned long long)(first + count - 1));
    printf("%llu passed, %llu failed\n", (unsigned long long)(tally->seeds - tally->failed),
           (unsigned long long)tally->failed);
    return tally->failed ? 1 : 0;
}
