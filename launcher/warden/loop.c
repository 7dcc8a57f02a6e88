/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop: see loop.h. */
#include "loop.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <unistd.h>

#define ROUND 64

/* The events of the current round, so that removing a source takes its pending
 * event along. */
static struct epoll_event round_events[ROUND];
static int round_count;

int loop_open(struct loop *loop)
{
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	loop->stopped = 0;
	return loop->epoll < 0 ? -errno : 0;
}

int loop_add(struct loop *loop, struct source *source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, source->fd, &event) < 0 ?
		       -errno : 0;
}

int loop_change(struct loop *loop, struct source *source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	return epoll_ctl(loop->epoll, EPOLL_CTL_MOD, source->fd, &event) < 0 ?
		       -errno : 0;
}

void loop_remove(struct loop *loop, struct source *source)
{
	if (source->fd < 0)
		return;
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
	close(source->fd);
	source->fd = -1;
	for (int i = 0; i < round_count; i++)
		if (round_events[i].data.ptr == source)
			round_events[i].data.ptr = NULL;
}

int loop_run(struct loop *loop)
{
	int busy = 1;	/* there may be idle work */

	while (!loop->stopped) {
		round_count = epoll_wait(loop->epoll, round_events, ROUND,
					 busy && loop->idle ? 0 : -1);
		if (round_count < 0 && errno == EINTR)
			continue;
		if (round_count < 0)
			return -errno;
		busy = round_count ? 1 : loop->idle && loop->idle(loop->owner);
		for (int i = 0; i < round_count; i++) {
			struct source *source = round_events[i].data.ptr;
			if (source)
				source->ready(source, round_events[i].events);
		}
	}
	return 0;
}
