/* Fields and tables as aligned text or as one JSON object. */
#include "core/cli/output.h"

#include "core/term.h"
#include <stdarg.h>
#include <uniwidth.h>

enum value_type { VALUE_NULL, VALUE_TEXT, VALUE_INT, VALUE_BOOL, VALUE_LIST, VALUE_JSON };

struct value {
    const char *key;
    enum value_type type;
    struct text text; /* what people see; of VALUE_LIST the items joined by commas */
    int64_t number;
};

struct values {
    struct value *at;
    size_t count, room;
};

struct rows {
    struct values *at;
    size_t count, room;
};

enum item_type { ITEM_FIELD, ITEM_TABLE, ITEM_NOTE };

struct item {
    enum item_type type;
    struct value field;
    const char *key, *title, *none;
    struct rows rows;
    struct text note;
};

struct output {
    struct arena *arena;
    bool json, failed, in_table;
    struct {
        struct item *at;
        size_t count, room;
    } items;
};

struct output *output_new(struct arena *arena, bool json) {
    struct output *output = ARENA_NEW(arena, struct output);
    if (output) {
        output->arena = arena;
        output->json = json;
    }
    return output;
}

static struct item *item_new(struct output *output, enum item_type type) {
    struct item *item = ARENA_PUSH(output->arena, &output->items);
    if (!item) {
        output->failed = true;
        return NULL;
    }
    item->type = type;
    return item;
}

static struct item *last_item(struct output *output) {
    return output->items.count > 0 ? &output->items.at[output->items.count - 1] : NULL;
}

void output_table(struct output *output, const char *key, const char *title, const char *none) {
    struct item *item = item_new(output, ITEM_TABLE);
    if (item) {
        item->key = key;
        item->title = title;
        item->none = none;
        output->in_table = true;
    }
}

void output_row(struct output *output) {
    struct item *item = last_item(output);
    if (item && output->in_table && !ARENA_PUSH(output->arena, &item->rows))
        output->failed = true;
}

void output_table_end(struct output *output) {
    output->in_table = false;
}

/* The place for the next value; NULL when memory ran out. */
static struct value *value_new(struct output *output, const char *key, enum value_type type) {
    struct value *value = NULL;
    struct item *item = last_item(output);
    if (output->failed)
        return NULL;
    if (output->in_table) {
        if (item && item->rows.count > 0)
            value = ARENA_PUSH(output->arena, &item->rows.at[item->rows.count - 1]);
    } else {
        item = item_new(output, ITEM_FIELD);
        value = item ? &item->field : NULL;
    }
    if (!value) {
        output->failed = true;
        return NULL;
    }
    value->key = key;
    value->type = type;
    return value;
}

static void put(struct output *output, const char *key, enum value_type type, struct text text) {
    struct value *value = value_new(output, key, text_present(text) ? type : VALUE_NULL);
    if (!value || !text_present(text))
        return;
    value->text = arena_text(output->arena, text);
    if (!text_present(value->text))
        output->failed = true;
}

void output_text(struct output *output, const char *key, struct text value) {
    put(output, key, VALUE_TEXT, value);
}

void output_string(struct output *output, const char *key, const char *value) {
    put(output, key, VALUE_TEXT, text_of(value));
}

static struct text format_text(struct output *output, const char *format, va_list arguments) {
    char buffer[1024];
    int size = vsnprintf(buffer, sizeof(buffer), format, arguments);
    if (size < 0)
        return TEXT_ABSENT;
    if ((size_t)size >= sizeof(buffer))
        size = (int)sizeof(buffer) - 1;
    return arena_text(output->arena, (struct text){buffer, (size_t)size});
}

void output_format(struct output *output, const char *key, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    struct text text = format_text(output, format, arguments);
    va_end(arguments);
    put(output, key, VALUE_TEXT, text);
}

void output_note(struct output *output, const char *format, ...) {
    struct item *item = item_new(output, ITEM_NOTE);
    va_list arguments;
    va_start(arguments, format);
    if (item)
        item->note = format_text(output, format, arguments);
    va_end(arguments);
}

void output_int(struct output *output, const char *key, int64_t number) {
    char buffer[24];
    int size = snprintf(buffer, sizeof(buffer), "%lld", (long long)number);
    put(output, key, VALUE_INT, (struct text){buffer, (size_t)size});
}

void output_bool(struct output *output, const char *key, bool flag) {
    put(output, key, VALUE_BOOL, flag ? TEXT("yes") : TEXT("no"));
}

void output_null(struct output *output, const char *key) {
    put(output, key, VALUE_NULL, TEXT_ABSENT);
}

void output_time(struct output *output, const char *key, int64_t instant_us) {
    char buffer[28];
    if (instant_us < 0) {
        output_null(output, key);
        return;
    }
    instant_write(instant_us, buffer);
    put(output, key, VALUE_TEXT, text_of(buffer));
}

void output_date(struct output *output, const char *key, int32_t date) {
    char buffer[11];
    if (date == DATE_NONE) {
        output_null(output, key);
        return;
    }
    date_write(date, buffer);
    put(output, key, VALUE_TEXT, text_of(buffer));
}

void output_seconds(struct output *output, const char *key, int64_t duration_us) {
    char buffer[40];
    int size = snprintf(buffer, sizeof(buffer), "%.3f", (double)duration_us / 1e6);
    put(output, key, VALUE_JSON, (struct text){buffer, (size_t)size});
}

void output_list(struct output *output, const char *key, struct text commas) {
    put(output, key, VALUE_LIST, commas);
}

void output_json(struct output *output, const char *key, struct text json) {
    put(output, key, VALUE_JSON, json);
}

/* ---- for people ---- */

void output_safely(FILE *file, struct text text) {
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        bool second_control =
            byte == 0xC2 && i + 1 < text.size && ((unsigned char)text.at[i + 1] & 0xE0) == 0x80;
        if (byte < 0x20 || byte == 0x7F) {
            fputc('?', file);
        } else if (second_control) {
            fputc('?', file); /* U+0080 to U+009F steer terminals too */
            i++;
        } else {
            fputc(byte, file);
        }
    }
}

static struct text shown(const struct value *value) {
    return value->type == VALUE_NULL ? TEXT("-") : value->text;
}

static int width(struct text text) {
    int columns = u8_width((const uint8_t *)text.at, text.size, "UTF-8");
    return columns > 0 ? columns : 0;
}

static void print_heading(FILE *file, const char *key) {
    for (; *key; key++)
        fputc(*key == '_' ? ' ' : *key, file);
}

static void pad(FILE *file, int columns) {
    fprintf(file, "%*s", columns > 0 ? columns : 0, "");
}

static bool numeric(const struct rows *rows, size_t column) {
    bool any = false;
    for (size_t i = 0; i < rows->count; i++) {
        enum value_type type = rows->at[i].at[column].type;
        if (type != VALUE_INT && type != VALUE_NULL)
            return false;
        any = any || type == VALUE_INT;
    }
    return any;
}

static void print_cell(FILE *file, struct text text, int columns, bool right, bool last) {
    int rest = columns - width(text);
    if (right)
        pad(file, rest);
    output_safely(file, text);
    if (!last)
        pad(file, (right ? 0 : rest) + 2);
}

static void print_table(struct output *output, const struct item *item, FILE *file) {
    const struct rows *rows = &item->rows;
    if (rows->count == 0) {
        if (item->none)
            fprintf(file, "%s\n", item->none);
        return;
    }
    size_t columns = rows->at[0].count;
    int *widths = ARENA_ARRAY(output->arena, int, columns ? columns : 1);
    if (!widths) {
        output->failed = true;
        return;
    }
    if (item->title)
        fprintf(file, "%s\n", item->title);
    for (size_t column = 0; column < columns; column++) {
        widths[column] = (int)strlen(rows->at[0].at[column].key);
        for (size_t i = 0; i < rows->count; i++) {
            int needed = width(shown(&rows->at[i].at[column]));
            if (needed > widths[column])
                widths[column] = needed;
        }
    }
    for (size_t column = 0; column < columns; column++) {
        const char *key = rows->at[0].at[column].key;
        int rest = widths[column] - (int)strlen(key);
        bool right = numeric(rows, column);
        pad(file, right ? rest : 0);
        print_heading(file, key);
        if (column + 1 < columns)
            pad(file, (right ? 0 : rest) + 2);
    }
    fputc('\n', file);
    for (size_t i = 0; i < rows->count; i++) {
        for (size_t column = 0; column < columns; column++)
            print_cell(file, shown(&rows->at[i].at[column]), widths[column], numeric(rows, column),
                       column + 1 == columns);
        fputc('\n', file);
    }
}

/* Nothing of it is shown. */
static bool empty(const struct item *item) {
    return item->type == ITEM_TABLE && item->rows.count == 0 && !item->none;
}

static void print_for_people(struct output *output, FILE *file) {
    int widest = 0;
    for (size_t i = 0; i < output->items.count; i++) {
        const struct item *item = &output->items.at[i];
        if (item->type == ITEM_FIELD && (int)strlen(item->field.key) > widest)
            widest = (int)strlen(item->field.key);
    }
    const struct item *before = NULL; /* the last that was shown */
    for (size_t i = 0; i < output->items.count; i++) {
        const struct item *item = &output->items.at[i];
        if (empty(item))
            continue;
        /* A note before a table is its heading. */
        if (before && (before->type == ITEM_TABLE || (item->type == ITEM_TABLE && before->type != ITEM_NOTE)))
            fputc('\n', file);
        before = item;
        if (item->type == ITEM_TABLE) {
            print_table(output, item, file);
        } else if (item->type == ITEM_NOTE) {
            output_safely(file, item->note);
            fputc('\n', file);
        } else {
            print_heading(file, item->field.key);
            fputc(':', file);
            pad(file, widest - (int)strlen(item->field.key) + 1);
            output_safely(file, shown(&item->field));
            fputc('\n', file);
        }
    }
}

/* ---- for programs ---- */

static void write_list(struct json_writer *writer, struct text commas) {
    json_array(writer);
    while (commas.size > 0) {
        const char *comma = memchr(commas.at, ',', commas.size);
        size_t size = comma ? (size_t)(comma - commas.at) : commas.size;
        json_text(writer, (struct text){commas.at, size});
        size += comma ? 1 : 0;
        commas = (struct text){commas.at + size, commas.size - size};
    }
    json_array_end(writer);
}

static void write_value(struct json_writer *writer, const struct value *value) {
    json_key(writer, value->key);
    switch (value->type) {
    case VALUE_NULL:
        json_null(writer);
        break;
    case VALUE_TEXT:
        json_text(writer, value->text);
        break;
    case VALUE_BOOL:
        json_bool(writer, text_is(value->text, "yes"));
        break;
    case VALUE_LIST:
        write_list(writer, value->text);
        break;
    case VALUE_INT:
    case VALUE_JSON:
        json_raw(writer, value->text);
        break;
    }
}

static void write_document(struct output *output, struct json_writer *writer) {
    json_object(writer);
    for (size_t i = 0; i < output->items.count; i++) {
        const struct item *item = &output->items.at[i];
        if (item->type == ITEM_FIELD)
            write_value(writer, &item->field);
        if (item->type != ITEM_TABLE)
            continue;
        json_key(writer, item->key);
        json_array(writer);
        for (size_t row = 0; row < item->rows.count; row++) {
            json_object(writer);
            for (size_t column = 0; column < item->rows.at[row].count; column++)
                write_value(writer, &item->rows.at[row].at[column]);
            json_object_end(writer);
        }
        json_array_end(writer);
    }
    json_object_end(writer);
}

bool output_print(struct output *output, FILE *file) {
    if (output->failed)
        return false;
    if (output->json) {
        struct json_writer *writer = json_writer_new();
        if (!writer)
            return false;
        write_document(output, writer);
        struct text text = json_writer_text(writer);
        if (text_present(text)) {
            fwrite(text.at, 1, text.size, file);
            fputc('\n', file);
        } else {
            output->failed = true;
        }
        json_writer_free(writer);
    } else {
        print_for_people(output, file);
    }
    return fflush(file) == 0 && !ferror(file) && !output->failed;
}
