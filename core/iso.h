/* Country and currency codes: the active lists of ISO 3166-1 alpha-2 and ISO 4217 (2026). Upper case only, as
 * the standards write them. Callable from any thread. */
#ifndef KR_ISO_H
#define KR_ISO_H

#include "core/text.h"

bool iso_country(struct text code);
bool iso_currency(struct text code);

#endif
