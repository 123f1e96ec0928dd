/* Draws a story. */
#include "tests/simulator/story.h"

#include "core/decide/state.h"
#include "core/term.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SLOT_US (INT64_C(6) * 3600 * 1000000)
#define BEGIN_US (STORY_NOW_US - INT64_C(15) * 86400 * 1000000)
#define SLOTS 14
#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

const char *const story_topics[STORY_TOPICS] = {
    "shop.customer.v1",       "shop.order.v1",      "shop.shipment.v1",       "shop.return.v1",
    "shop.consent.v1",        "privacy.request.v1", "carrier.matkahuolto.v1", "carrier.posti.v1",
    "carrier.letterhouse.v1", "register.command.v1"};

static const char *const carriers[] = {"matkahuolto", "posti"};
static const char *const services[][2] = {{"pickup", "home"}, {"2103", "2104"}};

struct making {
    struct story *story;
    struct draw draw;
    const struct ref_key *key;
    struct arena *arena;
    unsigned customers; /* 1 or 2 */
    struct drawn_cut {
        const char *who;
        int64_t time_us;
    } cuts[4]; /* by the first requests for erasure */
    size_t cut_count;
    struct story_event *event;
    char data[1600];
    size_t used;
};

static unsigned below(struct making *making, unsigned count) {
    return draw_below(&making->draw, count);
}
static bool chance(struct making *making, unsigned per_mille) {
    return draw_chance(&making->draw, per_mille);
}

static void put(struct making *making, const char *format, ...) PRINTF_LIKE(2, 3);
static void put(struct making *making, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(making->data + making->used, sizeof making->data - making->used, format, arguments);
    va_end(arguments);
    assert(size >= 0 && making->used + (size_t)size < sizeof making->data);
    making->used += (size_t)size;
}

static struct text keep(struct making *making, const char *format, ...) PRINTF_LIKE(2, 3);
static struct text keep(struct making *making, const char *format, ...) {
    char buffer[128];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(buffer, sizeof buffer, format, arguments);
    va_end(arguments);
    assert(size >= 0 && (size_t)size < sizeof buffer);
    struct text text = arena_text(making->arena, (struct text){buffer, (size_t)size});
    assert(text_present(text));
    return text;
}

static int64_t instant(struct making *making) {
    return BEGIN_US + below(making, SLOTS) * SLOT_US + (chance(making, 60) ? 1 : 0);
}

/* ---- parts ---- */

enum statement { STATES, CLEARS, SILENT };

static void put_field(struct making *making, const char *name, enum statement how, const char *value) {
    if (how == SILENT)
        return;
    put(making, "%s\"%s\":", making->data[making->used - 1] == '{' ? "" : ",", name);
    if (how == CLEARS)
        put(making, "null");
    else if (strcmp(name, "postcode") == 0 || strcmp(name, "country") == 0 || strcmp(name, "phone") == 0 ||
             strcmp(name, "email") == 0)
        put(making, "\"%s\"", value);
    else
        put(making, "\"%s~%u~\"", value, making->event->number);
}

/* partial: some fields only, some of them null. */
static void put_contact(struct making *making, bool partial, bool nulls, const char *country) {
    static const char *const emails[] = {"a0@x.fi", "a1@x.fi", "a2@x.fi", "\u00e54@x.fi"};
    static const char *const phones[] = {"+358401111111", "+358402222222", "+358403333333"};
    static const char *const names[] = {"first_name", "last_name", "street", "postcode",
                                        "city",       "country",   "phone",  "email"};
    const char *const values[] = {chance(making, 500) ? "Ann" : "\u00c5sa",
                                  "\u00d6hman",
                                  "Gatan",
                                  chance(making, 500) ? "33100" : "33200",
                                  "Vasa",
                                  country,
                                  phones[below(making, 3)],
                                  emails[below(making, 4)]};
    put(making, "{");
    for (size_t i = 0; i < 8; i++) {
        enum statement how = partial && chance(making, 650)              ? SILENT
                             : nulls && partial && chance(making, 300)   ? CLEARS
                             : !partial && i != 7 && chance(making, 120) ? SILENT
                                                                         : STATES;
        if (partial && i == 7 && making->data[making->used - 1] == '{')
            how = STATES; /* it says something */
        put_field(making, names[i], how, values[i]);
    }
    put(making, "}");
}

static const char *customer(struct making *making) {
    static const char *const names[] = {"c1", "c2"};
    return names[making->customers == 2 && chance(making, 300)];
}

static void keyed(struct making *making, enum story_topic topic, const char *type, const char *key) {
    making->event->topic = topic;
    making->event->type = type;
    making->event->key = keep(making, "%s", key);
}

static void begin(struct making *making, enum story_topic topic, const char *type, const char *key) {
    keyed(making, topic, type, key);
    put(making, "{\"customer_id\":\"%s\"", key);
}

/* ---- the customer's ---- */

static void registered(struct making *making) {
    const char *who = customer(making);
    begin(making, STORY_CUSTOMER, "shop.customer.registered", who);
    making->event->person = making->event->key;
    put(making, ",\"kind\":\"%s\",\"contact\":", chance(making, 700) ? "account" : "subscriber");
    put_contact(making, false, false, chance(making, 900) ? "FI" : "SE");
    put(making, ",\"notice\":{\"id\":\"n%u\",\"sha256\":\"" HASH "\",\"language\":\"%s\"}}", below(making, 2),
        chance(making, 500) ? "sv" : "fi");
}

static void changed(struct making *making) {
    begin(making, STORY_CUSTOMER, "shop.customer.changed", customer(making));
    making->event->person = making->event->key;
    put(making, ",\"contact\":");
    put_contact(making, true, true, "FI");
    put(making, "}");
}

static void seen(struct making *making) {
    begin(making, STORY_CUSTOMER, "shop.customer.seen", customer(making));
    put(making, "}");
}

static void closed(struct making *making) {
    begin(making, STORY_CUSTOMER, "shop.customer.closed", customer(making));
    put(making, "}");
}

/* ---- orders ---- */

/* Now and then a guest's. */
static void order(struct making *making, const char *type) {
    bool guest = chance(making, 80);
    const char *who = guest ? "guest:g1" : customer(making);
    begin(making, STORY_ORDER, type, who);
    put(making, ",\"order_id\":\"%s\"", guest ? "g1" : chance(making, 700) ? "o1" : "o2");
    if (strcmp(type, "shop.order.paid") == 0)
        put(making, ",\"amount\":%u,\"currency\":\"EUR\"", 1 + below(making, 900));
    if (strcmp(type, "shop.order.placed") == 0 || strcmp(type, "shop.order.changed") == 0) {
        put(making,
            ",\"guest\":%s,\"currency\":\"EUR\",\"total\":%u,\"lines\":[{\"sku\":\"s%u\",\"quantity\":1,"
            "\"price\":5}]",
            guest ? "true" : "false", below(making, 900), below(making, 3));
        if (guest || chance(making, 300)) {
            making->event->person = making->event->key;
            put(making, ",\"buyer\":");
            put_contact(making, false, false, "FI");
        }
    }
    put(making, "}");
}
static void placed(struct making *making) {
    order(making, "shop.order.placed");
}
static void order_changed(struct making *making) {
    order(making, "shop.order.changed");
}
static void paid(struct making *making) {
    order(making, "shop.order.paid");
}
static void order_cancelled(struct making *making) {
    order(making, "shop.order.cancelled");
}

/* ---- shipments ---- */

static void shipment(struct making *making, const char *type) {
    const char *who = chance(making, 60) ? "guest:g1" : customer(making);
    unsigned carrier = below(making, 2);
    bool is_return = chance(making, 80), gift = chance(making, 280);
    begin(making, STORY_SHIPMENT, type, who);
    making->event->person = gift ? TEXT("recipient:r1") : making->event->key;
    put(making, ",\"shipment_id\":\"%s\",\"order_id\":\"%s\"", chance(making, 750) ? "s1" : "s2",
        who[0] == 'g'         ? "g1"
        : chance(making, 750) ? "o1"
                              : "o2");
    if (gift)
        put(making, ",\"recipient_id\":\"r1\"");
    put(making, ",\"consignee\":");
    put_contact(making, false, false, carrier == 1 && chance(making, 150) ? "SE" : "FI");
    put(making, ",\"direction\":\"%s\",\"carrier\":\"%s\",\"service\":\"%s\",\"parcels\":%u",
        is_return ? "return" : "outbound", carriers[carrier],
        is_return ? "return" : services[carrier][below(making, 2)], 1 + below(making, 2));
    if (is_return)
        put(making, ",\"return_id\":\"ret1\"");
    if (chance(making, 400))
        put(making, ",\"pickup_point\":\"p%u\"", below(making, 2));
    put(making, "}");
}
static void requested(struct making *making) {
    shipment(making, "shop.shipment.requested");
}
static void shipment_changed(struct making *making) {
    shipment(making, "shop.shipment.changed");
}
static void shipment_cancelled(struct making *making) {
    begin(making, STORY_SHIPMENT, "shop.shipment.cancelled", customer(making));
    put(making, ",\"shipment_id\":\"%s\",\"order_id\":\"o1\"}", chance(making, 750) ? "s1" : "s2");
}

static void status(struct making *making) {
    unsigned carrier = below(making, 2);
    const char *who = customer(making), *which = chance(making, 750) ? "s1" : "s2";
    static const char *const names[] = {"delivered", "delivered",        "delivered", "in_transit",
                                        "cancelled", "return_to_sender", "unknown",   "failure"};
    struct ref ref = ref_shipment(making->key, text_of(carriers[carrier]), text_of(who), text_of(which));
    if (chance(making, 40)) /* a foreign one */
        ref = ref_shipment(making->key, text_of(carriers[1 - carrier]), text_of(who), text_of(which));
    keyed(making, STORY_MATKAHUOLTO + carrier, "carrier.delivery.status", ref.chars);
    put(making, "{\"shipment_ref\":\"%s\",\"status\":\"%s\"", ref.chars, names[below(making, 8)]);
    if (chance(making, 350))
        put(making, ",\"parcel\":%u", 1 + below(making, 3));
    put(making, "}");
}

static void acknowledged(struct making *making) {
    keyed(making, STORY_MATKAHUOLTO + below(making, 3), "carrier.notice.acknowledged", "");
    making->event->answer = true;
    put(making, "%s",
        chance(making, 700) ? "\"outcome\":\"erased\""
                            : "\"outcome\":\"retained\",\"ground\":\"law\",\"until\":\"2027-01-31\"");
}

/* ---- consents ---- */

static void granted(struct making *making) {
    begin(making, STORY_CONSENT, "shop.consent.granted", customer(making));
    bool soft = chance(making, 200);
    put(making, ",\"purpose\":\"newsletter\",\"channel\":\"%s\",\"basis\":\"%s\"",
        chance(making, 900) ? "email" : "sms", soft ? "soft_opt_in" : "consent");
    if (soft)
        put(making, ",\"order_id\":\"o1\"");
    if (chance(making, 850))
        put(making, ",\"confirmed\":%s", chance(making, 900) ? "true" : "false");
    put(making, ",\"method\":\"%s\",\"wording\":{\"id\":\"w1\",\"sha256\":\"" HASH "\",\"language\":\"sv\"}}",
        chance(making, 850) ? "account_page" : "checkout");
}

/* By id, or by the token of a generation: the first, or one that a request began. (One that a closing began
 * may never have been, in another order: where an earlier cut arrives later, the closing was nobody's.) */
static void against(struct making *making, const char *type) {
    const char *who = customer(making);
    if (chance(making, 350)) {
        struct drawn_cut of = {who, GENERATION_FIRST};
        if (making->cut_count && chance(making, 400))
            of = making->cuts[below(making, (unsigned)making->cut_count)];
        struct ref token = ref_token(making->key, text_of(of.who), of.time_us);
        keyed(making, STORY_CONSENT, type, token.chars);
        put(making, "{\"token\":\"%s\"", token.chars);
    } else {
        begin(making, STORY_CONSENT, type, who);
    }
    if (chance(making, 400))
        put(making, ",\"purpose\":\"newsletter\"");
    if (chance(making, 200))
        put(making, ",\"channel\":\"email\"");
    put(making, ",\"method\":\"one_click\"}");
}
static void withdrawn(struct making *making) {
    against(making, "shop.consent.withdrawn");
}
static void objected(struct making *making) {
    against(making, "shop.consent.objected");
}

/* ---- requests ---- */

static void received(struct making *making) {
    static const char *const names[] = {"q1", "q2", "q3"};
    const char *name = names[below(making, 3)];
    keyed(making, STORY_REQUEST, "privacy.request.received", name);
    bool erases = chance(making, 970), known = chance(making, 800);
    put(making, "{\"request_id\":\"%s\",\"kind\":\"%s\",\"subject\":{", name, erases ? "erasure" : "access");
    if (chance(making, 700)) {
        const char *who = chance(making, 60) ? "guest:g1" : customer(making);
        put(making, "\"customer_id\":\"%s\"", who);
        if (erases && known && making->cut_count < sizeof making->cuts / sizeof making->cuts[0])
            making->cuts[making->cut_count++] = (struct drawn_cut){who, making->event->time_us};
    } else if (chance(making, 800)) {
        put(making, "\"recipient_id\":\"r1\"");
    } else {
        put(making, "\"email\":\"a0@x.fi\"");
    }
    put(making, "},\"channel\":\"account\",\"identity\":\"%s\"}", known ? "account" : "none");
}

static void identified(struct making *making) {
    static const char *const names[] = {"q1", "q2", "q3"};
    const char *name = names[below(making, 3)];
    keyed(making, STORY_REQUEST, "privacy.request.identified", name);
    put(making, "{\"request_id\":\"%s\",\"identity\":\"%s\"}", name,
        chance(making, 500) ? "strong" : "clerk");
}

/* ---- what is refused ---- */

static void refused(struct making *making) {
    switch (below(making, 5)) {
    case 0:
        begin(making, STORY_RETURN, "shop.return.received", customer(making));
        put(making, ",\"return_id\":\"ret1\",\"order_id\":\"o1\"}");
        return;
    case 1:
        begin(making, STORY_CUSTOMER, "shop.customer.married", customer(making));
        put(making, "}");
        return;
    case 2:
        begin(making, STORY_ORDER, "shop.order.paid", customer(making));
        put(making, ",\"order_id\":\"0\",\"amount\":1,\"currency\":\"EUR\"}");
        return;
    case 3:
        keyed(making, STORY_SHIPMENT, NULL, "c1");
        put(making, "{\"specversion\":\"1.0\",\"id\":\"x\" \"");
        return;
    default:
        keyed(making, STORY_CUSTOMER, "shop.customer.seen", "another");
        put(making, "{\"customer_id\":\"c1\"}");
    }
}

/* ---- the whole ---- */

static const struct {
    void (*make)(struct making *);
    unsigned weight[4]; /* by the seed's theme: of everything, erasures, marketing, deliveries */
} kinds[] = {{registered, {12, 14, 12, 5}},
             {changed, {8, 8, 8, 2}},
             {seen, {2, 2, 1, 1}},
             {closed, {5, 8, 5, 2}},
             {placed, {10, 7, 4, 6}},
             {order_changed, {4, 2, 1, 3}},
             {paid, {8, 6, 3, 5}},
             {order_cancelled, {4, 1, 2, 2}},
             {requested, {12, 10, 2, 20}},
             {shipment_changed, {9, 6, 1, 16}},
             {shipment_cancelled, {4, 3, 0, 5}},
             {status, {14, 12, 1, 24}},
             {acknowledged, {4, 3, 3, 4}},
             {granted, {8, 6, 20, 1}},
             {withdrawn, {6, 4, 14, 1}},
             {objected, {5, 4, 12, 1}},
             {received, {11, 20, 8, 7}},
             {identified, {3, 5, 2, 2}},
             {refused, {3, 1, 1, 1}}};
#define KINDS (sizeof kinds / sizeof *kinds)

static void make_one(struct making *making, unsigned theme) {
    unsigned whole = 0, kind = 0;
    for (size_t i = 0; i < KINDS; i++)
        whole += kinds[i].weight[theme];
    unsigned drawn = below(making, whole);
    while (drawn >= kinds[kind].weight[theme])
        drawn -= kinds[kind++].weight[theme];
    struct story_event *event = making->event;
    event->time_us = instant(making);
    event->source = chance(making, 100);
    event->sequence = chance(making, 120) ? 1 + below(making, 2) : 0;
    event->id = keep(making, "e%u", chance(making, 60) ? 0 : event->number + 1);
    making->used = 0;
    kinds[kind].make(making);
    event->data = arena_text(making->arena, (struct text){making->data, making->used});
    assert(text_present(event->data));
}

/* The shop publishes a customer's own events in their order, a `registered` first of those of one time: else
 * nothing is promised (SEMANTICS.md, Cuts and generations). */
static bool is_before(const struct story_event *one, const struct story_event *two) {
    if (one->time_us != two->time_us)
        return one->time_us < two->time_us;
    bool registered_one = one->type && strcmp(one->type, "shop.customer.registered") == 0;
    bool registered_two = two->type && strcmp(two->type, "shop.customer.registered") == 0;
    return registered_one && !registered_two;
}

static void order_customers(struct story *story) {
    for (size_t i = 0; i < story->count; i++)
        for (size_t k = i + 1; k < story->count; k++) {
            struct story_event *one = &story->at[i], *two = &story->at[k];
            if (one->topic == STORY_CUSTOMER && two->topic == STORY_CUSTOMER && is_before(two, one)) {
                struct story_event kept = *one;
                *one = *two;
                *two = kept;
            }
        }
}

/* Some are published twice, the second time later. */
static void repeat_some(struct making *making) {
    struct story *story = making->story;
    size_t first = story->count;
    for (size_t i = 0; i < first && story->count < STORY_MOST; i++) {
        if (story->at[i].answer || !chance(making, 90))
            continue;
        size_t at = i + 1 + below(making, (unsigned)(story->count - i));
        memmove(&story->at[at + 1], &story->at[at], (story->count - at) * sizeof *story->at);
        story->at[at] = story->at[i];
        story->count++;
    }
}

/* ---- a case whose subject is not named, which an employee ties to somebody ---- */

static struct story_event *insert(struct making *making) {
    struct story *story = making->story;
    size_t at = below(making, (unsigned)story->count + 1);
    unsigned number = 0;
    for (size_t i = 0; i < story->count; i++)
        number = story->at[i].number < number ? number : story->at[i].number + 1;
    memmove(&story->at[at + 1], &story->at[at], (story->count - at) * sizeof *story->at);
    story->count++;
    story->at[at] = (struct story_event){.number = number, .time_us = instant(making)};
    return making->event = &story->at[at];
}

static void receive_unnamed(struct making *making, const char *name) {
    making->event = insert(making);
    keyed(making, STORY_REQUEST, "privacy.request.received", name);
    making->event->id = keep(making, "e%u", making->event->number + 1);
    making->event->data =
        keep(making,
             "{\"request_id\":\"%s\",\"kind\":\"erasure\",\"subject\":{\"email\":\"a0@x.fi\"},"
             "\"channel\":\"email\",\"identity\":\"%s\"}",
             name, chance(making, 700) ? "clerk" : "none");
}

static void tie(struct making *making, const char *name) {
    making->event = insert(making);
    keyed(making, STORY_COMMAND, "register.command", name);
    making->event->id = keep(making, "tie%u", making->event->number);
    making->event->data = keep(making, "%s", chance(making, 300) ? "recipient:r1" : customer(making));
    making->event->ties = true;
}

/* Drawn apart, so that the stories without it are as they would be. */
static void tie_some(struct making *making, uint64_t seed) {
    static const char *const names[] = {"q1", "q2", "q3"};
    making->draw = draw_begin(seed, DRAW_TIES);
    struct story *story = making->story;
    story->ties = chance(making, 150) && story->count + 3 <= STORY_MOST;
    if (!story->ties)
        return;
    const char *name = names[below(making, 3)];
    if (chance(making, 800))
        receive_unnamed(making, name);
    tie(making, name);
    if (chance(making, 300))
        tie(making, chance(making, 700) ? name : names[below(making, 3)]);
}

void story_draw(struct story *story, uint64_t seed, const struct ref_key *key, struct arena *arena) {
    struct making making = {.story = story, .draw = draw_begin(seed, DRAW_STORY), .key = key, .arena = arena};
    unsigned theme = below(&making, 4);
    unsigned count = 3 + below(&making, 6) + (chance(&making, 250) ? below(&making, 10) : 0);
    *story = (struct story){.policy = chance(&making, 500) ? 0 : below(&making, STORY_POLICIES),
                            .partitions = 1 + chance(&making, 200)};
    making.customers = 1 + chance(&making, 300);
    for (unsigned i = 0; i < count; i++) {
        making.event = &story->at[story->count++];
        *making.event = (struct story_event){.number = i};
        make_one(&making, theme);
    }
    order_customers(story);
    repeat_some(&making);
    tie_some(&making, seed);
}

struct text story_value(const struct story_event *event, struct arena *arena) {
    static const char *const sources[] = {"urn:shop", "urn:app"};
    char time[28], sequence[32] = "", *value;
    if (!event->type)
        return event->data;
    instant_write(event->time_us, time);
    if (event->sequence)
        snprintf(sequence, sizeof sequence, "\"sequence\":\"%u\",", event->sequence);
    size_t room = event->data.size + 256;
    value = arena_take(arena, room);
    assert(value);
    int size = snprintf(value, room,
                        "{\"specversion\":\"1.0\",\"id\":\"%.*s\",\"source\":\"%s\",\"type\":\"%s.v1\","
                        "\"time\":\"%s\",%s\"data\":%.*s}",
                        TEXT_ARGS(event->id), sources[event->source], event->type, time, sequence,
                        TEXT_ARGS(event->data));
    assert(size > 0 && (size_t)size < room);
    return (struct text){value, (size_t)size};
}

void story_tell(const struct story_event *event, char *buffer, size_t room) {
    char time[28];
    instant_write(event->time_us, time);
    snprintf(buffer, room, "%2u %-28s %.16s %s %.*s %.*s", event->number,
             event->type ? event->type : "(no event)", time, story_topics[event->topic],
             TEXT_ARGS(event->key), TEXT_ARGS(event->data));
}
