/* One event of every type. */
#include "tests/failures/failing_sample.h"

#include "core/command_seal.h"
#include "core/decide/state.h"
#include "tests/unit/consume_sample.h"
#include <assert.h>
#include <stdio.h>

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define TEXT_VERSION "{\"id\":\"n1\",\"sha256\":\"" HASH "\",\"language\":\"fi\"}"
/* A and a ring that combine, and what lower case makes of an E with an accent. */
#define CONTACT                                                                                              \
    "{\"first_name\":\"A\u030asa\",\"last_name\":\"O\u0308hman\",\"street\":\"Ga\\u0074an "                  \
    "2\",\"postcode\":\"33700\",\"city\":\"Tampere\",\"country\":\"FI\",\"phone\":\"+358401234568\","        \
    "\"email\":\"\u00c9va@jerone.fi\"}"
#define FIELDS_8(letter)                                                                                     \
    "\"" letter "0\":0,\"" letter "1\":1,\"" letter "2\":[],\"" letter "3\":{},\"" letter                    \
    "4\":null,\"" letter "5\":\"5\",\"" letter "6\":0.5,\"" letter "7\":true"
#define LINES_1                                                                                              \
    "[{\"sku\":\"a\",\"quantity\":2,\"price\":500,\"name\":\"Ma\u0308rke\",\"product_class\":\"food\"}]"

struct said {
    const char *topic, *key, *type, *id, *time, *data;
};

static const struct said said[] = {
    {"shop.customer.v1", "c1", "shop.customer.seen", "b1", "2026-05-15T10:00:00Z",
     "{\"customer_id\":\"c1\"," FIELDS_8("a") "," FIELDS_8("b") "," FIELDS_8("c") "}"},
    {"shop.customer.v1", "c3", "shop.customer.registered", "b2", "2026-05-15T10:00:01Z",
     "{\"customer_id\":\"c3\",\"kind\":\"account\",\"contact\":" CONTACT ",\"notice\":" TEXT_VERSION "}"},
    {"shop.customer.v1", "c1", "shop.customer.changed", "b3", "2026-05-15T10:00:02Z",
     "{\"customer_id\":\"c1\",\"contact\":{\"street\":\"Ga\u0308tan 3\",\"phone\":\"+358401234569\"}}"},
    {"shop.order.v1", "c1", "shop.order.changed", "b4", "2026-05-15T10:00:03Z",
     "{\"order_id\":\"o1\",\"customer_id\":\"c1\",\"guest\":false,\"currency\":\"EUR\",\"total\":1000,"
     "\"lines\":" LINES_1 "}"},
    {"shop.order.v1", "guest:o4", "shop.order.placed", "b5", "2026-05-15T10:00:04Z",
     "{\"order_id\":\"o4\",\"customer_id\":\"guest:o4\",\"guest\":true,\"buyer\":" CONTACT
     ",\"currency\":\"EUR\",\"total\":1000,\"lines\":" LINES_1 "}"},
    {"shop.order.v1", "guest:o4", "shop.order.paid", "b6", "2026-05-15T10:00:05Z",
     "{\"order_id\":\"o4\",\"customer_id\":\"guest:o4\",\"amount\":1000,\"currency\":\"EUR\"}"},
    {"shop.order.v1", "c1", "shop.order.cancelled", "b7", "2026-05-15T10:00:06Z",
     "{\"order_id\":\"o2\",\"customer_id\":\"c1\"}"},
    {"shop.shipment.v1", "c1", "shop.shipment.changed", "b8", "2026-05-15T10:00:07Z",
     "{\"shipment_id\":\"s1\",\"order_id\":\"o1\",\"customer_id\":\"c1\",\"consignee\":" CONTACT
     ",\"direction\":\"outbound\",\"carrier\":\"posti\",\"service\":\"2104\",\"parcels\":1}"},
    {"shop.shipment.v1", "guest:o4", "shop.shipment.requested", "b9", "2026-05-15T10:00:08Z",
     "{\"shipment_id\":\"s4\",\"order_id\":\"o4\",\"customer_id\":\"guest:o4\",\"recipient_id\":\"r4\","
     "\"consignee\":" CONTACT
     ",\"direction\":\"outbound\",\"carrier\":\"posti\",\"service\":\"2104\",\"parcels\":2}"},
    {"shop.shipment.v1", "c1", "shop.shipment.cancelled", "b10", "2026-05-15T10:00:09Z",
     "{\"shipment_id\":\"s5\",\"order_id\":\"o1\",\"customer_id\":\"c1\"}"},
    {"shop.return.v1", "c1", "shop.return.received", "b11", "2026-05-15T10:00:10Z",
     "{\"return_id\":\"R1\",\"order_id\":\"o1\",\"customer_id\":\"c1\"}"},
    {"shop.consent.v1", "c1", "shop.consent.granted", "b12", "2026-05-15T10:00:11Z",
     "{\"customer_id\":\"c1\",\"purpose\":\"newsletter\",\"channel\":\"email\",\"basis\":\"consent\","
     "\"confirmed\":true,\"method\":\"checkout\",\"wording\":" TEXT_VERSION "}"},
    {"shop.consent.v1", "c3", "shop.consent.granted", "b13", "2026-05-15T10:00:12Z",
     "{\"customer_id\":\"c3\",\"purpose\":\"newsletter\",\"channel\":\"email\",\"basis\":\"consent\","
     "\"confirmed\":true,\"method\":\"checkout\",\"wording\":" TEXT_VERSION "}"},
    {"shop.consent.v1", "c1", "shop.consent.withdrawn", "b14", "2026-05-15T10:00:13Z",
     "{\"customer_id\":\"c1\",\"method\":\"account_page\"}"},
    {"shop.consent.v1", "c3", "shop.consent.objected", "b15", "2026-05-15T10:00:14Z",
     "{\"customer_id\":\"c3\",\"purpose\":\"newsletter\",\"method\":\"one_click\"}"},
    {"privacy.request.v1", "q1", "privacy.request.received", "b16", "2026-05-15T10:00:15Z",
     "{\"request_id\":\"q1\",\"kind\":\"access\",\"subject\":{\"email\":\"\u00c9va@jerone.fi\"},"
     "\"channel\":\"email\",\"identity\":\"none\"}"},
    {"privacy.request.v1", "q1", "privacy.request.identified", "b17", "2026-05-15T10:00:16Z",
     "{\"request_id\":\"q1\",\"identity\":\"email_loop\"}"},
    {"privacy.request.v1", "q2", "privacy.request.received", "b18", "2026-05-15T10:00:17Z",
     "{\"request_id\":\"q2\",\"kind\":\"rectification\",\"subject\":{\"customer_id\":\"c1\"},"
     "\"channel\":\"account\",\"identity\":\"account\",\"changes\":" CONTACT "}"},
    {"privacy.request.v1", "q3", "privacy.request.received", "b19", "2026-05-15T10:00:18Z",
     "{\"request_id\":\"q3\",\"kind\":\"objection\",\"subject\":{\"phone\":\"+358401234569\"},"
     "\"channel\":\"phone\",\"identity\":\"none\",\"purpose\":\"newsletter\"}"},
    {"privacy.request.v1", "q4", "privacy.request.received", "b20", "2026-05-15T10:00:19Z",
     "{\"request_id\":\"q4\",\"kind\":\"erasure\",\"subject\":{\"customer_id\":\"c1\"},"
     "\"channel\":\"account\",\"identity\":\"account\"}"},
    {"privacy.request.v1", "q5", "privacy.request.received", "b21", "2026-05-15T10:00:20Z",
     "{\"request_id\":\"q5\",\"kind\":\"erasure\",\"subject\":{\"recipient_id\":\"r4\"},"
     "\"channel\":\"post\",\"identity\":\"clerk\"}"},
    {"shop.customer.v1", "c3", "shop.customer.closed", "b22", "2026-05-15T10:00:21Z",
     "{\"customer_id\":\"c3\"}"},
    {"shop.customer.v1", "c1", "shop.customer.merged", "b23", "2026-05-15T10:00:22Z",
     "{\"customer_id\":\"c1\",\"merged_customer_id\":\"c9\"}"},
};

/* A text whose escapes outgrow yajl's first buffer. */
static void publish_long(struct memory_register *memory) {
    char data[3500];
    size_t size = (size_t)snprintf(data, sizeof data, "{\"customer_id\":\"c1\",\"remark\":\"");
    while (size < sizeof data - 8)
        size += (size_t)snprintf(data + size, sizeof data - size, "\\n%c", 'a' + (int)(size % 26));
    snprintf(data + size, sizeof data - size, "\"}");
    memory_register_publish(memory, "shop.customer.v1", "c1", "shop.customer.seen", "b24",
                            "2026-05-15T10:00:23Z", data);
}

static void publish_acknowledged(struct memory_register *memory, struct text notice_ref) {
    char data[256], key[64];
    snprintf(key, sizeof key, "%.*s", TEXT_ARGS(notice_ref));
    snprintf(data, sizeof data,
             "{\"notice_ref\":\"%s\",\"outcome\":\"retained\",\"ground\":\"A\u030a "
             "law\",\"until\":\"2031-01-01\"}",
             key);
    memory_register_publish(memory, "carrier.matkahuolto.v1", key, "carrier.notice.acknowledged", "b25",
                            "2026-05-19T10:00:00Z", data);
}

/* An employee ties the objection q3 to c1. */
static void publish_command(struct world *world) {
    static const char id[] = "00000000-0000-8000-8000-00000000000c";
    struct arena arena;
    struct err err;
    struct seal_key key;
    struct key_want want = command_want();
    const struct command_tie tie = {.request_id = TEXT("q3"), .person = TEXT("c1")};
    char data[4096];
    arena_init(&arena, (size_t)1 << 20);
    struct sealer *sealer = sealer_new();
    bool provided = keyring_provide(world->keyring, &arena, &want, 1, NULL, 0, 0, &err) == OK &&
                    keyring_cell_key(world->keyring, want.person, want.generation, want.category, 0, 0, &key);
    assert(provided && sealer);
    (void)provided;
    struct text sealed = command_seal(sealer, &key, &tie, text_of(id), world->memory.writer, &arena);
    snprintf(data, sizeof data, "%.*s", TEXT_ARGS(sealed));
    memory_register_publish(&world->memory, "register.command.v1", "q3", "register.command", id,
                            "2026-05-16T10:00:00Z", data);
    sealer_free(sealer);
    arena_release(&arena);
}

void sample_every(struct world *world) {
    struct memory_register *memory = &world->memory;
    struct ref ref = ref_shipment(&sample_ref_key, TEXT("posti"), TEXT("guest:o4"), TEXT("s4"));
    char data[256];
    snprintf(data, sizeof data, "{\"shipment_ref\":\"%s\",\"parcel\":2,\"status\":\"out_for_delivery\"}",
             ref.chars);
    memory_register_publish(memory, "carrier.posti.v1", ref.chars, "carrier.delivery.status", "b0",
                            "2026-05-16T10:00:00Z", data);
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        memory_register_publish(memory, said[i].topic, said[i].key, said[i].type, said[i].id, said[i].time,
                                said[i].data);
    publish_long(memory);
    publish_command(world);
    publish_acknowledged(memory, memory->notices.count ? memory->notices.at[0].notice_ref
                                                       : TEXT("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
}
