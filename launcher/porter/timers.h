/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is due next: a binary heap of timers that lie inside other structures.
 * A node with all slots in use has 32768 credentials and some 200 renewals a
 * second; looking through all of them each time would cost more than renewing.
 * Pure.
 */
#ifndef PORTER_TIMERS_H
#define PORTER_TIMERS_H

#include <stddef.h>
#include <stdint.h>

#define TIMERS_NEVER UINT64_MAX

struct timer {
	uint64_t when;
	size_t place;	/* in the heap, counted from 1; 0: not set */
};

struct timers {
	struct timer **heap;
	size_t count, room;
};

/* Makes sure that `count` timers fit, so that setting one can't fail. */
int timers_reserve(struct timers *timers, size_t count);

/* Sets or moves a timer; TIMERS_NEVER takes it out. */
void timers_set(struct timers *timers, struct timer *timer, uint64_t when);

/* The one that is due first, or NULL. */
struct timer *timers_first(const struct timers *timers);

#endif
