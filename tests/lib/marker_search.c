/* Searches files for very many strings at once, byte for byte: marker_search NEEDLES [--without DIR ...] PATH
 * ...
 *
 * NEEDLES is a file of lines "NUMBER HEX"; several needles may have one number. Every regular file at or
 * below each PATH is read, but for what lies below a --without; holes and zeros are passed over. Prints
 * "NUMBER<tab>FILE" once for each number that stands in the file, and on standard error "N bytes in M files".
 * Exit code 0: searched, found or not.
 *
 * At each byte the next few are looked up in a small bitmap of all needles' beginnings, which seldom says
 * yes; only then in the table, once for each length that needles of this beginning have. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_BYTES 6 /* the shortest needle */
#define HEAD_MASK ((UINT64_C(1) << (8 * HEAD_BYTES)) - 1)
#define BITMAP_BITS 20
#define NEEDLE_MOST 1024
#define CHUNK ((size_t)8 << 20)
#define PAGE 4096

struct needle {
    uint64_t head;
    unsigned number;
    unsigned size;
    unsigned char *bytes;
    size_t group_end; /* of those with this head and size */
};
static struct needle *needles; /* by head, size, bytes */
static size_t needle_count, longest;
static uint64_t bitmap[(1 << BITMAP_BITS) / 64];
static unsigned *last_place; /* by number: the last file it was found in */
static unsigned numbers, places;
static const char *without[256];
static int without_count;
static unsigned char buffer[CHUNK + NEEDLE_MOST + sizeof(uint64_t)];
static unsigned long long searched_bytes;

static void die(const char *what) {
    fprintf(stderr, "marker_search: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t head_at(const unsigned char *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    return word & HEAD_MASK;
}

static size_t bit_of(uint64_t head) {
    return (size_t)(head * UINT64_C(0x9e3779b97f4a7c15) >> (64 - BITMAP_BITS));
}

/* ---- needles ---- */

static int by_bytes(const void *a, const void *b) {
    const struct needle *left = a, *right = b;
    if (left->head != right->head)
        return left->head > right->head ? 1 : -1;
    if (left->size != right->size)
        return left->size > right->size ? 1 : -1;
    return memcmp(left->bytes, right->bytes, left->size);
}

static void sort_needles(void) {
    if (needle_count)
        qsort(needles, needle_count, sizeof(*needles), by_bytes);
    for (size_t i = needle_count; i-- > 0;) {
        bool last = i + 1 == needle_count || needles[i].head != needles[i + 1].head ||
                    needles[i].size != needles[i + 1].size;
        needles[i].group_end = last ? i + 1 : needles[i + 1].group_end;
    }
}

static bool read_needle(const char *line, struct needle *needle) {
    unsigned char bytes[NEEDLE_MOST + sizeof(uint64_t)] = {0};
    char hex[2 * NEEDLE_MOST + 1];
    unsigned value;
    if (sscanf(line, "%u %2048s", &needle->number, hex) != 2)
        return false;
    for (needle->size = 0; hex[2 * needle->size]; needle->size++) {
        if (sscanf(hex + (size_t)2 * needle->size, "%2x", &value) != 1)
            return false;
        bytes[needle->size] = (unsigned char)value;
    }
    if (needle->size < HEAD_BYTES)
        return false;
    needle->head = head_at(bytes);
    needle->bytes = malloc(needle->size);
    if (!needle->bytes)
        die("memory");
    memcpy(needle->bytes, bytes, needle->size);
    return true;
}

static void read_needles(const char *path) {
    static char line[2 * NEEDLE_MOST + 32];
    size_t room = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        die(path);
    while (fgets(line, sizeof(line), file)) {
        if (needle_count == room) {
            room = room ? room * 2 : 1024;
            needles = realloc(needles, room * sizeof(*needles));
            if (!needles)
                die("memory");
        }
        struct needle *needle = &needles[needle_count++];
        if (!read_needle(line, needle)) {
            fprintf(stderr, "marker_search: line %zu of the needles is none\n", needle_count);
            exit(1);
        }
        size_t bit = bit_of(needle->head);
        bitmap[bit / 64] |= UINT64_C(1) << bit % 64;
        longest = needle->size > longest ? needle->size : longest;
        numbers = needle->number >= numbers ? needle->number + 1 : numbers;
    }
    (void)fclose(file);
    sort_needles();
    last_place = calloc((size_t)numbers + 1, sizeof(*last_place));
    if (!last_place)
        die("memory");
}

/* ---- searching ---- */

static void tell(const char *path, const struct needle *needle) {
    if (last_place[needle->number] == places)
        return;
    last_place[needle->number] = places;
    printf("%u\t%s\n", needle->number, path);
}

/* Those of the group that are these bytes. */
static void look_in_group(const char *path, const unsigned char *bytes, size_t group) {
    size_t low = group, high = needles[group].group_end, size = needles[group].size;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (memcmp(needles[middle].bytes, bytes, size) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < needles[group].group_end && memcmp(needles[low].bytes, bytes, size) == 0; low++)
        tell(path, &needles[low]);
}

/* The needles that begin like these bytes, of which `left` may be read. */
static void look_closer(const char *path, const unsigned char *bytes, size_t left, uint64_t head) {
    size_t low = 0, high = needle_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (needles[middle].head < head)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < needle_count && needles[low].head == head; low = needles[low].group_end) {
        if (needles[low].size <= left)
            look_in_group(path, bytes, low);
    }
}

/* Needles that begin in the first `size` bytes; `more` bytes follow. Another sizeof(uint64_t) may be read. */
static void search(const char *path, const unsigned char *bytes, size_t size, size_t more) {
    static const unsigned char zeros[PAGE];
    searched_bytes += size;
    for (size_t i = 0; i < size;) {
        size_t page = size - i < PAGE ? size - i : PAGE;
        if (page == PAGE && memcmp(bytes + i, zeros, PAGE) == 0) {
            i += PAGE;
            continue;
        }
        for (size_t end = i + page; i < end; i++) {
            uint64_t head = head_at(bytes + i);
            size_t bit = bit_of(head);
            if (bitmap[bit / 64] >> bit % 64 & 1)
                look_closer(path, bytes + i, size + more - i, head);
        }
    }
}

/* One stretch of data without holes. */
static void search_stretch(const char *path, int file, off_t at, off_t end) {
    size_t kept = 0; /* bytes at the buffer's beginning that were read before */
    while (at < end) {
        size_t want = (size_t)(end - at) < CHUNK - kept ? (size_t)(end - at) : CHUNK - kept;
        ssize_t got = pread(file, buffer + kept, want, at);
        if (got <= 0)
            break;
        at += got;
        size_t there = kept + (size_t)got;
        kept = at < end && there > longest ? longest : at < end ? there : 0;
        memset(buffer + there, 0, sizeof(uint64_t));
        search(path, buffer, there - kept, kept);
        memmove(buffer, buffer + there - kept, kept);
    }
    if (kept) { /* truncated under us */
        memset(buffer + kept, 0, sizeof(uint64_t));
        search(path, buffer, kept, 0);
    }
}

static void search_file(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) {
        if (errno == ENOENT) /* servers recycle theirs */
            return;
        die(path);
    }
    places++;
    off_t size = lseek(file, 0, SEEK_END);
    for (off_t at = 0, end; at < size; at = end) {
        at = lseek(file, at, SEEK_DATA);
        if (at < 0)
            break; /* a hole to the end */
        end = lseek(file, at, SEEK_HOLE);
        if (end < 0)
            break;
        search_stretch(path, file, at, end);
    }
    (void)close(file);
}

static void search_path(const char *path) {
    struct stat status;
    for (int i = 0; i < without_count; i++) {
        if (strcmp(without[i], path) == 0)
            return;
    }
    if (lstat(path, &status) != 0)
        return;
    if (S_ISREG(status.st_mode))
        search_file(path);
    if (!S_ISDIR(status.st_mode))
        return;
    DIR *folder = opendir(path);
    for (const struct dirent *entry; folder && (entry = readdir(folder));) {
        char below[PATH_MAX];
        int size = snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && size > 0 &&
            (size_t)size < sizeof(below))
            search_path(below);
    }
    if (folder)
        (void)closedir(folder);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fputs("usage: marker_search NEEDLES [--without DIR ...] PATH ...\n", stderr);
        return 2;
    }
    read_needles(argv[1]);
    int next = 2;
    for (; next + 1 < argc && strcmp(argv[next], "--without") == 0; next += 2) {
        if (without_count == (int)(sizeof(without) / sizeof(without[0]))) {
            fputs("marker_search: too many --without\n", stderr);
            return 2;
        }
        without[without_count++] = argv[next + 1];
    }
    for (; next < argc; next++)
        search_path(argv[next]);
    fprintf(stderr, "%llu bytes in %u files\n", searched_bytes, places);
    return 0;
}
