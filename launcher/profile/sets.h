/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of sets.c, which syscalls.c reads. */
#ifndef PROFILE_SETS_H
#define PROFILE_SETS_H

#include "syscalls.h"

struct never {
	const char *call, *why;
};

extern const struct syscall_set sets_all[];
extern const size_t sets_count;
extern const struct filter_rule sets_refusals[];
extern const size_t sets_refusal_count;
#define SETS_PINNED 3	/* of them, the last ones */
extern const struct never sets_never[];
extern const size_t sets_never_count;

#endif
