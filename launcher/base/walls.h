/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walls around the node's own processes: each calls walls_enter once, when
 * everything it needs is open, and then loops.
 */
#ifndef BASE_WALLS_H
#define BASE_WALLS_H

#include "error.h"
#include "filter.h"

#include <stdint.h>
#include <sys/types.h>

struct walls {
	uid_t uid;		/* uid, gid; (uid_t)-1: stay who we are */
	uint64_t capabilities;	/* bits (1 << CAP_…) that stay permitted and
				 * effective; the bounding set loses all others */
	const char *const *calls;	/* system calls, NULL-terminated; NULL and no
					 * rules: no filter */
	const struct filter_rule *rules;	/* calls with conditions, … */
	size_t rule_count;
};

/* In this order: no_new_privs, not dumpable, groups, gid, uid, capability sets,
 * seccomp filter.  Every step is checked by reading back.  On failure the
 * process must end: it may be halfway.  Returns 0 or a negative errno. */
int walls_enter(const struct walls *walls, struct error *error);

#endif
