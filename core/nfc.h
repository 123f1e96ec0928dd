/* Unicode normalisation form C (UAX 15), so that one name written in two ways is one name. */
#ifndef KR_NFC_H
#define KR_NFC_H

#include "core/arena.h"
#include "core/text.h"

/* The text in NFC, in the arena; TEXT_ABSENT when memory ran out (or `text` was absent). `text` is valid
 * UTF-8. Callable from any thread. */
struct text nfc_text(struct arena *arena, struct text text);

#endif
