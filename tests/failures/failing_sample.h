/* One event of every type, for tests that fail each call: records in memory's topics, written so that they
 * reach what plain ones do not (texts to be normalised, escapes past yajl's first buffer, many fields). */
#ifndef KR_FAILING_SAMPLE_H
#define KR_FAILING_SAMPLE_H

#include "tests/unit/consume_world.h"

/* After sample_all and a run: whoever that made known is changed, asked about, tied, closed and erased. The
 * world runs: its keyring seals the command. */
void sample_every(struct world *world);

#endif
