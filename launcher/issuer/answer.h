/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making what a SIGN asks for.  Keys of leaves are made ahead, while nothing
 * else is to be done, so that a launch waits for one signature only.
 */
#ifndef ISSUER_ANSWER_H
#define ISSUER_ANSWER_H

#include "admission.h"
#include "authority.h"

#define ANSWER_POOL 8

struct answer {
	const struct authority *authority;
	struct key_pair *pool;	/* ANSWER_POOL of them, in the locked heap */
	unsigned pool_count;
	char *scratch;		/* the parts of one credential, likewise */
};

int answer_setup(const struct authority *authority, struct answer *ret_answer,
		 struct error *error);
void answer_release(struct answer *answer);

/* Makes one key ahead. Returns 0 or a negative errno. */
int answer_refill(struct answer *answer);
int answer_idle(const struct answer *answer);	/* 1: the pool is full */

/* Makes the credential of `grant`: fills parts, times and id of `ret_signed`
 * and gives its sealed memfd.  Returns 0 or a negative errno. */
int answer_make(struct answer *answer, const struct admission_grant *grant,
		struct ambit_signed *ret_signed, int *ret_fd);

#endif
