/* The content of cells, written canonically and cut up without a parser. */
#include "core/decide/cell_content.h"

const enum policy_field flat_order[FLAT_FIELDS] = {
    (enum policy_field)CITY,      (enum policy_field)COUNTRY,
    (enum policy_field)EMAIL,     (enum policy_field)FIRST_NAME,
    (enum policy_field)LAST_NAME, (enum policy_field)PHONE,
    FIELD_PICKUP_POINT,           (enum policy_field)POSTCODE,
    (enum policy_field)STREET,
};

/* ---- reading ---- */

/* Past the closing quote of the string that opens at `at`; past the text when it is damaged. */
static size_t string_end(struct text json, size_t at) {
    for (at++; at < json.size; at++) {
        const char *quote = memchr(json.at + at, '"', json.size - at);
        if (!quote)
            return json.size + 1;
        at = (size_t)(quote - json.at);
        size_t backslashes = 0;
        while (json.at[at - 1 - backslashes] == '\\') /* the opening quote ends this at the latest */
            backslashes++;
        if (backslashes % 2 == 0)
            break;
    }
    return at + 1;
}

/* Where the value that begins at `at` ends; past the text when it is damaged. */
static size_t value_end(struct text json, size_t at) {
    size_t depth = 0;
    for (; at < json.size; at++) {
        char c = json.at[at];
        if (c == '"') {
            at = string_end(json, at) - 1;
        } else if (c == '{' || c == '[') {
            depth++;
            continue;
        } else if (c == '}' || c == ']') {
            if (!depth)
                return at;
            depth--;
        } else if (c != ',' || depth) {
            continue;
        } else {
            return at;
        }
        if (!depth)
            return at + 1;
    }
    return at;
}

/* Cuts the next member out of an object. */
static bool next_member(struct text object, size_t *position, struct text *name, struct text *value) {
    size_t at = *position + 1; /* past '{' or ',' */
    if (at >= object.size || object.at[at] != '"')
        return false;
    size_t name_end = string_end(object, at);
    if (name_end >= object.size)
        return false;
    *name = (struct text){object.at + at + 1, name_end - at - 2};
    size_t end = value_end(object, name_end + 1);
    if (end >= object.size)
        return false;
    *value = (struct text){object.at + name_end + 1, end - name_end - 1};
    *position = end;
    return true;
}

void content_members(struct text object, const char *const *names, struct text *values, size_t count) {
    size_t position = 0;
    struct text name, value;
    for (size_t i = 0; i < count; i++)
        values[i] = TEXT_ABSENT;
    while (object.at && next_member(object, &position, &name, &value)) {
        for (size_t i = 0; i < count; i++) {
            if (text_is(name, names[i]))
                values[i] = value;
        }
    }
}

struct text content_member(struct text object, const char *name) {
    struct text value;
    content_members(object, &name, &value, 1);
    return value;
}

bool content_item(struct text array, size_t *position, struct text *item) {
    size_t at = *position + 1; /* past '[' or ',' */
    if (!array.at || at >= array.size || array.at[at] == ']')
        return false;
    size_t end = value_end(array, at);
    if (end >= array.size)
        return false;
    *item = (struct text){array.at + at, end - at};
    *position = end;
    return true;
}

void flat_read(struct text content, struct flat *flat) {
    size_t position = 0, next = 0;
    struct text name, value;
    *flat = (struct flat){0};
    while (content.at && next_member(content, &position, &name, &value)) {
        /* both sides are in canonical order */
        while (next < FLAT_FIELDS && !text_is(name, policy_field_name(flat_order[next])))
            next++;
        if (next < FLAT_FIELDS)
            flat->json[flat_order[next++]] = value;
    }
}

/* ---- writing ---- */

void flat_write(struct json_writer *writer, const struct flat *flat, field_set fields, bool with_nulls) {
    json_object(writer);
    for (size_t i = 0; i < FLAT_FIELDS; i++) {
        enum policy_field field = flat_order[i];
        bool has_value = text_present(flat->json[field]);
        if (!(fields & FIELD_BIT(field)) || (!has_value && !with_nulls))
            continue;
        json_key(writer, policy_field_name(field));
        if (has_value)
            json_raw(writer, flat->json[field]);
        else
            json_null(writer);
    }
    json_object_end(writer);
}

void contact_write(struct json_writer *writer, const struct contact *contact, struct text pickup_point,
                   field_set fields) {
    json_object(writer);
    for (size_t i = 0; i < FLAT_FIELDS; i++) {
        enum policy_field field = flat_order[i];
        struct text value = field == FIELD_PICKUP_POINT ? pickup_point : contact->field[field];
        if (!(fields & FIELD_BIT(field)) || !text_present(value))
            continue;
        json_key(writer, policy_field_name(field));
        json_text(writer, value);
    }
    json_object_end(writer);
}
