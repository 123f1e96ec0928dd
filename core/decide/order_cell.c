/* The sealed cells of an order: claim, voucher and oss, and what they are made of. Amounts and lines live in
 * them only, so that a voucher takes its lines from the claim as it stands there. */
#include "core/decide/cell_content.h"
#include "core/decide/effect.h"

static bool names(const struct decision *decision, enum category category, enum policy_field field) {
    return category_has(decision->policy, category, field);
}

/* ---- claim ---- */

static void write_line(struct json_writer *writer, const struct line *line) {
    json_object(writer);
    if (text_present(line->name)) {
        json_key(writer, "name");
        json_text(writer, line->name);
    }
    json_key(writer, "price");
    json_int(writer, line->price);
    if (text_present(line->product_class)) {
        json_key(writer, "product_class");
        json_text(writer, line->product_class);
    }
    json_key(writer, "quantity");
    json_int(writer, line->quantity);
    json_key(writer, "sku");
    json_text(writer, line->sku);
    json_object_end(writer);
}

/* The policy's name for the line's product class; empty when it has none: the category's own term is the
 * line's. */
static struct text named_class(const struct policy_category *claim, const struct line *line) {
    for (size_t i = 0; i < claim->product_class_count; i++) {
        if (text_equal(claim->by_product_class[i].product_class, line->product_class))
            return claim->by_product_class[i].product_class;
    }
    return TEXT("");
}

/* Keeps in the clear which of the policy's product classes the lines have: the claim's term hangs on them. */
static enum outcome take_product_classes(struct decision *decision, struct order *order,
                                         const struct event *event) {
    const struct policy_category *claim = &decision->policy->categories[CATEGORY_CLAIM];
    order->product_classes.count = 0;
    for (size_t line = 0; claim->product_class_count && line < event->as.order.line_count; line++) {
        struct text name = named_class(claim, &event->as.order.lines[line]);
        struct text *list = order->product_classes.at;
        size_t at = 0;
        while (at < order->product_classes.count && text_compare(list[at], name) < 0)
            at++;
        if (at < order->product_classes.count && text_equal(list[at], name))
            continue;
        if (!ARENA_PUSH(decision->arena, &order->product_classes))
            return RETRY;
        list = order->product_classes.at;
        memmove(list + at + 1, list + at, (order->product_classes.count - 1 - at) * sizeof(*list));
        list[at] = name;
    }
    return OK;
}

enum outcome order_write_claim(struct decision *decision, struct order *order, const struct event *event) {
    struct json_writer *writer = decision->writer;
    if (!decision->policy->categories[CATEGORY_CLAIM].present)
        return OK;
    json_writer_reset(writer);
    json_object(writer);
    if (event->as.order.has_buyer && names(decision, CATEGORY_CLAIM, FIELD_BUYER)) {
        json_key(writer, "buyer");
        contact_write(writer, &event->as.order.buyer, TEXT_ABSENT, FIELD_BIT(CONTACT_FIELDS) - 1);
    }
    if (names(decision, CATEGORY_CLAIM, FIELD_CURRENCY)) {
        json_key(writer, "currency");
        json_text(writer, event->as.order.currency);
    }
    if (names(decision, CATEGORY_CLAIM, FIELD_LINES)) {
        json_key(writer, "lines");
        json_array(writer);
        for (size_t i = 0; i < event->as.order.line_count; i++)
            write_line(writer, &event->as.order.lines[i]);
        json_array_end(writer);
    }
    if (names(decision, CATEGORY_CLAIM, FIELD_TOTAL)) {
        json_key(writer, "total");
        json_int(writer, event->as.order.total);
    }
    json_object_end(writer);
    struct text content = json_writer_take(writer, decision->arena);
    if (!text_present(content))
        return RETRY;
    cell_write(&order->claim, content);
    return take_product_classes(decision, order, event);
}

/* ---- payments ---- */

static void write_payment(struct json_writer *writer, const struct event *event) {
    char time[28];
    instant_write(event->version.time_us, time);
    json_object(writer);
    json_key(writer, "amount");
    json_int(writer, event->as.payment.amount);
    json_key(writer, "currency");
    json_text(writer, event->as.payment.currency);
    json_key(writer, "id");
    json_text(writer, event->version.id);
    json_key(writer, "source");
    json_text(writer, event->version.source);
    json_key(writer, "time");
    json_string(writer, time);
    json_object_end(writer);
}

/* The voucher's payments stand in the same order as the list of their versions. */
static struct text enter_payment_json(struct decision *decision, const struct order *order,
                                      const struct event *event, size_t replaces, size_t enters) {
    struct json_writer *writer = decision->writer;
    struct text old = content_member(cell_content(&order->voucher), "payments"), item;
    size_t position = 0, kept = 0;
    json_writer_reset(writer);
    json_array(writer);
    for (size_t i = 0; content_item(old, &position, &item); i++) {
        if (i == replaces)
            continue;
        if (kept++ == enters)
            write_payment(writer, event);
        json_raw(writer, item);
    }
    if (kept <= enters)
        write_payment(writer, event);
    json_array_end(writer);
    return json_writer_take(writer, decision->arena);
}

enum outcome order_enter_payment(struct decision *decision, struct order *order, const struct event *event,
                                 size_t replaces, struct text *payments) {
    struct payment *list = order->payments.at;
    size_t enters = 0, count = order->payments.count;
    for (size_t i = 0; i < count; i++)
        enters += i != replaces && version_compare(&list[i].version, &event->version) < 0;
    *payments = TEXT_ABSENT;
    if (names(decision, CATEGORY_VOUCHER, FIELD_PAYMENTS)) {
        *payments = enter_payment_json(decision, order, event, replaces, enters);
        if (!text_present(*payments))
            return RETRY;
    }
    if (replaces < count) {
        memmove(list + replaces, list + replaces + 1, (count - replaces - 1) * sizeof(*list));
        order->payments.count--;
    }
    if (!ARENA_PUSH(decision->arena, &order->payments))
        return RETRY;
    list = order->payments.at;
    memmove(list + enters + 1, list + enters, (order->payments.count - 1 - enters) * sizeof(*list));
    list[enters].version = event->version;
    return OK;
}

/* ---- voucher and oss ---- */

/* What placed or changed said, as JSON: from the claim while it is kept, else from the voucher; also what a
 * claim lacks of which nothing but its end is left. */
struct stated {
    struct text currency, lines, total;
};
static struct stated stated(const struct order *order) {
    static const char *const names_of[] = {"currency", "lines", "total"};
    struct text values[3], held[3];
    const struct cell *cell = cell_present(&order->claim) ? &order->claim : &order->voucher;
    content_members(cell_content(cell), names_of, values, 3);
    content_members(order->voucher.content, names_of, held, 3);
    for (size_t i = 0; i < 3; i++)
        values[i] = text_present(values[i]) ? values[i] : held[i];
    return (struct stated){.currency = values[0], .lines = values[1], .total = values[2]};
}

static void write_raw(struct json_writer *writer, const char *key, struct text json) {
    if (!text_present(json))
        return;
    json_key(writer, key);
    json_raw(writer, json);
}

/* The local date of the earliest payment: the voucher's and the sale's date. */
static void write_date(struct decision *decision, const struct order *order) {
    char date[11];
    date_write(date_local(decision->policy->zone, order->payments.at[0].version.time_us), date);
    json_key(decision->writer, "date");
    json_string(decision->writer, date);
}

/* Both years' ends run from the voucher's date. */
static struct clocks voucher_clocks(const struct order *order) {
    struct clocks clocks = clocks_none();
    clocks.at_us[CLOCK_FINANCIAL_YEAR_CALENDAR_END] = order->payments.at[0].version.time_us;
    clocks.at_us[CLOCK_CALENDAR_YEAR_END] = order->payments.at[0].version.time_us;
    clocks.at_us[CLOCK_LAST_DELIVERED] = order->last_delivered_us;
    clocks.at_us[CLOCK_RECORDED] = order->recorded_us;
    return clocks;
}

static enum outcome write_voucher(struct decision *decision, struct order *order, struct text payments) {
    struct json_writer *writer = decision->writer;
    if (!decision->policy->categories[CATEGORY_VOUCHER].present)
        return OK;
    const struct stated said = stated(order);
    json_writer_reset(writer);
    json_object(writer);
    if (names(decision, CATEGORY_VOUCHER, FIELD_CURRENCY))
        write_raw(writer, "currency", said.currency);
    if (names(decision, CATEGORY_VOUCHER, FIELD_DATE))
        write_date(decision, order);
    if (names(decision, CATEGORY_VOUCHER, FIELD_LINES))
        write_raw(writer, "lines", said.lines);
    if (names(decision, CATEGORY_VOUCHER, FIELD_ORDER_ID)) {
        json_key(writer, "order_id");
        json_text(writer, order->order_id);
    }
    if (names(decision, CATEGORY_VOUCHER, FIELD_PAYMENTS))
        write_raw(writer, "payments", payments);
    if (names(decision, CATEGORY_VOUCHER, FIELD_TOTAL))
        write_raw(writer, "total", said.total);
    json_object_end(writer);
    struct text content = json_writer_take(writer, decision->arena);
    if (!text_present(content))
        return RETRY;
    struct clocks clocks = voucher_clocks(order);
    cell_write(&order->voucher, content);
    cell_keep_until(&order->voucher, policy_until(decision->policy, CATEGORY_VOUCHER, &clocks, NULL, 0));
    return OK;
}

/* A paid sale to another country than the policy's own, nameless. */
static enum outcome write_oss(struct decision *decision, struct order *order) {
    const struct policy_category *oss = &decision->policy->categories[CATEGORY_OSS];
    struct json_writer *writer = decision->writer;
    struct text country = order_oss_country(order);
    if (!oss->present || !text_present(country) || text_equal(country, oss->when_country_not)) {
        cell_drop(&order->oss);
        return OK;
    }
    json_writer_reset(writer);
    json_object(writer);
    if (names(decision, CATEGORY_OSS, FIELD_COUNTRY_CODE)) {
        json_key(writer, "country");
        json_text(writer, country);
    }
    if (names(decision, CATEGORY_OSS, FIELD_DATE))
        write_date(decision, order);
    if (names(decision, CATEGORY_OSS, FIELD_ORDER_ID)) {
        json_key(writer, "order_id");
        json_text(writer, order->order_id);
    }
    if (names(decision, CATEGORY_OSS, FIELD_TOTAL))
        write_raw(writer, "total", stated(order).total);
    json_object_end(writer);
    struct text content = json_writer_take(writer, decision->arena);
    if (!text_present(content))
        return RETRY;
    struct clocks clocks = voucher_clocks(order);
    cell_write(&order->oss, content);
    cell_keep_until(&order->oss, policy_until(decision->policy, CATEGORY_OSS, &clocks, NULL, 0));
    return OK;
}

enum outcome order_write_cells(struct decision *decision, struct order *order, unsigned changes,
                               struct text payments) {
    if (!order->payments.count)
        return OK; /* both begin with a payment */
    if (changes & (ORDER_WON | ORDER_PAYMENT)) {
        if (!text_present(payments))
            payments = content_member(cell_content(&order->voucher), "payments");
        TRY(write_voucher(decision, order, payments));
    }
    return write_oss(decision, order);
}
