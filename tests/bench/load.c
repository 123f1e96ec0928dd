/* Makes events for measurements, cheaply enough not to be what is measured.
 *
 * load STACK-DIR registered FIRST COUNT: COUNT customers registered.
 *
 * load STACK-DIR orders FIRST COUNT [CUSTOMERS]: COUNT orders, each placed, paid, shipment requested; each of
 * a customer of its own, or of CUSTOMERS registered ones, scattered.
 *
 * load STACK-DIR steady FIRST COUNT [CUSTOMERS]: the same, and two statuses for each of the COUNT orders
 * before FIRST: the whole mix, where nobody reports on a shipment that was not yet taken in.
 *
 * load STACK-DIR mix FIRST COUNT [CUSTOMERS]: the same with the statuses of the very orders; in a backlog
 * many overtake their shipment, since topics are read side by side.
 *
 * load STACK-DIR paced FIRST COUNT PER-SECOND: COUNT shipments at that pace; waits for each disclosure and
 * prints produced -> visible to read_committed, in ms.
 *
 * load STACK-DIR placed FIRST COUNT [CUSTOMERS]: orders placed and paid, without a shipment.
 *
 * load STACK-DIR delivered FIRST COUNT: two statuses for each of COUNT orders, whose shipments are taken in.
 *
 * load STACK-DIR granted|withdrawn FIRST COUNT [CUSTOMERS]: a consent to the newsletter of each of COUNT
 * customers, confirmed, or its withdrawal.
 *
 * load STACK-DIR erasures FIRST COUNT [PER-SECOND]: COUNT customers ask to be forgotten, at once or at that
 * pace.
 *
 * load STACK-DIR tombstones FIRST COUNT: records of register.erasure.v1 as for COUNT forgotten customers;
 * prints each as subject, person, cut and the vault's body, separated by tabs, for COPY.
 *
 * Customers are B<number>, orders BO<number>, shipments BS<number>; everything follows from the number. */
#include "core/ref.h"
#include "core/seal.h"
#include "core/term.h"
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SCATTER 1000003 /* a prime: consecutive orders are of customers far apart */

static struct ref_key ref_key;
static char event_source[] = "urn:bench";
static long customers; /* 0: each order has its own */

static void die(const char *what, const char *why) {
    fprintf(stderr, "load: %s: %s\n", what, why);
    exit(1);
}

static int64_t now_us(void) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    return (int64_t)at.tv_sec * 1000000 + at.tv_nsec / 1000;
}

/* A client of a principal of the stack. */
static rd_kafka_t *client(const char *stack, const char *principal, rd_kafka_type_t type,
                          rd_kafka_conf_t *conf) {
    char path[512], line[1024], why[256];
    snprintf(path, sizeof path, "%s/principals/%s.conf", stack, principal);
    FILE *file = fopen(path, "r");
    if (!file)
        die(path, "cannot be read");
    while (fgets(line, sizeof line, file)) {
        char *equals = strchr(line, '=');
        if (line[0] == '#' || !equals)
            continue;
        *equals = 0;
        equals[1 + strcspn(equals + 1, "\r\n")] = 0;
        if (rd_kafka_conf_set(conf, line, equals + 1, why, sizeof why) != RD_KAFKA_CONF_OK)
            die(line, why);
    }
    fclose(file);
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
    if (!rk)
        die(principal, why);
    return rk;
}

/* How long the broker took to take in what was produced: what no consumer can be faster than. */
static double *acknowledged_ms;
static long acknowledged, acknowledged_room;
static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *unused) {
    (void)rk;
    (void)unused;
    if (acknowledged < acknowledged_room)
        acknowledged_ms[acknowledged++] = (double)rd_kafka_message_latency(message) / 1000;
}

static rd_kafka_t *writer(const char *stack, const char *principal) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "linger.ms", "5", NULL, 0); /* as Java's clients have it since Kafka 4.0 */
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    /* Also theirs: with librdkafka's million, small requests queue up at the broker instead of growing into
     * batches. */
    rd_kafka_conf_set(conf, "max.in.flight", "5", NULL, 0);
    rd_kafka_conf_set(conf, "socket.nagle.disable", "true", NULL, 0);
    rd_kafka_conf_set(conf, "queue.buffering.max.messages", "500000", NULL, 0);
    rd_kafka_conf_set(conf, "compression.codec", "lz4", NULL, 0);
    return client(stack, principal, RD_KAFKA_PRODUCER, conf);
}

static void send_event(rd_kafka_t *rk, const char *topic, const char *key, const char *type,
                       const char *data) {
    char id[96], time[28];
    static unsigned long serial;
    snprintf(id, sizeof id, "%s-%lu-%ld", key, serial++, (long)(now_us() % 1000000));
    instant_write(now_us(), time);
    rd_kafka_resp_err_t error;
    for (;;) {
        error = rd_kafka_producev(
            rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY(key, strlen(key)),
            RD_KAFKA_V_VALUE((void *)data, strlen(data)), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_HEADER("ce_specversion", "1.0", 3), RD_KAFKA_V_HEADER("ce_id", id, -1),
            RD_KAFKA_V_HEADER("ce_source", event_source, -1), RD_KAFKA_V_HEADER("ce_type", type, -1),
            RD_KAFKA_V_HEADER("ce_time", time, -1), RD_KAFKA_V_HEADER("content-type", "application/json", -1),
            RD_KAFKA_V_END);
        if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            break;
        rd_kafka_poll(rk, 20);
    }
    if (error)
        die(topic, rd_kafka_err2str(error));
    rd_kafka_poll(rk, 0);
}

/* Invented, from the number. */
static void contact(char *buffer, size_t size, long number) {
    static const char *const first[] = {"Aino", "Eetu", "Venla", "Åsa", "Björn", "Väinö", "Saga", "Onni"};
    static const char *const last[] = {"Virtanen", "Lindström", "Mäkinen", "Öhman",
                                       "Korhonen", "Nieminen",  "Sjöberg"};
    snprintf(
        buffer, size,
        "{\"first_name\":\"%s\",\"last_name\":\"%s\",\"street\":\"Hämeenkatu %ld\",\"postcode\":\"%05ld\","
        "\"city\":\"Tampere\",\"country\":\"FI\",\"phone\":\"+3584%08ld\",\"email\":\"b%ld@example.fi\"}",
        first[number % 8], last[number % 7], number % 200 + 1, number % 99999, number % 100000000, number);
}

static void registered(rd_kafka_t *shop, long number) {
    char key[32], who[512], data[1024];
    snprintf(key, sizeof key, "B%08ld", number);
    contact(who, sizeof who, number);
    snprintf(
        data, sizeof data,
        "{\"customer_id\":\"%s\",\"kind\":\"account\",\"contact\":%s,\"notice\":{\"id\":\"n1\",\"sha256\":"
        "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\",\"language\":\"fi\"}}",
        key, who);
    send_event(shop, "shop.customer.v1", key, "shop.customer.registered.v1", data);
}

static long customer_of(long number) {
    return customers ? number * SCATTER % customers : number;
}

static void ordered(rd_kafka_t *shop, long number) {
    char key[32], data[1024];
    long total = 1990 + number % 9000;
    snprintf(key, sizeof key, "B%08ld", customer_of(number));
    snprintf(data, sizeof data,
             "{\"order_id\":\"BO%08ld\",\"customer_id\":\"%s\",\"guest\":false,\"currency\":\"EUR\","
             "\"total\":%ld,\"lines\":"
             "[{\"sku\":\"S-%ld\",\"name\":\"Saippua\",\"quantity\":1,\"price\":1990},"
             "{\"sku\":\"T-%ld\",\"name\":\"Tuoksu\",\"quantity\":1,\"price\":%ld}]}",
             number, key, total, number % 400, number % 90, total - 1990);
    send_event(shop, "shop.order.v1", key, "shop.order.placed.v1", data);
    snprintf(data, sizeof data,
             "{\"order_id\":\"BO%08ld\",\"customer_id\":\"%s\",\"amount\":%ld,\"currency\":\"EUR\"}", number,
             key, total);
    send_event(shop, "shop.order.v1", key, "shop.order.paid.v1", data);
}

static bool to_posti(long number) {
    return number % 2;
}

static void shipped(rd_kafka_t *shop, long number) {
    char key[32], who[512], data[1024];
    snprintf(key, sizeof key, "B%08ld", customer_of(number));
    contact(who, sizeof who, customer_of(number));
    snprintf(data, sizeof data,
             "{\"shipment_id\":\"BS%08ld\",\"order_id\":\"BO%08ld\",\"customer_id\":\"%s\",\"consignee\":%s,"
             "\"direction\":\"outbound\",\"carrier\":\"%s\",\"service\":\"%s\",\"parcels\":1}",
             number, number, key, who, to_posti(number) ? "posti" : "matkahuolto",
             to_posti(number) ? "2104" : "home");
    send_event(shop, "shop.shipment.v1", key, "shop.shipment.requested.v1", data);
}

static struct ref shipment_ref(long number) {
    char customer[32], shipment[32];
    snprintf(customer, sizeof customer, "B%08ld", customer_of(number));
    snprintf(shipment, sizeof shipment, "BS%08ld", number);
    return ref_shipment(&ref_key, text_of(to_posti(number) ? "posti" : "matkahuolto"), text_of(customer),
                        text_of(shipment));
}

static void statuses(rd_kafka_t *carrier, long number) {
    static const char *const status[] = {"in_transit", "delivered"};
    struct ref ref = shipment_ref(number);
    char data[256];
    for (int i = 0; i < 2; i++) {
        snprintf(data, sizeof data, "{\"shipment_ref\":\"%s\",\"status\":\"%s\"}", ref.chars, status[i]);
        send_event(carrier, to_posti(number) ? "carrier.posti.v1" : "carrier.matkahuolto.v1", ref.chars,
                   "carrier.delivery.status.v1", data);
    }
}

static void flush(rd_kafka_t *rk) {
    if (rd_kafka_flush(rk, 60000))
        die("flush", "not everything was delivered");
    rd_kafka_destroy(rk);
}

/* ---- consents, erasures ---- */

static void consent(rd_kafka_t *shop, long number, bool granted) {
    char key[32], data[512];
    snprintf(key, sizeof key, "B%08ld", customer_of(number));
    if (granted)
        snprintf(
            data, sizeof data,
            "{\"customer_id\":\"%s\",\"purpose\":\"newsletter\",\"channel\":\"email\",\"basis\":\"consent\","
            "\"confirmed\":true,\"method\":\"registration_form\",\"wording\":{\"id\":\"w1\",\"sha256\":"
            "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\",\"language\":\"fi\"}}",
            key);
    else
        snprintf(data, sizeof data,
                 "{\"customer_id\":\"%s\",\"purpose\":\"newsletter\",\"method\":\"account_page\"}", key);
    send_event(shop, "shop.consent.v1", key,
               granted ? "shop.consent.granted.v1" : "shop.consent.withdrawn.v1", data);
}

static void erasure(rd_kafka_t *shop, long number) {
    char key[32], data[256];
    snprintf(key, sizeof key, "BQ%08ld", number);
    snprintf(data, sizeof data,
             "{\"request_id\":\"%s\",\"kind\":\"erasure\",\"subject\":{\"customer_id\":\"B%08ld\"},"
             "\"channel\":\"account\",\"identity\":\"account\"}",
             key, customer_of(number));
    send_event(shop, "privacy.request.v1", key, "privacy.request.received.v1", data);
}

/* What a finished erasure leaves behind: the same in the topic and, with two addresses, in the vault. */
static void tombstone(rd_kafka_t *relay, long number) {
    char person[32], cut[28], subject[SUBJECT_CHARS + 1], hash[2][SUBJECT_CHARS + 1], data[512];
    snprintf(person, sizeof person, "B%08ld", number);
    ref_subject(&ref_key, text_of(person), subject);
    instant_write(now_us() - INT64_C(86400000000), cut);
    snprintf(
        data, sizeof data,
        "{\"erasures\":[{\"category\":\"profile\",\"cause\":\"request\",\"complete\":true,\"cut\":\"%s\"},"
        "{\"category\":\"delivery\",\"cause\":\"request\",\"complete\":true,\"cut\":\"%s\"}],"
        "\"subject\":\"%s\"}",
        cut, cut, subject);
    send_event(relay, "register.erasure.v1", subject, "register.subject.erased.v1", data);
    for (int i = 0; i < 2; i++) {
        snprintf(person, sizeof person, "%s%08ld", i ? "phone" : "email", number);
        ref_subject(&ref_key, text_of(person), hash[i]); /* any 64 digits would do */
    }
    data[strlen(data) - 1] = 0; /* the closing brace */
    printf("%s\tB%08ld\t%s\t%s,\"suppression\":[{\"hash\":\"%s\",\"kind\":\"email\",\"times\":[\"%s\"]},"
           "{\"hash\":\"%s\",\"kind\":\"phone\",\"times\":[\"%s\"]}]}\n",
           subject, number, cut, data, hash[0], cut, hash[1], cut);
}

/* Orders from first on, and the statuses of those from answered on. */
static void mix(const char *stack, long first, long answered, long count) {
    rd_kafka_t *shop = writer(stack, "shop");
    rd_kafka_t *carriers[2] = {writer(stack, "carrier-matkahuolto"), writer(stack, "carrier-posti")};
    for (long i = 0; i < count; i++) {
        ordered(shop, first + i);
        shipped(shop, first + i);
        if (answered >= 0)
            statuses(carriers[to_posti(answered + i)], answered + i);
    }
    flush(shop);
    flush(carriers[0]);
    flush(carriers[1]);
}

/* ---- paced: the time from produced to visible ---- */

struct waiting {
    char ref[REF_CHARS];
    int64_t sent_us, seen_us;
};

static int by_ref(const void *a, const void *b) {
    return memcmp(((const struct waiting *)a)->ref, ((const struct waiting *)b)->ref, REF_CHARS);
}
static int by_number(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static rd_kafka_t *reader(const char *stack, const char *carrier) {
    char principal[64], group[64], topic[64];
    snprintf(principal, sizeof principal, "carrier-%s", carrier);
    snprintf(group, sizeof group, "carrier-%s-bench-%ld", carrier, (long)now_us());
    snprintf(topic, sizeof topic, "disclosure.%s.v1", carrier);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "group.id", group, NULL, 0);
    rd_kafka_conf_set(conf, "fetch.wait.max.ms", "50", NULL, 0);
    rd_kafka_t *rk = client(stack, principal, RD_KAFKA_CONSUMER, conf);
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *places = rd_kafka_topic_partition_list_new(8);
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
    if (rd_kafka_metadata(rk, 0, handle, &metadata, 10000) || metadata->topic_cnt != 1)
        die(topic, "no metadata");
    for (int i = 0; i < metadata->topics[0].partition_cnt; i++) {
        int64_t low, high;
        if (rd_kafka_query_watermark_offsets(rk, topic, i, &low, &high, 10000))
            die(topic, "no watermarks");
        rd_kafka_topic_partition_list_add(places, topic, i)->offset = high;
    }
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    if (rd_kafka_assign(rk, places))
        die(topic, "not assigned");
    rd_kafka_topic_partition_list_destroy(places);
    return rk;
}

/* Takes what is there; counts what was waited for. */
static long look(rd_kafka_t *rk, struct waiting *sorted, long count, int timeout_ms) {
    long seen = 0;
    rd_kafka_message_t *message;
    while ((message = rd_kafka_consumer_poll(rk, timeout_ms))) {
        int64_t at = now_us();
        const char *found =
            message->err ? NULL : memmem(message->payload, message->len, "\"shipment_ref\":\"", 16);
        if (found) {
            struct waiting key;
            memcpy(key.ref, found + 16, REF_CHARS);
            struct waiting *one = bsearch(&key, sorted, (size_t)count, sizeof *sorted, by_ref);
            if (one && !one->seen_us) {
                one->seen_us = at;
                seen++;
            }
        }
        rd_kafka_message_destroy(message);
        timeout_ms = 0;
    }
    return seen;
}

static void print_percentiles(const struct waiting *waiting, long count) {
    double *ms = malloc(sizeof *ms * (size_t)count);
    long seen = 0;
    for (long i = 0; i < count; i++)
        if (waiting[i].seen_us)
            ms[seen++] = (double)(waiting[i].seen_us - waiting[i].sent_us) / 1000;
    if (!seen)
        die("paced", "nothing was seen");
    qsort(ms, (size_t)seen, sizeof *ms, by_number);
    qsort(acknowledged_ms, (size_t)acknowledged, sizeof *ms, by_number);
    printf(
        "{\"sent\":%ld,\"seen\":%ld,\"p50_ms\":%.1f,\"p99_ms\":%.1f,\"max_ms\":%.1f,\"broker_p50_ms\":%.1f,"
        "\"broker_p99_ms\":%.1f}\n",
        count, seen, ms[seen / 2], ms[seen * 99 / 100], ms[seen - 1],
        acknowledged ? acknowledged_ms[acknowledged / 2] : -1,
        acknowledged ? acknowledged_ms[acknowledged * 99 / 100] : -1);
    free(ms);
}

static void paced(const char *stack, long first, long count, long per_second) {
    rd_kafka_t *shop = writer(stack, "shop");
    rd_kafka_t *inbox[2] = {reader(stack, "matkahuolto"), reader(stack, "posti")};
    struct waiting *sorted = calloc((size_t)count, sizeof *sorted);
    acknowledged_ms = calloc((size_t)count, sizeof *acknowledged_ms);
    acknowledged_room = count;
    for (long i = 0; i < count; i++)
        memcpy(sorted[i].ref, shipment_ref(first + i).chars, REF_CHARS);
    qsort(sorted, (size_t)count, sizeof *sorted, by_ref);
    int64_t begun = now_us();
    long seen = 0;
    for (long i = 0; i < count; i++) {
        while (now_us() < begun + i * 1000000 / per_second) {
            seen += look(inbox[0], sorted, count, 0) + look(inbox[1], sorted, count, 0);
            struct timespec nap = {.tv_nsec = 300000};
            nanosleep(&nap, NULL);
        }
        struct waiting key;
        memcpy(key.ref, shipment_ref(first + i).chars, REF_CHARS);
        ((struct waiting *)bsearch(&key, sorted, (size_t)count, sizeof *sorted, by_ref))->sent_us = now_us();
        shipped(shop, first + i);
    }
    int64_t deadline = now_us() + 20000000;
    while (seen < count && now_us() < deadline)
        seen += look(inbox[0], sorted, count, 1) + look(inbox[1], sorted, count, 1);
    flush(shop);
    print_percentiles(sorted, count);
    free(sorted);
    free(acknowledged_ms);
    for (int i = 0; i < 2; i++) {
        rd_kafka_consumer_close(inbox[i]);
        rd_kafka_destroy(inbox[i]);
    }
}

/* ---- modes ---- */

enum { REGISTERED, PLACED, GRANTED, WITHDRAWN, ERASURES, TOMBSTONES, ONE_A_NUMBER };
static const char *const one_a_number[ONE_A_NUMBER] = {"registered", "placed",   "granted",
                                                       "withdrawn",  "erasures", "tombstones"};

/* One thing for each number, at a pace or, with 0, as fast as it goes. */
static void each(const char *stack, int what, long first, long count, long per_second) {
    rd_kafka_t *rk = writer(stack, what == TOMBSTONES ? "admin" : "shop");
    int64_t begun = now_us();
    for (long i = 0; i < count; i++) {
        while (per_second && now_us() < begun + i * 1000000 / per_second)
            rd_kafka_poll(rk, 1);
        switch (what) {
        case REGISTERED:
            registered(rk, first + i);
            break;
        case PLACED:
            ordered(rk, first + i);
            break;
        case ERASURES:
            erasure(rk, first + i);
            break;
        case TOMBSTONES:
            tombstone(rk, first + i);
            break;
        default:
            consent(rk, first + i, what == GRANTED);
        }
    }
    flush(rk);
}

static void delivered(const char *stack, long first, long count) {
    rd_kafka_t *carriers[2] = {writer(stack, "carrier-matkahuolto"), writer(stack, "carrier-posti")};
    for (long i = 0; i < count; i++)
        statuses(carriers[to_posti(first + i)], first + i);
    flush(carriers[0]);
    flush(carriers[1]);
}

static bool run(const char *stack, const char *mode, long first, long count, long more) {
    for (int what = 0; what < ONE_A_NUMBER; what++) {
        if (strcmp(mode, one_a_number[what]) != 0)
            continue;
        customers = what == ERASURES ? 0 : more;
        each(stack, what, first, count, what == ERASURES ? more : 0);
        return true;
    }
    if (strcmp(mode, "orders") == 0 || strcmp(mode, "steady") == 0 || strcmp(mode, "mix") == 0) {
        customers = more;
        mix(stack, first, *mode == 'm' ? first : *mode == 's' ? first - count : -1, count);
    } else if (strcmp(mode, "delivered") == 0) {
        delivered(stack, first, count);
    } else if (strcmp(mode, "paced") == 0 && more) {
        paced(stack, first, count, more);
    } else {
        return false;
    }
    return true;
}

int main(int argc, char **argv) {
    struct err err;
    char path[512];
    if (argc < 5)
        die("usage", "load STACK-DIR MODE FIRST COUNT [CUSTOMERS|PER-SECOND]; the modes stand in load.c");
    snprintf(path, sizeof path, "%s/secrets/ref", argv[1]);
    if (seal_start(&err) != OK || secret_read(path, ref_key.bytes, &err) != OK)
        die(path, "no ref key");
    if (!run(argv[1], argv[2], strtol(argv[3], NULL, 10), strtol(argv[4], NULL, 10),
             argc > 5 ? strtol(argv[5], NULL, 10) : 0))
        die(argv[2], "no such mode");
    return 0;
}
