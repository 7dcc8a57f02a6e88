/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first few different endpoints that were refused to an agent, as texts for
 * the line that its caller reads at the end.  Pure.
 */
#ifndef AUDIT_REFUSED_H
#define AUDIT_REFUSED_H

#include <ambit/kernel.h>
#include <ambit/message.h>

struct refused {
	uint64_t noted;		/* refused records that `texts` stand for */
	uint32_t count;
	uint32_t lookups;	/* of them */
	uint32_t more;		/* bits, as of ambit_closed */
	char texts[AMBIT_REFUSED][AMBIT_REFUSED_SIZE];
};

/* A refused attempt of the kernel's, a refused lookup. */
void refused_note(struct refused *refused, const struct ambit_record *record);
void refused_note_lookup(struct refused *refused,
			 const struct ambit_lookup *lookup);

/* What is told of them, when `denied` attempts in all were refused. */
void refused_tell(const struct refused *refused, uint64_t denied,
		  struct ambit_closed *closed);

#endif
