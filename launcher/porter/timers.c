/* SPDX-License-Identifier: Apache-2.0 */
/* What is due next: see timers.h. */
#include "timers.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define ROOM_LEAST 64

int timers_reserve(struct timers *timers, size_t count)
{
	size_t room = timers->room ? timers->room : ROOM_LEAST;
	while (room < count)
		room *= 2;
	if (room == timers->room)
		return 0;
	struct timer **heap = realloc(timers->heap, room * sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	timers->heap = heap;
	timers->room = room;
	return 0;
}

static void put(struct timers *timers, size_t place, struct timer *timer)
{
	timers->heap[place - 1] = timer;
	timer->place = place;
}

static struct timer *at(const struct timers *timers, size_t place)
{
	return timers->heap[place - 1];
}

/* Finds the place for `timer`, from the free place `place` on up or down. */
static void settle(struct timers *timers, size_t place, struct timer *timer)
{
	while (place > 1 && at(timers, place / 2)->when > timer->when) {
		put(timers, place, at(timers, place / 2));
		place /= 2;
	}
	for (;;) {
		size_t child = place * 2;
		if (child > timers->count)
			break;
		if (child < timers->count &&
		    at(timers, child + 1)->when < at(timers, child)->when)
			child++;
		if (at(timers, child)->when >= timer->when)
			break;
		put(timers, place, at(timers, child));
		place = child;
	}
	put(timers, place, timer);
}

void timers_set(struct timers *timers, struct timer *timer, uint64_t when)
{
	timer->when = when;
	if (when != TIMERS_NEVER && timer->place) {
		settle(timers, timer->place, timer);
	} else if (when != TIMERS_NEVER) {
		assert(timers->count < timers->room);
		timers->count++;
		settle(timers, timers->count, timer);
	} else if (timer->place) {
		size_t place = timer->place;
		struct timer *last = at(timers, timers->count);
		timers->count--;
		timer->place = 0;
		if (last != timer)
			settle(timers, place, last);
	}
}

struct timer *timers_first(const struct timers *timers)
{
	return timers->count ? timers->heap[0] : NULL;
}
