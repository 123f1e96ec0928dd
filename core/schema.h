/* Whether a database has the schema that this program was made for. */
#ifndef KR_SCHEMA_H
#define KR_SCHEMA_H

#include "core/db.h"
#include "queries.h"

/* which: "register" or "vault", for the message. FATAL, with the way out in err.text: no schema at all, an
 * older one, a newer one. Any role may ask. */
enum outcome schema_check(struct db *db, const char *which, const struct migration *migrations,
                          struct err *err) MUST_CHECK;

#endif
