/* Two races on purpose, so that ThreadSanitizer's silence about the daemons means something:
 *   race thread      of two threads of ours
 *   race callback    of the main thread and a thread of librdkafka's, in a callback that it calls
 * Built as the daemons are, run with the same suppressions. */
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static int shared;
static atomic_int called; /* relaxed: it orders nothing */

static void *race_of_threads(void *context) {
    (void)context;
    for (int i = 0; i < 1000; i++)
        shared++;
    return NULL;
}

static void race_of_callback(const rd_kafka_t *client, int level, const char *facility, const char *message) {
    (void)client, (void)level, (void)facility, (void)message;
    shared++;
    atomic_fetch_add_explicit(&called, 1, memory_order_relaxed);
}

static int threads(void) {
    pthread_t one, other;
    if (pthread_create(&one, NULL, race_of_threads, NULL) ||
        pthread_create(&other, NULL, race_of_threads, NULL))
        return 1;
    return pthread_join(one, NULL) || pthread_join(other, NULL);
}

#define CALLS 20 /* most of them by the broker's thread */

/* Nobody listens at the discard port: the client says so, from the thread of that broker. */
static int callback(void) {
    char why[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, race_of_callback);
    if (rd_kafka_conf_set(conf, "bootstrap.servers", "127.0.0.1:9", why, sizeof why) ||
        rd_kafka_conf_set(conf, "debug", "broker", why, sizeof why))
        return 1;
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!client)
        return 1;
    for (int i = 0; i < 10000 && atomic_load_explicit(&called, memory_order_relaxed) < CALLS; i++) {
        shared++;
        usleep(1000);
    }
    rd_kafka_destroy(client);
    return 0;
}

int main(int count, char **arguments) {
    if (count != 2)
        return 2;
    int failed = strcmp(arguments[1], "thread") == 0 ? threads() : callback();
    return failed || shared == 0;
}
