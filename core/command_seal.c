/* Commands sealed and opened. */
#include "core/command_seal.h"

#include "core/json_read.h"

#include <sodium.h>

#define DEPTH 2

struct key_want command_want(void) {
    return (struct key_want){
        .person = TEXT(COMMAND_PERSON), .generation = -1, .category = CATEGORY_REQUEST, .period = 0};
}

static struct seal_place place_of(struct text request_id, struct text output_id) {
    return (struct seal_place){"command", "body", request_id, output_id, -1};
}

static struct text base64(struct text bytes, struct arena *arena) {
    size_t room = sodium_base64_ENCODED_LEN(bytes.size, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    char *chars = arena_take(arena, room);
    if (!chars)
        return TEXT_ABSENT;
    sodium_bin2base64(chars, room, (const unsigned char *)bytes.at, bytes.size,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return (struct text){chars, room - 1};
}

struct text command_seal(struct sealer *sealer, const struct seal_key *key, const struct command_tie *tie,
                         struct text output_id, struct json_writer *writer, struct arena *arena) {
    struct seal_place place = place_of(tie->request_id, output_id);
    json_writer_reset(writer);
    json_object(writer);
    json_key(writer, "command");
    json_string(writer, "tie");
    json_key(writer, "person");
    json_text(writer, tie->person);
    json_key(writer, "request_id");
    json_text(writer, tie->request_id);
    json_object_end(writer);
    struct text plain = json_writer_text(writer);
    struct text sealed = plain.at ? seal_cell(sealer, key, &place, plain, arena) : TEXT_ABSENT;
    struct text chars = sealed.at ? base64(sealed, arena) : TEXT_ABSENT;
    json_writer_reset(writer);
    if (!chars.at)
        return TEXT_ABSENT;
    json_object(writer);
    json_key(writer, "sealed");
    json_text(writer, chars);
    json_object_end(writer);
    return json_writer_take(writer, arena);
}

struct text command_bytes(struct text sealed, uint8_t buffer[COMMAND_SEALED_MOST]) {
    size_t size = 0;
    if (sodium_base642bin(buffer, COMMAND_SEALED_MOST, sealed.at, sealed.size, NULL, &size, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return TEXT_ABSENT;
    return (struct text){(const char *)buffer, size};
}

enum outcome command_open(const struct seal_key *key, struct text bytes, struct text request_id,
                          struct text output_id, struct arena *arena, struct command_tie *tie,
                          struct err *err) {
    struct seal_place place = place_of(request_id, output_id);
    struct text plain;
    struct json *root = NULL;
    enum outcome outcome = open_cell(key, &place, bytes, arena, &plain, err);
    if (outcome != OK)
        return outcome;
    enum json_fault fault = json_parse(plain, DEPTH, arena, &root);
    if (fault == JSON_NO_MEMORY)
        return err_set(err, RETRY, 0, "the command does not fit the memory");
    tie->request_id = json_member_text(root, "request_id");
    tie->person = json_member_text(root, "person");
    if (fault != JSON_FINE || !text_is(json_member_text(root, "command"), "tie") || !tie->person.at ||
        !text_equal(tie->request_id, request_id))
        return err_set(err, FATAL, 0, "a sealed command says nothing that is known");
    return OK;
}
