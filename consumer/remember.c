/* Erasures remembered: records taken apart, kept in order, and compared. */
#include "consumer/remember.h"

#include "consumer/remember_record.h"
#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 1024

void remember_release(struct remember_list *list) {
    free(list->at);
    *list = (struct remember_list){.at = NULL};
}

/* ---- subjects ---- */

void remember_subject_write(const uint8_t subject[SUBJECT_BYTES], char hex[SUBJECT_HEX + 1]) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SUBJECT_BYTES; i++) {
        hex[2 * i] = digits[subject[i] >> 4];
        hex[2 * i + 1] = digits[subject[i] & 15];
    }
    hex[SUBJECT_HEX] = '\0';
}

static const uint8_t digit_values[256] = {
    ['0'] = 0x10, ['1'] = 0x11, ['2'] = 0x12, ['3'] = 0x13, ['4'] = 0x14, ['5'] = 0x15,
    ['6'] = 0x16, ['7'] = 0x17, ['8'] = 0x18, ['9'] = 0x19, ['a'] = 0x1a, ['b'] = 0x1b,
    ['c'] = 0x1c, ['d'] = 0x1d, ['e'] = 0x1e, ['f'] = 0x1f};

bool remember_subject_read(struct text hex, uint8_t subject[SUBJECT_BYTES]) {
    uint8_t all = 0x10;
    if (hex.size != SUBJECT_HEX)
        return false;
    for (size_t i = 0; i < SUBJECT_BYTES; i++) {
        uint8_t high = digit_values[(unsigned char)hex.at[2 * i]],
                low = digit_values[(unsigned char)hex.at[2 * i + 1]];
        all &= high & low;
        subject[i] = (uint8_t)((high & 15) << 4 | (low & 15));
    }
    return all == 0x10;
}

/* ---- lists ---- */

int remember_order(const void *a, const void *b) {
    const struct remembered *one = a, *two = b;
    int order = memcmp(one->subject, two->subject, SUBJECT_BYTES);
    return order ? order : (one->cut_us > two->cut_us) - (one->cut_us < two->cut_us);
}

/* The last record of each subject and partition first. */
static int last_first(const void *a, const void *b) {
    const struct remembered *one = a, *two = b;
    int order = memcmp(one->subject, two->subject, SUBJECT_BYTES);
    if (!order)
        order = (one->partition > two->partition) - (one->partition < two->partition);
    return order ? order : (one->record < two->record) - (one->record > two->record);
}

static void drop_earlier(struct remember_list *list) {
    size_t kept = 0, first = 0;
    if (!list->count)
        return;
    qsort(list->at, list->count, sizeof(*list->at), last_first);
    for (size_t i = 0; i < list->count; i++) {
        const struct remembered *item = &list->at[i], *head = &list->at[first];
        bool same = kept && item->partition == head->partition &&
                    memcmp(item->subject, head->subject, SUBJECT_BYTES) == 0;
        if (same && item->record != head->record)
            continue;
        if (!same)
            first = kept;
        list->at[kept++] = *item;
    }
    list->count = kept;
}

/* A topic that is not compacted yet holds many records of a subject: room is made among those first. */
bool remember_add(struct remember_list *list, const struct remembered *item) {
    bool full = list->count == list->room;
    if (full && list->room > ROOM_FIRST)
        drop_earlier(list);
    if (full && list->count >= list->room / 4 * 3) {
        size_t room = list->room ? list->room * 2 : ROOM_FIRST;
        struct remembered *at = reallocarray(list->at, room, sizeof(*at));
        if (!at)
            return false;
        list->at = at;
        list->room = room;
    }
    list->at[list->count++] = *item;
    return true;
}

void remember_last(struct remember_list *list) {
    size_t kept = 0;
    if (!list->count)
        return;
    drop_earlier(list);
    qsort(list->at, list->count, sizeof(*list->at), remember_order);
    for (size_t i = 0; i < list->count; i++) {
        if (kept && remember_order(&list->at[kept - 1], &list->at[i]) == 0) {
            list->at[kept - 1].categories |= list->at[i].categories;
            list->at[kept - 1].by_request |= list->at[i].by_request;
        } else {
            list->at[kept++] = list->at[i];
        }
    }
    list->count = kept;
}

/* ---- records ---- */

enum outcome remember_record(struct remember_list *list, struct text body, const struct remembered *from,
                             struct arena *arena) {
    struct remember_record record = {.cut_count = 0};
    enum outcome outcome = remember_scan(body, &record) ? OK : remember_parse(body, arena, &record);
    if (outcome != OK)
        return outcome;
    for (size_t i = 0; i < record.cut_count; i++) {
        struct remembered item = record.cuts[i];
        memcpy(item.subject, record.subject, SUBJECT_BYTES);
        item.record = from->record;
        item.partition = from->partition;
        if (!remember_add(list, &item))
            return RETRY;
    }
    return OK;
}

/* ---- comparing ---- */

struct merging {
    struct remember_sum *sum;
    remember_reader *reader;
    void *context;
};

/* One cut and who holds it. */
static enum outcome judge_cut(const struct merging *merging, const struct remembered *cut, bool weaker,
                              struct err *err) {
    struct remember_sum *sum = merging->sum;
    unsigned outside = cut->where & (IN_TOPIC | IN_VAULT);
    bool registered = cut->where & IN_REGISTER;
    sum->topic += (cut->where & IN_TOPIC) != 0;
    sum->vault += (cut->where & IN_VAULT) != 0;
    sum->registered += registered;
    if (!registered || weaker) {
        sum->topic_alone += outside == IN_TOPIC;
        sum->vault_alone += outside == IN_VAULT;
        sum->both += outside == (IN_TOPIC | IN_VAULT);
    } else if (!cut->void_cut) {
        sum->topic_lacks += !(outside & IN_TOPIC);
        sum->vault_lacks += !(outside & IN_VAULT);
    }
    if (!merging->reader || (cut->where == (IN_TOPIC | IN_VAULT | IN_REGISTER) && !weaker))
        return OK;
    struct remembered told = *cut;
    if (weaker)
        told.where &= ~(unsigned)IN_REGISTER;
    return merging->reader(merging->context, &told, err);
}

enum outcome remember_merge(const struct remember_list lists[3], struct remember_sum *sum,
                            remember_reader *reader, void *context, struct err *err) {
    const struct merging merging = {sum, reader, context};
    size_t at[3] = {0};
    for (;;) {
        const struct remembered *first = NULL;
        for (int i = 0; i < 3; i++)
            if (at[i] < lists[i].count && (!first || remember_order(&lists[i].at[at[i]], first) < 0))
                first = &lists[i].at[at[i]];
        if (!first)
            return OK;
        struct remembered cut = *first;
        bool by_request[3] = {false};
        cut.where = cut.categories = 0;
        cut.void_cut = cut.by_request = false;
        for (int i = 0; i < 3; i++) {
            if (at[i] == lists[i].count || remember_order(&lists[i].at[at[i]], first) != 0)
                continue;
            const struct remembered *held = &lists[i].at[at[i]++];
            cut.where |= 1u << i;
            cut.categories |= held->categories;
            cut.void_cut |= held->void_cut;
            cut.by_request |= by_request[i] = held->by_request;
        }
        bool weaker = (cut.where & IN_REGISTER) && cut.by_request && !by_request[2];
        enum outcome outcome = judge_cut(&merging, &cut, weaker, err);
        if (outcome != OK)
            return outcome;
    }
}

enum outcome remember_judge(const struct remember_sum *sum, struct err *err) {
    size_t lacking = remember_lacking(sum);
    if (!lacking)
        return OK;
    return err_set(err, FATAL, 0,
                   "an older register was restored: it lacks %zu erasures (%zu are in the vault, %zu in %s): "
                   "run kundregister restore reconcile",
                   lacking, sum->vault_alone + sum->both, sum->topic_alone + sum->both, ERASURE_TOPIC);
}
