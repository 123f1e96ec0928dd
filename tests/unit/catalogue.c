/* The events that the interleavings are made of. Times are minutes and days after the fold's first instant;
 * requests cut at day 5 and 7 (the customer) and day 6 (the consignee), `closed` at day 3, 5 and 9. */
#include "tests/unit/catalogue.h"

#include "core/ref.h"
#include "tests/unit/marketing_trial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define DAY (INT64_C(24) * 60)
#define CUT (5 * DAY)

struct catalogue {
    struct fold *fold;
    struct event *events;
    size_t count;
};

static struct event *add(struct catalogue *to, struct event event) {
    assert_true(to->count < CATALOGUE_MOST);
    to->events[to->count] = event;
    return &to->events[to->count++];
}

/* The last one once more: published again, so at another place. */
static void add_duplicate(struct catalogue *to) {
    struct event event = to->events[to->count - 1];
    event.offset += 1000000;
    (void)add(to, event);
}

/* Other data under an id that was used before. */
static struct event reused(struct event event, const char *id) {
    event.version.id = text_of(id);
    event.version.digest[DIGEST_BYTES - 1] ^= 0x55;
    return event;
}

static struct event sequenced(struct event event, const char *sequence) {
    event.version.sequence = text_of(sequence);
    return event;
}

/* ---- the customer ---- */

static void add_customers(struct catalogue *to) {
    struct event event = marketing_registered("k1", DAY, "c1", "a@");
    event.as.customer.phone_hash = event.as.customer.contact.field[PHONE]; /* any text will do for a hash */
    (void)add(to, event);
    event = marketing_registered("k2", DAY, "c1", "b@"); /* ties; little is stated */
    event.as.customer.account = false;
    event.as.customer.contact = (struct contact){0};
    event.as.customer.contact.stated[EMAIL] = true;
    event.as.customer.contact.field[EMAIL] = TEXT("b@");
    (void)add(to, event);
    (void)add(to, reused(marketing_registered("k1", DAY + 10, "c1", "c@"), "k1"));
    (void)add(to, fold_changed("k3", 2 * DAY, "c1", CITY, "Åbo"));
    (void)add(to, fold_changed("k4", 2 * DAY, "c1", STREET, NULL)); /* ties */
    (void)add(to, fold_about(CUSTOMER_CLOSED, "k5", 3 * DAY, "c1"));
    (void)add(to, fold_about(CUSTOMER_SEEN, "k6", 4 * DAY, "c1"));
    (void)add(to, marketing_registered("k7", CUT, "c1", "b@")); /* at the cut */
    event = sequenced(fold_changed("k8", CUT, "c1", PHONE, "+358500000000"), "7");
    event.as.customer.phone_hash = event.as.customer.contact.field[PHONE];
    (void)add(to, event);
    (void)add(to, fold_about(CUSTOMER_CLOSED, "k9", CUT, "c1"));
    (void)add(to, marketing_registered("ka", 8 * DAY, "c1", "a@")); /* a new life */
    add_duplicate(to);
    (void)add(to, marketing_changed("kb", 8 * DAY, "c1", NULL)); /* ties */
    (void)add(to, marketing_changed("kc", 8 * DAY + 5, "c1", "c@"));
    (void)add(to, fold_about(CUSTOMER_CLOSED, "kd", 9 * DAY, "c1"));
    (void)add(to, fold_about(CUSTOMER_SEEN, "ke", 10 * DAY, "c1"));
    /* a stranger under the same address */
    (void)add(to, marketing_registered("x1", 2 * DAY, "c2", "a@"));
    (void)add(to, marketing_changed("x2", 6 * DAY, "c2", "b@"));
}

/* ---- orders ---- */

static void add_orders(struct catalogue *to) {
    struct event event;
    (void)add(to, fold_placed("o1", 2 * DAY, "c1", "o1", 3490));
    add_duplicate(to);
    event = sequenced(fold_placed("o2", 2 * DAY, "c1", "o1", 2000), "2"); /* ties */
    event.type = ORDER_CHANGED;
    event.as.order.line_count = 1;
    (void)add(to, event);
    (void)add(to, fold_cancelled("o3", DAY, "c1", "o2")); /* of an order to come */
    (void)add(to, fold_paid("o4", 3 * DAY, "c1", "o1", 3000));
    (void)add(to, reused(fold_paid("o4", 3 * DAY + 1, "c1", "o1", 3001), "o4"));
    (void)add(to, reused(fold_placed("o1", 4 * DAY, "c1", "o1", 3491), "o1"));
    event = fold_placed("o5", 6 * DAY, "c1", "o1", 1500);
    event.type = ORDER_CHANGED;
    event.as.order.has_buyer = false;
    (void)add(to, event);
    (void)add(to, fold_placed("o6", CUT, "c1", "o2", 100)); /* at the cut */
    (void)add(to, fold_cancelled("o7", 6 * DAY, "c1", "o1"));
    (void)add(to, fold_paid("o8", 7 * DAY, "c1", "o1", 490));
    (void)add(to, fold_placed("o9", 7 * DAY, "c1", "o3", 70)); /* after it */
    (void)add(to, fold_paid("oa", 6 * DAY, "c1", "o9", 5));    /* of an order that nobody places */
    event = fold_placed("ob", 9 * DAY, "c1", "o3", 71);
    event.type = ORDER_CHANGED;
    (void)add(to, event);
}

/* ---- shipments ---- */

static struct event shipped(enum event_type type, const char *id, int64_t minute, const char *shipment_id,
                            const char *carrier, const char *service, const char *recipient_id) {
    struct event event = fold_requested(id, minute, "c1", "o1", shipment_id, carrier, service);
    event.type = type;
    event.as.shipment.recipient_id = text_of(recipient_id);
    return event;
}

static void add_shipments(struct catalogue *to) {
    struct event event;
    /* Of one to come; of no gift that goes to another later: that it had opened its consignee is known only
     * where somebody was told of him. */
    (void)add(to, fold_shipment_cancelled("s1", 2 * DAY, "c1", "o1", "s5"));
    (void)add(to, shipped(SHIPMENT_REQUESTED, "s2", 3 * DAY, "s1", "posti", "2103", NULL));
    add_duplicate(to);
    (void)add(to, sequenced(shipped(SHIPMENT_CHANGED, "s3", 3 * DAY, "s1", "posti", "2104", NULL), "1"));
    (void)add(to, reused(shipped(SHIPMENT_REQUESTED, "s2", 3 * DAY + 30, "s1", "matkahuolto", "pickup", NULL),
                         "s2"));
    event = shipped(SHIPMENT_CHANGED, "s4", 4 * DAY, "s1", "posti", "2104", NULL);
    event.as.shipment.consignee = fold_contact("Rut", "Annan väg 3", "Vasa");
    event.as.shipment.parcels = 2;
    (void)add(to, event);
    (void)add(to, shipped(SHIPMENT_REQUESTED, "s5", 4 * DAY, "s3", "posti", "2104", "r1"));
    event = shipped(SHIPMENT_REQUESTED, "s6", CUT, "s2", "posti", "2103", NULL); /* at the cut */
    event.as.shipment.consignee.field[COUNTRY] = TEXT("SE");
    event.as.shipment.consignee.stated[COUNTRY] = true;
    (void)add(to, event);
    (void)add(to, shipped(SHIPMENT_REQUESTED, "s7", 3 * DAY, "s5", "posti", "return", NULL)); /* late */
    event = shipped(SHIPMENT_CHANGED, "s8", 6 * DAY, "s1", "matkahuolto", "home", NULL);
    event.as.shipment.order_id = TEXT("o2");
    (void)add(to, event);
    (void)add(to, shipped(SHIPMENT_CHANGED, "s9", 7 * DAY, "s1", "matkahuolto", "home", "r1"));
    (void)add(to, fold_shipment_cancelled("sa", 8 * DAY, "c1", "o1", "s1"));
    (void)add(to, shipped(SHIPMENT_CHANGED, "sb", 8 * DAY, "s3", "posti", "2104", NULL));
    (void)add(to, shipped(SHIPMENT_REQUESTED, "sc", 9 * DAY, "s4", "matkahuolto", "pickup", "r1"));
    (void)add(to, shipped(SHIPMENT_CHANGED, "sd", 10 * DAY, "s1", "posti", "2103", NULL)); /* back again */
    (void)add(to, fold_shipment_cancelled("se", 10 * DAY, "c1", "o1", "s4"));
}

/* ---- consents ---- */

static int64_t minute_us(int64_t minute) {
    return fold_fact(CUSTOMER_SEEN, "at", minute, NULL).version.time_us;
}

static void add_consents(struct catalogue *to) {
    struct event event;
    (void)add(to, marketing_said(CONSENT_OBJECTED, "m1", DAY, "c1"));
    (void)add(to, marketing_granted("m2", 2 * DAY, "c1", true));
    add_duplicate(to);
    (void)add(to, sequenced(marketing_granted("m3", 2 * DAY, "c1", false), "3")); /* ties, counts not */
    (void)add(to, marketing_said(CONSENT_WITHDRAWN, "m4", 2 * DAY, "c1"));        /* ties */
    (void)add(to, marketing_soft_opt_in("m5", 4 * DAY, "c1", "o1"));
    (void)add(to, marketing_granted("m6", CUT, "c1", true)); /* at the cut */
    event = marketing_said(CONSENT_WITHDRAWN, "m7", 7 * DAY, "c1");
    event.as.consent.purpose = TEXT("newsletter");
    (void)add(to, event);
    (void)add(to, marketing_granted("m8", 7 * DAY, "c1", true)); /* ties, after the cut */
    (void)add(to, reused(marketing_granted("m8", 8 * DAY, "c1", true), "m8"));
    (void)add(to, marketing_said(CONSENT_OBJECTED, "m9", 8 * DAY, "c1"));
    (void)add(to, marketing_by_token(CONSENT_OBJECTED, "ma", 6 * DAY, "c1", GENERATION_FIRST));
    (void)add(to, marketing_by_token(CONSENT_WITHDRAWN, "mb", 9 * DAY, "c1", GENERATION_FIRST));
    (void)add(to, marketing_by_token(CONSENT_WITHDRAWN, "mc", 7 * DAY, "c1", minute_us(CUT)));
    (void)add(to, marketing_by_token(CONSENT_OBJECTED, "md", 11 * DAY, "c1", minute_us(CUT)));
    (void)add(to, marketing_granted("x3", 3 * DAY, "c2", true));
    (void)add(to, marketing_said(CONSENT_OBJECTED, "x4", 6 * DAY, "c2"));
}

/* ---- requests ---- */

static void add_requests(struct catalogue *to) {
    (void)add(to, fold_asked("q1", CUT, "q1", "c1", "account"));
    add_duplicate(to);
    (void)add(to, fold_asked("q2", 7 * DAY, "q1", "c1", "none")); /* once more under the same id */
    (void)add(to, fold_asked("q3", CUT, "q2", "c1", "none"));     /* ties */
    (void)add(to, fold_identified("q4", 6 * DAY, "q2", "strong"));
    (void)add(to, fold_identified("q5", 4 * DAY, "q2", "clerk"));
    (void)add(to, fold_asked("q6", 6 * DAY, "q3", "recipient:r1", "clerk"));
    (void)add(to, fold_asked("q7", 4 * DAY, "q4", NULL, "none")); /* behind an e-mail address */
    (void)add(to, fold_identified("q8", 8 * DAY, "q4", "email_loop"));
    (void)add(to, fold_tied("q9", 6 * DAY, "q4", "c1"));
    (void)add(to, fold_tied("qa", 6 * DAY, "q4", "recipient:r1"));
    (void)add(to, fold_asked("qb", 8 * DAY, "q5", "recipient:r1", "none"));
    (void)add(to, fold_identified("qc", 9 * DAY, "q5", "account"));
}

/* ---- carriers ---- */

static struct event answered(struct fold *fold, const char *id, int64_t minute, const char *sender,
                             enum ack_outcome outcome) {
    return fold_acknowledged(fold, id, minute, sender, TEXT("0000000000000000000000000000000000000000000"),
                             outcome);
}

static void add_carriers(struct catalogue *to) {
    struct fold *fold = to->fold;
    (void)add(to, fold_status(fold, "d1", 4 * DAY, "posti", "c1", "s1", 1, STATUS_DELIVERED));
    (void)add(to, fold_status(fold, "d2", 6 * DAY, "posti", "c1", "s1", 0, STATUS_DELIVERED));
    add_duplicate(to);
    (void)add(to, fold_status(fold, "d3", 5 * DAY, "posti", "c1", "s1", 0, STATUS_FAILURE)); /* late, lower */
    (void)add(to, fold_status(fold, "d4", 6 * DAY, "posti", "c1", "s1", 2, STATUS_CANCELLED));
    (void)add(to, fold_status(fold, "d5", 8 * DAY, "matkahuolto", "c1", "s1", 0, STATUS_RETURN_TO_SENDER));
    (void)add(to, fold_status(fold, "d6", 7 * DAY, "posti", "c1", "s2", 1, STATUS_DELIVERED));
    (void)add(to, fold_status(fold, "d7", 5 * DAY, "posti", "c1", "s3", 0, STATUS_IN_TRANSIT));
    (void)add(to, fold_status(fold, "d8", 9 * DAY, "posti", "c1", "s3", 1, STATUS_DELIVERED));
    (void)add(to, fold_status(fold, "d9", 12 * DAY, "matkahuolto", "c1", "s4", 0, STATUS_DELIVERED));
    (void)add(to, fold_status(fold, "da", 9 * DAY, "posti", "c1", "s5", 1, STATUS_DELIVERED));
    (void)add(to, answered(fold, "a1", 11 * DAY, "posti", ACK_ERASED));
    (void)add(to, answered(fold, "a2", 11 * DAY, "posti", ACK_RETAINED)); /* ties */
    (void)add(to, answered(fold, "a3", 12 * DAY, "matkahuolto", ACK_CORRECTED));
    (void)add(to, answered(fold, "a4", 12 * DAY, "letterhouse", ACK_ERASED));
    (void)add(to, answered(fold, "b1", 12 * DAY, "posti", ACK_ERASED)); /* b: see below */
    (void)add(to, answered(fold, "b2", 12 * DAY, "matkahuolto", ACK_UNKNOWN_PERSON));
}

size_t catalogue_events(struct fold *fold, struct event *events) {
    struct catalogue catalogue = {.fold = fold, .events = events};
    add_customers(&catalogue);
    add_orders(&catalogue);
    add_shipments(&catalogue);
    add_consents(&catalogue);
    add_requests(&catalogue);
    add_carriers(&catalogue);
    return catalogue.count;
}

/* ---- what hangs on a set ---- */

/* The first notice to the sender that there is, or the last. */
static void answer(struct fold *fold, struct event *event, bool last, char chars[REF_CHARS + 1]) {
    memset(chars, '0', REF_CHARS);
    for (size_t i = 0; i < fold->outputs.count; i++) {
        const struct output *output = &fold->outputs.at[i];
        if (!text_equal(output->recipient, event->sender))
            continue;
        struct text ref = fold_notice_ref(fold, output);
        if (!text_present(ref))
            continue; /* a disclosure */
        assert_int_equal(ref.size, REF_CHARS);
        memcpy(chars, ref.at, REF_CHARS);
        if (!last)
            break;
    }
    event->as.ack.notice_ref = (struct text){chars, REF_CHARS};
}

static bool answers(const struct event *event, bool last) {
    return event->type == NOTICE_ACKNOWLEDGED && (event->version.id.at[0] == 'b') == last;
}

/* Requests, then statuses, then the rest: whose turn it is. */
static int turn_of(const struct event *event) {
    bool request = event->type == REQUEST_RECEIVED || event->type == REQUEST_IDENTIFIED;
    return request || event->type == COMMAND_TIED ? 0 : event->type == DELIVERY_STATUS ? 1 : 2;
}

static void fold_turn(struct fold *fold, const struct event *events, size_t count, int turn) {
    for (size_t i = 0; i < count; i++) {
        if (events[i].type != NOTICE_ACKNOWLEDGED && (turn < 0 || turn_of(&events[i]) == turn))
            fold_event(fold, &events[i]);
    }
}

/* What an answer names hangs on what caused the notice, and that on the order: those called a... answer the
 * first notice when all comes in the given order, those called b... the last when requests and statuses come
 * first. */
void catalogue_answers(struct fold *fold, struct event *events, size_t count) {
    static char refs[CATALOGUE_MOST][REF_CHARS + 1]; /* of the set that is tried now */
    assert_true(count <= CATALOGUE_MOST);
    for (int last = 0; last < 2; last++) {
        fold_reset(fold);
        for (int turn = last ? 0 : -1; turn < (last ? 3 : 0); turn++)
            fold_turn(fold, events, count, turn);
        for (size_t i = 0; i < count; i++) {
            if (answers(&events[i], last))
                answer(fold, &events[i], last, refs[i]);
        }
    }
}

/* What the key of its record is. */
static struct text key_of(const struct event *event) {
    switch (event->type) {
    case REQUEST_RECEIVED:
    case REQUEST_IDENTIFIED:
        return event->as.request.request_id;
    case COMMAND_TIED:
        return event->as.tied.request_id;
    case DELIVERY_STATUS:
        return event->as.delivery.shipment_ref;
    case NOTICE_ACKNOWLEDGED:
        return event->as.ack.notice_ref;
    case CONSENT_WITHDRAWN:
    case CONSENT_OBJECTED:
        return text_present(event->customer_id) ? event->customer_id : event->as.consent.token;
    default:
        return event->customer_id;
    }
}

bool catalogue_one_partition(const struct event *a, const struct event *b) {
    return text_equal(a->topic, b->topic) && text_equal(a->sender, b->sender) &&
           text_equal(key_of(a), key_of(b));
}
