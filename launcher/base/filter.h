/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System-call filters as data: an allow-list with conditions goes in, the bytes
 * that seccomp(2) loads come out.  The only user of libseccomp.  Made once per
 * profile (2 ms for 400 calls), never on the launch path.
 *
 * Two programs are made and both are loaded, the stricter answer wins:
 *  - the allow-list: listed calls pass, every other call that libseccomp knows
 *    answers EPERM, and numbers it does not know answer ENOSYS, as a kernel
 *    without them would, so that C libraries fall back;
 *  - the refusals: conditions that an allow-list can't express without the
 *    attacker choosing the upper half of a register (TIOCSTI behind 2^32).
 * A call of a foreign ABI (i386, x32) kills the process in both.
 */
#ifndef BASE_FILTER_H
#define BASE_FILTER_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

enum filter_operator {
	FILTER_NONE,		/* ends the list of conditions */
	FILTER_EQUAL,		/* (argument & mask) == value */
	FILTER_UNEQUAL,		/* argument != value; mask is not looked at */
};

/* One condition on one argument, 64 bits wide. */
struct filter_condition {
	uint8_t argument;	/* 0..5 */
	uint8_t used;		/* enum filter_operator */
	uint64_t mask;
	uint64_t value;
};

#define FILTER_CONDITIONS 3
#define FILTER_DONE (-1)

/* A call under all of the conditions at once; several rows of one call are
 * alternatives.  `error` is the errno of a refusal row, 0 in an allow-list; a
 * refusal with FILTER_DONE answers success, and the call is not made. */
struct filter_rule {
	const char *call;
	int error;
	struct filter_condition conditions[FILTER_CONDITIONS];
};

struct filter_program {
	size_t length;			/* instructions */
	struct sock_filter *code;	/* owned: filter_release */
};

struct filter {
	struct filter_program allow;
	struct filter_program refuse;	/* length 0: nothing to refuse */
};

/* 1 if libseccomp knows the name `call`, on whatever ABI. */
int filter_knows(const char *call);

/* Compiles both programs.  A call that this ABI does not have is passed over in
 * both lists (open on arm64); the caller has checked the names with
 * filter_knows where a typing error matters. */
int filter_compile(const struct filter_rule *allow, size_t allow_count,
		   const struct filter_rule *refuse, size_t refuse_count,
		   struct filter *ret_filter, struct error *error);

/* Loads both programs into the calling thread, the refusals first.  Needs
 * no_new_privs.  Safe between clone and exec: no allocation.  Returns 0 or a
 * negative errno. */
int filter_load(const struct filter *filter);

/* The refusals alone: everything else passes.  For a process whose children need
 * calls that are not known yet.  Loaded into the calling thread. */
int filter_refuse(const struct filter_rule *refuse, size_t refuse_count,
		  struct error *error);

void filter_release(struct filter *filter);

#endif
