/* The one walk over an event's data, led by the table of its type: judges each field, keeps it, and writes
 * the canonical JSON as it goes. */
#include "consumer/decode_fields.h"

#include "consumer/decode_envelope.h"
#include "consumer/decode_tables.h"
#include "core/decide/state.h"
#include "core/iso.h"
#include "core/nfc.h"
#include "core/term.h"

#include <stdio.h>

#define LINES_MOST 500

/* ---- what a text must be ---- */

/* What a byte may be part of. */
enum { IN_ID = 1, IN_REF = 2, IN_HEX = 4, IN_DECIMAL = 8 };
static const uint8_t byte_classes[256] = {
    ['0' ... '9'] = IN_ID | IN_REF | IN_HEX | IN_DECIMAL,
    ['A' ... 'F'] = IN_ID | IN_REF | IN_HEX,
    ['G' ... 'Z'] = IN_ID | IN_REF,
    ['a' ... 'f'] = IN_ID | IN_REF | IN_HEX,
    ['g' ... 'z'] = IN_ID | IN_REF,
    ['.'] = IN_ID,
    ['_'] = IN_ID | IN_REF,
    [':'] = IN_ID,
    ['-'] = IN_ID | IN_REF,
};

static bool all_in(struct text text, uint8_t class) {
    for (size_t i = 0; i < text.size; i++) {
        if (!(byte_classes[(unsigned char)text.at[i]] & class)) {
            return false;
        }
    }
    return true;
}

static enum reason judge_id(struct text text, int64_t most) {
    if (!text.size || (int64_t)text.size > most || !all_in(text, IN_ID)) {
        return REASON_FIELD_RANGE;
    }
    return text_is(text, "0") || text_is(text, "null") || text_is(text, "guest") ? REASON_BAD_ID
                                                                                 : REASON_NONE;
}

/* E.164: a plus, no leading zero, at most 15 digits. */
static bool phone_valid(struct text text) {
    return text.size >= 3 && text.size <= 16 && text.at[0] == '+' && text.at[1] != '0' &&
           all_in((struct text){text.at + 1, text.size - 1}, IN_DECIMAL);
}

/* ^[^@ and blanks and controls]+@[the same]+$ as the JSON Schemas say: one @ between two parts that are not
 * empty. More would turn away addresses that work. Controls are C0, DEL, C1; the blanks U+0020 and U+00A0. */
static bool email_valid(struct text text) {
    size_t length = utf8_length(text), ats = 0, at = 0;
    if (length < 3 || length > 254) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c <= 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)text.at[i + 1] <= 0xa0)) {
            return false;
        }
        if (c == '@') {
            ats++;
            at = i;
        }
    }
    return ats == 1 && at > 0 && at + 1 < text.size;
}

static int choice_index(const struct field *field, struct text text) {
    for (size_t i = 0; i < field->choice_count; i++) {
        if (text_is(text, field->choices[i])) {
            return (int)i;
        }
    }
    return -1;
}

static enum reason judge_text(const struct field *field, struct text text) {
    int32_t date;
    bool fine = false;
    switch (field->kind) {
    case KIND_CUSTOMER_ID:
        if (judge_id(text, field->most) == REASON_NONE && person_is_recipient(text)) {
            return REASON_BAD_ID;
        }
        return judge_id(text, field->most);
    case KIND_ID:
    case KIND_DROPPED:
        return judge_id(text, field->most);
    case KIND_REF:
        fine = text.size == 43 && all_in(text, IN_REF);
        break;
    case KIND_SEALED:
        fine = text.size >= 1 && (int64_t)text.size <= field->most && all_in(text, IN_REF);
        break;
    case KIND_TEXT: {
        size_t length = utf8_length(text);
        fine = length >= 1 && length <= (size_t)field->most;
        break;
    }
    case KIND_COUNTRY:
        fine = iso_country(text);
        break;
    case KIND_CURRENCY:
        fine = iso_currency(text);
        break;
    case KIND_PHONE:
        fine = phone_valid(text);
        break;
    case KIND_EMAIL:
        fine = email_valid(text);
        break;
    case KIND_HASH:
        fine = text.size == 64 && all_in(text, IN_HEX);
        break;
    case KIND_DATE:
        fine = date_parse(text, &date);
        break;
    default:
        fine = choice_index(field, text) >= 0;
        break;
    }
    return fine ? REASON_NONE : REASON_FIELD_RANGE;
}

/* ---- the walk ---- */

struct walk {
    struct arena *arena;
    struct json_writer *canonical;
    struct refusal *refusal;
    uint32_t *unknown_fields;
    const char *parent; /* the field that holds this object, "" at the root */
    bool nullable;      /* members may be null: the contact of registered and changed */
    bool no_memory;
};

static void walk_refuse(struct walk *walk, enum reason reason, const struct field *field) {
    char path[sizeof(walk->refusal->detail)];
    snprintf(path, sizeof(path), "%s%s%s", walk->parent, *walk->parent ? "." : "", field->name.at);
    refuse(walk->refusal, reason, path);
}

/* Nothing is copied or written any more once the record is refused. */
static bool walk_keeps(const struct walk *walk) {
    return walk->refusal->reason == REASON_NONE && !walk->no_memory;
}

static void object_walk(struct walk *walk, const struct json *object, const struct fields *table, void *base);

static void text_walk(struct walk *walk, const struct field *field, const struct json *value, void *base) {
    enum reason reason = value->type == JSON_STRING ? judge_text(field, value->text) : REASON_FIELD_TYPE;
    if (reason != REASON_NONE) {
        walk_refuse(walk, reason, field);
    }
    if (!walk_keeps(walk)) {
        return;
    }
    void *at = (char *)base + field->offset;
    struct text kept = value->text;
    switch (field->kind) {
    case KIND_ENUM: {
        unsigned index = (unsigned)choice_index(field, value->text);
        memcpy(at, &index, sizeof(index));
        break;
    }
    case KIND_BOOL_OF:
        *(bool *)at = choice_index(field, value->text) == 1;
        break;
    case KIND_DROPPED:
        break;
    default:
        kept = nfc_text(walk->arena, value->text);
        walk->no_memory |= !kept.at;
        *(struct text *)at = kept;
        break;
    }
    json_text(walk->canonical, kept);
}

static void integer_walk(struct walk *walk, const struct field *field, const struct json *value, void *base) {
    if (value->type == JSON_NUMBER && !memchr(value->text.at, '.', value->text.size) &&
        !memchr(value->text.at, 'e', value->text.size) && !memchr(value->text.at, 'E', value->text.size)) {
        walk_refuse(walk, REASON_FIELD_RANGE, field); /* an integer past int64 */
    } else if (value->type != JSON_INTEGER) {
        walk_refuse(walk, REASON_FIELD_TYPE, field);
    } else if (value->integer < field->least || value->integer > field->most) {
        walk_refuse(walk, REASON_FIELD_RANGE, field);
    } else if (walk_keeps(walk)) {
        *(int64_t *)((char *)base + field->offset) = value->integer;
        json_int(walk->canonical, value->integer);
    }
}

static void bool_walk(struct walk *walk, const struct field *field, const struct json *value, void *base) {
    if (value->type != JSON_BOOL) {
        walk_refuse(walk, REASON_FIELD_TYPE, field);
    } else if (walk_keeps(walk)) {
        *(bool *)((char *)base + field->offset) = value->boolean;
        json_bool(walk->canonical, value->boolean);
    }
}

/* Every item is judged, also those of a list that is too long: one may lack a field, which ranks lower. */
static void lines_walk(struct walk *walk, const struct field *field, const struct json *value, void *base) {
    struct line spare = {0}, *lines = NULL;
    if (value->type != JSON_ARRAY) {
        walk_refuse(walk, REASON_FIELD_TYPE, field);
        return;
    }
    if (value->count < 1 || value->count > LINES_MOST) {
        walk_refuse(walk, REASON_FIELD_RANGE, field);
    }
    if (walk_keeps(walk)) {
        lines = ARENA_ARRAY(walk->arena, struct line, value->count);
        walk->no_memory |= !lines;
        *(struct line **)((char *)base + field->offset) = lines;
        *(size_t *)((char *)base + field->count_offset) = value->count;
        json_array(walk->canonical);
    }
    struct walk items = *walk;
    items.parent = field->name.at;
    size_t index = 0;
    for (const struct json *item = value->first; item; item = item->next, index++) {
        if (item->type != JSON_OBJECT) {
            walk_refuse(walk, REASON_FIELD_TYPE, field);
            continue;
        }
        object_walk(&items, item, field->members, lines ? &lines[index] : &spare);
    }
    walk->no_memory |= items.no_memory;
    if (walk_keeps(walk)) {
        json_array_end(walk->canonical);
    }
}

static void value_walk(struct walk *walk, const struct field *field, const struct json *value, void *base) {
    switch (field->kind) {
    case KIND_INTEGER:
        integer_walk(walk, field, value, base);
        return;
    case KIND_BOOL:
        bool_walk(walk, field, value, base);
        return;
    case KIND_LINES:
        lines_walk(walk, field, value, base);
        return;
    case KIND_OBJECT:
    case KIND_CONTACT: {
        if (value->type != JSON_OBJECT) {
            walk_refuse(walk, REASON_FIELD_TYPE, field);
            return;
        }
        struct walk members = *walk;
        members.parent = field->name.at;
        members.nullable = field->kind == KIND_CONTACT;
        object_walk(&members, value, field->members, (char *)base + field->offset);
        walk->no_memory |= members.no_memory;
        return;
    }
    default:
        if (walk->nullable && value->type == JSON_NULL) {
            if (walk_keeps(walk)) {
                json_null(walk->canonical);
            }
            return;
        }
        text_walk(walk, field, value, base);
    }
}

static const struct json *member_find(const struct json *object, struct text name) {
    for (const struct json *member = object->first; member; member = member->next) {
        if (member->key.size == name.size && member->key.at[0] == name.at[0] &&
            memcmp(member->key.at, name.at, name.size) == 0) {
            return member;
        }
    }
    return NULL;
}

static void object_walk(struct walk *walk, const struct json *object, const struct fields *table,
                        void *base) {
    uint32_t known = 0;
    if (walk_keeps(walk)) {
        json_object(walk->canonical);
    }
    for (size_t i = 0; i < table->count; i++) {
        const struct field *field = &table->at[i];
        const struct json *value = member_find(object, field->name);
        if (!value) {
            if (field->required) {
                walk_refuse(walk, REASON_FIELD_MISSING, field);
            }
            continue;
        }
        known++;
        if (walk_keeps(walk)) {
            json_key(walk->canonical, field->name.at);
            if (field->flag_offset) {
                *(bool *)((char *)base + field->flag_offset) = true;
            }
        }
        value_walk(walk, field, value, base);
    }
    *walk->unknown_fields += object->count - known;
    if (walk_keeps(walk)) {
        json_object_end(walk->canonical);
    }
}

enum outcome fields_read(const struct json *data, struct event *event, struct arena *arena,
                         struct json_writer *canonical, struct refusal *refusal, uint32_t *unknown_fields) {
    struct walk walk = {
        .arena = arena,
        .canonical = canonical,
        .refusal = refusal,
        .unknown_fields = unknown_fields,
        .parent = "",
    };
    object_walk(&walk, data, &decode_tables[event->type], event);
    return walk.no_memory ? RETRY : OK;
}
