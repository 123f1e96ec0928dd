/* The tables of fields. */
#include "consumer/decode_tables.h"

#define REQUIRED true
#define OPTIONAL false
#define NOWHERE SIZE_MAX
#define MONEY_MOST INT64_C(1000000000000)

#define NAME(literal) .name = {literal, sizeof(literal) - 1}
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CHOICES(array) .choices = array, .choice_count = COUNT(array)
#define TABLE(array)                                                                                         \
    { array, COUNT(array) }

/* ---- the parts ---- */

#define CONTACT(literal, field_, ...)                                                                        \
    {                                                                                                        \
        NAME(literal), .offset = offsetof(struct contact, field[field_]),                                    \
                       .flag_offset = offsetof(struct contact, stated[field_]), __VA_ARGS__                  \
    }

static const struct field contact_fields[] = {
    CONTACT("city", CITY, .kind = KIND_TEXT, .most = 100),
    CONTACT("country", COUNTRY, .kind = KIND_COUNTRY),
    CONTACT("email", EMAIL, .kind = KIND_EMAIL),
    CONTACT("first_name", FIRST_NAME, .kind = KIND_TEXT, .most = 100),
    CONTACT("last_name", LAST_NAME, .kind = KIND_TEXT, .most = 100),
    CONTACT("phone", PHONE, .kind = KIND_PHONE),
    CONTACT("postcode", POSTCODE, .kind = KIND_TEXT, .most = 16),
    CONTACT("street", STREET, .kind = KIND_TEXT, .most = 200),
};
static const struct fields contact_table = TABLE(contact_fields);

static const char *const languages[] = {"en", "fi", "sv"};

static const struct field notice_fields[] = {
    {NAME("id"), KIND_ID, REQUIRED, offsetof(struct notice_text, id), .most = 64},
    {NAME("language"), KIND_CHOICE, REQUIRED, offsetof(struct notice_text, language), CHOICES(languages)},
    {NAME("sha256"), KIND_HASH, REQUIRED, offsetof(struct notice_text, sha256)},
};
static const struct fields notice_table = TABLE(notice_fields);

static const struct field line_fields[] = {
    {NAME("name"), KIND_TEXT, OPTIONAL, offsetof(struct line, name), .most = 200},
    {NAME("price"), KIND_INTEGER, REQUIRED, offsetof(struct line, price), .most = MONEY_MOST},
    {NAME("product_class"), KIND_ID, OPTIONAL, offsetof(struct line, product_class), .most = 64},
    {NAME("quantity"), KIND_INTEGER, REQUIRED, offsetof(struct line, quantity), .least = 1, .most = 9999},
    {NAME("sku"), KIND_ID, REQUIRED, offsetof(struct line, sku), .most = 64},
};
static const struct fields line_table = TABLE(line_fields);

static const struct field return_line_fields[] = {
    {NAME("quantity"), KIND_INTEGER, REQUIRED, offsetof(struct line, quantity), .least = 1, .most = 9999},
    {NAME("sku"), KIND_ID, REQUIRED, offsetof(struct line, sku), .most = 64},
};
static const struct fields return_line_table = TABLE(return_line_fields);

/* Exactly one of them: decode_rules.c */
static const struct field subject_fields[] = {
    {NAME("customer_id"), KIND_CUSTOMER_ID, OPTIONAL, offsetof(struct event, customer_id), .most = 64},
    {NAME("email"), KIND_EMAIL, OPTIONAL, offsetof(struct event, as.request.email)},
    {NAME("phone"), KIND_PHONE, OPTIONAL, offsetof(struct event, as.request.phone)},
    {NAME("recipient_id"), KIND_ID, OPTIONAL, offsetof(struct event, as.request.recipient_id), .most = 64},
};
static const struct fields subject_table = TABLE(subject_fields);

/* ---- the types ---- */

#define OF(member) offsetof(struct event, member)
#define CUSTOMER                                                                                             \
    { NAME("customer_id"), KIND_CUSTOMER_ID, REQUIRED, OF(customer_id), .most = 64 }
#define ID(literal, required_, member)                                                                       \
    { NAME(literal), KIND_ID, required_, OF(member), .most = 64 }
#define CURRENCY(member)                                                                                     \
    { NAME("currency"), KIND_CURRENCY, REQUIRED, OF(member) }
#define MONEY(literal, member)                                                                               \
    { NAME(literal), KIND_INTEGER, REQUIRED, OF(member), .most = MONEY_MOST }
#define CHOICE(literal, required_, member, array)                                                            \
    { NAME(literal), KIND_CHOICE, required_, OF(member), CHOICES(array) }

static const char *const customer_kinds[] = {"subscriber", "account"};
static const struct field registered[] = {
    {NAME("contact"), KIND_CONTACT, REQUIRED, OF(as.customer.contact), .members = &contact_table},
    CUSTOMER,
    {NAME("kind"), KIND_BOOL_OF, REQUIRED, OF(as.customer.account), CHOICES(customer_kinds)},
    {NAME("notice"), KIND_OBJECT, REQUIRED, OF(as.customer.notice), .members = &notice_table},
};
static const struct field changed[] = {
    {NAME("contact"), KIND_CONTACT, REQUIRED, OF(as.customer.contact), .members = &contact_table},
    CUSTOMER,
};
static const struct field customer_only[] = {CUSTOMER};
static const struct field merged[] = {CUSTOMER,
                                      ID("merged_customer_id", REQUIRED, as.merged.merged_customer_id)};

static const struct field placed[] = {
    {NAME("buyer"), KIND_OBJECT, OPTIONAL, OF(as.order.buyer), OF(as.order.has_buyer),
     .members = &contact_table},
    CURRENCY(as.order.currency),
    CUSTOMER,
    {NAME("guest"), KIND_BOOL, REQUIRED, OF(as.order.guest)},
    {NAME("lines"), KIND_LINES, REQUIRED, OF(as.order.lines), .count_offset = OF(as.order.line_count),
     .members = &line_table},
    {NAME("order_id"), KIND_ID, REQUIRED, OF(as.order.order_id),
     .most = 58}, /* guest:<order_id> is an id too */
    MONEY("total", as.order.total),
};
static const struct field paid[] = {
    MONEY("amount", as.payment.amount),
    CURRENCY(as.payment.currency),
    CUSTOMER,
    ID("order_id", REQUIRED, as.payment.order_id),
};
static const struct field order_cancelled[] = {CUSTOMER, ID("order_id", REQUIRED, as.order.order_id)};

static const char *const directions[] = {"outbound", "return"};
static const struct field shipment[] = {
    ID("carrier", REQUIRED, as.shipment.carrier),
    {NAME("consignee"), KIND_OBJECT, REQUIRED, OF(as.shipment.consignee), .members = &contact_table},
    CUSTOMER,
    {NAME("direction"), KIND_BOOL_OF, REQUIRED, OF(as.shipment.is_return), CHOICES(directions)},
    ID("order_id", REQUIRED, as.shipment.order_id),
    {NAME("parcels"), KIND_INTEGER, REQUIRED, OF(as.shipment.parcels), .least = 1, .most = 99},
    ID("pickup_point", OPTIONAL, as.shipment.pickup_point),
    ID("recipient_id", OPTIONAL, as.shipment.recipient_id),
    ID("return_id", OPTIONAL, as.shipment.return_id),
    ID("service", REQUIRED, as.shipment.service),
    ID("shipment_id", REQUIRED, as.shipment.shipment_id),
};
static const struct field shipment_cancelled[] = {
    CUSTOMER,
    ID("order_id", REQUIRED, as.shipment.order_id),
    ID("shipment_id", REQUIRED, as.shipment.shipment_id),
};

static const char *const return_reasons[] = {"withdrawal", "defect", "other"};
static const struct field return_requested[] = {
    CUSTOMER,
    {NAME("lines"), KIND_LINES, REQUIRED, OF(as.returned.lines), .count_offset = OF(as.returned.line_count),
     .members = &return_line_table},
    ID("order_id", REQUIRED, as.returned.order_id),
    CHOICE("reason", REQUIRED, as.returned.reason, return_reasons),
    ID("return_id", REQUIRED, as.returned.return_id),
};
static const struct field return_received[] = {
    CUSTOMER,
    ID("order_id", REQUIRED, as.returned.order_id),
    ID("return_id", REQUIRED, as.returned.return_id),
};
static const struct field return_refunded[] = {
    MONEY("amount", as.returned.amount),
    CURRENCY(as.returned.currency),
    CUSTOMER,
    ID("order_id", REQUIRED, as.returned.order_id),
    ID("return_id", REQUIRED, as.returned.return_id),
};

static const char *const purposes[] = {"newsletter", "marketing"};
static const char *const channels[] = {"email", "sms", "phone", "post"};
static const char *const bases[] = {"consent", "soft_opt_in"};
static const char *const grant_methods[] = {"registration_form", "account_page", "checkout",
                                            "customer_service"};
static const struct field granted[] = {
    CHOICE("basis", REQUIRED, as.consent.basis, bases),
    CHOICE("channel", REQUIRED, as.consent.channel, channels),
    {NAME("confirmed"), KIND_BOOL, OPTIONAL, OF(as.consent.confirmed), OF(as.consent.has_confirmed)},
    CUSTOMER,
    CHOICE("method", REQUIRED, as.consent.method, grant_methods),
    ID("order_id", OPTIONAL, as.consent.order_id),
    CHOICE("purpose", REQUIRED, as.consent.purpose, purposes),
    {NAME("wording"), KIND_OBJECT, REQUIRED, OF(as.consent.wording), .members = &notice_table},
};
static const char *const withdrawal_methods[] = {"unsubscribe_link", "one_click", "account_page",
                                                 "customer_service"};
static const struct field withdrawn[] = {
    CHOICE("channel", OPTIONAL, as.consent.channel, channels),
    {NAME("customer_id"), KIND_CUSTOMER_ID, OPTIONAL, OF(customer_id), .most = 64},
    CHOICE("method", REQUIRED, as.consent.method, withdrawal_methods),
    CHOICE("purpose", OPTIONAL, as.consent.purpose, purposes),
    {NAME("token"), KIND_REF, OPTIONAL, OF(as.consent.token)},
};

static const char *const request_kinds[] = {"access",      "portability",      "erasure",  "rectification",
                                            "restriction", "restriction_lift", "objection"};
static const char *const request_channels[] = {"account", "email", "phone", "post", "visit"};
/* "none" comes first: only what was received may have been identified by nobody */
static const char *const identities[] = {"none", "account", "email_loop", "strong", "clerk"};
static const struct field received[] = {
    {NAME("changes"), KIND_OBJECT, OPTIONAL, OF(as.request.changes), OF(as.request.has_changes),
     .members = &contact_table},
    CHOICE("channel", REQUIRED, as.request.channel, request_channels),
    CHOICE("identity", REQUIRED, as.request.identity, identities),
    CHOICE("kind", REQUIRED, as.request.kind, request_kinds),
    ID("purpose", OPTIONAL, as.request.purpose),
    ID("request_id", REQUIRED, as.request.request_id),
    {NAME("subject"), KIND_OBJECT, REQUIRED, 0, .members = &subject_table},
};
static const struct field identified[] = {
    {NAME("identity"), KIND_CHOICE, REQUIRED, OF(as.request.identity), .choices = identities + 1,
     .choice_count = COUNT(identities) - 1},
    ID("request_id", REQUIRED, as.request.request_id),
};

static const struct field delivery_status[] = {
    {NAME("detail"), KIND_DROPPED, OPTIONAL, NOWHERE, .most = 64},
    {NAME("parcel"), KIND_INTEGER, OPTIONAL, OF(as.delivery.parcel), .least = 1, .most = 99},
    {NAME("shipment_ref"), KIND_REF, REQUIRED, OF(as.delivery.shipment_ref)},
    {NAME("status"), KIND_ENUM, REQUIRED, OF(as.delivery.status), .choices = delivery_status_names,
     .choice_count = DELIVERY_STATUSES},
};
static const struct field acknowledged[] = {
    {NAME("ground"), KIND_TEXT, OPTIONAL, OF(as.ack.ground), .most = 200},
    {NAME("notice_ref"), KIND_REF, REQUIRED, OF(as.ack.notice_ref)},
    {NAME("outcome"), KIND_ENUM, REQUIRED, OF(as.ack.outcome), .choices = ack_outcome_names,
     .choice_count = ACK_OUTCOMES},
    {NAME("until"), KIND_DATE, OPTIONAL, OF(as.ack.until)},
};

/* What it says is sealed: command.c */
static const struct field command[] = {
    {NAME("sealed"), KIND_SEALED, REQUIRED, OF(as.tied.sealed), .most = 4096},
};

const struct fields decode_tables[EVENT_INPUT_TYPES] = {
    [CUSTOMER_REGISTERED] = TABLE(registered),
    [CUSTOMER_CHANGED] = TABLE(changed),
    [CUSTOMER_SEEN] = TABLE(customer_only),
    [CUSTOMER_CLOSED] = TABLE(customer_only),
    [CUSTOMER_MERGED] = TABLE(merged),
    [ORDER_PLACED] = TABLE(placed),
    [ORDER_CHANGED] = TABLE(placed),
    [ORDER_PAID] = TABLE(paid),
    [ORDER_CANCELLED] = TABLE(order_cancelled),
    [SHIPMENT_REQUESTED] = TABLE(shipment),
    [SHIPMENT_CHANGED] = TABLE(shipment),
    [SHIPMENT_CANCELLED] = TABLE(shipment_cancelled),
    [RETURN_REQUESTED] = TABLE(return_requested),
    [RETURN_RECEIVED] = TABLE(return_received),
    [RETURN_REFUNDED] = TABLE(return_refunded),
    [CONSENT_GRANTED] = TABLE(granted),
    [CONSENT_WITHDRAWN] = TABLE(withdrawn),
    [CONSENT_OBJECTED] = TABLE(withdrawn),
    [REQUEST_RECEIVED] = TABLE(received),
    [REQUEST_IDENTIFIED] = TABLE(identified),
    [DELIVERY_STATUS] = TABLE(delivery_status),
    [NOTICE_ACKNOWLEDGED] = TABLE(acknowledged),
    [COMMAND_TIED] = TABLE(command),
};
_Static_assert(sizeof(enum delivery_status) == sizeof(unsigned) &&
                   sizeof(enum ack_outcome) == sizeof(unsigned),
               "KIND_ENUM writes an unsigned");
