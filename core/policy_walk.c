/* Walking a policy's JSON: the path, the complaints, and the readers of single values. */
#include "core/policy_walk.h"

#include "core/iso.h"
#include <stdarg.h>
#include <stdio.h>

#define TEXT_MAX 500

/* ---- complaints and the path ---- */

static void complain(struct policy_walk *walk, const char *below, const char *format, va_list arguments) {
    char path[512], message[300];
    walk->mistakes++;
    if (!walk->complain)
        return;
    if (!walk->path_size && *below == '.')
        below++;
    (void)snprintf(path, sizeof(path), "%.*s%.100s", (int)walk->path_size, walk->path, below);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    walk->complain(walk->context, path, message);
}

void walk_complain(struct policy_walk *walk, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    complain(walk, "", format, arguments);
    va_end(arguments);
}

void walk_complain_below(struct policy_walk *walk, const char *below, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    complain(walk, below, format, arguments);
    va_end(arguments);
}

size_t walk_into(struct policy_walk *walk, struct text key) {
    size_t mark = walk->path_size;
    int size = snprintf(walk->path + mark, sizeof(walk->path) - mark, "%s%.*s", mark ? "." : "",
                        key.size > 64 ? 64 : (int)key.size, key.at ? key.at : "");
    if (size > 0 && (size_t)size < sizeof(walk->path) - mark)
        walk->path_size += (size_t)size;
    return mark;
}

size_t walk_into_item(struct policy_walk *walk, size_t index) {
    size_t mark = walk->path_size;
    int size = snprintf(walk->path + mark, sizeof(walk->path) - mark, "[%zu]", index);
    if (size > 0 && (size_t)size < sizeof(walk->path) - mark)
        walk->path_size += (size_t)size;
    return mark;
}

void walk_back(struct policy_walk *walk, size_t mark) {
    walk->path_size = mark;
}

bool walk_is(struct policy_walk *walk, const struct json *value, enum json_type type) {
    static const char *const names[] = {
        [JSON_NULL] = "null",       [JSON_BOOL] = "true or false", [JSON_INTEGER] = "an integer",
        [JSON_NUMBER] = "a number", [JSON_STRING] = "a string",    [JSON_ARRAY] = "an array",
        [JSON_OBJECT] = "an object"};
    if (value->type == type)
        return true;
    walk_complain(walk, "must be %s, not %s", names[type], names[value->type]);
    return false;
}

/* ---- objects ---- */

bool walk_object(struct policy_walk *walk, const struct json *value, const struct walk_member *members,
                 size_t count, void *base) {
    if (!walk_is(walk, value, JSON_OBJECT))
        return false;
    for (const struct json *child = value->first; child; child = child->next) {
        size_t mark = walk_into(walk, child->key), i = 0;
        while (i < count && !text_is(child->key, members[i].key))
            i++;
        if (i == count)
            walk_complain(walk, "is no key that belongs here");
        else
            members[i].read(walk, child, (char *)base + members[i].offset);
        walk_back(walk, mark);
    }
    for (size_t i = 0; i < count; i++)
        if (members[i].need == WALK_NEEDED && !json_member(value, members[i].key)) {
            size_t mark = walk_into(walk, text_of(members[i].key));
            walk_complain(walk, "is missing");
            walk_back(walk, mark);
        }
    return true;
}

bool walk_map(struct policy_walk *walk, const struct json *value, size_t room,
              void (*each)(struct policy_walk *walk, const struct json *member, void *into), void *into) {
    if (!walk_is(walk, value, JSON_OBJECT))
        return false;
    if (value->count > room) {
        walk_complain(walk, "has more than %zu members", room);
        return false;
    }
    for (const struct json *child = value->first; child; child = child->next) {
        size_t mark = walk_into(walk, child->key);
        each(walk, child, into);
        walk_back(walk, mark);
    }
    return true;
}

/* ---- single values ---- */

void walk_text(struct policy_walk *walk, const struct json *value, void *into) {
    if (!walk_is(walk, value, JSON_STRING))
        return;
    if (!value->text.size || value->text.size > TEXT_MAX)
        walk_complain(walk, "must have 1 to %d bytes", TEXT_MAX);
    else
        *(struct text *)into = value->text;
}

void walk_text_or_null(struct policy_walk *walk, const struct json *value, void *into) {
    if (value->type != JSON_NULL)
        walk_text(walk, value, into);
}

void walk_bool(struct policy_walk *walk, const struct json *value, void *into) {
    if (walk_is(walk, value, JSON_BOOL))
        *(bool *)into = value->boolean;
}

void walk_term(struct policy_walk *walk, const struct json *value, void *into) {
    struct term term;
    if (!walk_is(walk, value, JSON_STRING))
        return;
    if (!term_parse(value->text, &term))
        walk_complain(walk, "is no ISO 8601 term such as P3Y6M, P14D or PT72H");
    else if (!term.years && !term.months && !term.days && !term.hours)
        walk_complain(walk, "must be longer than nothing");
    else
        *(struct term *)into = term;
}

void walk_days(struct policy_walk *walk, const struct json *value, void *into) {
    struct term term = {0};
    walk_term(walk, value, &term);
    if (term.hours)
        walk_complain(walk, "must be in years, months and days: it ends with a date");
    else
        *(struct term *)into = term;
}

void walk_country(struct policy_walk *walk, const struct json *value, void *into) {
    if (!walk_is(walk, value, JSON_STRING))
        return;
    if (!iso_country(value->text))
        walk_complain(walk, "is no ISO 3166-1 alpha-2 country");
    else
        *(struct text *)into = value->text;
}

/* "a, b or c" of names ended by NULL. */
static void list_names(char *out, size_t room, const char *const *names) {
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; names[i]; i++) {
        int size = snprintf(out + used, room - used, "%s%s",
                            !i             ? ""
                            : names[i + 1] ? ", "
                                           : " or ",
                            names[i]);
        if (size < 0 || (size_t)size >= room - used)
            return;
        used += (size_t)size;
    }
}

static int find_name(struct text text, const char *const *names) {
    for (int i = 0; names[i]; i++)
        if (text_is(text, names[i]))
            return i;
    return -1;
}

int walk_choice(struct policy_walk *walk, const struct json *value, const char *const *names) {
    char list[200];
    if (!walk_is(walk, value, JSON_STRING))
        return -1;
    int found = find_name(value->text, names);
    if (found < 0) {
        list_names(list, sizeof(list), names);
        walk_complain(walk, "must be %s", list);
    }
    return found;
}

size_t walk_list(struct policy_walk *walk, const struct json *value, struct text *into, size_t room,
                 const char *const *names) {
    size_t count = 0, index = 0;
    if (!walk_is(walk, value, JSON_ARRAY))
        return 0;
    if (!value->first)
        walk_complain(walk, "must not be empty");
    for (const struct json *item = value->first; item; item = item->next, index++) {
        struct text text = TEXT_ABSENT;
        size_t mark = walk_into_item(walk, index), same = 0;
        if (!names || walk_choice(walk, item, names) >= 0)
            walk_text(walk, item, &text);
        while (same < count && !text_equal(into[same], text))
            same++;
        if (text_present(text) && same < count)
            walk_complain(walk, "stands there twice");
        else if (text_present(text) && count == room)
            walk_complain(walk, "is one too many: at most %zu", room);
        else if (text_present(text))
            into[count++] = text;
        walk_back(walk, mark);
    }
    return count;
}

bool walk_name_is_plain(struct text name) {
    if (!name.size || name.size > 64 || name.at[0] == '_' || name.at[0] == '-')
        return false;
    for (size_t i = 0; i < name.size; i++) {
        char c = name.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
            return false;
    }
    return true;
}

bool walk_term_within(const struct term *term, const struct term *limit) {
    /* Each day of four years: months differ in length, and one of the years is a leap year. */
    for (int32_t start = date_of(2027, 1, 1); start < date_of(2031, 1, 1); start++)
        if (date_add(start, term) > date_add(start, limit))
            return false;
    return true;
}
